//! Formats numbers for people. Text output, checks, the live table and the page share these functions.
//!
//! | value | function | text |
//! |---|---|---|
//! | a count | `count(12_345)` | `12,345` |
//! | a number with given decimals | `fixed(12_345.678, 2)` | `12,345.68` |
//! | a number with about three digits | `digits(12.34, 3)` | `12.3` |
//! | a time in ns | `time(12_340_000.0, 3)` | `12.3 ms` |
//! | several times in one unit | `DisplayUnit::of_time(largest).scale(ns)` | `12.34` |
//! | a relative change | `change(0.031)` | `+3.10 %` |
//! | a relative change where every difference counts | `exact_change(1.4e-16)` | `+1.4e-14 %` |
//! | a number in a narrow column | `compact(12_345_678.0, 3)` | `12.3 M` |
//! | a run's clock | `clock(3_723_000_000_000)` | `1:02:03` |
//! | bytes | `megabytes(12_345_678)` | `12.3 MB` |
//!
//! Every function but `exact_change` groups thousands with commas, shows a negative number that rounds to zero as zero,
//! and returns [`MISSING`] for a number that is not finite. All write the ASCII minus; the page replaces it with the sign.

/// The text in place of a number that is not known.
pub(crate) const MISSING: &str = "–";

/// Numbers from here on are written with an exponent.
const MAX_FIXED: f64 = 1e15;

/// Prefixes of [`compact`], each a thousand times the one before it.
const PREFIXES: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];

/// A unit that values are shown in, and its size in the unit that they are stored in: ns, tokens or 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct DisplayUnit {
    pub name: &'static str,
    pub size: f64,
}

impl DisplayUnit {
    pub const TOKENS: Self = Self::new("tokens", 1.0);
    pub const PERCENT: Self = Self::new("%", 0.01);

    const fn new(name: &'static str, size: f64) -> Self {
        Self { name, size }
    }

    /// Returns the unit for a time of about `ns`; zero is shown in ms.
    ///
    /// A value just below the next unit gets that unit: 999.6 µs are `1.00 ms`, not `1,000 µs`.
    pub fn of_time(ns: f64) -> Self {
        match ns.abs() {
            0.0 => Self::new("ms", 1e6),
            size if size < 999.5 => Self::new("ns", 1.0),
            size if size < 999.5e3 => Self::new("µs", 1e3),
            size if size < 999.5e6 => Self::new("ms", 1e6),
            _ => Self::new("s", 1e9),
        }
    }

    /// Returns the unit for points in time of a run that lasts `ns`.
    pub fn of_run(ns: f64) -> Self {
        match ns {
            ns if ns >= 3.0 * 3600e9 => Self::new("h", 3600e9),
            ns if ns >= 5.0 * 60e9 => Self::new("min", 60e9),
            ns => Self::of_time(ns),
        }
    }

    /// Converts a stored value to this unit.
    pub fn scale(self, value: f64) -> f64 {
        value / self.size
    }

    /// Returns the decimals of values in this unit, for [`fixed`].
    pub fn decimals(self) -> usize {
        match self.name {
            "ns" | "tokens" => 0,
            "s" => 3,
            _ => 2,
        }
    }
}

/// Formats a count: `12,345`.
pub(crate) fn count(value: u64) -> String {
    group(&value.to_string())
}

/// Formats a number with exactly `decimals` decimals: `12,345.68`, `-0.50`, `1.00e15`.
pub(crate) fn fixed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return MISSING.to_owned();
    }
    if value.abs() >= MAX_FIXED {
        return format!("{value:.2e}");
    }
    let text = format!("{:.decimals$}", value.abs());
    let is_zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    let sign = if value < 0.0 && !is_zero { "-" } else { "" };
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    format!("{sign}{}{fraction}", group(whole))
}

/// Formats a number with at most `digits` digits, but never drops a digit before the point. With three digits:
/// `0.12`, `1.23`, `12.3`, `123`, `12,345`.
pub(crate) fn digits(value: f64, digits: usize) -> String {
    fixed(value, decimals(value, digits))
}

