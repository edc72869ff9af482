//! `performance/result_summary.json`: the machine-readable report, rewritten in place.
//!
//! SummaryValues that are computed from the log are replaced in place. Everything else (version, `git_sha`, `run_config`, keys of a
//! client that does not exist yet, at the top or within a metric) keeps its text and its place. A key that the run's
//! client version writes and the summary lacks is added where that version writes it.

use serde::Serialize;
use serde_json::Value;

use super::full_run::FullRunOsl;
use super::object::Object;
use super::schema::{ClientVersion, SUMMARY_KEYS, SummaryKey};
use super::snapshot::{PercentileMap, Snapshot};
use super::text::{Attachments, render_text};
use crate::metric::Metric;
use crate::python::msgspec::{FloatStyle, compact, indented};
use crate::sample::FinishReason;
use crate::stats::{Bucket, Stat};

/// The facts of a run that a snapshot does not hold, taken from the run's own files.
#[derive(Clone, Debug, Default)]
pub struct RunFacts {
    /// The configuration shown in a summary that has none: load pattern, warm-up and seeds.
    pub run_config: Option<Value>,
    /// The seeds shown in a summary of 2026-06-23 that has none.
    pub seeds: Option<Value>,
    /// True if rates use the legacy `LoadGen` window where there is one: a Poisson load pattern with
    /// `use_legacy_loadgen_qps_metrics`.
    pub use_legacy_window: bool,
}

/// The reason why the previous summary cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SummaryError {
    /// Not JSON, or nested too deeply.
    #[error("the summary is not valid JSON; restore it, or move it away to have a new one written")]
    Json(#[from] serde_json::Error),
    /// JSON, but not an object.
    #[error(
        "the summary is {found} where a JSON object was expected; restore it, or move it away to have a new one written"
    )]
    NotAnObject {
        /// The kind of JSON value, with an article.
        found: &'static str,
    },
}

/// A run's report: the summary and the text made from the same values.
pub struct Report {
    client: ClientVersion,
    summary: Vec<u8>,
    /// The summary with the keys of every version: the text shows some that its version leaves out of the JSON.
    every_key: Vec<u8>,
}

impl Report {
    /// The report of `snapshot`, with what `previous`, the summary so far, says besides.
    ///
    /// Source: `metrics/report.py`, `Report.from_snapshot` and `to_json`.
    pub fn new(
        previous: Option<&[u8]>,
        run: &RunFacts,
        snapshot: &Snapshot,
    ) -> Result<Self, SummaryError> {
        let values = SummaryValues {
            run,
            snapshot,
            rates: Rates::of(run, snapshot),
        };
        let render = |is_written: &dyn Fn(ClientVersion, SummaryKey) -> bool| {
            let mut summary = previous.map(Object::parse).transpose()?.unwrap_or_default();
            for row in &SUMMARY_KEYS {
                if is_written(snapshot.client, row.key) {
                    values.set(&mut summary, row.key, row.name);
                } else {
                    // Another version's figure would stand stale beside new ones.
                    summary.set_or_remove(row.name, None::<()>);
                }
            }
            Ok::<_, SummaryError>(indented(&compact(&summary, FloatStyle::Msgspec)))
        };
        Ok(Self {
            client: snapshot.client,
            summary: render(&ClientVersion::has)?,
            every_key: render(&|_, _| true)?,
        })
    }

    /// The bytes of `result_summary.json`, without a final newline.
    pub fn summary(&self) -> &[u8] {
        &self.summary
    }

    /// The text of `report.txt`.
    pub fn text(&self, attachments: Attachments) -> Result<String, SummaryError> {
        render_text(self.client, &self.every_key, attachments)
    }
}

/// The top-level keys of the summary `previous` that no known client version writes, in the file's order.
pub fn unknown_keys(previous: &[u8]) -> Result<Vec<String>, SummaryError> {
    let is_known = |key: &str| SUMMARY_KEYS.iter().any(|row| row.name == key);
    let object = Object::parse(previous)?;
    let unknown = object.keys().filter(|key| !is_known(key));
    Ok(unknown.map(str::to_owned).collect())
}

/// The values of a summary.
struct SummaryValues<'a> {
    run: &'a RunFacts,
    snapshot: &'a Snapshot,
    rates: Rates,
}

