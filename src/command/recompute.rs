//! The main job: a run's log → its report.

use std::time::Instant;

use super::count::Counter;
use super::outcome;
use crate::cli::Cli;
use crate::cores::Pools;
use crate::messages::Messages;
use crate::plan::RunPlan;

/// Recomputes runs, one after the other.
pub(super) struct Recompute<'a> {
    cli: &'a Cli,
    messages: Messages,
    counter: Counter<'a>,
}

impl<'a> Recompute<'a> {
    pub fn new(cli: &'a Cli, messages: Messages, pools: &'a Pools) -> Self {
        Self {
            cli,
            messages,
            counter: Counter::new(cli, messages, pools),
        }
    }

    /// Recomputes one run; the exit code.
    pub fn run(&mut self, plan: &RunPlan) -> anyhow::Result<u8> {
        let started = Instant::now();
        let _lock = outcome::lock(plan, self.messages)?;
        let counted = self.counter.count(plan)?;
        outcome::conclude(self.cli, self.messages, plan, counted, started)
    }
}
