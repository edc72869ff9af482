//! The report of a followed run, of all of it or of what is recorded when it is stopped.

use std::mem;
use std::time::Instant;

use super::super::count::{Counted, refuse_nothing};
use super::super::outcome;
use super::super::pages::Besides;
use super::reader::End;
use super::{Follow, Why};
use crate::report::{Snapshot, State};

impl Follow<'_> {
    /// Writes and shows what is recorded, and hands the figures to `snapshot`; the exit code.
    pub(super) fn report(
        &self,
        why: Why,
        end: Option<End>,
        started: Instant,
        snapshot: impl FnOnce(&Snapshot),
    ) -> anyhow::Result<u8> {
        let stopped = self.stopped_because(&why, end);
        let (plan, signal) = match why {
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
        refuse_nothing(&plan, &finished)?;
        snapshot(&finished.snapshot);
        for warning in &plan.warnings {
            self.messages.warn(warning);
        }
        for assumed in &plan.assumed {
            self.messages.note(assumed);
        }
        let _lock = outcome::lock(&plan, self.messages)?;
        let means = mem::take(&mut *self.means());
        let counted = Counted {
            finished,
            loaded: means.loaded,
            recounted_because: means.recounted_because,
            stopped,
            seconds: means.seconds,
        };
        let besides = (None, Besides::default());
        let concluded =
            outcome::conclude(self.cli, self.messages, &plan, counted, besides, started)?;
        Ok(signal.map_or(concluded.exit_code, |signal| signal.code))
    }

    /// Why the report is not that of a whole run, if it is not.
    fn stopped_because(&self, why: &Why, end: Option<End>) -> Option<String> {
        let flags = &self.cli.following;
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
