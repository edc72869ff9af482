//! Reads one metric from a summary, which may lack any of the keys.

use serde_json::Value;

use crate::metric::Metric;
use crate::number::DisplayUnit;
use crate::stats::{Bucket, EARLY_STOPPING_LEN, PERCENTILES};

/// Returns the unit that suits the greatest median of `summaries`.
pub(super) fn display_unit<'a>(
    metric: Metric,
    summaries: impl IntoIterator<Item = &'a MetricSummary>,
) -> DisplayUnit {
    if !metric.is_time() {
        return DisplayUnit::TOKENS;
    }
    let summaries = summaries.into_iter();
    let medians = summaries.filter_map(|summary| summary.percentile("50.0"));
    DisplayUnit::of_time(medians.fold(0.0, f64::max))
}

/// One metric of a summary, in ns or tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct MetricSummary {
    pub count: u64,
    pub mean: Option<f64>,
    pub max: Option<f64>,
    /// At [`PERCENTILES`].
    pub percentiles: [Option<f64>; PERCENTILES.len()],
    /// Early-stopping estimates at the first of [`PERCENTILES`], if the summary has them.
    pub estimates: Option<[Option<f64>; EARLY_STOPPING_LEN]>,
    pub buckets: Vec<Bucket>,
}

impl MetricSummary {
    /// Reads a metric; one that the summary lacks has no values.
    pub fn of(summary: &Value, metric: Metric) -> Self {
        let object = metric
            .summary_key()
            .map_or(&Value::Null, |key| &summary[key]);
        let buckets = buckets(&object["histogram"]);
        let counts = buckets.iter().map(|bucket| bucket.count);
        let count = counts.fold(0, u64::saturating_add);
        // The client writes zeros for a series without values.
        let is_empty = count == 0 && object["histogram"].is_object();
        let number = |key: &str| object[key].as_f64().filter(|_| !is_empty);
        let mean = number("avg");
        let percentile = |map: &Value, i: usize| map[PERCENTILES[i].0].as_f64();
        let percentiles = |i| percentile(&object["percentiles"], i).filter(|_| mean.is_some());
        let estimates = &object["early_stopping_percentiles"];
        Self {
            count,
            mean,
            max: number("max"),
            percentiles: std::array::from_fn(percentiles),
            estimates: estimates
                .is_object()
                .then(|| std::array::from_fn(|i| percentile(estimates, i))),
            buckets,
        }
    }

    /// Reads a distribution of a steady state's verdict.
    pub fn of_distribution(distribution: &Value) -> Self {
        let number = |key: &str| distribution[key].as_f64();
        let percentile =
            |i: usize| number(&format!("p{}", PERCENTILES[i].0.trim_end_matches(".0")));
        Self {
            count: distribution["count"].as_u64().unwrap_or(0),
            mean: number("mean"),
            max: number("max"),
            percentiles: std::array::from_fn(percentile),
            ..Self::default()
        }
    }

    /// Returns the percentile with that key in the summary, such as `99.0`.
    pub fn percentile(&self, key: &str) -> Option<f64> {
        let at = PERCENTILES.iter().position(|(have, _)| *have == key)?;
        self.percentiles[at]
    }
}

/// Returns the buckets of a histogram, up to the first that is not a range above the one before it.
fn buckets(histogram: &Value) -> Vec<Bucket> {
    let edges = histogram["buckets"].as_array().into_iter().flatten();
    let counts = histogram["counts"].as_array().into_iter().flatten();
    let mut buckets: Vec<Bucket> = Vec::new();
    for (edges, count) in edges.zip(counts) {
        let (Some(low), Some(high), Some(count)) =
            (edges[0].as_f64(), edges[1].as_f64(), count.as_u64())
        else {
            break;
        };
        if low >= high || buckets.last().is_some_and(|last| low < last.high) {
            break;
        }
        buckets.push(Bucket { low, high, count });
    }
    buckets
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_summary_may_lack_keys() {
        let summary = json!({
            "ttft": {"avg": 2.5, "std_dev": 1.0, "min": 1, "max": 4, "percentiles": {"50.0": 2.0, "99.0": 4.0},
                "early_stopping_percentiles": {"50.0": 3.0, "99.0": null},
                "histogram": {"buckets": [[1.0, 2.0], [2.0, 4.0]], "counts": [1, 2]}},
            "latency": {"avg": 0.0, "min": 0, "max": 0, "percentiles": {"50.0": 0.0}, "histogram": {"buckets": [], "counts": []}},
            "output_sequence_lengths": {"avg": 7.0},
            "tpot": {},
            "input_sequence_lengths": null,
        });
        let ttft = MetricSummary::of(&summary, Metric::Ttft);
        assert_eq!((ttft.count, ttft.mean, ttft.max), (3, Some(2.5), Some(4.0)));
        assert_eq!(
            (ttft.percentile("50.0"), ttft.percentile("1.0")),
            (Some(2.0), None)
        );
        assert_eq!(ttft.estimates.unwrap()[7], Some(3.0));
        assert_eq!(ttft.estimates.unwrap()[1], None);
        for metric in [Metric::Tpot, Metric::Isl] {
            assert_eq!(
                MetricSummary::of(&summary, metric),
                MetricSummary::default()
            );
        }
        // The zeros of an empty series are not values.
        assert_eq!(
            MetricSummary::of(&summary, Metric::Latency),
            MetricSummary::default()
        );
        assert_eq!(MetricSummary::of(&summary, Metric::Osl).mean, Some(7.0));
        assert_eq!(
            MetricSummary::of(&json!([]), Metric::Osl),
            MetricSummary::default()
        );
    }

    #[test]
    fn an_invalid_bucket_ends_the_histogram() {
        let check = |histogram: Value, expected: usize| {
            assert_eq!(buckets(&histogram).len(), expected, "{histogram}");
        };
        check(json!({"buckets": [[1, 2], [2, 3]], "counts": [1, 2]}), 2);
        check(json!({"buckets": [[1, 2], [2, 3]], "counts": [1]}), 1);
        check(json!({"buckets": [[1, 2], [1, 3]], "counts": [1, 2]}), 1);
        check(json!({"buckets": [[2, 2]], "counts": [1]}), 0);
        check(json!({"buckets": [[1], "x"], "counts": [1, 2]}), 0);
        check(json!({"buckets": [[1, 2]], "counts": [-1]}), 0);
        check(json!(null), 0);
    }
}
