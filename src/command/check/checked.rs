//! What checks came to: the document of the JSON output.

use serde::Serialize;

use super::diagnosis::Diagnosis;
use crate::command::verdict::Verdict;
use crate::process::exit;
use crate::report::check::{Comparison, Finding, Judgement, Kind};

/// What the check of one run came to; the JSON output has these fields, in this order.
#[derive(Debug, Serialize)]
pub(super) struct Checked {
    pub run: String,
    /// What it was compared with; nothing if only expectations were judged.
    pub against: Option<String>,
    pub result: Outcome,
    pub exit_code: u8,
    /// The first of `kinds`.
    pub kind: Option<Kind>,
    pub kinds: Vec<Kind>,
    pub error: Option<String>,
    pub verdict: Option<Verdict>,
    pub fields: usize,
    pub differences: Vec<Finding>,
    pub allowed: Vec<Finding>,
    pub expectations: Vec<Judgement>,
    pub diagnosis: Option<Diagnosis>,
    #[serde(skip)]
    pub groups: Vec<String>,
}

/// In one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Passed,
    Different,
    Error,
}

/// The JSON output.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    pub tool: &'static str,
    pub version: &'static str,
    pub exit_code: u8,
    pub runs: &'a [Checked],
}

impl Checked {
    /// Of a run that could be compared: its recount's verdict, its comparison if there was one, its expectations.
    pub fn new(
        run: String,
        verdict: Verdict,
        comparison: Option<Comparison>,
        expectations: Vec<Judgement>,
    ) -> Self {
        let comparison = comparison.unwrap_or_default();
        let mut kinds = comparison.kinds();
        if !verdict.complete && kinds.first() != Some(&Kind::Incomplete) {
            kinds.insert(0, Kind::Incomplete);
        }
        if expectations.iter().any(|judgement| !judgement.met) {
            kinds.push(Kind::Expectation);
        }
        let (result, exit_code) = if kinds.is_empty() {
            (Outcome::Passed, exit::COMPLETE)
        } else {
            (Outcome::Different, exit::DIFFERENT)
        };
        Self {
            run,
            against: None,
            result,
            exit_code,
            kind: kinds.first().copied(),
            kinds,
            error: None,
            verdict: Some(verdict),
            fields: comparison.fields,
            differences: comparison.findings,
            allowed: comparison.allowed,
            expectations,
            diagnosis: None,
            groups: comparison.groups,
        }
    }

    /// Of one that could not.
    pub fn failed(run: String, error: String) -> Self {
        Self {
            run,
            against: None,
            result: Outcome::Error,
            exit_code: exit::FAILED,
            kind: None,
            kinds: Vec::new(),
            error: Some(error),
            verdict: None,
            fields: 0,
            differences: Vec::new(),
            allowed: Vec::new(),
            expectations: Vec::new(),
            diagnosis: None,
            groups: Vec::new(),
        }
    }

    /// Whether the log does not tell everything.
    pub fn is_incomplete(&self) -> bool {
        self.verdict
            .as_ref()
            .is_some_and(|verdict| !verdict.complete)
    }

    /// What of the log does not tell everything, and what no recount can mend.
    pub fn reasons(&self) -> &[String] {
        self.verdict
            .as_ref()
            .map_or(&[], |verdict| &verdict.reasons)
    }
}
