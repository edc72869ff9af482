//! recompute.json: what was done to a run, from which files, with which tokenizer, and every anomaly.
//!
//! Reports are deterministic; only this file has times.

use std::collections::BTreeMap;

use serde::Serialize;

use super::count::CountedRun;
use super::tokenizer::TokenizerRecord;
use super::verdict::Verdict;
use crate::html::AnomalyRow;
use crate::pipeline::RunResult;
use crate::plan::{Client, RunPlan};
use crate::report::{self, Headline, SteadyHeadline};
use crate::sample::Occurrences;

/// The content of recompute.json, in the order of its fields.
#[derive(Debug, Serialize)]
pub(super) struct Provenance<'a> {
    pub tool: &'static str,
    pub version: &'static str,
    pub run: &'a str,
    pub verdict: Verdict,
    pub written: Vec<String>,
    pub log: LogRecord,
    pub tokenizer: Option<TokenizerRecord>,
    pub client: &'a Client,
    pub template_date: Option<TemplateDate>,
    pub streaming: bool,
    pub early_stopping: bool,
    pub qps_window: &'static str,
    pub assumed: &'a [String],
    pub before: Option<Headline>,
    pub after: Headline,
    pub anomalies: AnomalyReport,
    /// Keys of the summary that no known client version writes; they are kept.
    pub kept_keys: Vec<String>,
    pub seconds: Seconds,
}

impl<'a> Provenance<'a> {
    /// Describes a run that was counted; `summary` is the bytes of its new summary.
    pub fn new(run: &'a RunPlan, counted: CountedRun, summary: &[u8]) -> anyhow::Result<Self> {
        let CountedRun {
            result,
            loaded,
            recounted_because,
            stopped,
            seconds,
        } = counted;
        let mut after = report::headline(summary)?;
        // Summaries of older clients have no place for the verdict that was asked for.
        if after.steady_state.is_none() {
            let verdict = serde_json::to_value(&result.snapshot.steady_state)?;
            after.steady_state = SteadyHeadline::of(&verdict);
        }
        let mut verdict = Verdict::of(&result);
        verdict.reasons.splice(0..0, stopped);
        let tokenizer = loaded.as_ref().map(|loaded| &loaded.tokenizer);
        let reasons = tokenizer.map(|tokenizer| tokenizer.reasons());
        let dated = tokenizer.is_some_and(|tokenizer| tokenizer.date_matters());
        Ok(Self {
            tool: "tok-recompute",
            version: env!("CARGO_PKG_VERSION"),
            run: &run.name,
            verdict,
            written: written(run),
            log: LogRecord {
                path: run.log.to_string(),
                bytes: result.tally.bytes,
                lines: result.tally.lines,
            },
            template_date: dated.then(|| TemplateDate {
                date: run.date.now.to_string(),
                source: run.date.source,
            }),
            streaming: result.streaming,
            early_stopping: run.early_stopping,
            qps_window: if run.legacy_window {
                "legacy"
            } else {
                "native"
            },
            assumed: &run.assumed,
            before: run.previous.as_deref().map(report::headline).transpose()?,
            after,
            anomalies: AnomalyReport::new(&result, &reasons.unwrap_or_default()),
            kept_keys: (run.previous.as_deref())
                .map(report::unknown_keys)
                .transpose()?
                .unwrap_or_default(),
            client: &run.client,
            tokenizer: loaded.map(|loaded| loaded.record(recounted_because)),
            seconds,
        })
    }
}

/// Returns the files that are written for a run, but for copies and recompute.json itself.
fn written(run: &RunPlan) -> Vec<String> {
    let outputs = &run.outputs;
    let page = outputs.page.as_ref().map(|page| &page.path);
    [
        &outputs.report,
        &outputs.snapshot,
        &outputs.summary,
        &outputs.samples,
    ]
    .into_iter()
    .flatten()
    .chain(page)
    .map(|path| path.display().to_string())
    .collect()
}

/// The log as it was read.
#[derive(Debug, Serialize)]
pub(super) struct LogRecord {
    pub path: String,
    pub bytes: u64,
    pub lines: u64,
}

/// The date that a chat template showed.
#[derive(Debug, Serialize)]
pub(super) struct TemplateDate {
    pub date: String,
    pub source: &'static str,
}

/// Wall-clock times.
#[derive(Debug, Default, Serialize)]
pub(super) struct Seconds {
    pub load_tokenizer: f64,
    pub count: f64,
    pub total: f64,
}

