//! A summary as a flat list: every value by its dotted path.

use std::sync::LazyLock;

use indexmap::IndexMap;
use serde_json::{Value, json};

use crate::report::{Counters, RunFacts, Snapshot, State, render};
use crate::stats::IntSeries;

/// The five distributions of a summary.
pub(super) const DISTRIBUTIONS: [&str; 5] = [
    "ttft",
    "tpot",
    "latency",
    "output_sequence_lengths",
    "input_sequence_lengths",
];

/// The values of a summary by their paths, in the summary's order. An array is one value, an empty object none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(IndexMap<String, Value>);

impl Fields {
    /// The fields of a summary.
    pub fn of(summary: &Value) -> Self {
        let mut fields = IndexMap::new();
        flatten(String::new(), summary, &mut fields);
        let have = DISTRIBUTIONS
            .iter()
            .filter(|name| summary[**name].is_object());
        for name in have {
            let counts = summary[*name]["histogram"]["counts"].as_array();
            let count = counts.into_iter().flatten().filter_map(Value::as_u64);
            let count: u64 = count.fold(0, u64::saturating_add);
            fields
                .entry(format!("{name}.count"))
                .or_insert_with(|| count.into());
        }
        Self(fields)
    }

    /// Every field that the client writes for a streaming run.
    pub fn known() -> &'static Self {
        static KNOWN: LazyLock<Fields> = LazyLock::new(|| {
            let series = |name, estimates| {
                let one: IntSeries = [1].into_iter().collect();
                (name, one.finish(estimates))
            };
            let snapshot = Snapshot {
                state: State::Complete,
                n_pending_tasks: 0,
                counter: 1,
                timestamp_ns: 0,
                counters: Counters::default(),
                series: vec![
                    series("sample_latency_ns", true),
                    series("isl", false),
                    series("osl", false),
                    series("ttft_ns", true),
                    series("tpot_ns", true),
                ],
            };
            let summary = render(None, &RunFacts::default(), &snapshot).unwrap_or_default();
            Fields::of(&serde_json::from_slice(&summary).unwrap_or_default())
        });
        &KNOWN
    }

    /// The value at `path`.
    pub fn get(&self, path: &str) -> Option<&Value> {
        self.0.get(path)
    }

    /// All paths.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Path and value of each.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(path, value)| (path.as_str(), value))
    }

    /// The number of values of the distribution that `path` belongs to; 0 if it belongs to none.
    pub(super) fn values(&self, path: &str) -> u64 {
        let count = self.get(&format!("{}.count", root(path)));
        count.and_then(Value::as_u64).unwrap_or(0)
    }
}

fn flatten(path: String, value: &Value, fields: &mut IndexMap<String, Value>) {
    let Some(object) = value.as_object() else {
        fields.insert(path, value.clone());
        return;
    };
    for (key, value) in object {
        let below = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        flatten(below, value, fields);
    }
}

/// The first part of a path: which distribution, or which field.
pub(super) fn root(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

/// The last part of a path; of a percentile's, what follows its dot.
pub(super) fn leaf(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// Whether the field at `path` is a time in ns.
pub fn is_time(path: &str) -> bool {
    let timed = ["ttft", "tpot", "latency"].contains(&root(path));
    (timed && leaf(path) != "count" && !is_histogram(path)) || path.ends_with("_ns")
}

/// Whether the field at `path` is an array of a histogram.
pub(super) fn is_histogram(path: &str) -> bool {
    path.contains(".histogram.")
}

/// Whether the log says nothing about the field at `path`: the client's version, the run's configuration, and keys
/// that are not the client's at our commit.
pub(super) fn is_description(path: &str) -> bool {
    const DESCRIPTION: [&str; 4] = ["version", "git_sha", "test_started_at", "run_config"];
    let root = root(path);
    DESCRIPTION.contains(&root)
        || !Fields::known()
            .paths()
            .any(|known| self::root(known) == root)
}

/// The value that stands for a missing one: a field that is `null` and one that is not there say the same.
pub(super) fn or_null(value: Option<&Value>) -> Value {
    value.cloned().unwrap_or(json!(null))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_flattened_with_counts() {
        let fields = Fields::of(&json!({
            "qps": 1.5, "run_config": {"load_pattern": {"type": "poisson"}, "seeds": [1, 2]}, "tpot": {},
            "ttft": {"percentiles": {"99.0": 7.0}, "histogram": {"buckets": [[1, 2]], "counts": [4, 3]}},
            "latency": {"count": 9, "histogram": {"counts": [1]}}, "output_sequence_lengths": null,
        }));
        let got: Vec<_> = fields.iter().map(|(p, v)| format!("{p} {v}")).collect();
        let expected = [
            "qps 1.5",
            "run_config.load_pattern.type \"poisson\"",
            "run_config.seeds [1,2]",
            "ttft.percentiles.99.0 7.0",
            "ttft.histogram.buckets [[1,2]]",
            "ttft.histogram.counts [4,3]",
            "latency.count 9",
            "latency.histogram.counts [1]",
            "output_sequence_lengths null",
            "ttft.count 7",
            "tpot.count 0",
        ];
        assert_eq!(got, expected);
        assert_eq!(fields.values("ttft.avg"), 7);
        assert_eq!(fields.values("qps"), 0);
        assert_eq!(Fields::of(&json!([1])).paths().collect::<Vec<_>>(), [""]);
    }

    #[test]
    fn known_fields_are_those_that_the_client_writes() {
        let known = Fields::known();
        for path in [
            "version",
            "n_samples_failed",
            "ttft.count",
            "tpot.percentiles.99.9",
            "latency.early_stopping_percentiles.50.0",
            "input_sequence_lengths.histogram.counts",
            "finish_reason_counts.tool_calls",
            "legacy_loadgen_window_duration_ns",
            "run_config",
        ] {
            assert!(known.get(path).is_some(), "{path}");
        }
        assert!(known.get("osl.early_stopping_percentiles.50.0").is_none());
    }

    #[test]
    fn what_a_field_is_shows_in_its_path() {
        let check = |path, time, histogram, description| {
            let got = (is_time(path), is_histogram(path), is_description(path));
            assert_eq!(got, (time, histogram, description), "{path}");
        };
        check("ttft.percentiles.99.0", true, false, false);
        check("tpot.total", true, false, false);
        check("latency.count", false, false, false);
        check("ttft.histogram.buckets", false, true, false);
        check("output_sequence_lengths.avg", false, false, false);
        check("duration_ns", true, false, false);
        check("qps", false, false, false);
        check("git_sha", false, false, true);
        check("run_config.load_pattern.target_qps", false, false, true);
        check("gpu.watts", false, false, true);
        check("state", false, false, false);
    }
}
