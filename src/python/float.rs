//! Floats as Python and msgspec write them; reports and chat templates both need the exact digits.
//!
//! If two shortest forms are equally near, Python, msgspec and `zmij` take the one with the even digit, and the standard
//! library takes the greater one. So the digits come from `zmij`.

/// A finite float as msgspec 0.20 encodes it: `1e16`, `1e-6`, `0.00001`, `1.0`.
pub(crate) fn msgspec(value: f64) -> String {
    zmij::Buffer::new().format_finite(value).replace("e+", "e")
}

/// `repr(value)`: the shortest digits that read back the same, as `1e+16`, `1e-06`, `1e-05`, `1.0`, `inf`, `nan`.
pub(crate) fn repr(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string().to_lowercase();
    }
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value);
    if let Some((mantissa, exponent)) = text.split_once("e-") {
        return format!("{mantissa}e-{exponent:0>2}");
    }
    let (sign, magnitude) = text
        .strip_prefix('-')
        .map_or(("", text), |magnitude| ("-", magnitude));
    match magnitude
        .strip_prefix("0.0000")
        .and_then(|digits| digits.split_at_checked(1))
    {
        None => text.to_owned(),
        Some((first, "")) => format!("{sign}{first}e-05"),
        Some((first, rest)) => format!("{sign}{first}.{rest}e-05"),
    }
}

/// `format(value, ".{digits}g")` with so many significant digits and without trailing zeros.
pub(crate) fn general(value: f64, digits: usize) -> String {
    let scientific = exponential(value, digits - 1);
    let (mantissa, power) = scientific.split_once('e').unwrap_or((&scientific, "+00"));
    let exponent: i64 = power.parse().unwrap_or(0);
    let decimals = i64::try_from(digits).unwrap_or(i64::MAX) - 1 - exponent;
    match usize::try_from(decimals) {
        Ok(decimals) if exponent >= -4 => {
            without_trailing_zeros(&format!("{value:.decimals$}")).to_owned()
        }
        _ => format!("{}e{power}", without_trailing_zeros(mantissa)),
    }
}

/// `format(value, ".{decimals}e")`: an exponent has a sign and at least two digits.
pub(super) fn exponential(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{exponent:0>2}")
}

/// `number` without the zeros at the end of its decimals.
pub(super) fn without_trailing_zeros(number: &str) -> &str {
    if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    }
}

#[cfg(test)]
mod tests {
    #[test]
    #[allow(clippy::excessive_precision, reason = "the tie is the point")]
    fn doubles_have_their_shortest_digits() {
        // `msgspec.json.encode` of msgspec 0.20.0 and `repr` of CPython 3.11.
        let check = |value: f64, msgspec: &str, python: &str| {
            assert_eq!(super::msgspec(value), msgspec);
            assert_eq!(super::repr(value), python);
        };
        check(1.0, "1.0", "1.0");
        check(-0.0, "-0.0", "-0.0");
        check(0.1, "0.1", "0.1");
        check(12_345_678.9, "12345678.9", "12345678.9");
        check(1e15, "1000000000000000.0", "1000000000000000.0");
        check(1e16, "1e16", "1e+16");
        check(0.0001, "0.0001", "0.0001");
        check(0.00001, "0.00001", "1e-05");
        check(-0.000_012, "-0.000012", "-1.2e-05");
        check(1e-6, "1e-6", "1e-06");
        check(1.5e-10, "1.5e-10", "1.5e-10");
        check(5e-324, "5e-324", "5e-324");
        check(
            123_456_789_012_345_680.0,
            "1.2345678901234568e17",
            "1.2345678901234568e+17",
        );
        check(
            695_016_956_888_033.25,
            "695016956888033.2",
            "695016956888033.2",
        );
    }

    #[test]
    fn general_format_keeps_significant_digits() {
        for (value, digits, expected) in [
            (0.0, 4, "0"),
            (1.0, 4, "1"),
            (0.83, 4, "0.83"),
            (83.127_4, 4, "83.13"),
            (9999.5, 4, "1e+04"),
            (9999.4, 4, "9999"),
            (12_345.0, 4, "1.234e+04"),
            (0.000_123_456, 4, "0.0001235"),
            (0.000_012_345_6, 4, "1.235e-05"),
            (-2.5, 3, "-2.5"),
            (100.0, 3, "100"),
            (0.001, 3, "0.001"),
        ] {
            assert_eq!(super::general(value, digits), expected, "{value}");
        }
    }
}
