//! Work that may never end: a tokenizer brings its own regular expressions and normalizers, and a hostile one keeps a thread
//! busy for years on a short text. No such thread can be stopped from outside, so the program ends with a message; at that
//! point nothing has been written.
//!
//! Whoever does such work says so in a [`Watched`]. Nothing is watched until [`end_with`] is called: a library does not
//! end its process.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// Any tokenizer is loaded and any text is counted in less, also on a busy machine; twice as much is less than a minute.
const PATIENCE_SECONDS: u64 = 25;
/// So much more of a text is given a second more.
const BYTES_A_SECOND: u64 = 1 << 20;

static WATCHED: Mutex<Vec<Weak<Work>>> = Mutex::new(Vec::new());

/// One thread's work at hand.
#[derive(Debug)]
struct Work {
    name: fn(u64) -> String,
    /// How many pieces of work were begun; odd while one is going on.
    begun: AtomicU64,
    place: AtomicU64,
    bytes: AtomicU64,
    /// What the watching thread saw last, and how many seconds ago.
    seen: AtomicU64,
    seconds: AtomicU64,
}

/// The means of a thread to say what it is doing.
#[derive(Debug)]
pub struct Watched(Arc<Work>);

impl Watched {
    /// `name` is the work for a message, given its place.
    pub fn new(name: fn(u64) -> String) -> Self {
        let work = Arc::new(Work {
            name,
            begun: AtomicU64::new(0),
            place: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            seconds: AtomicU64::new(0),
        });
        lock().push(Arc::downgrade(&work));
        Self(work)
    }

    /// Begins a piece of work on so many bytes, and ends the one before.
    pub fn begin(&self, place: u64, bytes: usize) {
        self.0.place.store(place, Relaxed);
        self.0.bytes.store(bytes as u64, Relaxed);
        self.0
            .begun
            .store((self.0.begun.load(Relaxed) + 1) | 1, Relaxed);
    }

    /// Ends it.
    pub fn end(&self) {
        self.0
            .begun
            .store((self.0.begun.load(Relaxed) + 1) & !1, Relaxed);
    }
}

impl Work {
    /// A second has passed; whether the work takes too long.
    fn tick(&self, patience_seconds: u64) -> bool {
        let begun = self.begun.load(Relaxed);
        if begun.is_multiple_of(2) || self.seen.swap(begun, Relaxed) != begun {
            self.seconds.store(0, Relaxed);
            return false;
        }
        let seconds = self.seconds.fetch_add(1, Relaxed) + 1;
        seconds >= patience_seconds + self.bytes.load(Relaxed) / BYTES_A_SECOND
    }
}

/// Watches from now on; `end` is called with the reason and should end the process.
pub fn end_with(end: impl Fn(String) + Send + 'static) {
    let patience_seconds = patience_seconds();
    let watch = move || {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let late = lock()
                .iter()
                .filter_map(Weak::upgrade)
                .find(|work| work.tick(patience_seconds));
            if let Some(work) = late {
                let name = (work.name)(work.place.load(Relaxed));
                end(format!(
                    "{name} does not end: a regular expression or a normalizer of the tokenizer may go on for ever"
                ));
            }
            lock().retain(|work| work.strong_count() > 0);
        }
    };
    // Where the system refuses the thread there is no watch, as before.
    let _ = std::thread::Builder::new()
        .name("watch".into())
        .spawn(watch);
}

fn lock() -> std::sync::MutexGuard<'static, Vec<Weak<Work>>> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tests have less of it.
#[cfg(debug_assertions)]
fn patience_seconds() -> u64 {
    let given = std::env::var("TOK_RECOMPUTE_PATIENCE").ok();
    given
        .and_then(|text| text.parse().ok())
        .unwrap_or(PATIENCE_SECONDS)
}

#[cfg(not(debug_assertions))]
fn patience_seconds() -> u64 {
    PATIENCE_SECONDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_piece_of_work_that_goes_on_and_on_is_late() {
        let watched = Watched::new(|place| format!("work {place}"));
        let ticks = |n: usize| (0..n).map(|_| watched.0.tick(3)).collect::<Vec<_>>();
        assert_eq!(ticks(5), [false; 5]);
        watched.begin(1, 0);
        assert_eq!(ticks(5), [false, false, false, true, true]);
        watched.begin(2, 0);
        assert_eq!(ticks(4), [false, false, false, true]);
        watched.end();
        assert_eq!(ticks(5), [false; 5]);
        for place in 0..9 {
            watched.begin(place, 0);
            assert_eq!(ticks(3), [false; 3]);
        }
        watched.begin(3, 4 << 20);
        assert_eq!(ticks(8), [[false; 7].as_slice(), &[true]].concat());
    }
}
