//! Makes the report of a followed run: of the whole run, or of what is recorded when the follow stops.

use std::mem;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::super::count::{CountedRun, read_sample_map, refuse_empty, rules};
use super::super::finalize;
use super::super::row_sinks::RowOutputs;
use super::reader::LogEnd;
use super::signals::Signal;
use super::{Follow, FollowEvent, StopReason};
use crate::files::lock::RunLock;
use crate::plan::{RunOutputs, RunPlan};
use crate::process::exit;
use crate::report::{Snapshot, State};

/// The longest wait for another process that rewrites the run.
const LOCK_TIMEOUT: Duration = Duration::from_secs(300);
/// The same after a signal.
const LOCK_TIMEOUT_AFTER_SIGNAL: Duration = Duration::from_millis(300);

impl Follow<'_> {
    /// Writes and prints the report, and passes its snapshot to `write_snapshot`. Returns the exit code.
    pub(super) fn report(
        &self,
        reason: StopReason,
        end: Option<LogEnd>,
        started: Instant,
        rx: &Receiver<FollowEvent>,
        write_snapshot: impl FnOnce(&Snapshot),
    ) -> anyhow::Result<u8> {
        let stopped = self.stopped_because(&reason, end);
        let (mut plan, mut signal) = match reason {
            StopReason::Counted(plan) => (*plan, None),
            StopReason::DrainTimeout => (self.plan()?, None),
            StopReason::Signal(signal) => (self.plan()?, Some(signal)),
        };
        let mut result = self
            .following
            .finish(&rules(&plan), read_sample_map(&plan)?);
        if let Some(signal) = signal {
            if result.tally.events == 0 {
                self.messages.note("there is nothing to report yet");
                return Ok(signal.code);
            }
            result.snapshot.state = State::Interrupted;
        }
        refuse_empty(&plan, &result)?;
        write_snapshot(&result.snapshot);
        self.session.show_assumptions(&plan);
        let lock = self.lock(&plan, &mut signal, rx);
        if let Err(error) = &lock {
            self.messages.error(error.as_ref());
            // The figures are printed all the same.
            plan.outputs = RunOutputs::default();
        }
        let counting = mem::take(&mut *self.counting());
        let counted = CountedRun {
            result,
            loaded: counting.loaded,
            recounted_because: counting.recounted_because,
            stopped,
            seconds: counting.seconds,
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

    /// Locks the run. Waits for another process that holds the lock, but not long after a signal.
    fn lock(
        &self,
        plan: &RunPlan,
        signal: &mut Option<Signal>,
        rx: &Receiver<FollowEvent>,
    ) -> anyhow::Result<RunLock> {
        let since = Instant::now();
        let mut noted = false;
        loop {
            let timeout = signal.map_or(LOCK_TIMEOUT, |_| LOCK_TIMEOUT_AFTER_SIGNAL);
            match finalize::lock(plan, self.messages) {
                Err(_) if since.elapsed() < timeout => {}
                locked => return locked,
            }
            if !mem::replace(&mut noted, true) {
                self.messages
                    .note("another tok-recompute is rewriting the run: waiting for it");
            }
            if let Ok(FollowEvent::Signal(received)) = rx.recv_timeout(super::TICK) {
                *signal = Some(received);
            }
        }
    }

    /// Returns the reason why the report does not cover the whole run, if there is one.
    fn stopped_because(&self, reason: &StopReason, end: Option<LogEnd>) -> Option<String> {
        let options = self.options;
        match (reason, end) {
            (StopReason::Signal(signal), _) => Some(format!("stopped by {}", signal.name)),
            (StopReason::DrainTimeout, _) => {
                let seconds = options.drain_timeout.as_secs_f64();
                Some(format!("stopped after --drain-timeout {seconds}"))
            }
            (StopReason::Counted(_), Some(LogEnd::Idle)) => {
                let seconds = options.idle_timeout.as_secs_f64();
                Some(format!("the log has not grown for {seconds} s"))
            }
            (StopReason::Counted(_), Some(LogEnd::Removed)) => {
                Some("the log was removed before its end".to_owned())
            }
            (StopReason::Counted(_), Some(LogEnd::SessionEnded) | None) => None,
        }
    }
}
