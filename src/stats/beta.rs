//! The regularized incomplete beta function, with the rounding of the reference.
//!
//! A value is only compared with a threshold, but near the threshold its last bits decide. Therefore this repeats the
//! reference's evaluation, Python's `lgamma` included, instead of a more accurate one.

/// The reference stops the continued fraction here even if it has not converged.
const MAX_TERMS: u32 = 400;

/// A relative change below this ends the continued fraction.
const EPSILON: f64 = 3e-16;

/// The replacement for a denominator too close to zero.
const TINY: f64 = 1e-300;

/// The regularized incomplete beta function for whole numbers `a` and `b` of at least 1 and `x` between 0 and 1.
///
/// Source: `metrics/early_stopping.py`, `_betai`; the method is that of Numerical Recipes, section 6.4: the
/// continued fraction on whichever side of x = (a + 1) / (a + b + 2) it converges faster.
pub(super) fn regularized_incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    let log_front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln();
    let front = log_front.exp();
    if x < (a + 1.0) / (a + b + 2.0) {
        front * continued_fraction(a, b, x) / a
    } else {
        1.0 - front * continued_fraction(b, a, 1.0 - x) / b
    }
}

/// The continued fraction by the modified Lentz method; each step adds an even and an odd term.
#[expect(clippy::many_single_char_names, reason = "the names of the method")]
fn continued_fraction(a: f64, b: f64, x: f64) -> f64 {
    let (above, below) = (a + 1.0, a - 1.0);
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / above);
    let mut fraction = d;
    for step in 1..MAX_TERMS {
        let m = f64::from(step);
        let m2 = 2.0 * m;

        let even = m * (b - m) * x / ((below + m2) * (a + m2));
        d = 1.0 / away_from_zero(1.0 + even * d);
        c = away_from_zero(1.0 + even / c);
        fraction *= d * c;

        let odd = -(a + m) * (a + b + m) * x / ((a + m2) * (above + m2));
        d = 1.0 / away_from_zero(1.0 + odd * d);
        c = away_from_zero(1.0 + odd / c);
        let change = d * c;
        fraction *= change;
        if (change - 1.0).abs() < EPSILON {
            break;
        }
    }
    fraction
}

fn away_from_zero(value: f64) -> f64 {
    if value.abs() < TINY { TINY } else { value }
}

/// Numerator and denominator coefficients of the Lanczos sum for [`LANCZOS_G`].
///
/// Source: the 13 term approximation that Python's `math.lgamma` evaluates (`Modules/mathmodule.c`).
const LANCZOS: [(f64, f64); 13] = [
    (23_531_376_880.410_76, 0.0),
    (42_919_803_642.649_1, 39_916_800.0),
    (35_711_959_237.355_67, 120_543_840.0),
    (17_921_034_426.037_21, 150_917_976.0),
    (6_039_542_586.352_028, 105_258_076.0),
    (1_439_720_407.311_721_6, 45_995_730.0),
    (248_874_557.862_054_17, 13_339_535.0),
    (31_426_415.585_400_194, 2_637_558.0),
    (2_876_370.628_935_372_5, 357_423.0),
    (186_056.265_395_223_48, 32_670.0),
    (8_071.672_002_365_816, 1_925.0),
    (210.824_277_751_579_36, 66.0),
    (2.506_628_274_631_000_2, 1.0),
];

/// The shift of the Lanczos approximation.
const LANCZOS_G: f64 = 6.024_680_040_776_73;

/// The logarithm of the gamma function at a whole number of at least 1, bit for bit Python's `math.lgamma`.
///
/// `libm::lgamma` is as accurate, but often differs in the last bit.
fn ln_gamma(x: f64) -> f64 {
    if x <= 2.0 {
        return 0.0;
    }
    lanczos_sum(x).ln() - LANCZOS_G + (x - 0.5) * ((x + LANCZOS_G - 0.5).ln() - 1.0)
}

fn lanczos_sum(x: f64) -> f64 {
    let (mut numerator, mut denominator) = (0.0, 0.0);
    if x < 5.0 {
        for (n, d) in LANCZOS.into_iter().rev() {
            numerator = numerator * x + n;
            denominator = denominator * x + d;
        }
    } else {
        for (n, d) in LANCZOS {
            numerator = numerator / x + n;
            denominator = denominator / x + d;
        }
    }
    numerator / denominator
}
