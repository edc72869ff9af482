//! The tolerances and expectations of a check.

use std::path::PathBuf;

use anyhow::Context;

use crate::plan::{self, CheckPlan};
use crate::report::check::{Expectations, FlatSummary, Tolerances};

/// The criteria that runs are judged by.
pub(super) struct Criteria {
    pub tolerances: Tolerances,
    pub expectations: Option<Expectations>,
    /// Runs are compared with nothing: only expectations are judged.
    pub only_expectations: bool,
}

impl Criteria {
    pub fn read(plan: &CheckPlan, has_baseline: bool) -> anyhow::Result<Self> {
        let read = |path: &PathBuf| -> anyhow::Result<Expectations> {
            let bytes = plan::read_small(path)?;
            let expectations = std::str::from_utf8(&bytes)
                .context("it is not UTF-8")
                .and_then(|text| Ok(Expectations::parse(text)?));
            expectations.with_context(|| format!("cannot use {}", path.display()))
        };
        Ok(Self {
            tolerances: Tolerances::parse(&plan.tolerances)?,
            expectations: plan.expectations.as_ref().map(read).transpose()?,
            only_expectations: plan.expectations.is_some()
                && !has_baseline
                && plan.tolerances.is_empty(),
        })
    }

    /// Checks that each criterion applies to a field: one that the client writes, or one of `summaries`.
    pub fn validate(&self, summaries: &[&FlatSummary]) -> anyhow::Result<()> {
        self.tolerances.validate(summaries)?;
        let expectations = self.expectations.as_ref();
        Ok(expectations.map_or(Ok(()), |all| all.validate(summaries))?)
    }
}
