//! Statistical tests of a sequence: its trend, its drift and the change of its level.

use std::cmp::Ordering;

use serde::Serialize;

use super::arithmetic::{mean, nonzero_median, sum};
use super::c_math::erf;

/// Below this p-value a finding is significant.
const SIGNIFICANCE: f64 = 0.05;

/// The least relative drift that counts as a trend.
const MIN_DRIFT: f64 = 0.05;

/// The least number of values that a test takes.
const MIN_VALUES: usize = 4;

/// The verdict of the Mann–Kendall test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Trend {
    /// There are too few values for a test.
    Insufficient,
    /// There is no significant trend.
    Steady,
    /// Values rise.
    Up,
    /// Values fall.
    Down,
}

/// Tells whether a sequence has a trend that is both significant and large enough to matter.
pub(super) fn is_trending(values: &[f64]) -> bool {
    // The drift is tested first because it takes linear time, and the trend quadratic.
    drift(values).abs() >= MIN_DRIFT && trend(values) != Trend::Steady
}

/// The rise of the least-squares line from the first to the last of `values`, relative to their median.
pub(super) fn drift(values: &[f64]) -> f64 {
    let steps = (values.len() - 1) as f64;
    let (mean_x, mean_y) = (steps / 2.0, mean(values));
    let from_mean = || (0..values.len()).map(|x| x as f64 - mean_x);
    let covariance = sum(from_mean().zip(values).map(|(dx, y)| dx * (y - mean_y)));
    let slope = covariance / sum(from_mean().map(|dx| dx * dx));
    slope * steps / nonzero_median(values)
}

/// The Mann–Kendall test with the variance corrected for autocorrelation, as Hamed and Rao (1998) propose.
pub(super) fn trend(values: &[f64]) -> Trend {
    if values.len() < MIN_VALUES {
        return Trend::Insufficient;
    }
    let score = score(values);
    let direction = match score.cmp(&0) {
        Ordering::Less => Trend::Down,
        Ordering::Equal => Trend::Steady,
        Ordering::Greater => Trend::Up,
    };
    let variance = variance_of_score(values) * variance_correction(values);
    if variance <= 0.0 || p_value(score, variance) < SIGNIFICANCE {
        direction
    } else {
        Trend::Steady
    }
}

/// The number of pairs that rise less the number of pairs that fall.
fn score(values: &[f64]) -> i64 {
    let pairs = values.iter().enumerate().flat_map(|(i, earlier)| {
        let later = values[i + 1..].iter();
        later.map(move |later| i64::from(later > earlier) - i64::from(later < earlier))
    });
    pairs.sum()
}

/// The variance of the score of independent values, which ties lower.
fn variance_of_score(values: &[f64]) -> f64 {
    let term = |n: usize| {
        let n = n as u64;
        n * (n - 1) * (2 * n + 5)
    };
    let sorted = super::arithmetic::sorted(values.iter().copied());
    let ties = sorted.chunk_by(|a, b| a.total_cmp(b).is_eq());
    let tied: u64 = ties.map(|group| term(group.len())).sum();
    (term(values.len()) - tied) as f64 / 18.0
}

/// The factor by which the significant autocorrelations of the ranks change the variance of the score.
fn variance_correction(values: &[f64]) -> f64 {
    let n = values.len();
    let deviations = doubled_rank_deviations(values);
    // Integers are exact, and the quotient of two of them is that of the sums of halves which Python divides.
    let products = |lag: usize| -> i64 {
        let later = deviations[lag..].iter();
        later.zip(&deviations).map(|(a, b)| a * b).sum()
    };
    let squares = products(0) as f64;
    let threshold = 1.96 / (n as f64).sqrt();
    let mut weighted = 0.0;
    for lag in 1..n - 2 {
        let correlation = products(lag) as f64 / squares;
        if correlation.abs() > threshold {
            let weight = (n - lag) * (n - lag - 1) * (n - lag - 2);
            weighted += weight as f64 * correlation;
        }
    }
    let factor = 1.0 + 2.0 / (n * (n - 1) * (n - 2)) as f64 * weighted;
    if factor <= 0.0 { 1.0 } else { factor }
}

