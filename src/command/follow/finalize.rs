//! The report of a followed run, of all of it or of what is recorded when it is stopped.

use std::mem;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::super::count::{CountedRun, refuse_empty};
use super::super::finalize;
use super::super::row_sinks::RowOutputs;
use super::reader::End;
use super::signals::Signal;
use super::{Event, Follow, Why};
use crate::files::lock::RunLock;
use crate::plan::{RunOutputs, RunPlan};
use crate::process::exit;
use crate::report::{Snapshot, State};

/// Whoever rewrites the run at its end is waited for so long.
const PATIENCE: Duration = Duration::from_secs(300);
/// The same after a signal.
const IMPATIENCE: Duration = Duration::from_millis(300);

impl Follow<'_> {
    /// Writes and shows what is recorded, and hands the figures to `snapshot`; the exit code.
    pub(super) fn report(
        &self,
        why: Why,
        end: Option<End>,
        started: Instant,
        inbox: &Receiver<Event>,
        snapshot: impl FnOnce(&Snapshot),
    ) -> anyhow::Result<u8> {
        let stopped = self.stopped_because(&why, end);
        let (mut plan, mut signal) = match why {
            Why::Counted(plan) => (*plan, None),
            Why::TimeIsOver => (self.plan()?, None),
            Why::Signal(signal) => (self.plan()?, Some(signal)),
        };
        let mut finished = self.following.finish(plan.streaming, plan.early_stopping);
        if let Some(signal) = signal {
            if finished.events == 0 {
                self.messages.note("there is nothing to report yet");
                return Ok(signal.code);
            }
            finished.snapshot.state = State::Interrupted;
        }
        refuse_empty(&plan, &finished)?;
        snapshot(&finished.snapshot);
        for warning in &plan.warnings {
            self.messages.warn(warning);
        }
        for assumed in &plan.assumed {
            self.messages.note(assumed);
        }
        let lock = self.lock(&plan, &mut signal, inbox);
        if let Err(error) = &lock {
            self.messages.error(error.as_ref());
            // The figures are shown all the same.
            plan.outputs = RunOutputs::default();
        }
        let means = mem::take(&mut *self.means());
        let counted = CountedRun {
            finished,
            loaded: means.loaded,
            recounted_because: means.recounted_because,
            stopped,
            seconds: means.seconds,
        };
        let finalized = finalize::finalize(
            self.session,
            &plan,
            counted,
            RowOutputs::default(),
            None,
            started,
        )?;
        Ok(match (signal, lock) {
            (Some(signal), _) => signal.code,
            (None, Ok(_)) => finalized.exit_code,
            (None, Err(_)) => exit::FAILED,
        })
    }

    /// Locks the run. Whoever has the lock is waited for, but not long once there is a signal.
    fn lock(
        &self,
        plan: &RunPlan,
        signal: &mut Option<Signal>,
        inbox: &Receiver<Event>,
    ) -> anyhow::Result<RunLock> {
        let since = Instant::now();
        let mut said = false;
        loop {
            let patience = signal.map_or(PATIENCE, |_| IMPATIENCE);
            match finalize::lock(plan, self.messages) {
                Err(_) if since.elapsed() < patience => {}
                locked => return locked,
            }
            if !mem::replace(&mut said, true) {
                self.messages
                    .note("another tok-recompute is rewriting the run: waiting for it");
            }
            if let Ok(Event::Signal(stop)) = inbox.recv_timeout(super::TICK) {
                *signal = Some(stop);
            }
        }
    }

    /// Why the report is not that of a whole run, if it is not.
    fn stopped_because(&self, why: &Why, end: Option<End>) -> Option<String> {
        let flags = self.options;
        match (why, end) {
            (Why::Signal(signal), _) => Some(format!("stopped by {}", signal.name)),
            (Why::TimeIsOver, _) => {
                let seconds = flags.drain_timeout.as_secs_f64();
                Some(format!("stopped after --drain-timeout {seconds}"))
            }
            (Why::Counted(_), Some(End::Idle)) => {
                let seconds = flags.idle_timeout.as_secs_f64();
                Some(format!("the log has not grown for {seconds} s"))
            }
            (Why::Counted(_), Some(End::Abandoned)) => {
                Some("the log was removed before its end".to_owned())
            }
            (Why::Counted(_), Some(End::Ended) | None) => None,
        }
    }
}
