//! Sums, means, deviations and order statistics, as CPython 3.12 computes them.

use num_bigint::{BigInt, BigUint};
use num_traits::ToPrimitive;
use num_traits::float::FloatCore;

/// The sum of `values`, as Python's `sum` gives it from 3.12 on: Neumaier's compensated summation.
pub(super) fn sum(values: impl IntoIterator<Item = f64>) -> f64 {
    let (mut total, mut lost) = (0.0_f64, 0.0);
    for value in values {
        let next = total + value;
        lost += if total.abs() >= value.abs() {
            (total - next) + value
        } else {
            (value - next) + total
        };
        total = next;
    }
    if lost.is_finite() {
        total + lost
    } else {
        total
    }
}

/// The arithmetic mean of `values`, of which there is at least one.
pub(super) fn mean(values: &[f64]) -> f64 {
    sum(values.iter().copied()) / values.len() as f64
}

/// The coefficient of variation: population standard deviation / |mean|; 0 of less than two values or a mean of 0.
pub(super) fn coefficient_of_variation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let mean = mean(values);
    if mean == 0.0 {
        return 0.0;
    }
    population_std_dev(values) / mean.abs()
}

/// Python's `statistics.pstdev` of finite `values`: the square root of the exact variance, rounded once.
pub(super) fn population_std_dev(values: &[f64]) -> f64 {
    let decoded = || {
        values.iter().filter(|value| **value != 0.0).map(|value| {
            let (mantissa, exponent, sign) = value.integer_decode();
            let zeros = mantissa.trailing_zeros();
            (
                BigInt::from(mantissa >> zeros) * sign,
                i64::from(exponent) + i64::from(zeros),
            )
        })
    };
    // Every value is an integer times this power of two, so the sums below are exact.
    let Some(unit) = decoded().map(|(_, exponent)| exponent).min() else {
        return 0.0;
    };
    let (mut total, mut sum_sq) = (BigInt::ZERO, BigInt::ZERO);
    for (mantissa, exponent) in decoded() {
        let value = mantissa << (exponent - unit);
        sum_sq += value.pow(2);
        total += value;
    }
    let n = values.len() as u64;
    // The variance times n².
    let spread: BigInt = sum_sq * n - total.pow(2);
    sqrt_of_ratio(spread.magnitude(), &BigUint::from(n).pow(2), unit)
}

/// The square root of `numerator / denominator`, times two to the power of `exponent`, rounded once.
fn sqrt_of_ratio(numerator: &BigUint, denominator: &BigUint, exponent: i64) -> f64 {
    // Scaled so that the root has more bits than a double; what it lacks then only breaks ties.
    let shift = (denominator.bits() + 128).saturating_sub(numerator.bits()) / 2;
    let scaled = numerator << (2 * shift);
    let mut root = (&scaled / denominator).sqrt();
    let inexact = root.pow(2) * denominator != scaled;
    root.set_bit(0, inexact || root.bit(0));
    let exponent = i32::try_from(exponent - shift.cast_signed()).unwrap_or(i32::MIN);
    root.to_f64().unwrap_or(f64::INFINITY) * 2.0_f64.powi(exponent)
}

/// Percentile `p` (0 to 1) of `sorted`, which is not empty: a recorded value, the lower of two.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and the length"
)]
pub(super) fn percentile(sorted: &[f64], p: f64) -> f64 {
    sorted[(p * (sorted.len() - 1) as f64) as usize]
}

/// The median of `values`, of which there is at least one: the mean of the two in the middle if their number is even.
pub(super) fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values.iter().copied());
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    }
}

/// The median as a divisor: a tiny number stands for 0.
pub(super) fn nonzero_median(values: &[f64]) -> f64 {
    let median = median(values);
    if median == 0.0 { 1e-9 } else { median }
}

/// All of `values`, sorted.
pub(super) fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// Half the width of the 95 % confidence interval around the mean of `batches`, of which there are at least two.
pub(super) fn confidence_half_width(batches: &[f64]) -> f64 {
    let mean = mean(batches);
    let degrees = batches.len() - 1;
    let squares = sum(batches.iter().map(|batch| (batch - mean) * (batch - mean)));
    let deviation = (squares / degrees as f64).sqrt();
    student_t(degrees) * (deviation / (batches.len() as f64).sqrt())
}

/// The two-sided 95 % quantile of Student's t distribution.
fn student_t(degrees: usize) -> f64 {
    const QUANTILES: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
        2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
        2.052, 2.048, 2.045, 2.042,
    ];
    QUANTILES.get(degrees - 1).copied().unwrap_or(1.96)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_deviations_equal_python_bit_for_bit() {
        for line in include_str!("../../../fixtures/stats/sums.jsonl").lines() {
            let (values, total, deviation, middle): (Vec<f64>, f64, f64, f64) =
                serde_json::from_str(line).unwrap();
            let got = [
                sum(values.iter().copied()),
                population_std_dev(&values),
                median(&values),
            ];
            let expected = [total, deviation, middle];
            assert_eq!(got.map(f64::to_bits), expected.map(f64::to_bits), "{line}");
        }
    }

    #[test]
    fn few_values_do_not_vary() {
        for values in [&[][..], &[3.0], &[-2.0, 2.0], &[7.0, 7.0]] {
            assert_eq!(coefficient_of_variation(values).to_bits(), 0, "{values:?}");
        }
    }
}
