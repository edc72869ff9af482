//! A summary as a flat list: each value by its dotted path.

use std::sync::LazyLock;

use indexmap::IndexMap;
use serde_json::Value;

use super::field_path::group;
use crate::metric::{Metric, PerMetric};
use crate::report::{Report, RunFacts, Snapshot};
use crate::stats::IntSeries;

/// The values of a summary by their paths, in the summary's order. An array is one value; an empty object has none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlatSummary(IndexMap<String, Value>);

impl FlatSummary {
    /// Flattens a summary and adds the `count` of each distribution.
    pub(crate) fn of(summary: &Value) -> Self {
        let mut fields = IndexMap::new();
        flatten(String::new(), summary, &mut fields);
        for (key, distribution) in summary.as_object().into_iter().flatten() {
            if Metric::from_summary_key(key).is_some() && distribution.is_object() {
                let count = value_count(distribution);
                (fields.entry(format!("{key}.count"))).or_insert_with(|| count.into());
            }
        }
        Self(fields)
    }

    /// The fields that the client writes for a streaming run.
    pub(super) fn known() -> &'static Self {
        static KNOWN: LazyLock<FlatSummary> = LazyLock::new(|| {
            let snapshot = Snapshot {
                series: PerMetric::from_fn(|metric| {
                    let one: IntSeries = [1].into_iter().collect();
                    Some(one.finish(metric.has_early_stopping()))
                }),
                ..Snapshot::default()
            };
            let report = Report::new(None, &RunFacts::default(), &snapshot);
            let summary = report
                .map(|report| report.summary().to_owned())
                .unwrap_or_default();
            FlatSummary::of(&serde_json::from_slice(&summary).unwrap_or_default())
        });
        &KNOWN
    }

    /// The value at `path`. A missing field and a field that is `null` say the same.
    pub(super) fn get(&self, path: &str) -> &Value {
        self.0.get(path).unwrap_or(&Value::Null)
    }

    /// The paths of all fields.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The fields with their paths.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(path, value)| (path.as_str(), value))
    }

    /// The number of values of the distribution that `path` belongs to; 0 if it belongs to none.
    pub(super) fn count(&self, path: &str) -> u64 {
        let count = self.get(&format!("{}.count", group(path)));
        count.as_u64().unwrap_or(0)
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

/// The number of a distribution's values, which only its histogram tells.
fn value_count(distribution: &Value) -> u64 {
    let counts = distribution["histogram"]["counts"].as_array();
    let counts = counts.into_iter().flatten().filter_map(Value::as_u64);
    counts.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_summary_is_flattened_with_counts() {
        let flat = FlatSummary::of(&json!({
            "qps": 1.5, "run_config": {"load_pattern": {"type": "poisson"}, "seeds": [1, 2]}, "tpot": {},
            "ttft": {"percentiles": {"99.0": 7.0}, "histogram": {"buckets": [[1, 2]], "counts": [4, 3]}},
            "latency": {"count": 9, "histogram": {"counts": [1]}}, "output_sequence_lengths": null,
        }));
        let got: Vec<_> = flat.iter().map(|(p, v)| format!("{p} {v}")).collect();
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
            "tpot.count 0",
            "ttft.count 7",
        ];
        assert_eq!(got, expected);
        assert_eq!(flat.count("ttft.avg"), 7);
        assert_eq!(flat.count("qps"), 0);
        assert_eq!(
            FlatSummary::of(&json!([1])).paths().collect::<Vec<_>>(),
            [""]
        );
    }

    #[test]
    fn known_fields_are_those_that_the_client_writes() {
        let known: Vec<&str> = FlatSummary::known().paths().collect();
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
            assert!(known.contains(&path), "{path}");
        }
        assert!(!known.contains(&"osl.early_stopping_percentiles.50.0"));
    }
}
