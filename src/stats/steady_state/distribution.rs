//! The distribution of one kind of value over a plateau.

use serde::Serialize;

use super::arithmetic::{mean, percentile};
use super::c_math::pow;

/// Bins of a histogram, unless all values are equal.
const BINS: usize = 20;

/// Statistics of the values of a plateau.
#[derive(Clone, Debug, Serialize)]
pub struct Distribution {
    /// The number of values.
    pub count: usize,
    /// Their mean.
    pub mean: f64,
    /// The least value.
    pub min: f64,
    /// The greatest value.
    pub max: f64,
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The number of values in each bin.
    pub histogram: Vec<HistogramBin>,
}

/// One bin of a histogram: `[lo, hi)`, and `[lo, hi]` for the last.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct HistogramBin {
    /// The lower edge.
    pub lo: f64,
    /// The upper edge.
    pub hi: f64,
    /// The number of values in it.
    pub count: usize,
}

impl Distribution {
    /// The statistics of `sorted` values; `None` without values.
    pub(super) fn of(sorted: &[f64]) -> Option<Self> {
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        Some(Self {
            count: sorted.len(),
            mean: mean(sorted),
            min,
            max,
            p50: percentile(sorted, 0.5),
            p90: percentile(sorted, 0.9),
            p99: percentile(sorted, 0.99),
            histogram: histogram(sorted, min, max),
        })
    }
}

/// Twenty bins from `min` to `max`: log-spaced if all values are positive, else of equal width.
fn histogram(sorted: &[f64], min: f64, max: f64) -> Vec<HistogramBin> {
    if min.total_cmp(&max).is_eq() {
        return vec![HistogramBin {
            lo: min,
            hi: max,
            count: sorted.len(),
        }];
    }
    let edge = |i: usize| {
        if min > 0.0 {
            min * pow(max / min, i as f64 / BINS as f64)
        } else {
            min + (max - min) * i as f64 / BINS as f64
        }
    };
    // The last edge may be rounded to below the greatest value, which is in the last bin all the same.
    let is_below = |value: f64, edge: f64| value < edge && value < max;
    let mut below = 0;
    (0..BINS)
        .map(|i| {
            let (lo, hi) = (edge(i), edge(i + 1));
            let below_hi = if i + 1 == BINS {
                sorted.len()
            } else {
                below.max(sorted.partition_point(|&value| is_below(value, hi)))
            };
            let count = below_hi - below;
            below = below_hi;
            HistogramBin { lo, hi, count }
        })
        .collect()
}