/// Returns the decimals with which `value` has at most `digits` digits.
pub(crate) fn decimals(value: f64, digits: usize) -> usize {
    let fits = |decimals: &usize| {
        let text = format!("{:.decimals$}", value.abs());
        text.len() - usize::from(*decimals > 0) <= digits
    };
    (1..digits).rev().find(fits).unwrap_or(0)
}

/// Formats a number of `value` ns with the unit that fits: `123 ns`, `1.23 ms`, `12.3 s`.
pub(crate) fn time(ns: f64, digits: usize) -> String {
    let unit = DisplayUnit::of_time(ns);
    format!("{} {}", self::digits(unit.scale(ns), digits), unit.name)
}

/// Formats a relative change, 0.031 as `+3.10 %`. A change that rounds to zero is `+<0.01 %`, and zero is `0 %`.
pub(crate) fn change(share: f64) -> String {
    let percent = share * 100.0;
    let sign = match percent {
        0.0 => return "0 %".to_owned(),
        _ if !percent.is_finite() => return MISSING.to_owned(),
        _ if percent < 0.0 => "-",
        _ => "+",
    };
    let size = percent.abs();
    if size < 0.005 {
        return format!("{sign}<0.01 %");
    }
    format!("{sign}{} %", digits(size, 3))
}

/// Formats a relative change with two decimals, and one that would be zero with an exponent: `-2.00 %`, `+1.4e-14 %`.
pub(crate) fn exact_change(share: f64) -> String {
    let percent = share * 100.0;
    if percent.abs() < 0.005 {
        format!("{percent:+.1e} %")
    } else {
        format!("{percent:+.2} %")
    }
}

/// Formats a number with a prefix instead of its last digits: `12.3 M`, `999 k`; below 999.5 without a prefix.
pub(crate) fn compact(value: f64, digits: usize) -> String {
    let mut scaled = value;
    let mut prefix = 0;
    while scaled.abs() >= 999.5 && prefix + 1 < PREFIXES.len() {
        scaled /= 1000.0;
        prefix += 1;
    }
    format!("{} {}", self::digits(scaled, digits), PREFIXES[prefix])
        .trim_end()
        .to_owned()
}

/// Formats a time of ns as hours, minutes and seconds: `1:02:03`.
pub(crate) fn clock(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours}:{minutes:02}:{:02}", seconds % 60)
}

/// Formats bytes as megabytes: `0.1 MB`, `12.3 MB`, `12,346 MB`.
pub(crate) fn megabytes(bytes: u64) -> String {
    let megabytes = bytes as f64 / 1e6;
    let decimals = usize::from(megabytes < 99.95);
    format!("{} MB", fixed(megabytes, decimals))
}

