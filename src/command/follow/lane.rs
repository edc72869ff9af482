//! While a run goes on: reads what is written and counts in between, in the background, until the log has ended.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use super::watcher::Watcher;
use super::{Event, Follow};
use crate::cores::Pools;
use crate::log::{BatchSizes, LogError, Name};
use crate::pipeline::PipelineError;

/// Texts are counted for so long, then what was written meanwhile is read first.
const SLICE: Duration = Duration::from_millis(100);
/// After `session.ended` the client writes nothing more; a log of somebody else may have some lines left.
const SETTLED: Duration = Duration::from_millis(200);
/// More than that is not waited for.
const ENOUGH: Duration = Duration::from_secs(2);
/// A log that nobody can find any more, and that does not grow, has nobody who writes it.
const ABANDONED: Duration = Duration::from_secs(10);
/// Small, so that a slice is short.
const BATCH_BYTES: usize = 64 << 10;

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

/// The background's work on a log.
pub(super) struct Lane<'a> {
    pub follow: &'a Follow<'a>,
    pub pools: Pools,
    /// Whether it counts too.
    pub counts: bool,
    /// One that hung and comes back has been replaced by one with a higher number.
    pub number: u64,
    pub tell: Sender<Event>,
}

impl Lane<'_> {
    /// Reads and counts until the log has ended, or until there is no use in it any more.
    pub fn run(mut self) {
        let event = match self.until_the_end() {
            Ok(Some(end)) => Event::End(end),
            Ok(None) => return,
            Err(error) => Event::Failed(error),
        };
        if !self.is_over() {
            // Who does not listen any more has enough.
            let _ = self.tell.send(event);
        }
    }

    /// Whether there is no use in going on; asked all the time, unless something hangs.
    fn comes_round(&self) -> bool {
        *self.follow.beat() = Instant::now();
        self.is_over()
    }

    fn is_over(&self) -> bool {
        self.follow.stopped() || self.follow.lane.load(SeqCst) != self.number
    }

    fn until_the_end(&mut self) -> anyhow::Result<Option<End>> {
        let log = self.follow.following.log();
        let watcher = Watcher::new(log);
        self.follow.messages.detail(format!(
            "following {}: {}",
            log.path().display(),
            watcher.how()
        ));
        let mut growth = Growth {
            bytes: 0,
            since: Instant::now(),
            ended: None,
        };
        while !self.comes_round() {
            match self.read(false) {
                Ok(bytes) => growth.note(bytes, self.follow.following.ended()),
                Err(PipelineError::Log(LogError::Rewritten { .. })) => {
                    self.follow.following.start_again();
                    let _ = self.tell.send(Event::StartedAgain);
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            if let Some(end) = self.end(&growth)? {
                self.read(true)?;
                return Ok(Some(end));
            }
            if !self.count() {
                watcher.wait(self.follow.following.ended());
            }
        }
        Ok(None)
    }

    /// Reads what there is; how long the log is.
    fn read(&self, all: bool) -> Result<u64, PipelineError> {
        let extent = self
            .follow
            .with_job(&self.pools, sizes(&self.pools), false, |job| {
                self.follow.following.read(job, all, &|| self.comes_round())
            })?;
        self.follow.note_length(extent.bytes());
        Ok(extent.bytes())
    }

    /// Whether the log is at its end, after it has not grown for a while.
    fn end(&self, growth: &Growth) -> anyhow::Result<Option<End>> {
        let following = &self.follow.following;
        let quiet = growth.since.elapsed();
        if following.ended() {
            let settled = quiet >= SETTLED
                || growth.ended.is_some_and(|ended| ended.elapsed() >= ENOUGH)
                || following.log().name() == Name::Gone;
            return Ok(settled.then_some(End::Ended));
        }
        let patience = self.follow.cli.following.idle_timeout;
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

    /// Counts for a while; whether there is more to count.
    fn count(&mut self) -> bool {
        let only_reads = || self.follow.no_counting.load(SeqCst);
        if !self.counts || only_reads() {
            return false;
        }
        let until = Instant::now() + SLICE;
        let stop = || self.comes_round() || only_reads() || Instant::now() >= until;
        let counted = self
            .follow
            .with_job(&self.pools, sizes(&self.pools), false, |job| {
                self.follow.following.count(job, &stop)
            });
        match counted {
            Ok(all) => !all,
            // The next read sees to it.
            Err(PipelineError::Log(LogError::Rewritten { .. })) => false,
            Err(error) => {
                // Everything is counted at the end, and there an error is one.
                self.counts = false;
                let why = super::super::count::chain(&error);
                self.follow
                    .messages
                    .detail(format!("counting waits for the end of the run: {why}"));
                false
            }
        }
    }
}

impl Growth {
    fn note(&mut self, bytes: u64, ended: bool) {
        if !ended {
            self.ended = None;
        } else if self.ended.is_none() {
            self.ended = Some(Instant::now());
        }
        if bytes != self.bytes {
            self.bytes = bytes;
            self.since = Instant::now();
        }
    }
}

fn sizes(pools: &Pools) -> BatchSizes {
    BatchSizes {
        batch_bytes: BATCH_BYTES,
        tail_bytes: BATCH_BYTES / 8,
        ..BatchSizes::new(pools.threads())
    }
}
