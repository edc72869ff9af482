//! The main command: a run's log → its report.

use std::error::Error;
use std::rc::Rc;
use std::time::Instant;

use super::baseline::Baseline;
use super::count::Counter;
use super::finalize::{self, finalize};
use super::pages::Pages;
use super::row_sinks::RowSinks;
use super::{Session, caught};
use crate::cpu::Pools;
use crate::html::PageRun;
use crate::plan::RunPlan;
use crate::process::{error_chain, exit};

/// Recomputes runs, one after the other.
pub(super) struct Recompute<'a> {
    session: Session<'a>,
    counter: Counter<'a>,
    pages: Pages<'a>,
    /// The baseline that pages show, once it is loaded.
    baseline: Option<Rc<PageRun>>,
}

impl<'a> Recompute<'a> {
    pub fn new(session: Session<'a>, pools: &'a Pools) -> Self {
        Self {
            session,
            counter: Counter::new(session, pools),
            pages: Pages::new(&session.plan.outputs),
            baseline: None,
        }
    }

    /// Recomputes every run; returns the exit code.
    pub fn all(mut self) -> anyhow::Result<u8> {
        let runs = &self.session.plan.runs;
        let codes: Vec<u8> = runs
            .iter()
            .map(|run| match run {
                Ok(run) => {
                    let code = caught(|| self.run(run));
                    code.unwrap_or_else(|error| self.failed(&run.name, error.as_ref()))
                }
                Err(unresolved) => self.failed(&unresolved.run, &unresolved.error),
            })
            .collect();
        self.pages.finish()?;
        Ok(exit::worst(codes))
    }

    fn failed(&mut self, run: &str, error: &(dyn Error + 'static)) -> u8 {
        self.session.messages.error(error);
        self.pages.list_failed(run, error_chain(error));
        exit::FAILED
    }

    /// Recomputes one run; returns the exit code.
    fn run(&mut self, run: &RunPlan) -> anyhow::Result<u8> {
        let started = Instant::now();
        let _lock = finalize::lock(run, self.session.messages)?;
        let baseline = self.baseline()?;
        let mut sinks = RowSinks::new(run);
        let counted = self.counter.count(run, sinks.sink())?;
        let rows = sinks.finish()?;
        let finalized = finalize(self.session, run, counted, rows, baseline, started)?;
        if let (Some(target), Some(page)) = (&run.outputs.page, finalized.page) {
            let outcome = finalized.verdict.outcome();
            self.pages.list(target, page, outcome);
        }
        Ok(finalized.exit_code)
    }

    /// Returns the baseline that pages show beside the runs.
    fn baseline(&mut self) -> anyhow::Result<Option<Rc<PageRun>>> {
        if let (Some(plan), None) = (&self.session.plan.baseline, &self.baseline) {
            let baseline = Baseline::load(plan, &mut self.counter, true)?;
            self.baseline = Some(baseline.side);
        }
        Ok(self.baseline.clone())
    }
}
