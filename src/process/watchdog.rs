//! The watchdog: ends the process when work does not end.
//!
//! A tokenizer brings its own regular expressions and normalizers, and a malicious one keeps a thread busy for years on
//! a short text. Such a thread cannot be stopped from outside, so the process ends with a message; at that point nothing
//! has been written.
//!
//! Threads report their work to a [`Heartbeat`]. Nothing is watched until [`start`] is called: a library does not end
//! its process.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// Any tokenizer loads and any text is counted in less, on a busy machine too; twice as much is less than a minute.
const TIMEOUT_SECONDS: u64 = 25;
/// A text gets one second more for each of these.
const BYTES_PER_SECOND: u64 = 1 << 20;

static HEARTBEATS: Mutex<Vec<Weak<Work>>> = Mutex::new(Vec::new());

/// One thread's current work.
#[derive(Debug)]
struct Work {
    describe: fn(u64) -> String,
    /// Changes with every begin and end; odd while work is going on.
    beats: AtomicU64,
    offset: AtomicU64,
    bytes: AtomicU64,
    /// The watchdog's last view of `beats`, and for how many seconds it has not changed.
    seen: AtomicU64,
    seconds: AtomicU64,
}

/// A thread's reports of its work to the watchdog.
#[derive(Debug)]
pub(crate) struct Heartbeat(Arc<Work>);

impl Heartbeat {
    /// `describe` names the work in a message, given its offset.
    pub(crate) fn new(describe: fn(u64) -> String) -> Self {
        let work = Arc::new(Work {
            describe,
            beats: AtomicU64::new(0),
            offset: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            seconds: AtomicU64::new(0),
        });
        heartbeats().push(Arc::downgrade(&work));
        Self(work)
    }

    /// Begins work on so many bytes, and ends the work before.
    pub(crate) fn begin(&self, offset: u64, bytes: usize) {
        self.0.offset.store(offset, Relaxed);
        self.0.bytes.store(bytes as u64, Relaxed);
        self.beat(|beats| (beats + 1) | 1);
    }

    /// Ends the work.
    pub(crate) fn end(&self) {
        self.beat(|beats| (beats + 1) & !1);
    }

    fn beat(&self, next: impl Fn(u64) -> u64) {
        let beats = self.0.beats.load(Relaxed);
        self.0.beats.store(next(beats), Relaxed);
    }
}

impl Work {
    /// Called once a second; returns whether the work takes too long.
    fn tick(&self, timeout_seconds: u64) -> bool {
        let beats = self.beats.load(Relaxed);
        if beats.is_multiple_of(2) || self.seen.swap(beats, Relaxed) != beats {
            self.seconds.store(0, Relaxed);
            return false;
        }
        let seconds = self.seconds.fetch_add(1, Relaxed) + 1;
        seconds >= timeout_seconds + self.bytes.load(Relaxed) / BYTES_PER_SECOND
    }
}

/// Starts the watchdog. It calls `on_timeout` with a message; that should end the process.
pub(crate) fn start(on_timeout: impl Fn(String) + Send + 'static) {
    let timeout_seconds = timeout_seconds();
    let watch = move || {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let late = heartbeats()
                .iter()
                .filter_map(Weak::upgrade)
                .find(|work| work.tick(timeout_seconds));
            if let Some(work) = late {
                let name = (work.describe)(work.offset.load(Relaxed));
                on_timeout(format!(
                    "{name} does not end: a regular expression or a normalizer of the tokenizer may go on for ever"
                ));
            }
            heartbeats().retain(|work| work.strong_count() > 0);
        }
    };
    // Where the system refuses the thread, work goes on without a watchdog.
    let _ = std::thread::Builder::new()
        .name("watchdog".into())
        .spawn(watch);
}

fn heartbeats() -> std::sync::MutexGuard<'static, Vec<Weak<Work>>> {
    HEARTBEATS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tests shorten it.
#[cfg(debug_assertions)]
fn timeout_seconds() -> u64 {
    let given = std::env::var("TOK_RECOMPUTE_TIMEOUT").ok();
    given
        .and_then(|text| text.parse().ok())
        .unwrap_or(TIMEOUT_SECONDS)
}

#[cfg(not(debug_assertions))]
fn timeout_seconds() -> u64 {
    TIMEOUT_SECONDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_goes_on_for_too_long_is_late() {
        let heartbeat = Heartbeat::new(|offset| format!("work at {offset}"));
        let ticks = |n: usize| (0..n).map(|_| heartbeat.0.tick(3)).collect::<Vec<_>>();
        assert_eq!(ticks(5), [false; 5]);
        heartbeat.begin(1, 0);
        assert_eq!(ticks(5), [false, false, false, true, true]);
        heartbeat.begin(2, 0);
        assert_eq!(ticks(4), [false, false, false, true]);
        heartbeat.end();
        assert_eq!(ticks(5), [false; 5]);
        for offset in 0..9 {
            heartbeat.begin(offset, 0);
            assert_eq!(ticks(3), [false; 3]);
        }
        heartbeat.begin(3, 4 << 20);
        assert_eq!(ticks(8), [[false; 7].as_slice(), &[true]].concat());
    }
}
