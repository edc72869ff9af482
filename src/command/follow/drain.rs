//! Counts the rest of the log on every core block after the run has ended.

use std::time::Instant;

use super::super::budget::Resources;
use super::super::count::rules;
use super::Follow;
use crate::cpu::Pools;
use crate::log::BatchSizes;
use crate::pipeline::PipelineError;
use crate::plan::RunPlan;
use crate::process::error_chain;

impl Follow<'_> {
    /// Counts the rest of the texts. Returns the plan that they were counted by, or `None` if the follow was stopped.
    ///
    /// The plan is final only now: the run directory may have got a configuration meanwhile, and templates see the date of
    /// the log's last line. If that changes the counts, everything is counted again.
    pub(super) fn drain(&self) -> anyhow::Result<Option<RunPlan>> {
        let pools = super::super::pools(&self.session.plan.cores)?;
        self.messages.detail(&pools);
        loop {
            let plan = self.plan()?;
            if self.update_counting(&plan)? {
                self.following.read_again(&self.counting().rules);
                self.with_job(&pools, BatchSizes::new(pools.threads()), true, |job| {
                    self.following.read(job, true, &|| self.stopped())
                })?;
            } else if self.following.is_counted() {
                self.following.log().length()?;
                return Ok(Some(plan));
            }
            if !self.count_rest(&pools)? {
                return Ok(None);
            }
        }
    }

    /// Loads the tokenizer of `plan`; returns whether the counts so far are void.
    fn update_counting(&self, plan: &RunPlan) -> anyhow::Result<bool> {
        let loaded =
            self.tokenizers()
                .get(plan, self.session.plan.counting, u64::MAX, self.messages)?;
        let mut counting = self.counting();
        let same = match (&counting.loaded, &loaded) {
            (Some(old), Some(new)) => old.is(new),
            (None, None) => true,
            _ => false,
        };
        let rules = rules(plan);
        let changed = !same || counting.rules.count_differently(&rules);
        counting.loaded = loaded;
        counting.rules = rules;
        Ok(changed)
    }

    /// Counts the rest, and everything again with `tokenizers` if the engines disagree. Returns false if it was stopped.
    fn count_rest(&self, pools: &Pools) -> anyhow::Result<bool> {
        let started = Instant::now();
        let limited = Resources::new(self.session, pools)?;
        let pools = limited.fewer_pools.as_ref().unwrap_or(pools);
        let count = || {
            self.with_job(pools, limited.sizes, true, |job| {
                self.following.count(job, &|| self.stopped())
            })
        };
        let loaded = self.counting().loaded.clone();
        let counted = match (count(), loaded) {
            (Err(error @ PipelineError::Count { .. }), Some(first))
                if !first.counts_with_tokenizers() =>
            {
                let why = error_chain(&error);
                self.messages
                    .warn(format!("recounting everything with tokenizers: {why}"));
                let again = self.tokenizers().switch_to_tokenizers(&first)?;
                let mut counting = self.counting();
                counting.loaded = Some(again);
                counting.recounted_because = Some(why);
                drop(counting);
                self.following.count_again();
                count()
            }
            (counted, _) => counted,
        }?;
        self.counting().seconds.count += started.elapsed().as_secs_f64();
        Ok(counted)
    }
}
