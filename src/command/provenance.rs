//! recompute.json: what was done to a run, from what, with what, and what was odd.
//!
//! Reports are deterministic; only this record carries times.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::count::Counted;
use super::rewrite;
use super::tokenizer::TokenizerRecord;
use super::verdict::Verdict;
use crate::html::Odd;
use crate::pipeline::Finished;
use crate::plan::RunPlan;
use crate::report::{self, Headline};
use crate::sample::Occurrences;

/// The record of one recompute; the field order is the file's.
#[derive(Debug, Serialize)]
pub(super) struct Record {
    pub tool: &'static str,
    pub version: &'static str,
    pub run: String,
    pub verdict: Verdict,
    pub written: Vec<String>,
    pub log: LogRecord,
    pub tokenizer: Option<TokenizerRecord>,
    pub template_date: Option<TemplateDate>,
    pub streaming: bool,
    pub early_stopping: bool,
    pub qps_window: &'static str,
    pub assumed: Vec<String>,
    pub before: Option<Headline>,
    pub after: Headline,
    pub anomalies: Anomalies,
    pub seconds: Seconds,
}

impl Record {
    /// Of a run that was counted. `summary`: the bytes of the one that its figures make; `samples`: where its table of samples goes.
    pub fn of(
        plan: &RunPlan,
        counted: Counted,
        summary: &[u8],
        samples: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let Counted {
            finished,
            loaded,
            recounted_because,
            stopped,
            seconds,
        } = counted;
        let mut verdict = Verdict::of(&finished);
        verdict.reasons.splice(0..0, stopped);
        let reasons = loaded
            .as_ref()
            .map(|loaded| loaded.tokenizer.reasons())
            .unwrap_or_default();
        let dated = loaded
            .as_ref()
            .is_some_and(|loaded| loaded.tokenizer.date_matters());
        let template_date = dated.then(|| TemplateDate {
            date: plan.date.now.to_string(),
            source: plan.date.source,
        });
        Ok(Self {
            tool: "tok-recompute",
            version: env!("CARGO_PKG_VERSION"),
            run: plan.name.clone(),
            verdict,
            written: rewrite::names(plan, samples),
            log: LogRecord {
                path: plan.log.to_string(),
                bytes: finished.bytes,
                lines: finished.lines,
            },
            tokenizer: loaded.map(|loaded| loaded.record(recounted_because)),
            template_date,
            streaming: finished.streaming,
            early_stopping: plan.early_stopping,
            qps_window: if plan.legacy_window {
                "legacy"
            } else {
                "native"
            },
            assumed: plan.assumed.clone(),
            before: plan.previous.as_deref().map(report::headline).transpose()?,
            after: report::headline(summary)?,
            anomalies: Anomalies::of(&finished, &reasons),
            seconds,
        })
    }
}

/// The log as it was read.
#[derive(Debug, Serialize)]
pub(super) struct LogRecord {
    pub path: String,
    pub bytes: u64,
    pub lines: u64,
}

/// The date that chat templates saw, where one asked for it.
#[derive(Debug, Serialize)]
pub(super) struct TemplateDate {
    pub date: String,
    pub source: &'static str,
}

/// How long it took, wall clock.
#[derive(Debug, Default, Serialize)]
pub(super) struct Seconds {
    pub load_tokenizer: f64,
    pub count: f64,
    pub total: f64,
}

/// What is odd about the run: how often, and the byte offset in the log of the first place.
#[derive(Debug, Serialize)]
pub(super) struct Anomalies {
    damaged_lines: Tally,
    template_fallbacks: Tally,
    lost_samples: Lost,
    empty_outputs: At,
    uncounted_texts: Tally,
    negative_deltas: At,
    overflowing_deltas: At,
    repeated_issues: At,
}

#[derive(Debug, Serialize)]
struct At {
    count: u64,
    first_offset: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Tally {
    count: u64,
    first_offset: Option<u64>,
    by_reason: BTreeMap<String, At>,
}

#[derive(Debug, Serialize)]
struct Lost {
    count: u64,
    first: Vec<String>,
}

impl From<Occurrences> for At {
    fn from(seen: Occurrences) -> Self {
        Self {
            count: seen.count,
            first_offset: seen.first_offset,
        }
    }
}

impl Tally {
    fn new(seen: impl Iterator<Item = (String, Occurrences)>) -> Self {
        let by_reason: BTreeMap<_, At> = seen.map(|(reason, seen)| (reason, seen.into())).collect();
        Self {
            count: by_reason.values().map(|at| at.count).sum(),
            first_offset: by_reason.values().filter_map(|at| at.first_offset).min(),
            by_reason,
        }
    }
}

impl Anomalies {
    /// `reasons`: what the numbers of fallbacks and failures stand for.
    pub fn of(finished: &Finished, reasons: &[String]) -> Self {
        let seen = &finished.anomalies;
        let reason = |number: u16| {
            reasons
                .get(usize::from(number))
                .cloned()
                .unwrap_or_default()
        };
        Self {
            damaged_lines: Tally::new(
                finished
                    .damage
                    .iter()
                    .map(|(d, seen)| (d.name().to_owned(), *seen)),
            ),
            template_fallbacks: Tally::new(
                finished
                    .fallbacks
                    .iter()
                    .map(|(n, seen)| (reason(*n), *seen)),
            ),
            lost_samples: Lost {
                count: finished.lost,
                first: finished.lost_samples.clone(),
            },
            empty_outputs: seen.empty_outputs.into(),
            uncounted_texts: Tally::new(
                finished
                    .failures
                    .iter()
                    .map(|(n, seen)| (reason(*n), *seen)),
            ),
            negative_deltas: seen.negative_deltas.into(),
            overflowing_deltas: seen.overflowing_deltas.into(),
            repeated_issues: seen.repeated_issues.into(),
        }
    }

    /// All that there is of it: what, how often, first where.
    pub fn list(&self) -> Vec<Odd> {
        let tallies = [
            ("damaged lines", &self.damaged_lines),
            ("texts without a count", &self.uncounted_texts),
            ("template fallbacks", &self.template_fallbacks),
        ];
        let by_reason = tallies.into_iter().flat_map(|(what, tally)| {
            tally
                .by_reason
                .iter()
                .map(move |(reason, at)| (format!("{what}: {reason}"), at))
        });
        let plain = [
            ("outputs without text", &self.empty_outputs),
            ("times that run backwards", &self.negative_deltas),
            ("time differences beyond 64 bits", &self.overflowing_deltas),
            (
                "samples issued again while in flight",
                &self.repeated_issues,
            ),
        ];
        let plain = plain.into_iter().map(|(what, at)| (what.to_owned(), at));
        by_reason
            .chain(plain)
            .filter(|(_, at)| at.count > 0)
            .map(|(what, at)| Odd {
                what,
                count: at.count,
                first_offset: at.first_offset,
            })
            .collect()
    }

    /// One line about template fallbacks, if there were any.
    pub fn fallback_note(&self) -> Option<String> {
        let tally = &self.template_fallbacks;
        let (reason, _) = tally.by_reason.iter().max_by_key(|(_, at)| at.count)?;
        Some(format!(
            "the chat template could not render {} of the run's prompts and outputs; they were counted as the client \
             counts them then, as JSON or plain text (most often: {reason})",
            tally.count
        ))
    }
}
