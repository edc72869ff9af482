//! While a run goes on: reads what is written, until the log has ended.

use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use super::watcher::Watcher;
use super::{Event, Follow};
use crate::cpu::Pools;
use crate::log::{BatchSizes, LogError, Name};
use crate::pipeline::PipelineError;

/// After `session.ended` the client writes nothing more; a log of somebody else may have some lines left.
const SETTLED: Duration = Duration::from_millis(200);
/// More than that is not waited for.
const ENOUGH: Duration = Duration::from_secs(2);
/// A log that nobody can find any more, and that does not grow, has nobody who writes it.
const ABANDONED: Duration = Duration::from_secs(10);

/// How a log came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With its `session.ended`.
    Ended,
    /// It has not grown for `--idle-timeout`.
    Idle,
    /// It was removed before its end.
    Abandoned,
}

/// When a log grew last.
struct Growth {
    bytes: u64,
    since: Instant,
    /// When its `session.ended` was read.
    ended: Option<Instant>,
}

/// Reads a log.
pub(super) struct Reader<'a> {
    pub follow: &'a Follow<'a>,
    pub pools: Pools,
    pub tell: Sender<Event>,
}

impl Reader<'_> {
    /// Reads until the log has ended, or until there is no use in it any more.
    pub fn run(self) {
        let event = match self.until_the_end() {
            Ok(Some(end)) => Event::End(end),
            Ok(None) => return,
            Err(error) => Event::Failed(error),
        };
        // Who does not listen any more has enough.
        let _ = self.tell.send(event);
    }

    fn until_the_end(&self) -> anyhow::Result<Option<End>> {
        let following = &self.follow.following;
        let watcher = Watcher::new(following.log());
        self.follow.messages.detail(format!(
            "following {}: {}",
            following.log().path().display(),
            watcher.how()
        ));
        let mut growth = Growth::new();
        while !self.follow.stopped() {
            match self.read(false) {
                Ok(bytes) => growth.note(bytes, following.ended()),
                Err(PipelineError::Log(LogError::Rewritten { .. })) => {
                    following.start_again();
                    growth = Growth::new();
                    let _ = self.tell.send(Event::StartedAgain);
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

    /// Reads what there is; how long the log is.
    fn read(&self, all: bool) -> Result<u64, PipelineError> {
        let sizes = BatchSizes::new(self.pools.threads());
        let stop = || self.follow.stopped();
        let extent = self.follow.with_job(&self.pools, sizes, false, |job| {
            self.follow.following.read(job, all, &stop)
        })?;
        Ok(extent.bytes())
    }

    /// Whether the log is at its end, after it has not grown for a while.
    fn end(&self, growth: &Growth) -> anyhow::Result<Option<End>> {
        let following = &self.follow.following;
        let quiet = growth.since.elapsed();
        if let Some(ended) = growth.ended {
            let settled = quiet >= SETTLED
                || ended.elapsed() >= ENOUGH
                || following.log().name() == Name::Gone;
            return Ok(settled.then_some(End::Ended));
        }
        let patience = self.follow.options.idle_timeout;
        if !patience.is_zero() && quiet >= patience {
            return Ok(Some(End::Idle));
        }
        if quiet < ABANDONED || !following.log().is_unlinked() {
            return Ok(None);
        }
        if following.log().name() == Name::Other {
            let path = following.log().path().display();
            anyhow::bail!(
                "{path} was replaced by another file before its session.ended: nothing is written; follow it again"
            );
        }
        Ok(Some(End::Abandoned))
    }
}

impl Growth {
    fn new() -> Self {
        Self {
            bytes: 0,
            since: Instant::now(),
            ended: None,
        }
    }

    fn note(&mut self, bytes: u64, ended: bool) {
        if ended {
            self.ended.get_or_insert_with(Instant::now);
        }
        if bytes != self.bytes {
            self.bytes = bytes;
            self.since = Instant::now();
        }
    }
}
