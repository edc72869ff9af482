//! Numbers as people read them: thousands in groups, times with 3 digits and a unit that fits.

/// Steps of a thousand, for what is too long otherwise.
const LARGE: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];

/// `12,345`.
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `0.12`, `1.23`, `12.3`, `123`, `12,345`.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        size if size < 9.995 => format!("{value:.2}"),
        size if size < 99.95 => format!("{value:.1}"),
        _ => rounded(value),
    }
}

/// `12,345`.
pub(super) fn rounded(value: f64) -> String {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what is beyond 64 bits is shown as the last of them"
    )]
    let digits = count(value.abs().round() as u64);
    if value <= -0.5 {
        format!("-{digits}")
    } else {
        digits
    }
}

/// `12.3 M`: what would be longer than `most`, shorter.
pub(super) fn within(most: usize, full: String, value: f64) -> String {
    if full.chars().count() <= most {
        return full;
    }
    let mut size = value;
    let mut unit = 0;
    while size.abs() >= 999.5 && unit + 1 < LARGE.len() {
        size /= 1000.0;
        unit += 1;
    }
    format!("{} {}", number(size), LARGE[unit])
}

/// Nanoseconds: `123 µs`, `1.23 ms`, `12.3 s `. Units are two columns wide, so numbers below each other are aligned.
pub(super) fn time(ns: f64) -> String {
    let (value, unit) = match ns.abs() {
        size if size < 999.5e3 => (ns / 1e3, "µs"),
        size if size < 999.5e6 => (ns / 1e6, "ms"),
        _ => (ns / 1e9, "s "),
    };
    let full = number(value);
    format!("{} {unit}", within("99,999".len(), full, value))
}

/// `1:02:03`.
pub(super) fn clock(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours}:{minutes:02}:{:02}", seconds % 60)
}

/// Bytes as `12.3 MB`, if there is anything of it to see.
pub(super) fn megabytes(bytes: u64) -> Option<String> {
    let mb = bytes as f64 / 1e6;
    (mb >= 0.05).then(|| {
        format!(
            "{} MB",
            if mb < 99.95 {
                format!("{mb:.1}")
            } else {
                rounded(mb)
            }
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_in_groups() {
        let check = |value, expected: &str| assert_eq!(count(value), expected);
        check(0, "0");
        check(999, "999");
        check(1000, "1,000");
        check(12_345, "12,345");
        check(1_000_000, "1,000,000");
        check(u64::MAX, "18,446,744,073,709,551,615");
    }

    #[test]
    fn numbers_have_three_digits_or_all_before_the_point() {
        let check = |value, expected: &str| assert_eq!(number(value), expected, "{value}");
        check(0.0, "0.00");
        check(9.994, "9.99");
        check(9.996, "10.0");
        check(99.94, "99.9");
        check(99.96, "100");
        check(12_345.6, "12,346");
        check(-1.5, "-1.50");
        check(-1234.5, "-1,235");
        check(-0.2, "-0.20");
        check(1e300, "18,446,744,073,709,551,615");
        assert_eq!(rounded(-0.4), "0");
    }

    #[test]
    fn long_numbers_become_short() {
        let check = |most, value: u64, expected: &str| {
            assert_eq!(within(most, count(value), value as f64), expected);
        };
        check(9, 9_999_999, "9,999,999");
        check(9, 12_345_678, "12.3 M");
        check(9, 999_499_999, "999 M");
        check(9, 999_500_000, "1.00 G");
        check(9, u64::MAX, "18.4 E");
        check(1, 12, "12.0 ");
    }

    #[test]
    fn times_have_a_unit_that_fits() {
        let check = |ns, expected: &str| assert_eq!(time(ns), expected, "{ns}");
        check(0.0, "0.00 µs");
        check(1.0, "0.00 µs");
        check(1234.0, "1.23 µs");
        check(999_400.0, "999 µs");
        check(999_600.0, "1.00 ms");
        check(123_456_789.0, "123 ms");
        check(999.4e6, "999 ms");
        check(999.6e6, "1.00 s ");
        check(3_599.4e9, "3,599 s ");
        check(99_999e9, "99,999 s ");
        check(100_000e9, "100 k s ");
        check(i64::MAX as f64, "9.22 G s ");
        check(-12.3e6, "-12.3 ms");
    }

    #[test]
    fn run_time_and_lag() {
        let check = |ns, expected: &str| assert_eq!(clock(ns), expected);
        check(0, "0:00:00");
        check(59_999_999_999, "0:00:59");
        check(3_723_000_000_000, "1:02:03");
        check(360_000_000_000_000, "100:00:00");
        let check =
            |bytes, expected: Option<&str>| assert_eq!(megabytes(bytes).as_deref(), expected);
        check(0, None);
        check(49_999, None);
        check(50_000, Some("0.1 MB"));
        check(12_345_678, Some("12.3 MB"));
        check(12_345_678_901, Some("12,346 MB"));
    }
}
