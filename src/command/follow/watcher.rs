//! When a growing log is worth looking at: the kernel says so where it knows of every write, and elsewhere a short nap
//! has to do.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::log::Growing;

/// How long a nap is, and at most so long is waited where the kernel could say something.
const NAP: Duration = Duration::from_millis(100);
/// Also with the kernel's word the log is looked at so often: a rename or a time that is over is no write.
const LONGEST: Duration = Duration::from_secs(1);
/// After a write others follow; they are read together.
const PACE: Duration = Duration::from_millis(25);

/// Waits for writes.
pub(super) struct Watcher {
    woken: Receiver<()>,
    /// `None` where the kernel does not know of every write, or has no room for one more to tell.
    kernel: Option<RecommendedWatcher>,
}

impl Watcher {
    pub fn new(log: &Growing) -> Self {
        let (wake, woken) = sync_channel(1);
        let told = move |_| {
            // Woken is woken.
            let _ = wake.try_send(());
        };
        let kernel = log.is_local().then(|| {
            let mut watcher = notify::recommended_watcher(told)?;
            watcher.watch(log.path(), RecursiveMode::NonRecursive)?;
            Ok::<_, notify::Error>(watcher)
        });
        Self {
            woken,
            kernel: kernel.and_then(Result::ok),
        }
    }

    /// How writes are noticed, in words.
    pub fn how(&self) -> &'static str {
        match self.kernel {
            Some(_) => "the kernel tells of writes",
            None => "looked at ten times a second",
        }
    }

    /// Returns when something may have been written, or a time may be over; `soon`: one is about to be.
    pub fn wait(&self, soon: bool) {
        match self.kernel {
            Some(_) if !soon => {
                let _ = self.woken.recv_timeout(LONGEST);
                thread::sleep(PACE);
            }
            _ => thread::sleep(NAP),
        }
    }
}
