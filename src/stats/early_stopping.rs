//! Early-stopping estimates: percentiles that hold with 99 % confidence for the given number of values.
//!
//! The method is that of `LoadGen` for its single stream scenario (`loadgen/early_stopping.cc`, `results.cc`), which the
//! reference adopts in `metrics/early_stopping.py`. A run with `t` values over a latency bound certifies the bound if
//! enough values are under it; the binomial distribution gives their number. The estimate is the t-th largest value, for
//! the largest `t` that `n` values can absorb.

use super::beta::regularized_incomplete_beta;

/// The probability of passing by chance must be below this: 1 − confidence, with the reference's rounding.
const MAX_CHANCE: f64 = 1.0 - 0.99;

/// Returns the estimate of percentile `p` (50 to 100) of `sorted`; `None` if there are too few values for one.
pub(super) fn estimate<T: Copy>(sorted: &[T], p: f64) -> Option<T> {
    let n = sorted.len() as u64;
    let over = largest_over_latency_count(n, p / 100.0)?;
    sorted
        .iter()
        .nth_back(usize::try_from(over - 1).ok()?)
        .copied()
}

/// Returns the largest `t` of at least 1 that `n` values absorb at percentile `fraction` (0 to 1).
fn largest_over_latency_count(n: u64, fraction: f64) -> Option<u64> {
    if !absorbs(n, 1, fraction) {
        return None;
    }
    let (mut low, mut high) = (1, 2);
    while absorbs(n, high, fraction) {
        high *= 2;
    }
    while low + 1 < high {
        let middle = u64::midpoint(low, high);
        if absorbs(n, middle, fraction) {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(low)
}

/// Tells whether `n` values, `over` of them over the bound, certify `fraction`.
fn absorbs(n: u64, over: u64, fraction: f64) -> bool {
    min_under_latency_count(over, fraction) + over <= n
}

/// Returns the smallest number of values under the bound that certifies `fraction` with `over` values over it.
fn min_under_latency_count(over: u64, fraction: f64) -> u64 {
    let (mut low, mut high) = (1, 2);
    while chance_of_passing(high, over, fraction) >= MAX_CHANCE {
        high *= 2;
    }
    while low < high {
        let middle = u64::midpoint(low, high);
        if chance_of_passing(middle, over, fraction) < MAX_CHANCE {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// The probability that at most `over` of `under + over` values are over the bound of percentile `fraction`.
fn chance_of_passing(under: u64, over: u64, fraction: f64) -> f64 {
    regularized_incomplete_beta(under as f64, (1 + over) as f64, fraction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{EARLY_STOPPING_LEN, PERCENTILES};

    #[test]
    fn counts_over_the_bound_equal_the_reference() {
        let counts = include_str!("../../fixtures/stats/over_latency_counts.jsonl");
        for line in counts.lines() {
            let (n, expected): (u64, [u64; EARLY_STOPPING_LEN]) =
                serde_json::from_str(line).unwrap();
            for ((name, p), expected) in PERCENTILES.into_iter().zip(expected) {
                let got = largest_over_latency_count(n, p / 100.0).unwrap_or(0);
                assert_eq!(got, expected, "percentile {name} of {n} values");
            }
        }
    }

    #[test]
    fn counts_of_small_runs_rise_at_the_reference_s_thresholds() {
        let thresholds = include_str!("../../fixtures/stats/min_counts.jsonl");
        for line in thresholds.lines() {
            let (p, min_counts): (f64, Vec<u64>) = serde_json::from_str(line).unwrap();
            for (min, over) in min_counts.into_iter().zip(1..) {
                let got = |n| largest_over_latency_count(n, p / 100.0).unwrap_or(0);
                assert_eq!(
                    (got(min - 1), got(min)),
                    (over - 1, over),
                    "percentile {p} of {min} values"
                );
            }
        }
    }

    #[test]
    fn the_estimate_is_the_value_at_the_count() {
        let sorted: Vec<u32> = (1..=81).collect();
        assert_eq!(estimate(&sorted[..63], 90.0), None);
        assert_eq!(estimate(&sorted[..64], 90.0), Some(64));
        assert_eq!(estimate(&sorted, 90.0), Some(80));
        assert_eq!(estimate::<u32>(&[], 50.0), None);
    }
}
