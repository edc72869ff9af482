//! The main job: a run's log → its report.

use std::rc::Rc;
use std::time::Instant;

use super::baseline::Baseline;
use super::count::{Counter, chain};
use super::pages::{Besides, Pages};
use super::row_sinks::Wanted;
use super::{caught, finalize};
use crate::cli::Cli;
use crate::cpu::Pools;
use crate::html::Side;
use crate::plan::{RunPlan, Unresolved};
use crate::process::exit;
use crate::terminal::Messages;

/// Recomputes runs, one after the other.
pub(super) struct Recompute<'a> {
    cli: &'a Cli,
    messages: Messages,
    counter: Counter<'a>,
    pages: Pages<'a>,
    /// What `--against` names, once it is known.
    against: Option<Rc<Side>>,
}

impl<'a> Recompute<'a> {
    pub fn new(cli: &'a Cli, messages: Messages, pools: &'a Pools) -> Self {
        Self {
            cli,
            messages,
            counter: Counter::new(cli, messages, pools),
            pages: Pages::new(cli),
            against: None,
        }
    }

    /// Recomputes every run; the exit code.
    pub fn all(mut self, plans: Vec<Result<RunPlan, Unresolved>>) -> anyhow::Result<u8> {
        let mut codes = Vec::new();
        for plan in plans {
            let name = match &plan {
                Ok(plan) => plan.name.clone(),
                Err(unresolved) => unresolved.run.clone(),
            };
            let done = plan
                .map_err(|unresolved| unresolved.error.into())
                .and_then(|plan| caught(|| self.run(&plan)));
            codes.push(done.unwrap_or_else(|error| {
                self.messages.error(error.as_ref());
                self.pages.list_failed(&name, chain(error.as_ref()));
                exit::FAILED
            }));
        }
        self.pages.finish()?;
        Ok(exit::worst(codes))
    }

    /// Recomputes one run; the exit code.
    fn run(&mut self, plan: &RunPlan) -> anyhow::Result<u8> {
        let started = Instant::now();
        let _lock = finalize::lock(plan, self.messages)?;
        let against = self.against(plan)?;
        let mut wanted = Wanted::of(self.cli, plan);
        let counted = self.counter.count(plan, wanted.sink())?;
        let (samples, gathered) = wanted.finish()?;
        let besides = Besides { gathered, against };
        let concluded = finalize::conclude(
            self.cli,
            self.messages,
            plan,
            counted,
            (samples, besides),
            started,
        )?;
        if let (Some(target), Some(page)) = (&plan.page, concluded.page) {
            self.pages.list(target, page, concluded.verdict.outcome());
        }
        Ok(concluded.exit_code)
    }

    /// What a page shows beside the run, if there is to be one.
    fn against(&mut self, plan: &RunPlan) -> anyhow::Result<Option<Rc<Side>>> {
        if let (Some(against), None) = (&plan.against, &self.against) {
            let baseline = Baseline::against(against, &mut self.counter, self.messages, true)?;
            self.against = Some(baseline.side);
        }
        Ok(self.against.clone())
    }
}
