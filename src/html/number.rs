//! Formats numbers for reading: a unit that suits the magnitude, digits in groups of three, `−` for minus.

/// The text in place of a number that is missing or not finite.
pub(super) const MISSING: &str = "–";

/// From this magnitude on numbers are written with an exponent.
const MIN_EXPONENT_VALUE: f64 = 1e15;

/// A unit in which values are shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Unit {
    pub name: &'static str,
    /// One of this unit, in the unit of the values: nanoseconds, tokens or 1.
    pub size: f64,
}

impl Unit {
    pub const TOKENS: Self = Self::new("tokens", 1.0);
    pub const PERCENT: Self = Self::new("%", 0.01);

    const fn new(name: &'static str, size: f64) -> Self {
        Self { name, size }
    }

    /// Returns the unit for durations of about `ns`.
    pub fn of_duration(ns: f64) -> Self {
        match ns.abs() {
            ns if ns >= 1e9 => Self::new("s", 1e9),
            ns if ns >= 1e6 => Self::new("ms", 1e6),
            ns if ns >= 1e3 => Self::new("µs", 1e3),
            0.0 => Self::new("ms", 1e6),
            _ => Self::new("ns", 1.0),
        }
    }

    /// Returns the unit for points in time of a run that lasts `ns`.
    pub fn of_run(ns: f64) -> Self {
        match ns {
            ns if ns >= 3.0 * 3600e9 => Self::new("h", 3600e9),
            ns if ns >= 5.0 * 60e9 => Self::new("min", 60e9),
            ns => Self::of_duration(ns),
        }
    }

    /// Converts `value` to this unit.
    pub fn scale(self, value: f64) -> f64 {
        value / self.size
    }

    /// Returns the decimals of values in this unit.
    pub fn decimals(self) -> usize {
        match self.name {
            "ns" | "tokens" => 0,
            "s" => 3,
            _ => 2,
        }
    }
}

/// Formats with a fixed number of decimals: `12,345.68`.
pub(super) fn fixed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return MISSING.to_owned();
    }
    if value.abs() >= MIN_EXPONENT_VALUE {
        return format!("{value:.3e}");
    }
    let digits = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    // A negative value that rounds to zero has no sign.
    let is_zero = digits.bytes().all(|b| matches!(b, b'0' | b'.'));
    let mut text = String::from(if value < 0.0 && !is_zero { "−" } else { "" });
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + fraction
}

/// Formats with about four significant digits.
pub(super) fn short(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 1000.0 || size == 0.0 => 0,
        size if size >= 100.0 => 1,
        size if size >= 0.1 => 2,
        _ => 4,
    };
    fixed(value, decimals)
}

/// Formats a whole number: `1,234,567`.
pub(crate) fn count(value: u64) -> String {
    fixed(value as f64, 0)
}

/// Formats an axis label, which has little room: from 10,000 on with an SI prefix and the decimals that it needs,
/// below with `decimals`.
pub(super) fn with_si_prefix(value: f64, decimals: usize) -> String {
    const PREFIXES: [(f64, &str); 5] =
        [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let prefix = PREFIXES
        .into_iter()
        .find(|(size, _)| value.abs() >= size.max(1e4));
    let Some((size, letter)) = prefix else {
        return fixed(value, decimals);
    };
    let scaled = value / size;
    let is_whole = |power: f64| (scaled * power - (scaled * power).round()).abs() < 1e-6;
    fixed(scaled, min_decimals(is_whole).unwrap_or(3).min(3)) + letter
}

/// Returns the least number of decimals, at most 8, whose power of ten satisfies `suffices`.
pub(super) fn min_decimals(suffices: impl Fn(f64) -> bool) -> Option<usize> {
    let mut powers = std::iter::successors(Some(1.0), |power| Some(power * 10.0)).take(9);
    powers.position(suffices)
}

/// Formats the relative change from `before` to `after`: `+3.10 %`. Equal values and a `before` of 0 have none.
pub(super) fn change(before: f64, after: f64) -> Option<String> {
    let percent = (after - before) / before.abs() * 100.0;
    if percent == 0.0 || !percent.is_finite() {
        return None;
    }
    let sign = if percent > 0.0 { "+" } else { "−" };
    let text = match percent.abs() {
        size if size >= 100.0 => fixed(size, 0),
        size if size >= 10.0 => fixed(size, 1),
        size if size < 0.005 => "<0.01".to_owned(),
        size => fixed(size, 2),
    };
    Some(format!("{sign}{text} %"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_groups_digits() {
        let check = |value, decimals, expected| assert_eq!(fixed(value, decimals), expected);
        check(0.0, 0, "0");
        check(999.0, 0, "999");
        check(1000.0, 0, "1,000");
        check(1_234_567.891, 2, "1,234,567.89");
        check(-1234.5, 1, "−1,234.5");
        check(-0.0001, 2, "0.00");
        check(f64::NAN, 2, "–");
        check(f64::NEG_INFINITY, 2, "–");
        check(1e300, 2, "1.000e300");
    }

    #[test]
    fn short_keeps_the_significant_digits() {
        let check = |value, expected| assert_eq!(short(value), expected);
        check(0.0, "0");
        check(0.012_34, "0.0123");
        check(0.5, "0.50");
        check(24.126, "24.13");
        check(123.45, "123.5");
        check(11_927.8, "11,928");
        check(-5.0, "−5.00");
    }

    #[test]
    fn axis_labels_have_si_prefixes() {
        let check =
            |value, decimals, expected| assert_eq!(with_si_prefix(value, decimals), expected);
        check(0.0, 1, "0.0");
        check(5000.0, 0, "5,000");
        check(10_000.0, 0, "10k");
        check(12_500.0, 0, "12.5k");
        check(-1.25e6, 0, "−1.25M");
        check(1e6 / 0.7, 0, "1.429M");
        check(1e18, 0, "1,000P");
    }

    #[test]
    fn changes_are_relative() {
        let check = |before, after, expected: Option<&str>| {
            assert_eq!(
                change(before, after).as_deref(),
                expected,
                "{before} {after}"
            );
        };
        check(1.0, 1.0, None);
        check(0.0, 1.0, None);
        check(f64::NAN, 1.0, None);
        check(100.0, 103.1, Some("+3.10 %"));
        check(100.0, 50.0, Some("−50.0 %"));
        check(-2.0, -1.0, Some("+50.0 %"));
        check(1.0, 12.5, Some("+1,150 %"));
        check(1.0, 1.000_000_1, Some("+<0.01 %"));
        check(1.0, 0.999_999_9, Some("−<0.01 %"));
    }

    #[test]
    fn units_suit_the_magnitude() {
        let check = |ns, name, run| {
            assert_eq!(
                (Unit::of_duration(ns).name, Unit::of_run(ns).name),
                (name, run),
                "{ns}"
            );
        };
        check(0.0, "ms", "ms");
        check(12.0, "ns", "ns");
        check(1.2e4, "µs", "µs");
        check(2.4e7, "ms", "ms");
        check(9e9, "s", "s");
        check(4e11, "s", "min");
        check(2e13, "s", "h");
    }
}