impl SummaryValues<'_> {
    /// Sets the value of `key`, which the file calls `name`; what a summary says about the client and its
    /// configuration is kept.
    fn set(&self, summary: &mut Object, key: SummaryKey, name: &str) {
        let Self {
            run,
            snapshot,
            rates,
        } = self;
        let counters = &snapshot.counters;
        let (issued, completed, failed) = (
            counters.tracked_samples_issued,
            counters.tracked_samples_completed,
            counters.tracked_samples_failed,
        );
        let metric = |summary: &mut Object, metric| {
            let estimates = snapshot.client.shows_empty_estimates();
            let stat = snapshot.series[metric].as_ref();
            summary.set_object(name, |object| set_metric(object, stat, estimates));
        };
        match key {
            SummaryKey::Version => summary.set_default(name, "unknown"),
            SummaryKey::GitSha => summary.set_default(name, Value::Null),
            SummaryKey::TestStartedAt => summary.set_default(name, 0),
            SummaryKey::Issued => summary.set(name, issued),
            SummaryKey::Completed => summary.set(name, completed),
            SummaryKey::Failed => summary.set(name, failed),
            SummaryKey::Duration => summary.set(name, rates.duration_ns),
            SummaryKey::State => summary.set(name, snapshot.state),
            SummaryKey::Complete => summary.set(name, snapshot.is_complete()),
            SummaryKey::Ttft => metric(summary, Metric::Ttft),
            SummaryKey::Tpot => metric(summary, Metric::Tpot),
            SummaryKey::Latency => metric(summary, Metric::Latency),
            SummaryKey::Osl => metric(summary, Metric::Osl),
            SummaryKey::Isl => metric(summary, Metric::Isl),
            SummaryKey::LegacyWindow => summary.set(name, rates.legacy_window_ns),
            SummaryKey::Qps => summary.set(name, rates.qps),
            SummaryKey::Tps => summary.set(name, rates.tps),
            SummaryKey::Interactivity => summary.set(name, interactivity(snapshot)),
            SummaryKey::FinishReasons => summary.set_object(name, |reasons| {
                for reason in FinishReason::ALL {
                    reasons.set(reason.name(), counters.finished(reason));
                }
            }),
            SummaryKey::RunConfig => summary.set_default(name, &run.run_config),
            SummaryKey::Seeds => summary.set_default(name, &run.seeds),
            SummaryKey::FullRunOsl => match &snapshot.full_run_osl {
                Some(block) => summary.set_object(name, |object| set_full_run(object, block)),
                None => summary.set(name, Value::Null),
            },
            SummaryKey::SteadyState => summary.set(name, &snapshot.steady_state),
            SummaryKey::Succeeded => summary.set(name, completed.saturating_sub(failed)),
            SummaryKey::Dropped => summary.set(name, issued.saturating_sub(completed)),
        }
    }
}

/// Output tokens for each second that a sample was in flight; `None` where a sample failed.
/// Source: `metrics/report.py`, `e2e_avg_interactivity`.
fn interactivity(snapshot: &Snapshot) -> Option<f64> {
    let tokens = snapshot.filled(Metric::Osl)?.total.to_f64();
    let latency_ns = snapshot.filled(Metric::Latency)?.total.to_f64();
    (latency_ns > 0.0 && snapshot.counters.tracked_samples_failed == 0)
        .then(|| tokens / (latency_ns / 1e9))
}

/// Durations and what is divided by them; both rates use the same window.
struct Rates {
    duration_ns: Option<i128>,
    legacy_window_ns: Option<i128>,
    qps: Option<f64>,
    tps: Option<f64>,
}

impl Rates {
    fn of(run: &RunFacts, snapshot: &Snapshot) -> Self {
        let counters = &snapshot.counters;
        let completed = counters.tracked_samples_completed;
        let use_legacy_window = run.use_legacy_window && snapshot.client.has_legacy_window();
        let positive = |ns: i128| Some(ns).filter(|&ns| ns > 0);
        let duration_ns = positive(counters.tracked_duration_ns);
        let legacy_window_ns = positive(counters.legacy_loadgen_window_duration_ns)
            .filter(|_| use_legacy_window && completed >= 2);
        let seconds = legacy_window_ns.or(duration_ns).map(|ns| ns as f64 / 1e9);
        let requests = if legacy_window_ns.is_some() {
            completed - 1
        } else {
            completed
        };
        let tokens = snapshot.filled(Metric::Osl).map(|osl| osl.total.to_f64());
        Self {
            duration_ns,
            legacy_window_ns,
            qps: seconds.map(|seconds| requests as f64 / seconds),
            tps: seconds
                .zip(tokens)
                .map(|(seconds, tokens)| tokens / seconds),
        }
    }
}

