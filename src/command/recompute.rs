//! The main job: a run's log → its report.

use std::time::Instant;

use super::count::Counter;
use super::outcome;
use super::samples::Samples;
use crate::cli::Cli;
use crate::cores::Pools;
use crate::messages::Messages;
use crate::pipeline::RowSink;
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
        let mut samples = Samples::asked(self.cli);
        let rows = samples.as_mut().map(|samples| samples as &mut dyn RowSink);
        let counted = self.counter.count(plan, rows)?;
        let samples = samples.map(Samples::finish).transpose()?.flatten();
        outcome::conclude(self.cli, self.messages, plan, counted, samples, started)
    }
}
