//! Numbers as people read them: a unit that suits the size, digits in groups of three.

/// A unit, and how much of what is measured makes one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Unit {
    pub name: &'static str,
    pub per: f64,
}

impl Unit {
    pub const TOKENS: Self = Self::new("tokens", 1.0);
    pub const PERCENT: Self = Self::new("%", 0.01);

    const fn new(name: &'static str, per: f64) -> Self {
        Self { name, per }
    }

    /// For times of about `ns`.
    pub fn of_time(ns: f64) -> Self {
        match ns.abs() {
            ns if ns >= 1e9 => Self::new("s", 1e9),
            ns if ns >= 1e6 => Self::new("ms", 1e6),
            ns if ns >= 1e3 => Self::new("µs", 1e3),
            0.0 => Self::new("ms", 1e6),
            _ => Self::new("ns", 1.0),
        }
    }

    /// For the time of a run that lasts `ns`.
    pub fn of_run(ns: f64) -> Self {
        match ns {
            ns if ns >= 3.0 * 3600e9 => Self::new("h", 3600e9),
            ns if ns >= 5.0 * 60e9 => Self::new("min", 60e9),
            ns => Self::of_time(ns),
        }
    }

    pub fn scale(self, value: f64) -> f64 {
        value / self.per
    }
}

/// What stands where there is no number.
pub(super) const NONE: &str = "–";

/// `value` with so many decimals, such as `12,345.68`.
pub(super) fn fixed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    if value.abs() >= 1e15 {
        return format!("{value:.3e}");
    }
    let plain = format!("{value:.decimals$}");
    let unsigned = plain.trim_start_matches('-');
    let zero = unsigned.bytes().all(|b| matches!(b, b'0' | b'.'));
    let minus = if plain.len() > unsigned.len() && !zero {
        "−"
    } else {
        ""
    };
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((whole, fraction)) => (whole, format!(".{fraction}")),
        None => (unsigned, String::new()),
    };
    let mut grouped = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{minus}{grouped}{fraction}")
}

/// `value` with about four digits that say something.
pub(super) fn short(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 1000.0 || size == 0.0 => 0,
        size if size >= 100.0 => 1,
        size if size >= 0.1 => 2,
        _ => 4,
    };
    fixed(value, decimals)
}

/// A whole number in groups of three digits.
pub fn count(value: u64) -> String {
    fixed(value as f64, 0)
}

/// By how much `after` is more than `before`, as a share of it: `+3.1 %`.
pub(super) fn change(before: f64, after: f64) -> Option<String> {
    let percent = (after - before) / before.abs() * 100.0;
    if percent == 0.0 || !percent.is_finite() {
        return None;
    }
    let decimals = match percent.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    let text = fixed(percent, decimals);
    let sign = if percent > 0.0 { "+" } else { "" };
    Some(if fixed(percent.abs(), decimals) == "0.00" {
        "<0.01 %".replace('<', if percent > 0.0 { "+<" } else { "−<" })
    } else {
        format!("{sign}{text} %")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
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
    fn short_numbers_keep_what_matters() {
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
    fn changes_are_shares_of_what_was() {
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
    fn units_suit_the_size() {
        let check = |ns, name, run| {
            assert_eq!(
                (Unit::of_time(ns).name, Unit::of_run(ns).name),
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
