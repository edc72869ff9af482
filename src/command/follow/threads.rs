//! The threads at work on a followed run: they are started here, and never waited for.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::Sender;
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::reader::Reader;
use super::{Event, Follow, background};
use crate::command::caught;
use crate::cpu::{CorePlan, Machine, Pools};
use crate::log::LogError;
use crate::pipeline::PipelineError;

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

    /// Starts to read, and to count in the background.
    ///
    /// Reading is little work that must not wait, or nobody would know that the run has ended; so only counting has the
    /// lowest priority. Both are on the highest processors.
    pub fn read(&mut self) -> anyhow::Result<()> {
        let follow: &'env Follow = self.follow;
        let counting = follow.options.live_threads;
        let cpus = follow.session.plan.cores.cpus.as_ref();
        let plan = CorePlan::background(&Machine::here(), cpus, counting)?;
        let reader = Reader {
            follow,
            pools: Pools::new(&plan.clone().in_front(1))?,
            tell: self.tell.clone(),
        };
        self.started.push(self.scope.spawn(|| reader.run()));
        if counting > 0 {
            let pools = Pools::new(&plan)?;
            follow
                .messages
                .detail(format!("in the background: {pools}"));
            self.started
                .push(self.scope.spawn(move || background::run(follow, &pools)));
        }
        Ok(())
    }

    /// Starts to count what is left; nobody else counts any more.
    pub fn drain(&mut self) {
        let (follow, tell): (&'env Follow, _) = (self.follow, self.tell.clone());
        follow.no_lane.store(true, SeqCst);
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
    let log = match error.downcast_ref::<PipelineError>() {
        Some(PipelineError::Log(log)) => Some(log),
        _ => error.downcast_ref::<LogError>(),
    };
    matches!(log, Some(LogError::Rewritten { .. }))
}
