//! Integer arithmetic that rounds once, as Python's does: sums of squares and true division.

use num_bigint::{BigInt, BigUint};
use num_traits::ToPrimitive;

/// An exact sum of squares of `i64`, 192 bits wide: more than 2^64 values of any size fit.
#[derive(Default)]
pub(crate) struct SquareSum {
    low: u128,
    carries: u64,
}

impl SquareSum {
    /// Adds `value` squared.
    pub(crate) fn add(&mut self, value: i64) {
        let magnitude = u128::from(value.unsigned_abs());
        let (low, carried) = self.low.overflowing_add(magnitude * magnitude);
        self.low = low;
        self.carries += u64::from(carried);
    }

    /// The sum as the nearest double, as Python's `float(int)` gives.
    pub(crate) fn to_f64(&self) -> f64 {
        to_f64(&((BigUint::from(self.carries) << 128) + self.low))
    }
}

/// `numerator / denominator` as the nearest double, as Python divides two integers.
pub(crate) fn ratio(numerator: &BigInt, denominator: u64) -> f64 {
    let magnitude = numerator.magnitude();
    let denominator = BigUint::from(denominator);
    // Scaled so that the quotient has more bits than a double; a remainder then only breaks ties.
    let shift = (denominator.bits() + 64).saturating_sub(magnitude.bits());
    let scaled = magnitude << shift;
    let mut quotient = &scaled / &denominator;
    let inexact = &quotient * &denominator != scaled;
    quotient.set_bit(0, inexact || quotient.bit(0));
    let value = to_f64(&quotient) * 0.5_f64.powi(i32::try_from(shift).unwrap_or(i32::MAX));
    if numerator.sign() == num_bigint::Sign::Minus {
        -value
    } else {
        value
    }
}

/// `numerator / denominator` as the nearest double, as Python divides two integers.
pub(crate) fn divide(numerator: i128, denominator: u64) -> f64 {
    const EXACT: u128 = 1 << f64::MANTISSA_DIGITS;
    if numerator.unsigned_abs() <= EXACT && u128::from(denominator) <= EXACT {
        // Both are doubles already, and IEEE 754 division rounds once.
        return numerator as f64 / denominator as f64;
    }
    ratio(&BigInt::from(numerator), denominator)
}

fn to_f64(value: &BigUint) -> f64 {
    value.to_f64().unwrap_or(f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ratios_round_to_nearest_even() {
        let two_53 = 1_i128 << 53;
        for (numerator, denominator, expected) in [
            (0, 7, 0.0),
            (1, 3, 1.0 / 3.0),
            (-1, 3, -1.0 / 3.0),
            (10, 5, 2.0),
            (two_53 + 1, 1, 9_007_199_254_740_992.0),
            (two_53 + 3, 1, 9_007_199_254_740_996.0),
            // Just above the tie: dividing rounded operands would go down.
            ((two_53 + 1) * 1000 + 1, 1000, 9_007_199_254_740_994.0),
            ((two_53 + 1) * 1000, 1000, 9_007_199_254_740_992.0),
            ((two_53 + 1) * 1000 - 1, 1000, 9_007_199_254_740_992.0),
            (
                i128::from(u64::MAX) * 3,
                7,
                7_905_747_460_161_236_406.428_571,
            ),
            (1, u64::MAX, 5.421_010_862_427_522e-20),
        ] {
            let got = ratio(&BigInt::from(numerator), denominator);
            assert_eq!(
                got.to_bits(),
                f64::to_bits(expected),
                "{numerator} / {denominator} = {got}"
            );
        }
    }

    #[test]
    fn square_sums_carry_past_128_bits() {
        let mut sum = SquareSum::default();
        (0..5).for_each(|_| sum.add(i64::MIN));
        assert_eq!(sum.to_f64().to_bits(), (5.0 * 2.0_f64.powi(126)).to_bits());
        assert_eq!(sum.carries, 1);
    }

    proptest! {
        #[test]
        fn a_ratio_of_small_integers_is_their_quotient(a in -(1_i64 << 53)..(1 << 53), b in 1_u64..(1 << 53)) {
            prop_assert_eq!(ratio(&BigInt::from(a), b).to_bits(), (a as f64 / b as f64 + 0.0).to_bits());
        }
    }
}
