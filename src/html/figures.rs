//! What a summary says about its five distributions, read from any summary, however little is in it.

use serde_json::Value;

use super::number::Unit;
use crate::stats::{Bucket, EARLY_STOPPING_LEN, PERCENTILES};

/// One of the five distributions of a summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metric {
    Ttft,
    Tpot,
    Latency,
    Isl,
    Osl,
}

impl Metric {
    pub const ALL: [Self; 5] = [Self::Ttft, Self::Tpot, Self::Latency, Self::Isl, Self::Osl];

    /// The key in the summary.
    pub fn key(self) -> &'static str {
        match self {
            Self::Ttft => "ttft",
            Self::Tpot => "tpot",
            Self::Latency => "latency",
            Self::Isl => "input_sequence_lengths",
            Self::Osl => "output_sequence_lengths",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Ttft => "TTFT",
            Self::Tpot => "TPOT",
            Self::Latency => "Latency",
            Self::Isl => "ISL",
            Self::Osl => "OSL",
        }
    }

    /// What the name stands for.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Ttft => "time to first token",
            Self::Tpot => "time per output token",
            Self::Latency => "from issue to completion",
            Self::Isl => "input tokens of a sample",
            Self::Osl => "output tokens of a sample",
        }
    }

    pub fn is_time(self) -> bool {
        !matches!(self, Self::Isl | Self::Osl)
    }

    /// The unit that suits all of `figures`: that of the greatest median.
    pub fn unit<'a>(self, figures: impl Iterator<Item = &'a Figures>) -> Unit {
        if !self.is_time() {
            return Unit::TOKENS;
        }
        let medians = figures.filter_map(|figures| figures.percentile("50.0"));
        Unit::of_time(medians.fold(0.0, f64::max))
    }
}

/// What a summary says about one distribution, in its own unit (ns or tokens).
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Figures {
    pub count: u64,
    pub mean: Option<f64>,
    pub std_dev: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// At [`PERCENTILES`].
    pub percentiles: [Option<f64>; PERCENTILES.len()],
    /// Early-stopping estimates, if the summary has any at all: at the first of [`PERCENTILES`].
    pub estimates: Option<[Option<f64>; EARLY_STOPPING_LEN]>,
    pub buckets: Vec<Bucket>,
}

impl Figures {
    /// The figures of `metric`; a metric that the summary says nothing about has none.
    pub fn of(summary: &Value, metric: Metric) -> Self {
        let object = &summary[metric.key()];
        let number = |key: &str| object[key].as_f64();
        let at = |map: &Value, at: usize| map[PERCENTILES[at].0].as_f64();
        let estimates = &object["early_stopping_percentiles"];
        let buckets = buckets(&object["histogram"]);
        let has_values = buckets.iter().any(|bucket| bucket.count > 0);
        let number = |key| number(key).filter(|_| has_values || !object["histogram"].is_object());
        Self {
            count: buckets
                .iter()
                .fold(0, |sum: u64, bucket| sum.saturating_add(bucket.count)),
            mean: number("avg"),
            std_dev: number("std_dev"),
            min: number("min"),
            max: number("max"),
            percentiles: std::array::from_fn(|i| {
                at(&object["percentiles"], i).filter(|_| number("avg").is_some())
            }),
            estimates: estimates
                .is_object()
                .then(|| std::array::from_fn(|i| at(estimates, i))),
            buckets,
        }
    }

    /// Of the name that the summary gives it, such as `99.0`.
    pub fn percentile(&self, name: &str) -> Option<f64> {
        let at = PERCENTILES.iter().position(|(have, _)| *have == name)?;
        self.percentiles[at]
    }
}

/// The buckets of a histogram as far as they make sense: `low < high`, finite, one after the other.
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
    fn figures_take_what_is_there() {
        let summary = json!({
            "ttft": {"avg": 2.5, "std_dev": 1.0, "min": 1, "max": 4, "percentiles": {"50.0": 2.0, "99.0": 4.0},
                "early_stopping_percentiles": {"50.0": 3.0, "99.0": null},
                "histogram": {"buckets": [[1.0, 2.0], [2.0, 4.0]], "counts": [1, 2]}},
            "latency": {"avg": 0.0, "min": 0, "max": 0, "percentiles": {"50.0": 0.0}, "histogram": {"buckets": [], "counts": []}},
            "output_sequence_lengths": {"avg": 7.0},
            "tpot": {},
            "input_sequence_lengths": null,
        });
        let ttft = Figures::of(&summary, Metric::Ttft);
        assert_eq!((ttft.count, ttft.mean, ttft.min), (3, Some(2.5), Some(1.0)));
        assert_eq!(
            (ttft.percentile("50.0"), ttft.percentile("1.0")),
            (Some(2.0), None)
        );
        assert_eq!(ttft.estimates.unwrap()[7], Some(3.0));
        assert_eq!(ttft.estimates.unwrap()[1], None);
        for metric in [Metric::Tpot, Metric::Isl] {
            assert_eq!(Figures::of(&summary, metric), Figures::default());
        }
        // The zeros of no values are no figures.
        assert_eq!(Figures::of(&summary, Metric::Latency), Figures::default());
        assert_eq!(Figures::of(&summary, Metric::Osl).mean, Some(7.0));
        assert_eq!(Figures::of(&json!([]), Metric::Osl), Figures::default());
    }

    #[test]
    fn buckets_that_make_no_sense_end_the_histogram() {
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