/// The anomalies of a run, each with its number and the byte offset of the first.
#[derive(Debug, Serialize)]
pub(super) struct AnomalyReport {
    damaged_lines: AnomalyTally,
    template_fallbacks: AnomalyTally,
    lost_samples: LostSamples,
    empty_outputs: At,
    uncounted_texts: AnomalyTally,
    negative_deltas: At,
    overflowing_deltas: At,
    repeated_issues: At,
    mixed_first_chunks: At,
    unknown_session_events: AnomalyTally,
}

#[derive(Debug, Serialize)]
struct At {
    count: u64,
    first_offset: Option<u64>,
}

#[derive(Debug, Serialize)]
struct AnomalyTally {
    count: u64,
    first_offset: Option<u64>,
    by_reason: BTreeMap<String, At>,
}

#[derive(Debug, Serialize)]
struct LostSamples {
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

impl AnomalyTally {
    fn new(seen: impl Iterator<Item = (String, Occurrences)>) -> Self {
        let by_reason: BTreeMap<_, At> = seen.map(|(reason, seen)| (reason, seen.into())).collect();
        Self {
            count: by_reason.values().map(|at| at.count).sum(),
            first_offset: by_reason.values().filter_map(|at| at.first_offset).min(),
            by_reason,
        }
    }
}

impl AnomalyReport {
    /// `reasons` are the texts for the numbers of fallbacks and failures.
    pub fn new(result: &RunResult, reasons: &[String]) -> Self {
        let seen = &result.anomalies;
        let by_number = |seen: &BTreeMap<u16, Occurrences>| {
            let reason = |number: u16| reasons.get(usize::from(number)).cloned();
            let named = seen
                .iter()
                .map(|(number, seen)| (reason(*number).unwrap_or_default(), *seen));
            AnomalyTally::new(named)
        };
        let damage = result.tally.damage.iter();
        Self {
            damaged_lines: AnomalyTally::new(
                damage.map(|(kind, seen)| (kind.name().to_owned(), *seen)),
            ),
            template_fallbacks: by_number(&result.tally.fallbacks),
            lost_samples: LostSamples {
                count: result.lost,
                first: result.lost_samples.clone(),
            },
            empty_outputs: seen.empty_outputs.into(),
            uncounted_texts: by_number(&result.tally.failures),
            negative_deltas: seen.negative_deltas.into(),
            overflowing_deltas: seen.overflowing_deltas.into(),
            repeated_issues: seen.repeated_issues.into(),
            mixed_first_chunks: result.tally.mixed_first_chunks.into(),
            unknown_session_events: AnomalyTally::new(result.tally.notes.clone().into_iter()),
        }
    }

    /// Returns a row for each anomaly that occurred.
    pub fn list(&self) -> Vec<AnomalyRow> {
        let tallies = [
            ("damaged lines", &self.damaged_lines),
            ("texts without a count", &self.uncounted_texts),
            ("template fallbacks", &self.template_fallbacks),
            ("unknown session events", &self.unknown_session_events),
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
            ("first chunks of several kinds", &self.mixed_first_chunks),
        ];
        let plain = plain.into_iter().map(|(what, at)| (what.to_owned(), at));
        by_reason
            .chain(plain)
            .filter(|(_, at)| at.count > 0)
            .map(|(what, at)| AnomalyRow {
                description: what,
                count: at.count,
                first_offset: at.first_offset,
            })
            .collect()
    }

    /// Returns a line for each anomaly that a person must know of though the report is complete.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        let notes = [self.fallback_note(), self.mixed_note(), self.session_note()];
        notes.into_iter().flatten()
    }

    fn mixed_note(&self) -> Option<String> {
        let At { count, .. } = self.mixed_first_chunks;
        (count > 0).then(|| {
            format!(
                "{} a first chunk that holds content besides reasoning or a tool call: clients after 2026-09-24 may \
                 count their TPOT differently",
                if count == 1 { "1 output has".to_owned() } else { format!("{count} outputs have") }
            )
        })
    }

    fn session_note(&self) -> Option<String> {
        let tally = &self.unknown_session_events;
        let named = tally.by_reason.iter();
        let named = named.map(|(name, at)| format!("{name} ({})", at.count));
        (tally.count > 0).then(|| {
            format!(
                "the log has {} session events that are not known and change nothing, the first at byte {}: {}",
                tally.count,
                tally.first_offset.unwrap_or_default(),
                named.collect::<Vec<_>>().join(", ")
            )
        })
    }

    /// Returns a line about template fallbacks, if there were any.
    fn fallback_note(&self) -> Option<String> {
        let tally = &self.template_fallbacks;
        let (reason, _) = tally.by_reason.iter().max_by_key(|(_, at)| at.count)?;
        Some(format!(
            "the chat template could not render {} of the run's prompts and outputs; they were counted as the client \
             counts them then, as JSON or plain text (most often: {reason})",
            tally.count
        ))
    }
}