/// Twice the distance of each value's rank from the mean rank. Equal values rank in their order.
fn doubled_rank_deviations(values: &[f64]) -> Vec<i64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut deviations = vec![0; values.len()];
    for (doubled, at) in (1 - values.len().cast_signed() as i64..)
        .step_by(2)
        .zip(order)
    {
        deviations[at] = doubled;
    }
    deviations
}

/// The probability of a score at least this far from 0, by the normal approximation with continuity correction.
fn p_value(score: i64, variance: f64) -> f64 {
    let z = (score - score.signum()) as f64 / variance.sqrt();
    2.0 * (1.0 - 0.5 * (1.0 + erf(z.abs() / 2.0_f64.sqrt())))
}

/// The most likely change of level, by Pettitt's test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Pettitt {
    /// The number of values before the change; 0 if there is none.
    pub change_point: usize,
    /// The test's statistic.
    pub k_stat: f64,
    /// Its approximate probability without a change.
    pub pvalue: f64,
    /// The probability is low enough to believe in the change.
    pub significant: bool,
}

/// Pettitt's test (1979): the split with the greatest difference of ranks on both sides.
pub(super) fn pettitt(values: &[f64]) -> Pettitt {
    let n = values.len();
    let (mut change_point, mut greatest, mut doubled_ranks) = (0, 0, 0);
    // Fewer values give a p-value of 1.
    if n >= MIN_VALUES {
        for (t, doubled) in (1..n).zip(doubled_average_ranks(values)) {
            doubled_ranks += doubled;
            let statistic = doubled_ranks.abs_diff(t as u64 * (n as u64 + 1));
            if statistic > greatest {
                (change_point, greatest) = (t, statistic);
            }
        }
    }
    let k = greatest as f64;
    let cubic = (n * n * n + n * n) as f64;
    let pvalue = (2.0 * (-6.0 * k * k / cubic).exp()).min(1.0);
    Pettitt {
        change_point,
        k_stat: k,
        pvalue,
        significant: pvalue < SIGNIFICANCE,
    }
}

/// Twice the rank of each value; equal values share the mean of their ranks.
fn doubled_average_ranks(values: &[f64]) -> Vec<u64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0; values.len()];
    let mut below = 0;
    for group in order.chunk_by(|&a, &b| values[a].total_cmp(&values[b]).is_eq()) {
        for &at in group {
            ranks[at] = (2 * below + group.len() + 1) as u64;
        }
        below += group.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_significant_drift_is_a_trend() {
        let rising: Vec<f64> = (0..10).map(|i| 100.0 + f64::from(i)).collect();
        let falling: Vec<f64> = rising.iter().rev().copied().collect();
        assert_eq!((trend(&rising), trend(&falling)), (Trend::Up, Trend::Down));
        assert!(is_trending(&rising) && is_trending(&falling));
        // As significant, but too small to matter.
        let creeping: Vec<f64> = rising.iter().map(|value| value + 10_000.0).collect();
        assert_eq!(
            (trend(&creeping), is_trending(&creeping)),
            (Trend::Up, false)
        );
    }

    #[test]
    fn few_or_equal_values_have_no_trend() {
        assert_eq!(trend(&[1.0, 2.0, 3.0]), Trend::Insufficient);
        assert_eq!(trend(&[5.0; 8]), Trend::Steady);
        assert_eq!(trend(&[1.0, 3.0, 2.0, 4.0, 1.0]), Trend::Steady);
    }

    #[test]
    fn a_change_of_level_is_found() {
        let mut values = vec![1.0; 12];
        values.extend([2.0; 12]);
        let found = pettitt(&values);
        assert_eq!((found.change_point, found.significant), (12, true));
        assert!((found.k_stat - 144.0).abs() < 1e-9);
        let equal = pettitt(&[1.0; 12]);
        assert_eq!((equal.change_point, equal.significant), (0, false));
        assert_eq!(pettitt(&[1.0, 2.0, 9.0]), pettitt(&[]));
    }
}
