//! The result of a check: the document of the JSON output.

use serde::Serialize;

use super::diagnosis::Diagnosis;
use crate::command::verdict::Verdict;
use crate::process::exit;
use crate::report::check::{Comparison, Difference, DifferenceKind, ExpectationResult};

/// The result for one run. The JSON output has these fields, in this order.
#[derive(Debug, Default, Serialize)]
pub(super) struct CheckedRun {
    pub run: String,
    /// The name of the baseline; `None` if only expectations were judged.
    pub against: Option<String>,
    pub result: CheckOutcome,
    pub exit_code: u8,
    /// The first of `kinds`.
    pub kind: Option<DifferenceKind>,
    pub kinds: Vec<DifferenceKind>,
    pub error: Option<String>,
    pub verdict: Option<Verdict>,
    pub fields: usize,
    pub differences: Vec<Difference>,
    pub allowed: Vec<Difference>,
    pub expectations: Vec<ExpectationResult>,
    pub diagnosis: Option<Diagnosis>,
    #[serde(skip)]
    pub groups: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum CheckOutcome {
    Passed,
    Different,
    #[default]
    Error,
}

/// The JSON output.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    pub tool: &'static str,
    pub version: &'static str,
    pub exit_code: u8,
    pub runs: &'a [CheckedRun],
}

impl CheckedRun {
    /// The result for a run that was recounted. `comparison` is `None` if only expectations were judged.
    pub fn new(
        run: String,
        verdict: Verdict,
        comparison: Option<Comparison>,
        expectations: Vec<ExpectationResult>,
    ) -> Self {
        let comparison = comparison.unwrap_or_default();
        let mut kinds = comparison.kinds();
        if !verdict.complete && kinds.first() != Some(&DifferenceKind::Incomplete) {
            kinds.insert(0, DifferenceKind::Incomplete);
        }
        if expectations.iter().any(|it| !it.met) {
            kinds.push(DifferenceKind::Expectation);
        }
        let (result, exit_code) = if kinds.is_empty() {
            (CheckOutcome::Passed, exit::COMPLETE)
        } else {
            (CheckOutcome::Different, exit::DIFFERENT)
        };
        Self {
            run,
            result,
            exit_code,
            kind: kinds.first().copied(),
            kinds,
            verdict: Some(verdict),
            fields: comparison.fields,
            differences: comparison.differences,
            allowed: comparison.allowed,
            expectations,
            groups: comparison.groups,
            ..Self::default()
        }
    }

    /// The result for a run that could not be compared.
    pub fn failed(run: String, error: String) -> Self {
        Self {
            run,
            exit_code: exit::FAILED,
            error: Some(error),
            ..Self::default()
        }
    }

    /// Returns true if the recount misses a part of the run.
    pub fn is_incomplete(&self) -> bool {
        (self.verdict.as_ref()).is_some_and(|verdict| !verdict.complete)
    }

    /// The reasons why the recount is incomplete, and the losses that no recount can mend.
    pub fn reasons(&self) -> &[String] {
        (self.verdict.as_ref()).map_or(&[], |verdict| &verdict.reasons)
    }

    pub fn unmet_expectations(&self) -> impl Iterator<Item = &ExpectationResult> {
        self.expectations.iter().filter(|it| !it.met)
    }
}
