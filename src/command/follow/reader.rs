//! Reads the log of a live run as it grows, until its end.

use std::sync::mpsc::{Receiver, Sender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::{Follow, FollowEvent};
use crate::cpu::Pools;
use crate::log::{BatchSizes, LogError, PathState, TailedFile};
use crate::pipeline::PipelineError;

/// The log has ended when it has not grown for this long after `session.ended`. The client writes nothing more then, but
/// another writer may.
const SETTLE_TIME: Duration = Duration::from_millis(200);
/// The log has ended this long after `session.ended` even if it still grows.
const MAX_SETTLE_TIME: Duration = Duration::from_secs(2);
/// A log without a name that has not grown for this long has no writer any more.
const REMOVED_TIMEOUT: Duration = Duration::from_secs(10);
/// The time between two looks at a log whose writes the kernel does not report.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// The longest wait for a write: renames and timeouts are not reported as writes.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// The pause after a write, so that the writes that follow are read together with it.
const BATCH_TIME: Duration = Duration::from_millis(25);

/// The way in which a log ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogEnd {
    /// By its `session.ended`.
    SessionEnded,
    /// It has not grown for `--idle-timeout`.
    Idle,
    /// It was removed before its `session.ended`.
    Removed,
}

/// The size of a log, and the time of its last change.
struct Growth {
    bytes: u64,
    last_change: Instant,
    /// The time at which its `session.ended` was read.
    ended: Option<Instant>,
}

/// Reads the log.
pub(super) struct LogReader<'a> {
    pub follow: &'a Follow<'a>,
    pub pools: Pools,
    pub tx: Sender<FollowEvent>,
}

impl LogReader<'_> {
    /// Reads until the end of the log or of the follow, and sends the result.
    pub fn run(self) {
        let event = match self.read_to_end() {
            Ok(Some(end)) => FollowEvent::LogEnded(end),
            Ok(None) => return,
            Err(error) => FollowEvent::Failed(error),
        };
        // The receiver is gone when the follow has stopped.
        let _ = self.tx.send(event);
    }

    fn read_to_end(&self) -> anyhow::Result<Option<LogEnd>> {
        let following = &self.follow.following;
        let watcher = Watcher::new(following.log());
        self.follow.messages.detail(format!(
            "following {}: {}",
            following.log().path().display(),
            watcher.method()
        ));
        let mut growth = Growth::new();
        while !self.follow.stopped() {
            match self.read(false) {
                Ok(bytes) => growth.update(bytes, following.ended()),
                Err(PipelineError::Log(LogError::Rewritten { .. })) => {
                    following.start_again();
                    growth = Growth::new();
                    let _ = self.tx.send(FollowEvent::Rewritten);
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            if let Some(end) = self.end(&growth)? {
                self.read(true)?;
                return Ok(Some(end));
            }
            watcher.wait(following.ended());
        }
        Ok(None)
    }

    /// Reads the lines that were written; returns the size of the log. `all` includes a last line without a line end.
    fn read(&self, all: bool) -> Result<u64, PipelineError> {
        let sizes = BatchSizes::new(self.pools.threads());
        let stop = || self.follow.stopped();
        let length = self.follow.with_job(&self.pools, sizes, false, |job| {
            self.follow.following.read(job, all, &stop)
        })?;
        Ok(length.bytes)
    }

    /// Returns the way in which the log ended, if it has ended.
    fn end(&self, growth: &Growth) -> anyhow::Result<Option<LogEnd>> {
        let following = &self.follow.following;
        let idle = growth.last_change.elapsed();
        if let Some(ended) = growth.ended {
            let settled = idle >= SETTLE_TIME
                || ended.elapsed() >= MAX_SETTLE_TIME
                || following.log().path_state() == PathState::Removed;
            return Ok(settled.then_some(LogEnd::SessionEnded));
        }
        let timeout = self.follow.options.idle_timeout;
        if !timeout.is_zero() && idle >= timeout {
            return Ok(Some(LogEnd::Idle));
        }
        if idle < REMOVED_TIMEOUT || !following.log().is_unlinked() {
            return Ok(None);
        }
        if following.log().path_state() == PathState::Replaced {
            let path = following.log().path().display();
            anyhow::bail!(
                "{path} was replaced by another file before its session.ended, so nothing is written; follow it again"
            );
        }
        Ok(Some(LogEnd::Removed))
    }
}

impl Growth {
    fn new() -> Self {
        Self {
            bytes: 0,
            last_change: Instant::now(),
            ended: None,
        }
    }

    fn update(&mut self, bytes: u64, ended: bool) {
        if ended {
            self.ended.get_or_insert_with(Instant::now);
        }
        if bytes != self.bytes {
            self.bytes = bytes;
            self.last_change = Instant::now();
        }
    }
}

/// Waits for writes to the log: by inotify where the kernel sees every write, else by polling.
struct Watcher {
    rx: Receiver<()>,
    /// `None` on a network filesystem, or where the kernel has no inotify watch left.
    inotify: Option<RecommendedWatcher>,
}

impl Watcher {
    fn new(log: &TailedFile) -> Self {
        let (tx, rx) = sync_channel(1);
        let on_event = move |_| {
            // A full channel already wakes the reader.
            let _ = tx.try_send(());
        };
        let inotify = log.is_local().then(|| {
            let mut watcher = notify::recommended_watcher(on_event)?;
            watcher.watch(log.path(), RecursiveMode::NonRecursive)?;
            Ok::<_, notify::Error>(watcher)
        });
        Self {
            rx,
            inotify: inotify.and_then(Result::ok),
        }
    }

    /// Describes the method for `-v`.
    fn method(&self) -> &'static str {
        match self.inotify {
            Some(_) => "waiting for writes by inotify",
            None => "polling ten times a second",
        }
    }

    /// Waits for a write, but not longer than a timeout needs: `soon` says that one is close.
    fn wait(&self, soon: bool) {
        match self.inotify {
            Some(_) if !soon => {
                let _ = self.rx.recv_timeout(MAX_WAIT);
                thread::sleep(BATCH_TIME);
            }
            _ => thread::sleep(POLL_INTERVAL),
        }
    }
}
