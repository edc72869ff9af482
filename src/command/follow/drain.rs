//! After a run: every core block counts what is left of its log.

use std::sync::PoisonError;
use std::time::Instant;

use super::super::budget::Resources;
use super::super::count::chain;
use super::Follow;
use crate::cpu::Pools;
use crate::log::BatchSizes;
use crate::pipeline::PipelineError;
use crate::plan::RunPlan;

impl Follow<'_> {
    /// Counts everything that is not counted; returns the run as it was counted, unless it was stopped.
    ///
    /// What counts depend on is settled only now: the run directory may have got a configuration meanwhile, and the
    /// date that templates see is that of the log's last line. Where that makes a difference all is counted again.
    pub(super) fn drain(&self) -> anyhow::Result<Option<RunPlan>> {
        let pools = super::super::pools(&self.session.plan.cores)?;
        self.messages.detail(&pools);
        loop {
            let plan = self.plan()?;
            if self.settle(&plan)? {
                self.following.read_again();
                self.with_job(&pools, BatchSizes::new(pools.threads()), true, |job| {
                    self.following.read(job, true, &|| self.stopped())
                })?;
            } else if self.following.is_counted() {
                self.following.log().extent()?;
                return Ok(Some(plan));
            }
            if !self.count_all(&pools)? {
                return Ok(None);
            }
        }
    }

    /// Whether the run is counted otherwise than before.
    fn settle(&self, plan: &RunPlan) -> anyhow::Result<bool> {
        let loaded = self
            .tokenizers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(plan, &self.session.plan.counting, u64::MAX, self.messages)?;
        let mut means = self.means();
        let same = match (&means.loaded, &loaded) {
            (Some(old), Some(new)) => old.is(new),
            (None, None) => true,
            _ => false,
        };
        let changed = !same || means.streaming != plan.streaming;
        means.loaded = loaded;
        means.streaming = plan.streaming;
        Ok(changed)
    }

    /// Counts what is left, once more with the referee when the engines disagree; false if it was stopped.
    fn count_all(&self, pools: &Pools) -> anyhow::Result<bool> {
        let started = Instant::now();
        let limited = Resources::new(self.session, pools)?;
        let pools = limited.fewer_pools.as_ref().unwrap_or(pools);
        let count = || {
            self.with_job(pools, limited.sizes, true, |job| {
                self.following.count(job, &|| self.stopped())
            })
        };
        let loaded = self.means().loaded.clone();
        let counted = match (count(), loaded) {
            (Err(error @ PipelineError::Count { .. }), Some(fast)) if !fast.is_referee() => {
                let why = chain(&error);
                self.messages
                    .warn(format!("recounting everything with the referee: {why}"));
                let referee = self
                    .tokenizers
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .referee(&fast)?;
                let mut means = self.means();
                means.loaded = Some(referee);
                means.recounted_because = Some(why);
                drop(means);
                self.following.count_again();
                count()
            }
            (counted, _) => counted,
        }?;
        self.means().seconds.count += started.elapsed().as_secs_f64();
        Ok(counted)
    }
}