/// The figures of one metric; without the series nothing, and without values at most the empty estimates.
fn set_metric(metric: &mut Object, stat: Option<&Stat>, shows_empty_estimates: bool) {
    let filled = stat.filter(|stat| stat.count > 0);
    metric.set_or_remove("total", filled.map(|stat| stat.total));
    metric.set_or_remove("min", filled.map(|stat| stat.min));
    metric.set_or_remove("max", filled.map(|stat| stat.max));
    metric.set_or_remove("median", filled.map(Stat::median));
    metric.set_or_remove("avg", filled.map(Stat::avg));
    metric.set_or_remove("std_dev", filled.map(Stat::std_dev));
    metric.set_or_remove(
        "percentiles",
        filled.map(|stat| PercentileMap(stat.percentiles.as_slice())),
    );
    let estimates = stat.filter(|stat| stat.count > 0 || shows_empty_estimates);
    let estimates = estimates.and_then(|stat| stat.early_stopping.as_ref());
    metric.set_or_remove(
        "early_stopping_percentiles",
        estimates.map(|map| PercentileMap(map.as_slice())),
    );
    metric.set_or_remove("histogram", filled.map(HistogramJson::of));
}

/// The block of all completed turns.
fn set_full_run(object: &mut Object, block: &FullRunOsl) {
    let turns = block.turns;
    object.set_object(Metric::Osl.summary_key().unwrap_or_default(), |metric| {
        set_metric(metric, Some(&block.osl), false);
    });
    object.set("n_turns_counted", turns.counted);
    object.set("n_empty", turns.empty);
    object.set("n_errors", turns.errors);
    object.set("n_undecodable", turns.undecodable);
    object.set("n_missing", turns.missing);
    object.set("partial", turns.is_partial());
}

#[derive(Serialize)]
struct HistogramJson {
    buckets: Vec<(f64, f64)>,
    counts: Vec<u64>,
}

