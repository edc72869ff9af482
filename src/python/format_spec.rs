//! Format specifications: padding, signs, grouping and precision, as `str.format` and `%` share them.

use minijinja::{Error, Value};

use super::exception::{exception, type_error, unsupported};
use super::float;
use super::repr;
use super::value::{Py, py, type_name};

/// The widest field.
const MAX_WIDTH: usize = 100_000;

/// A `ValueError`.
pub(super) fn value_error(message: &str) -> Error {
    exception("ValueError", message)
}

/// A format specification: the part between `%` or `:` and the type, and the type.
#[derive(Default)]
pub(super) struct Spec {
    pub(super) fill: Option<char>,
    pub(super) align: Option<char>,
    pub(super) sign: Option<char>,
    pub(super) alternate: bool,
    pub(super) zero: bool,
    pub(super) width: usize,
    pub(super) grouping: Option<char>,
    pub(super) precision: Option<usize>,
    pub(super) kind: Option<char>,
}

impl Spec {
    /// Reads the specification after a `:`.
    fn parse(text: &str) -> Result<Self, Error> {
        let mut spec = Self::default();
        let mut chars = text.chars().peekable();
        let mut ahead = text.chars();
        let (first, second) = (ahead.next(), ahead.next());
        let is_align = |c: Option<char>| c.is_some_and(|c| matches!(c, '<' | '>' | '^' | '='));
        if is_align(second) {
            spec.fill = first;
            spec.align = second;
            chars.next();
            chars.next();
        } else if is_align(first) {
            spec.align = first;
            chars.next();
        }
        spec.sign = chars.next_if(|c| matches!(c, '+' | '-' | ' '));
        spec.alternate = chars.next_if_eq(&'#').is_some();
        spec.zero = chars.next_if_eq(&'0').is_some();
        spec.width = usize::try_from(digits(&mut chars)).unwrap_or(0);
        spec.grouping = chars.next_if(|c| matches!(c, ',' | '_'));
        if chars.next_if_eq(&'.').is_some() {
            if !chars.peek().is_some_and(char::is_ascii_digit) {
                return Err(value_error("Format specifier missing precision"));
            }
            spec.precision = Some(usize::try_from(digits(&mut chars)).unwrap_or(0));
        }
        spec.kind = chars.next();
        match chars.next() {
            None => Ok(spec),
            Some(_) => Err(value_error("Invalid format specifier")),
        }
    }

    /// Pads to the width; `digits` has no sign.
    fn pad(&self, sign: &str, digits: &str, default_align: char) -> Result<String, Error> {
        if self.width > MAX_WIDTH {
            return Err(unsupported("a field this wide"));
        }
        let missing = self
            .width
            .saturating_sub(sign.chars().count() + digits.chars().count());
        if missing > 0 && self.zero && self.grouping.is_some() {
            return Err(unsupported("zeros in groups"));
        }
        let fill = self.fill.unwrap_or(if self.zero { '0' } else { ' ' });
        let run = |n| std::iter::repeat_n(fill, n).collect::<String>();
        let align = self.align.unwrap_or(if self.zero && default_align == '>' {
            '='
        } else {
            default_align
        });
        Ok(match align {
            '<' => format!("{sign}{digits}{}", run(missing)),
            '=' => format!("{sign}{}{digits}", run(missing)),
            '^' => format!(
                "{}{sign}{digits}{}",
                run(missing / 2),
                run(missing - missing / 2)
            ),
            _ => format!("{}{sign}{digits}", run(missing)),
        })
    }