/// Puts a comma between groups of three digits.
fn group(digits: &str) -> String {
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped() {
        let check = |value, expected: &str| assert_eq!(count(value), expected);
        check(0, "0");
        check(999, "999");
        check(1000, "1,000");
        check(12_345, "12,345");
        check(1_000_000, "1,000,000");
        check(u64::MAX, "18,446,744,073,709,551,615");
    }

    #[test]
    fn fixed_numbers_are_grouped_and_zero_is_not_negative() {
        let check = |value, decimals, expected| assert_eq!(fixed(value, decimals), expected);
        check(0.0, 0, "0");
        check(999.0, 0, "999");
        check(1_234_567.891, 2, "1,234,567.89");
        check(-1234.5, 1, "-1,234.5");
        check(-0.0001, 2, "0.00");
        check(-0.005_01, 2, "-0.01");
        check(-0.4, 0, "0");
        check(999_999_999_999_999.0, 0, "999,999,999,999,999");
        check(1e15, 2, "1.00e15");
        check(-1e300, 0, "-1.00e300");
        check(f64::NAN, 2, MISSING);
        check(f64::NEG_INFINITY, 2, MISSING);
    }

    #[test]
    fn digits_fit_the_value() {
        let check = |value, expected: &str| assert_eq!(digits(value, 3), expected, "{value}");
        check(0.0, "0.00");
        check(0.123, "0.12");
        check(9.994, "9.99");
        check(9.996, "10.0");
        check(99.94, "99.9");
        check(99.96, "100");
        check(12_345.6, "12,346");
        check(-1.5, "-1.50");
        check(-1234.6, "-1,235");
        check(-0.2, "-0.20");
        check(-0.001, "0.00");
        check(1e300, "1.00e300");
        check(f64::NAN, MISSING);
        assert_eq!(digits(11_927.813, 6), "11,927.8");
        assert_eq!(digits(27.127_443_627, 6), "27.1274");
        assert_eq!(digits(24.126, 4), "24.13");
        assert_eq!(digits(1234.5678, 1), "1,235");
    }

    #[test]
    fn times_have_a_unit_that_fits() {
        let check = |ns, expected: &str| assert_eq!(time(ns, 3), expected, "{ns}");
        check(0.0, "0.00 ms");
        check(1.0, "1.00 ns");
        check(999.6, "1.00 µs");
        check(1234.0, "1.23 µs");
        check(999_400.0, "999 µs");
        check(999_600.0, "1.00 ms");
        check(123_456_789.0, "123 ms");
        check(999.4e6, "999 ms");
        check(999.6e6, "1.00 s");
        check(3_599.4e9, "3,599 s");
        check(-12.3e6, "-12.3 ms");
    }

    #[test]
    fn changes_have_a_sign() {
        let check = |share, expected: &str| assert_eq!(change(share), expected, "{share}");
        check(0.0, "0 %");
        check(0.031, "+3.10 %");
        check(-0.5, "-50.0 %");
        check(11.5, "+1,150 %");
        check(1e-7, "+<0.01 %");
        check(-1e-7, "-<0.01 %");
        check(f64::NAN, MISSING);
    }

    #[test]
    fn exact_changes_are_never_zero() {
        let check = |share, expected: &str| assert_eq!(exact_change(share), expected, "{share}");
        check(0.031, "+3.10 %");
        check(-0.02, "-2.00 %");
        check(9.712_4, "+971.24 %");
        check(1.4e-16, "+1.4e-14 %");
        check(-4e-5, "-4.0e-3 %");
    }

    #[test]
    fn units_suit_the_magnitude() {
        let check = |ns, time, run| {
            let names = (DisplayUnit::of_time(ns).name, DisplayUnit::of_run(ns).name);
            assert_eq!(names, (time, run), "{ns}");
        };
        check(0.0, "ms", "ms");
        check(12.0, "ns", "ns");
        check(1.2e4, "µs", "µs");
        check(2.4e7, "ms", "ms");
        check(9e9, "s", "s");
        check(4e11, "s", "min");
        check(2e13, "s", "h");
    }

    #[test]
    fn compact_numbers_have_a_prefix() {
        let check = |value: f64, expected: &str| assert_eq!(compact(value, 3), expected);
        check(12.0, "12.0");
        check(999.4, "999");
        check(12_345_678.0, "12.3 M");
        check(999_499_999.0, "999 M");
        check(999_500_000.0, "1.00 G");
        check(u64::MAX as f64, "18.4 E");
    }

    #[test]
    fn clocks_and_bytes() {
        let check = |ns, expected: &str| assert_eq!(clock(ns), expected);
        check(0, "0:00:00");
        check(59_999_999_999, "0:00:59");
        check(3_723_000_000_000, "1:02:03");
        check(360_000_000_000_000, "100:00:00");
        let check = |bytes, expected: &str| assert_eq!(megabytes(bytes), expected);
        check(0, "0.0 MB");
        check(50_000, "0.1 MB");
        check(12_345_678, "12.3 MB");
        check(12_345_678_901, "12,346 MB");
    }
}
