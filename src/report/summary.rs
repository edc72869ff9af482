//! `performance/result_summary.json`: the machine-readable report, rewritten in place.
//!
//! What we compute is replaced where it stands; what the summary says besides (version, `git_sha`, `run_config`, keys
//! that a newer client writes, at the top or within a metric) keeps its text and its place. A key that an older
//! client did not write yet is added where the reference writes it, so the outcome is the summary that the
//! reference at our commit would have written, plus whatever else was there.

use serde::Serialize;
use serde_json::Value;

use super::object::Object;
use super::snapshot::{Grid, Snapshot};
use crate::python::msgspec::{FloatStyle, compact, indented};
use crate::stats::Stat;

/// What the run's own files say about it, for what a snapshot does not hold.
#[derive(Clone, Debug, Default)]
pub struct RunFacts {
    /// The configuration shown in a summary that has none: load pattern, warm-up and seeds.
    pub run_config: Option<Value>,
    /// Whether rates use the legacy `LoadGen` window where there is one: a Poisson load pattern with
    /// `use_legacy_loadgen_qps_metrics`.
    pub use_legacy_window: bool,
}

/// Why the previous summary could not be used.
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
        /// What it is instead, with an article.
        found: &'static str,
    },
}

/// The bytes of `result_summary.json` for `snapshot`, with what `previous`, the summary so far, says besides.
///
/// Source: `metrics/report.py`, `Report.from_snapshot` and `to_json`. There is no final newline.
pub fn render(
    previous: Option<&[u8]>,
    run: &RunFacts,
    snapshot: &Snapshot,
) -> Result<Vec<u8>, SummaryError> {
    let mut summary = previous.map(Object::parse).transpose()?.unwrap_or_default();
    let counters = &snapshot.counters;
    let rates = Rates::of(run, snapshot);
    let metric = |object: &mut Object, key, series| {
        object.set_object(key, |metric| set_metric(metric, snapshot.series(series)));
    };

    summary.set_default("version", "unknown");
    summary.set_default("git_sha", Value::Null);
    summary.set_default("test_started_at", 0);
    summary.set("n_samples_issued", counters.tracked_samples_issued);
    summary.set("n_samples_completed", counters.tracked_samples_completed);
    summary.set("n_samples_failed", counters.tracked_samples_failed);
    summary.set("duration_ns", rates.duration_ns);
    summary.set("state", snapshot.state);
    summary.set("complete", snapshot.is_complete());
    metric(&mut summary, "ttft", "ttft_ns");
    metric(&mut summary, "tpot", "tpot_ns");
    metric(&mut summary, "latency", "sample_latency_ns");
    metric(&mut summary, "output_sequence_lengths", "osl");
    metric(&mut summary, "input_sequence_lengths", "isl");
    summary.set("legacy_loadgen_window_duration_ns", rates.legacy_window_ns);
    summary.set("qps", rates.qps);
    summary.set("tps", rates.tps);
    summary.set_object("finish_reason_counts", |reasons| {
        reasons.set("stop", counters.tracked_finish_reason_stop);
        reasons.set("length", counters.tracked_finish_reason_length);
        reasons.set("tool_calls", counters.tracked_finish_reason_tool_calls);
        reasons.set(
            "content_filter",
            counters.tracked_finish_reason_content_filter,
        );
        reasons.set(
            "function_call",
            counters.tracked_finish_reason_function_call,
        );
        reasons.set("other", counters.tracked_finish_reason_other);
    });
    summary.set_default("run_config", &run.run_config);
    Ok(indented(&compact(&summary, FloatStyle::Msgspec)))
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
        let positive = |ns: i128| Some(ns).filter(|&ns| ns > 0);
        let duration_ns = positive(counters.tracked_duration_ns);
        let legacy_window_ns = positive(counters.legacy_loadgen_window_duration_ns)
            .filter(|_| run.use_legacy_window && completed >= 2);
        let seconds = legacy_window_ns.or(duration_ns).map(|ns| ns as f64 / 1e9);
        let requests = if legacy_window_ns.is_some() {
            completed - 1
        } else {
            completed
        };
        let tokens = snapshot
            .series("osl")
            .filter(|osl| osl.count > 0)
            .map(|osl| osl.total.to_f64());
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

/// The figures of one metric; without values only the empty early-stopping map, and without the series nothing.
fn set_metric(metric: &mut Object, stat: Option<&Stat>) {
    let filled = stat.filter(|stat| stat.count > 0);
    metric.set_or_remove("total", filled.map(|stat| stat.total));
    metric.set_or_remove("min", filled.map(|stat| stat.min));
    metric.set_or_remove("max", filled.map(|stat| stat.max));
    metric.set_or_remove("median", filled.map(Stat::median));
    metric.set_or_remove("avg", filled.map(Stat::avg));
    metric.set_or_remove("std_dev", filled.map(Stat::std_dev));
    metric.set_or_remove(
        "percentiles",
        filled.map(|stat| Grid(stat.percentiles.as_slice())),
    );
    let estimates = stat.and_then(|stat| stat.early_stopping.as_ref());
    metric.set_or_remove(
        "early_stopping_percentiles",
        estimates.map(|map| Grid(map.as_slice())),
    );
    metric.set_or_remove("histogram", filled.map(Histogram::of));
}

#[derive(Serialize)]
struct Histogram {
    buckets: Vec<(f64, f64)>,
    counts: Vec<u64>,
}

impl Histogram {
    fn of(stat: &Stat) -> Self {
        Self {
            buckets: stat
                .histogram
                .iter()
                .map(|bucket| (bucket.low, bucket.high))
                .collect(),
            counts: stat.histogram.iter().map(|bucket| bucket.count).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use serde_json::json;

    use super::super::snapshot::{Counters, State};
    use super::*;
    use crate::stats::IntSeries;

    /// Of a run in which two samples with 3 and 5 output tokens completed within a second.
    fn snapshot() -> Snapshot {
        let osl: IntSeries = [3, 5].into_iter().collect();
        Snapshot {
            state: State::Complete,
            n_pending_tasks: 0,
            counter: 1,
            timestamp_ns: 0,
            counters: Counters {
                tracked_samples_issued: 3,
                tracked_samples_completed: 2,
                tracked_duration_ns: 1_000_000_000,
                legacy_loadgen_window_duration_ns: 500_000_000,
                ..Counters::default()
            },
            series: vec![
                ("osl", osl.finish(false)),
                ("ttft_ns", IntSeries::new().finish(true)),
            ],
        }
    }

    fn rendered(previous: Option<&str>) -> String {
        let bytes = render(
            previous.map(str::as_bytes),
            &RunFacts::default(),
            &snapshot(),
        )
        .unwrap();
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
            use_legacy_window: false,
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
                run_config: None,
                use_legacy_window,
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
            |s| s.series.clear(),
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
            |s| s.series[0].1 = IntSeries::new().finish(false),
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
