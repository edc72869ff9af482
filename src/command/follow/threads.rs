//! The threads at work on a followed run: they are started here, replaced when they hang, and never waited for.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::Sender;
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::super::caught;
use super::lane::Lane;
use super::{Event, Follow};
use crate::cores::{CorePlan, Machine, Pools};
use crate::log::LogError;
use crate::pipeline::PipelineError;
use crate::watch;

/// Threads that are asked to stop have so long to do it in peace.
const FAREWELL: Duration = Duration::from_millis(100);

/// The threads at work on a followed run.
pub(super) struct Threads<'scope, 'env> {
    follow: &'env Follow<'env>,
    scope: &'scope Scope<'scope, 'env>,
    tell: Sender<Event>,
    started: Vec<ScopedJoinHandle<'scope, ()>>,
}

impl<'scope, 'env> Threads<'scope, 'env> {
    pub fn new(
        follow: &'env Follow<'env>,
        scope: &'scope Scope<'scope, 'env>,
        tell: Sender<Event>,
    ) -> Self {
        Self {
            follow,
            scope,
            tell,
            started: Vec::new(),
        }
    }

    /// Starts to read and to count in the background.
    pub fn read(&mut self) -> anyhow::Result<()> {
        self.start_lane(self.follow.cli.following.live_threads)
    }

    /// Goes on without counting when a text keeps the background for too long; it may never come back.
    pub fn mind_the_lane(&mut self) -> anyhow::Result<()> {
        let patience = Duration::from_secs(watch::patience_seconds());
        if self.follow.beat().elapsed() < patience {
            return Ok(());
        }
        self.follow.messages.warn(format!(
            "a text has kept the background for {} s: all others are counted at the end of the run",
            patience.as_secs()
        ));
        self.start_lane(0)
    }

    fn start_lane(&mut self, counting: usize) -> anyhow::Result<()> {
        let follow: &'env Follow = self.follow;
        let cpus = super::super::cpus(follow.cli)?;
        let plan = CorePlan::background(&Machine::here(), cpus.as_ref(), counting)?;
        let pools = Pools::new(&plan)?;
        follow
            .messages
            .detail(format!("in the background: {pools}"));
        *follow.beat() = Instant::now();
        let lane = Lane {
            follow,
            pools,
            counts: counting > 0,
            number: follow.lane.fetch_add(1, SeqCst) + 1,
            tell: self.tell.clone(),
        };
        self.started.push(self.scope.spawn(|| lane.run()));
        Ok(())
    }

    /// Starts to count what is left.
    pub fn drain(&mut self) {
        let (follow, tell): (&'env Follow, _) = (self.follow, self.tell.clone());
        self.started.push(self.scope.spawn(move || {
            let event = match caught(|| follow.drain()) {
                Ok(Some(plan)) => Event::Counted(Box::new(plan)),
                Ok(None) => return,
                Err(error) if was_rewritten(&error) => {
                    follow.following.start_again();
                    Event::StartedAgain
                }
                Err(error) => Event::Failed(error),
            };
            // Who does not listen any more has enough.
            let _ = tell.send(event);
        }));
    }

    /// Whether all have ended, after a short while.
    pub fn have_ended(&self) -> bool {
        let until = Instant::now() + FAREWELL;
        while !self.started.iter().all(ScopedJoinHandle::is_finished) {
            if Instant::now() >= until {
                return false;
            }
            thread::sleep(Duration::from_millis(2));
        }
        true
    }
}

/// Whether the log was written anew.
fn was_rewritten(error: &anyhow::Error) -> bool {
    let in_pipeline = error.downcast_ref::<PipelineError>();
    let log = match in_pipeline {
        Some(PipelineError::Log(log)) => Some(log),
        _ => error.downcast_ref::<LogError>(),
    };
    matches!(log, Some(LogError::Rewritten { .. }))
}