    fn sign(&self, negative: bool) -> &'static str {
        match self.sign {
            _ if negative => "-",
            Some('+') => "+",
            Some(' ') => " ",
            _ => "",
        }
    }

    /// Formats a text: cut to the precision, padded to the width.
    pub(super) fn text(&self, text: &str) -> Result<String, Error> {
        let cut: String = text
            .chars()
            .take(self.precision.unwrap_or(usize::MAX))
            .collect();
        self.pad("", &cut, '<')
    }

    /// Formats an integer; a precision is the least number of digits.
    pub(super) fn int(&self, value: i128) -> Result<String, Error> {
        let (magnitude, kind) = (value.unsigned_abs(), self.kind.unwrap_or('d'));
        let (prefix, digits, group) = match kind {
            'd' | 'n' | 'i' | 'u' => ("", magnitude.to_string(), 3),
            'x' => ("0x", format!("{magnitude:x}"), 4),
            'X' => ("0X", format!("{magnitude:X}"), 4),
            'o' => ("0o", format!("{magnitude:o}"), 4),
            'b' => ("0b", format!("{magnitude:b}"), 4),
            'c' => {
                if self.sign.is_some() || self.alternate {
                    return Err(unsupported("this format of a character"));
                }
                let c = u32::try_from(value).ok().and_then(char::from_u32);
                let c = c.ok_or_else(|| exception("OverflowError", "%c arg not in range"))?;
                return self.pad("", c.encode_utf8(&mut [0; 4]), '>');
            }
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%' => return self.float(value as f64),
            _ => return Err(value_error("Unknown format code for object of type 'int'")),
        };
        let precision = self.precision.unwrap_or(0).min(MAX_WIDTH);
        let digits = format!("{digits:0>precision$}");
        let prefix = if self.alternate { prefix } else { "" };
        let sign = [self.sign(value < 0), prefix].concat();
        self.pad(&sign, &self.grouped(&digits, group), '>')
    }

    fn grouped(&self, digits: &str, size: usize) -> String {
        let Some(separator) = self.grouping else {
            return digits.to_owned();
        };
        let whole = digits
            .find(|c: char| !c.is_ascii_hexdigit())
            .unwrap_or(digits.len());
        let mut out = String::new();
        for (i, c) in digits[..whole].chars().enumerate() {
            if i > 0 && (whole - i) % size == 0 {
                out.push(separator);
            }
            out.push(c);
        }
        out + &digits[whole..]
    }

    /// Formats a float.
    pub(super) fn float(&self, value: f64) -> Result<String, Error> {
        let magnitude = value.abs();
        let mut digits = self.float_digits(magnitude)?;
        if self.alternate && value.is_finite() && !digits.contains('.') {
            digits.insert(digits.find('e').unwrap_or(digits.len()), '.');
        }
        digits = self.grouped(&digits, 3);
        if self.kind == Some('%') {
            digits.push('%');
        }
        if self.kind.is_some_and(|kind| kind.is_ascii_uppercase()) {
            digits = digits.to_uppercase();
        }
        self.pad(
            self.sign(value.is_sign_negative() && !value.is_nan()),
            &digits,
            '>',
        )
    }

    fn float_digits(&self, magnitude: f64) -> Result<String, Error> {
        let precision = self.precision.unwrap_or(6).min(MAX_WIDTH);
        Ok(match self.kind {
            None | Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | 'n' | '%')
                if !magnitude.is_finite() =>
            {
                float::repr(magnitude)
            }
            None if self.precision.is_none() => float::repr(magnitude),
            None => self.general(magnitude, precision, true),
            Some('f' | 'F') => format!("{magnitude:.precision$}"),
            Some('%') => format!("{:.precision$}", magnitude * 100.0),
            Some('e' | 'E') => float::exponential(magnitude, precision),
            Some('g' | 'G' | 'n') => self.general(magnitude, precision, false),
            Some(_) => {
                return Err(value_error(
                    "Unknown format code for object of type 'float'",
                ));
            }
        })
    }

    /// C's `%g`; with `point` at least one decimal, as a float without a type has.
    fn general(&self, value: f64, precision: usize, point: bool) -> String {
        let precision = precision.max(1);
        let scientific = float::exponential(value, precision - 1);
        let (digits, power) = scientific.split_once('e').unwrap_or((&scientific, "+00"));
        let exponent: i64 = power.parse().unwrap_or(0);
        let limit = i64::try_from(precision).unwrap_or(i64::MAX);
        let trim = |digits: &str| {
            if self.alternate {
                digits.to_owned()
            } else {
                float::without_trailing_zeros(digits).to_owned()
            }
        };
        if exponent < -4 || exponent >= limit - i64::from(point) {
            return format!("{}e{power}", trim(digits));
        }
        let decimals = usize::try_from(limit - 1 - exponent).unwrap_or(0);
        let fixed = trim(&format!("{value:.decimals$}"));
        if point && !fixed.contains('.') {
            fixed + ".0"
        } else {
            fixed
        }
    }
}

/// Reads digits; none are 0.
pub(super) fn digits(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> i64 {
    let mut value: i64 = 0;
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        value = value
            .saturating_mul(10)
            .saturating_add(i64::from(digit as u32 - 48));
    }
    value
}

/// `format(value, spec)`.
///
/// # Errors
/// `ValueError` for a bad specification, `TypeError` for a type that takes none.
pub(super) fn format_value(value: &Value, spec: &str) -> Result<String, Error> {
    if spec.is_empty() {
        return repr::str(value);
    }
    let spec = Spec::parse(spec)?;
    match py(value) {
        Py::Str(_) if !matches!(spec.kind, None | Some('s')) => {
            Err(value_error("Unknown format code for object of type 'str'"))
        }
        Py::Str(_)
            if spec.sign.is_some()
                || spec.alternate
                || spec.grouping.is_some()
                || spec.align == Some('=') =>
        {
            Err(value_error("not allowed in string format specifier"))
        }
        Py::Str(text) => spec.text(text),
        Py::Bool(_) | Py::Int(_)
            if spec.precision.is_some()
                && matches!(
                    spec.kind,
                    None | Some('b' | 'c' | 'd' | 'n' | 'o' | 'x' | 'X')
                ) =>
        {
            Err(value_error(
                "Precision not allowed in integer format specifier",
            ))
        }
        Py::Bool(b) => spec.int(i128::from(b)),
        Py::Int(i) => spec.int(i),
        Py::Float(f) => spec.float(f),
        _ => Err(type_error(format!(
            "unsupported format string passed to {}.__format__",
            type_name(value)
        ))),
    }
}
