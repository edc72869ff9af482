//! The statistics of one series.

use num_bigint::BigInt;
use serde::Serialize;

use super::early_stopping::estimate;
use super::histogram::{Bucket, histogram};
use crate::python::exact::ratio;

/// The percentiles of every series, each with its name in a report, in the report's order.
///
/// Source: `registry.py`, `DEFAULT_PERCENTILES`.
pub const PERCENTILES: [(&str, f64); 12] = [
    ("99.9", 99.9),
    ("99.0", 99.0),
    ("97.0", 97.0),
    ("95.0", 95.0),
    ("90.0", 90.0),
    ("80.0", 80.0),
    ("75.0", 75.0),
    ("50.0", 50.0),
    ("25.0", 25.0),
    ("10.0", 10.0),
    ("5.0", 5.0),
    ("1.0", 1.0),
];

/// The number of [`PERCENTILES`] with an early-stopping estimate: those from the first to the median.
pub const EARLY_STOPPING_LEN: usize = MEDIAN + 1;

/// The position of the median in [`PERCENTILES`].
const MEDIAN: usize = 7;

/// A number that a report writes as an integer or as a double.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Number {
    /// An exact integer.
    Int(i128),
    /// A double.
    Float(f64),
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self::Int(value.into())
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl Number {
    /// The nearest double.
    pub fn to_f64(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Float(value) => value,
        }
    }
}

/// The statistics of one series. Doubles equal the reference's bit for bit.
#[derive(Clone, Debug, PartialEq)]
pub struct Stat {
    /// Number of values.
    pub count: u64,
    /// Sum of all values.
    pub total: Number,
    /// Smallest value; 0 for an empty series.
    pub min: Number,
    /// Largest value; 0 for an empty series.
    pub max: Number,
    /// Sum of all squares, as a double unless an integer series is empty.
    pub sum_sq: Number,
    /// Recorded values at [`PERCENTILES`], in that order; zeros for an empty series.
    pub percentiles: [f64; PERCENTILES.len()],
    /// A conservative estimate for each of the first percentiles, `None` where there are too few values.
    /// `None` as a whole if estimates were not requested.
    pub early_stopping: Option<[Option<f64>; EARLY_STOPPING_LEN]>,
    /// Thirty buckets; empty for an empty series.
    pub histogram: Vec<Bucket>,
}

/// The statistics that do not need the sorted values.
#[derive(Clone, Copy)]
pub(super) struct Rollups {
    pub(super) total: Number,
    pub(super) min: Number,
    pub(super) max: Number,
    pub(super) sum_sq: f64,
}

impl Stat {
    /// Returns the statistics of an empty series, whose sums are `zero`.
    pub(super) fn empty(zero: Number, early_stopping: bool) -> Self {
        Self {
            count: 0,
            total: zero,
            min: Number::Int(0),
            max: Number::Int(0),
            sum_sq: zero,
            percentiles: [0.0; PERCENTILES.len()],
            early_stopping: early_stopping.then_some([None; EARLY_STOPPING_LEN]),
            histogram: Vec::new(),
        }
    }

    /// Returns the statistics of `sorted`, which is not empty.
    pub(super) fn of<T: Copy>(
        sorted: &[T],
        to_f64: impl Fn(T) -> f64 + Copy,
        rollups: Rollups,
        early_stopping: bool,
    ) -> Self {
        let Rollups {
            total,
            min,
            max,
            sum_sq,
        } = rollups;
        let percentiles = PERCENTILES.map(|(_, p)| to_f64(sorted[lower_index(sorted.len(), p)]));
        let early_stopping = early_stopping.then(|| {
            let mut estimates = [None; EARLY_STOPPING_LEN];
            for (slot, (_, p)) in estimates.iter_mut().zip(PERCENTILES) {
                *slot = estimate(sorted, p).map(to_f64);
            }
            estimates
        });
        Self {
            count: sorted.len() as u64,
            total,
            min,
            max,
            sum_sq: Number::Float(sum_sq),
            percentiles,
            early_stopping,
            histogram: histogram(sorted, to_f64, min.to_f64(), max.to_f64()),
        }
    }

    /// The mean: the total divided by the count and rounded once; 0.0 for an empty series.
    pub fn avg(&self) -> f64 {
        match self.total {
            _ if self.count == 0 => 0.0,
            Number::Int(total) => ratio(&BigInt::from(total), self.count),
            Number::Float(total) => total / self.count as f64,
        }
    }

