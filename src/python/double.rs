//! Doubles as Python and msgspec write them; reports and chat templates both need the exact digits.
//!
//! Of two shortest forms that are equally near, Python, msgspec and `zmij` take the one with the
//! even digit, and the standard library the greater one; so digits come from `zmij`.

/// A finite double as msgspec 0.20 encodes it: `1e16`, `1e-6`, `0.00001`, `1.0`.
pub fn msgspec(value: f64) -> String {
    zmij::Buffer::new().format_finite(value).replace("e+", "e")
}

/// `repr(value)` of a finite double: `1e+16`, `1e-06`, `1e-05`, `1.0`.
pub fn python(value: f64) -> String {
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

#[cfg(test)]
mod tests {
    #[test]
    #[allow(clippy::excessive_precision, reason = "the tie is the point")]
    fn doubles_have_their_shortest_digits() {
        // `msgspec.json.encode` of msgspec 0.20.0 and `repr` of CPython 3.11.
        let check = |value: f64, msgspec: &str, python: &str| {
            assert_eq!(super::msgspec(value), msgspec);
            assert_eq!(super::python(value), python);
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
}
