//! The functions that CPython passes on to the C library: `math.erf` and `**` of doubles.

use std::hint::black_box;

// SAFETY: C99 declares `double erf(double)`: a pure function that is defined for every double.
unsafe extern "C" {
    /// The error function. `std` has none, and the `libm` crate's differs from the C library's in the last bit.
    pub(super) safe fn erf(x: f64) -> f64;
}

/// `base` to the power of `exponent`, computed by the C library's `pow`.
pub(super) fn pow(base: f64, exponent: f64) -> f64 {
    // The compiler replaces a call whose exponent it knows by a multiplication or a root, which may round otherwise.
    base.powf(black_box(exponent))
}