impl HistogramJson {
    fn of(stat: &Stat) -> Self {
        let edges = |bucket: &Bucket| (bucket.low, bucket.high);
        Self {
            buckets: stat.histogram.iter().map(edges).collect(),
            counts: stat.histogram.iter().map(|bucket| bucket.count).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use serde_json::json;

    use super::super::snapshot::State;
    use super::*;
    use crate::metric::PerMetric;
    use crate::sample::Counters;
    use crate::stats::IntSeries;

    /// The snapshot of a run in which two samples with 3 and 5 output tokens completed within a second.
    fn snapshot() -> Snapshot {
        let osl: IntSeries = [3, 5].into_iter().collect();
        Snapshot {
            client: ClientVersion::August21,
            state: State::Complete,
            counters: Counters {
                tracked_samples_issued: 3,
                tracked_samples_completed: 2,
                tracked_duration_ns: 1_000_000_000,
                legacy_loadgen_window_duration_ns: 500_000_000,
                ..Counters::default()
            },
            series: PerMetric::from_fn(|metric| match metric {
                Metric::Osl => Some(osl.clone().finish(false)),
                Metric::Ttft => Some(IntSeries::new().finish(true)),
                _ => None,
            }),
            ..Snapshot::default()
        }
    }

    fn render(
        previous: Option<&[u8]>,
        run: &RunFacts,
        snapshot: &Snapshot,
    ) -> Result<Vec<u8>, SummaryError> {
        Report::new(previous, run, snapshot).map(|report| report.summary().to_owned())
    }

    fn rendered(previous: Option<&str>) -> String {
        let previous = previous.map(str::as_bytes);
        let bytes = render(previous, &RunFacts::default(), &snapshot()).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// The keys of the object at `pointer` in the summary made from `previous`.
    fn keys(previous: &str, pointer: &str) -> Vec<String> {
        let summary: Value = serde_json::from_str(&rendered(Some(previous))).unwrap();
        summary
            .pointer(pointer)
            .unwrap()
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    }

    const KEYS: [&str; 19] = [
        "version",
        "git_sha",
        "test_started_at",
        "n_samples_issued",
        "n_samples_completed",
        "n_samples_failed",
        "duration_ns",
        "state",
        "complete",
        "ttft",
        "tpot",
        "latency",
        "output_sequence_lengths",
        "input_sequence_lengths",
        "legacy_loadgen_window_duration_ns",
        "qps",
        "tps",
        "finish_reason_counts",
        "run_config",
    ];

    #[test]
    fn without_a_summary_one_is_made_from_what_is_known() {
        let run = RunFacts {
            run_config: Some(json!({"warmup": {"enabled": false}})),
            ..RunFacts::default()
        };
        let bytes = render(None, &run, &snapshot()).unwrap();
        let summary: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(summary["version"], "unknown");
        assert_eq!(summary["git_sha"], Value::Null);
        assert_eq!(summary["test_started_at"], 0);
        assert_eq!(summary["run_config"], run.run_config.unwrap());
        let have: Vec<_> = summary.as_object().unwrap().keys().collect();
        assert_eq!(have, KEYS);
        assert!(rendered(None).ends_with("\"run_config\": null\n}"));
    }

    #[test]
    fn keys_keep_their_place_and_missing_ones_take_the_reference_s() {
        let position =
            |keys: &[String], key: &str| keys.iter().position(|have| have == key).unwrap();
        for (previous, order) in [
            (r#"{"new":1}"#, &["version", "run_config", "new"][..]),
            (
                r#"{"version":"1","new":1,"state":"live"}"#,
                &[
                    "version",
                    "git_sha",
                    "duration_ns",
                    "new",
                    "state",
                    "complete",
                ],
            ),
            (
                r#"{"run_config":{},"version":"1","new":1}"#,
                &["run_config", "version", "git_sha", "tps", "new"],
            ),
            (
                r#"{"version":"1","qps":1,"a":0,"tps":2,"b":0,"run_config":1,"c":0}"#,
                &[
                    "ttft",
                    "qps",
                    "a",
                    "tps",
                    "finish_reason_counts",
                    "b",
                    "run_config",
                    "c",
                ],
            ),
        ] {
            let keys = keys(previous, "");
            let positions: Vec<_> = order.iter().map(|key| position(&keys, key)).collect();
            assert!(positions.is_sorted(), "{previous}: {keys:?}");
        }
    }

    #[test]
    fn keys_within_a_metric_are_replaced_kept_added_and_removed() {
        let new = [
            "total",
            "min",
            "max",
            "median",
            "avg",
            "std_dev",
            "percentiles",
            "histogram",
        ];
        for (previous, pointer, expected) in [
            ("{}", "/output_sequence_lengths", new.to_vec()),
            ("{}", "/ttft", vec!["early_stopping_percentiles"]),
            ("{}", "/tpot", vec![]),
            (
                r#"{"tpot":{"total":1,"new":2,"histogram":{}}}"#,
                "/tpot",
                vec!["new"],
            ),
            (
                r#"{"ttft":{"a":0,"total":1,"percentiles":{},"b":0}}"#,
                "/ttft",
                vec!["early_stopping_percentiles", "a", "b"],
            ),
            (
                r#"{"output_sequence_lengths":{"total":1,"a":0,"avg":2,"early_stopping_percentiles":{},"b":0}}"#,
                "/output_sequence_lengths",
                vec![
                    "total",
                    "min",
                    "max",
                    "median",
                    "a",
                    "avg",
                    "std_dev",
                    "percentiles",
                    "histogram",
                    "b",
                ],
            ),
            (
                r#"{"output_sequence_lengths":{"early_stopping_percentiles":{},"percentiles":{},"a":0}}"#,
                "/output_sequence_lengths",
                [&new[..], &["a"]].concat(),
            ),
            (r#"{"tpot":null}"#, "/tpot", vec![]),
            (
                r#"{"finish_reason_counts":{"stop":9,"refusal":1}}"#,
                "/finish_reason_counts",
                vec![
                    "stop",
                    "length",
                    "tool_calls",
                    "content_filter",
                    "function_call",
                    "other",
                    "refusal",
                ],
            ),
        ] {
            assert_eq!(keys(previous, pointer), expected, "{previous}");
        }
    }

    #[test]
    fn what_is_kept_keeps_its_text() {
        for kept in [
            r#""version": "\u00e9é\/""#,
            r#""run_config": {
    "rate": 1.50,
    "big": 123456789012345678901234567890,
    "exponent": 1E+2,
    "twice": 1,
    "twice": 2,
    "none": []
  }"#,
            r#""newer": -0"#,
        ] {
            let summary = rendered(Some(&format!("{{{kept}}}")));
            assert!(
                summary.contains(&format!("  {kept}")),
                "{kept} in {summary}"
            );
        }
        let twice = rendered(Some(r#"{"a":1,"b":2,"a":3}"#));
        assert!(twice.ends_with("\"a\": 3,\n  \"b\": 2\n}"), "{twice}");
    }

    #[test]
    fn rates_share_one_window() {
        let native = (Some(1_000_000_000), None, Some(2.0), Some(8.0));
        let legacy = (
            Some(1_000_000_000),
            Some(500_000_000),
            Some(2.0),
            Some(16.0),
        );
        let check = |use_legacy_window, change: fn(&mut Snapshot), expected| {
            let mut snapshot = snapshot();
            change(&mut snapshot);
            let run = RunFacts {
                use_legacy_window,
                ..RunFacts::default()
            };
            let Rates {
                duration_ns,
                legacy_window_ns,
                qps,
                tps,
            } = Rates::of(&run, &snapshot);
            assert_eq!((duration_ns, legacy_window_ns, qps, tps), expected);
        };
        check(false, |_| (), native);
        check(true, |_| (), legacy);
        check(
            true,
            |s| s.counters.legacy_loadgen_window_duration_ns = 0,
            native,
        );
        check(
            true,
            |s| s.counters.tracked_samples_completed = 1,
            (native.0, None, Some(1.0), native.3),
        );
        check(
            true,
            |s| s.series[Metric::Osl] = None,
            (legacy.0, legacy.1, legacy.2, None),
        );
        check(
            true,
            |s| s.counters.tracked_duration_ns = 0,
            (None, legacy.1, legacy.2, legacy.3),
        );
        check(
            false,
            |s| s.counters.tracked_duration_ns = 0,
            (None, None, None, None),
        );
        check(
            false,
            |s| s.series[Metric::Osl] = Some(IntSeries::new().finish(false)),
            (native.0, None, native.2, None),
        );
    }

    #[test]
    fn a_run_is_complete_when_it_ended_and_nothing_is_pending() {
        for (state, n_pending_tasks, complete) in [
            (State::Complete, 0, true),
            (State::Complete, 1, false),
            (State::Interrupted, 0, false),
            (State::Draining, 0, false),
        ] {
            let snapshot = Snapshot {
                state,
                n_pending_tasks,
                ..snapshot()
            };
            let summary = render(None, &RunFacts::default(), &snapshot).unwrap();
            let summary: Value = serde_json::from_slice(&summary).unwrap();
            assert_eq!(
                (&summary["state"], &summary["complete"]),
                (&json!(state.name()), &json!(complete))
            );
        }
    }

    #[test]
    fn what_is_no_summary_is_refused_with_the_place() {
        let deep = "[".repeat(100_000);
        for (previous, expected) in [
            (&b""[..], "line 1 column 0"),
            (b"{\n \"a\": tru }", "line 2 column 10"),
            (b"{\"a\":1} x", "line 1 column 9"),
            (
                b"{\"a\":\"\xff\"}",
                "invalid unicode code point at line 1 column 7",
            ),
            (b"\xef\xbb\xbf{}", "line 1 column 1"),
            (
                deep.as_bytes(),
                "recursion limit exceeded at line 1 column 128",
            ),
        ] {
            let error = render(Some(previous), &RunFacts::default(), &snapshot()).unwrap_err();
            let cause = error.source().unwrap().to_string();
            assert!(cause.contains(expected), "{cause} instead of {expected}");
        }
        let error = render(Some(b"[1]"), &RunFacts::default(), &snapshot()).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("the summary is an array where a JSON object was expected")
        );
    }
}
