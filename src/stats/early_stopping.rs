//! Early-stopping estimates: percentiles that hold with 99 % confidence, however few values there are.
//!
//! The construction is that of `LoadGen` for its single stream scenario (`loadgen/early_stopping.cc`, `results.cc`), as the
//! reference carries it over in `metrics/early_stopping.py`: of `n` values, let `t` be over the latency bound.
//! The run certifies the bound if at least a certain number of values, found from the binomial distribution,
//! are under it. The largest `t` that `n` values can absorb makes the t-th greatest value the estimate.

use super::beta::regularized_incomplete_beta;

/// Odds of passing by luck must be below this: one less the confidence, in the reference's own rounding.
const MAX_ODDS: f64 = 1.0 - 0.99;

/// The estimate of percentile `p` (50 to 100) of `sorted`; none if there are too few values to claim any.
pub(super) fn estimate<T: Copy>(sorted: &[T], p: f64) -> Option<T> {
    let n = sorted.len() as u64;
    let over = largest_over_latency_count(n, p / 100.0)?;
    sorted
        .iter()
        .nth_back(usize::try_from(over - 1).ok()?)
        .copied()
}

/// The greatest `t`, at least 1, that `n` values absorb at percentile `fraction` (0 to 1).
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

/// Whether `n` values can have `over` of them over the bound and still certify `fraction`.
fn absorbs(n: u64, over: u64, fraction: f64) -> bool {
    least_passing(over, fraction) + over <= n
}

/// The least number of values under the bound that certifies `fraction` with `over` values over it.
fn least_passing(over: u64, fraction: f64) -> u64 {
    let (mut low, mut high) = (1, 2);
    while odds(high, over, fraction) >= MAX_ODDS {
        high *= 2;
    }
    while low < high {
        let middle = u64::midpoint(low, high);
        if odds(middle, over, fraction) < MAX_ODDS {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// The probability that at most `over` of `under + over` values are over the bound of percentile `fraction`.
fn odds(under: u64, over: u64, fraction: f64) -> f64 {
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
    fn counts_of_small_runs_rise_where_the_reference_has_them_rise() {
        let thresholds = include_str!("../../fixtures/stats/least_counts.jsonl");
        for line in thresholds.lines() {
            let (p, least_counts): (f64, Vec<u64>) = serde_json::from_str(line).unwrap();
            for (least, over) in least_counts.into_iter().zip(1..) {
                let got = |n| largest_over_latency_count(n, p / 100.0).unwrap_or(0);
                assert_eq!(
                    (got(least - 1), got(least)),
                    (over - 1, over),
                    "percentile {p} of {least} values"
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
