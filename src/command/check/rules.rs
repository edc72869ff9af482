//! What runs are held to: tolerances and expectations.

use std::path::PathBuf;

use anyhow::Context;

use crate::plan::{self, CheckPlan};
use crate::report::check::{Expectations, Fields, Tolerances};

/// What runs are held to.
pub(super) struct Rules {
    pub tolerances: Tolerances,
    pub expectations: Option<Expectations>,
    /// Whether only expectations count: nothing says what to compare with.
    pub only_expectations: bool,
}

impl Rules {
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

    /// Fails if one of them is about nothing that a summary has.
    pub fn must_match(&self, have: &[&Fields]) -> anyhow::Result<()> {
        self.tolerances.must_match(have)?;
        let expectations = self.expectations.as_ref();
        Ok(expectations.map_or(Ok(()), |all| all.must_match(have))?)
    }
}
