//! Starts the threads of a follow. They are never joined, since a text may hold one up for ever.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::Sender;
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::reader::LogReader;
use super::{Follow, FollowEvent, background};
use crate::command::caught;
use crate::cpu::{CorePlan, Machine, Pools};
use crate::log::LogError;
use crate::pipeline::PipelineError;

/// The time that threads have to end after they were asked to.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(100);

/// The threads of a follow.
pub(super) struct Threads<'scope, 'env> {
    follow: &'env Follow<'env>,
    scope: &'scope Scope<'scope, 'env>,
    tx: Sender<FollowEvent>,
    handles: Vec<ScopedJoinHandle<'scope, ()>>,
}

impl<'scope, 'env> Threads<'scope, 'env> {
    pub fn new(
        follow: &'env Follow<'env>,
        scope: &'scope Scope<'scope, 'env>,
        tx: Sender<FollowEvent>,
    ) -> Self {
        Self {
            follow,
            scope,
            tx,
            handles: Vec::new(),
        }
    }

    /// Starts the reader and the background.
    ///
    /// Only counting has the lowest priority: reading is little work, and a late read delays the end of the run. Both run on
    /// the highest processors.
    pub fn start_reading(&mut self) -> anyhow::Result<()> {
        let follow: &'env Follow = self.follow;
        let counting = follow.options.live_threads;
        let cpus = follow.session.plan.cores.cpus.as_ref();
        let plan = CorePlan::background(&Machine::here(), cpus, counting)?;
        let reader = LogReader {
            follow,
            pools: Pools::new(&plan.clone().foreground(1))?,
            tx: self.tx.clone(),
        };
        self.handles.push(self.scope.spawn(|| reader.run()));
        if counting > 0 {
            let pools = Pools::new(&plan)?;
            follow
                .messages
                .detail(format!("in the background: {pools}"));
            self.handles
                .push(self.scope.spawn(move || background::run(follow, &pools)));
        }
        Ok(())
    }

    /// Starts the drain, and stops the background.
    pub fn start_draining(&mut self) {
        let (follow, tx): (&'env Follow, _) = (self.follow, self.tx.clone());
        follow.stop_background.store(true, SeqCst);
        self.handles.push(self.scope.spawn(move || {
            let event = match caught(|| follow.drain()) {
                Ok(Some(plan)) => FollowEvent::Counted(Box::new(plan)),
                Ok(None) => return,
                Err(error) if was_rewritten(&error) => {
                    follow.following.start_again();
                    FollowEvent::Rewritten
                }
                Err(error) => FollowEvent::Failed(error),
            };
            // The receiver is gone when the follow has stopped.
            let _ = tx.send(event);
        }));
    }

    /// Waits a short time for all threads to end; returns whether they have.
    pub fn wait_briefly(&self) -> bool {
        let deadline = Instant::now() + SHUTDOWN_TIMEOUT;
        while !self.handles.iter().all(ScopedJoinHandle::is_finished) {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(2));
        }
        true
    }
}

/// Returns whether the error says that the log was rewritten.
fn was_rewritten(error: &anyhow::Error) -> bool {
    let log = match error.downcast_ref::<PipelineError>() {
        Some(PipelineError::Log(log)) => Some(log),
        _ => error.downcast_ref::<LogError>(),
    };
    matches!(log, Some(LogError::Rewritten { .. }))
}
