//! Amounts as people write them: `5%`, `2ms`, `-3`.

use std::str::FromStr;

use super::field_path::is_time;

/// The factor by which two sides of a bound may miss it and still meet it: decimal numbers that meet it exactly are
/// a few bits off as doubles.
pub(super) const ROUNDING: f64 = 4.0 * f64::EPSILON;

/// A number with its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Amount {
    /// A percentage of the value before.
    Percent(f64),
    /// A time, in ns.
    Time(f64),
    /// A number in the metric's own unit.
    Plain(f64),
}

/// The units and the nanoseconds in each; 0 for percent. `s` is the last one because the others end in it.
const UNITS: [(&str, f64); 6] = [
    ("%", 0.0),
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
];

impl FromStr for Amount {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.trim();
        let unit = UNITS.iter().find(|(unit, _)| text.ends_with(unit));
        let number = text.strip_suffix(unit.map_or("", |(unit, _)| unit));
        let number: f64 = number.unwrap_or(text).trim().parse().map_err(|_| ())?;
        if !number.is_finite() {
            return Err(());
        }
        Ok(match unit {
            None => Self::Plain(number),
            Some(("%", _)) => Self::Percent(number),
            Some((_, ns)) => Self::Time(number * ns),
        })
    }
}

impl Amount {
    /// The number without its unit.
    pub(super) fn number(self) -> f64 {
        match self {
            Self::Percent(number) | Self::Time(number) | Self::Plain(number) => number,
        }
    }

    /// Returns false for a time if the field at `path` is not a time.
    pub(super) fn applies_to(self, path: &str) -> bool {
        !matches!(self, Self::Time(_)) || is_time(path)
    }
}

#[cfg(test)]
mod tests {
    use super::Amount::{self, Percent, Plain, Time};

    #[test]
    fn amounts_are_numbers_with_or_without_a_unit() {
        for (text, expected) in [
            ("5%", Percent(5.0)),
            (" -2 % ", Percent(-2.0)),
            ("0.1%", Percent(0.1)),
            ("2ms", Time(2e6)),
            ("5us", Time(5e3)),
            ("5µs", Time(5e3)),
            ("1.5s", Time(1.5e9)),
            ("100 ns", Time(100.0)),
            ("+3", Plain(3.0)),
            ("1e6", Plain(1e6)),
            ("0", Plain(0.0)),
        ] {
            assert_eq!(text.parse::<Amount>(), Ok(expected), "{text}");
        }
        for text in [
            "", "%", "ms", "5 %%", "5m", "5x", "inf", "nan", "infs", "1,5", "5ms%",
        ] {
            assert_eq!(text.parse::<Amount>(), Err(()), "{text}");
        }
    }
}