    /// The sample standard deviation; 0.0 for fewer than two values.
    ///
    /// Source: `report.py`, `_series_to_metric_dict`. The sum of squares is a double there, so doubles are subtracted for
    /// integer series too. Only the quotient of an integer total is exact before it is rounded.
    pub fn std_dev(&self) -> f64 {
        if self.count < 2 {
            return 0.0;
        }
        let square_of_total_by_count = match self.total {
            Number::Int(total) => ratio(&BigInt::from(total).pow(2), self.count),
            Number::Float(total) => total * total / self.count as f64,
        };
        let variance = (self.sum_sq.to_f64() - square_of_total_by_count) / (self.count - 1) as f64;
        variance.max(0.0).sqrt()
    }

    /// The median as the percentiles have it: always a recorded value.
    pub fn median(&self) -> f64 {
        self.percentiles[MEDIAN]
    }
}

/// The index of percentile `p` (0 to 100) in `len` sorted values, by numpy's method `lower`, which divides by 100 first;
/// 0 if there are no values.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and len"
)]
pub(super) fn lower_index(len: usize, p: f64) -> usize {
    (p / 100.0 * len.saturating_sub(1) as f64).floor() as usize
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::value::RawValue;

    use super::*;
    use crate::stats::{FloatSeries, IntSeries};

    /// A series with the reference's statistics.
    #[derive(Deserialize)]
    struct Case {
        name: String,
        kind: String,
        values: Vec<serde_json::Number>,
        count: u64,
        total: Box<RawValue>,
        min: Box<RawValue>,
        max: Box<RawValue>,
        sum_sq: Box<RawValue>,
        percentiles: Vec<f64>,
        early_stopping: Vec<Option<f64>>,
        edges: Vec<f64>,
        counts: Vec<u64>,
        avg: f64,
        std_dev: f64,
        median: f64,
    }

    /// Parses a number of the fixture: an integer of any size, or a double.
    fn number(text: &RawValue) -> Number {
        let text = text.get();
        text.parse()
            .map_or_else(|_| Number::Float(text.parse().unwrap()), Number::Int)
    }

    #[test]
    fn statistics_equal_the_reference_bit_for_bit() {
        for line in include_str!("../../fixtures/stats/stats.jsonl").lines() {
            let case: Case = serde_json::from_str(line).unwrap();
            let name = format!("{} {}", case.kind, case.name);
            let stat = if case.kind == "int" {
                case.values
                    .iter()
                    .map(|v| v.as_i64().unwrap())
                    .collect::<IntSeries>()
                    .finish(true)
            } else {
                case.values
                    .iter()
                    .map(|v| v.as_f64().unwrap())
                    .collect::<FloatSeries>()
                    .finish(true)
            };
            assert_eq!(stat.count, case.count, "{name}");
            for (field, got, want) in [
                ("total", stat.total, &case.total),
                ("min", stat.min, &case.min),
                ("max", stat.max, &case.max),
                ("sum_sq", stat.sum_sq, &case.sum_sq),
            ] {
                // As text, which tells -0.0 from 0.0.
                assert_eq!(
                    format!("{got:?}"),
                    format!("{:?}", number(want)),
                    "{field} of {name}"
                );
            }
            assert_eq!(stat.percentiles.as_slice(), case.percentiles, "{name}");
            assert_eq!(
                stat.early_stopping.unwrap().as_slice(),
                case.early_stopping,
                "{name}"
            );
            let lows = stat.histogram.iter().map(|bucket| bucket.low);
            let edges: Vec<f64> = lows
                .chain(stat.histogram.last().map(|bucket| bucket.high))
                .collect();
            assert_eq!(edges, case.edges, "{name}");
            let counts: Vec<u64> = stat.histogram.iter().map(|bucket| bucket.count).collect();
            assert_eq!(counts, case.counts, "{name}");
            assert_eq!(
                [stat.avg(), stat.std_dev(), stat.median()].map(f64::to_bits),
                [case.avg, case.std_dev, case.median].map(f64::to_bits),
                "{name}"
            );
        }
    }

    #[test]
    fn percentiles_have_the_index_that_numpy_takes() {
        for line in include_str!("../../fixtures/stats/lower_index.jsonl").lines() {
            let (len, expected): (usize, Vec<usize>) = serde_json::from_str(line).unwrap();
            let got = PERCENTILES.map(|(_, p)| lower_index(len, p));
            assert_eq!(got.as_slice(), expected, "{len} values");
        }
    }

    #[test]
    fn names_are_the_percentiles_as_python_writes_them() {
        for (name, p) in PERCENTILES {
            assert_eq!(name, format!("{p:?}"));
        }
        assert_eq!(PERCENTILES[MEDIAN].0, "50.0");
    }

    #[test]
    fn estimates_are_absent_unless_requested() {
        let series: IntSeries = (0..100).collect();
        assert_eq!(series.clone().finish(false).early_stopping, None);
        assert_eq!(series.finish(true).early_stopping.unwrap()[4], Some(97.0));
        assert_eq!(FloatSeries::new().finish(false).early_stopping, None);
    }
}
