//! `str % values`, `str.format` and format specifications.

use minijinja::{Error, Value};

use super::args::split;
use super::limits::fits;
use super::value::{Py, py, type_name};
use super::{exception, ops, repr, type_error, unsupported};

/// No field is made wider than this.
const MAX_WIDTH: usize = 100_000;

fn value_error(message: &str) -> Error {
    exception("ValueError", message)
}

/// What stands between `%` or `:` and the type.
#[derive(Default, Clone)]
struct Spec {
    fill: Option<char>,
    align: Option<char>,
    sign: Option<char>,
    alternate: bool,
    zero: bool,
    width: usize,
    grouping: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

impl Spec {
    /// Pads to the width: `digits` is unsigned.
    fn pad(&self, sign: &str, digits: &str, default_align: char) -> Result<String, Error> {
        if self.width > MAX_WIDTH {
            return Err(unsupported("a field this wide"));
        }
        let missing = self
            .width
            .saturating_sub(sign.chars().count() + digits.chars().count());
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

    fn text(&self, text: &str) -> Result<String, Error> {
        let cut: String = text
            .chars()
            .take(self.precision.unwrap_or(usize::MAX))
            .collect();
        self.pad("", &cut, '<')
    }

    fn int(&self, value: i128) -> Result<String, Error> {
        let (magnitude, kind) = (value.unsigned_abs(), self.kind.unwrap_or('d'));
        let (prefix, digits) = match kind {
            'd' | 'n' | 'i' | 'u' => ("", magnitude.to_string()),
            'x' => ("0x", format!("{magnitude:x}")),
            'X' => ("0X", format!("{magnitude:X}")),
            'o' => ("0o", format!("{magnitude:o}")),
            'b' => ("0b", format!("{magnitude:b}")),
            'c' => {
                let c = u32::try_from(value).ok().and_then(char::from_u32);
                return self.text(
                    c.ok_or_else(|| exception("OverflowError", "%c arg not in range"))?
                        .encode_utf8(&mut [0; 4]),
                );
            }
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%' => return self.float(value as f64),
            _ => return Err(value_error("Unknown format code for object of type 'int'")),
        };
        let sign = format!(
            "{}{}",
            self.sign(value < 0),
            if self.alternate { prefix } else { "" }
        );
        let size = if matches!(kind, 'x' | 'X' | 'o' | 'b') {
            4
        } else {
            3
        };
        self.pad(&sign, &self.grouped(&digits, size), '>')
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

    fn float(&self, value: f64) -> Result<String, Error> {
        let magnitude = value.abs();
        let kind = self.kind.unwrap_or('r');
        let mut digits = if value.is_finite() {
            let precision = self.precision.unwrap_or(6).min(MAX_WIDTH);
            match kind {
                'f' | 'F' => format!("{magnitude:.precision$}"),
                '%' => format!("{:.precision$}", magnitude * 100.0),
                'e' | 'E' => exponent(magnitude, precision),
                'g' | 'G' | 'n' => general(magnitude, precision, self.alternate, false),
                'r' if self.precision.is_none() => repr::float(magnitude),
                'r' => general(magnitude, precision, self.alternate, true),
                _ => {
                    return Err(value_error(
                        "Unknown format code for object of type 'float'",
                    ));
                }
            }
        } else {
            repr::float(magnitude)
        };
        if self.alternate && !digits.contains('.') && matches!(kind, 'f' | 'F') {
            digits.push('.');
        }
        digits = self.grouped(&digits, 3);
        if kind == '%' {
            digits.push('%');
        }
        if kind.is_ascii_uppercase() {
            digits = digits.to_uppercase();
        }
        self.pad(
            self.sign(value.is_sign_negative() && !value.is_nan()),
            &digits,
            '>',
        )
    }
}

/// C's `%e`.
fn exponent(value: f64, precision: usize) -> String {
    let text = format!("{value:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!(
        "{digits}e{}{:02}",
        if exponent < 0 { '-' } else { '+' },
        exponent.abs()
    )
}

/// C's `%g`; `point` keeps at least one decimal, as a float without type does.
fn general(value: f64, precision: usize, alternate: bool, point: bool) -> String {
    let precision = precision.max(1);
    let scientific = exponent(value, precision - 1);
    let (digits, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i64 = power.parse().unwrap_or(0);
    let limit = i64::try_from(precision).unwrap_or(i64::MAX) - i64::from(point);
    let trim = |text: &str| {
        if text.contains('.') && !alternate {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        }
    };
    if power < -4 || power >= limit {
        return format!(
            "{}e{}",
            trim(digits),
            scientific.split_once('e').map_or("", |(_, e)| e)
        );
    }
    let decimals = usize::try_from(i64::try_from(precision).unwrap_or(0) - 1 - power).unwrap_or(0);
    let fixed = trim(&format!("{value:.decimals$}"));
    if point && !fixed.contains('.') {
        fixed + ".0"
    } else {
        fixed
    }
}

/// `template % values`.
///
/// # Errors
/// `TypeError` for too few, too many or wrong values, `ValueError` for a bad template.
pub fn percent(template: &str, values: &Value) -> Result<String, Error> {
    let single = [values.clone()];
    let args = if let Py::Tuple(items) = py(values) {
        items
    } else {
        &single[..]
    };
    let is_mapping = !matches!(py(values), Py::Tuple(_) | Py::Str(_))
        && matches!(
            py(values),
            Py::Dict(_) | Py::List(_) | Py::Range(_) | Py::Undefined
        );
    let (mut out, mut used, mut chars) = (String::new(), 0, template.chars().peekable());
    let next = |used: &mut usize| {
        *used += 1;
        args.get(*used - 1)
            .cloned()
            .ok_or_else(|| type_error("not enough arguments for format string"))
    };
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = Spec::default();
        let mut named = None;
        if chars.next_if_eq(&'(').is_some() {
            let name: String = chars.by_ref().take_while(|c| *c != ')').collect();
            if !matches!(py(values), Py::Dict(_)) {
                return Err(type_error("format requires a mapping"));
            }
            let found = ops::item(values, &Value::from(name.as_str()))?;
            if !ops::contains(values, &Value::from(name.as_str()))? {
                return Err(exception("KeyError", name));
            }
            named = Some(found);
            used = args.len();
        }
        while let Some(flag) = chars.next_if(|c| matches!(c, '#' | '0' | '-' | ' ' | '+')) {
            match flag {
                '#' => spec.alternate = true,
                '0' => spec.zero = true,
                '-' => spec.align = Some('<'),
                '+' => spec.sign = Some('+'),
                _ => spec.sign = spec.sign.or(Some(' ')),
            }
        }
        let amount = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>, used: &mut usize| {
            if chars.next_if_eq(&'*').is_some() {
                return next(used).and_then(|v| super::value::index(&v));
            }
            Ok(digits(chars))
        };
        let width = amount(&mut chars, &mut used)?;
        if width < 0 {
            spec.align = Some('<');
        }
        spec.width = usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX);
        if chars.next_if_eq(&'.').is_some() {
            spec.precision = Some(usize::try_from(amount(&mut chars, &mut used)?).unwrap_or(0));
        }
        while chars.next_if(|c| matches!(c, 'h' | 'l' | 'L')).is_some() {}
        let kind = chars
            .next()
            .ok_or_else(|| value_error("incomplete format"))?;
        if kind == '%' {
            out.push('%');
            continue;
        }
        let value = named.map_or_else(|| next(&mut used), Ok)?;
        out.push_str(&converted(&mut spec, kind, &value)?);
        fits(out.len())?;
    }
    if used < args.len() && !is_mapping {
        return Err(type_error(
            "not all arguments converted during string formatting",
        ));
    }
    Ok(out)
}

fn digits(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> i64 {
    let mut value: i64 = 0;
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        value = value
            .saturating_mul(10)
            .saturating_add(i64::from(digit as u32 - 48));
    }
    value
}

#[allow(clippy::cast_possible_truncation)]
fn converted(spec: &mut Spec, kind: char, value: &Value) -> Result<String, Error> {
    if spec.align == Some('<') {
        spec.zero = false;
    }
    spec.kind = Some(kind);
    let number = match py(value) {
        Py::Bool(b) => Some(Ok(i128::from(b))),
        Py::Int(i) => Some(Ok(i)),
        Py::Float(f) => Some(Err(f)),
        _ => None,
    };
    if matches!(kind, 's' | 'r' | 'a') {
        let mut text = String::new();
        match kind {
            's' => text = repr::str(value)?,
            _ => repr::repr(value, &mut text, 0)?,
        }
        if kind == 'a' && !text.is_ascii() {
            return Err(unsupported("%a outside ASCII"));
        }
        spec.zero = false;
        spec.align = Some(spec.align.unwrap_or('>'));
        return spec.text(&text);
    }
    match (kind, number) {
        ('d' | 'i' | 'u' | 'x' | 'X' | 'o' | 'c', Some(Ok(i))) => spec.int(i),
        ('d' | 'i' | 'u', Some(Err(f))) if f.is_finite() => spec.int(f.trunc() as i128),
        ('e' | 'E' | 'f' | 'F' | 'g' | 'G', Some(n)) => {
            spec.float(n.map_or_else(|f| f, |i| i as f64))
        }
        ('c', None) if value.as_str().is_some_and(|s| s.chars().count() == 1) => {
            spec.text(value.as_str().unwrap_or_default())
        }
        ('d' | 'i' | 'u' | 'x' | 'X' | 'o' | 'e' | 'E' | 'f' | 'F' | 'g' | 'G' | 'c', _) => {
            Err(type_error(format!(
                "%{kind} format: a number is required, not {}",
                type_name(value)
            )))
        }
        _ => Err(value_error("unsupported format character")),
    }
}

/// `template.format(args)`, as the sandbox does it.
///
/// # Errors
/// `IndexError`, `KeyError` for a missing value, `ValueError` for a bad template.
pub fn braces(template: &str, args: &[Value]) -> Result<String, Error> {
    let mut fields = Fields {
        args,
        next: 0,
        manual: None,
    };
    fields.format(template, 2)
}

struct Fields<'a> {
    args: &'a [Value],
    next: usize,
    manual: Option<bool>,
}

impl Fields<'_> {
    fn format(&mut self, template: &str, depth: usize) -> Result<String, Error> {
        if depth == 0 {
            return Err(value_error("Max string recursion exceeded"));
        }
        let (mut out, mut rest) = (String::new(), template);
        while let Some(at) = rest.find(['{', '}']) {
            out.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(tail) = rest.strip_prefix(brace) {
                out.push_str(brace);
                rest = tail;
                continue;
            }
            if brace == "}" {
                return Err(value_error("Single '}' encountered in format string"));
            }
            let mut open = 1;
            let end = rest.find(|c| {
                open += i32::from(c == '{') - i32::from(c == '}');
                open == 0
            });
            let end = end.ok_or_else(|| value_error("expected '}' before end of string"))?;
            out.push_str(&self.field(&rest[..end], depth)?);
            fits(out.len())?;
            rest = &rest[end + 1..];
        }
        out.push_str(rest);
        Ok(out)
    }

    fn field(&mut self, field: &str, depth: usize) -> Result<String, Error> {
        let bracket = field.find('[').map_or(0, |open| {
            field[open..].find(']').map_or(0, |close| open + close)
        });
        let colon = field[bracket..].find([':', '!']).map(|at| at + bracket);
        let (name, tail) = colon.map_or((field, ""), |at| field.split_at(at));
        let (conversion, spec) = match tail.strip_prefix('!') {
            Some(tail) => {
                let kind = tail
                    .chars()
                    .next()
                    .ok_or_else(|| value_error("unmatched '{' in format spec"))?;
                (
                    Some(kind),
                    tail[kind.len_utf8()..].strip_prefix(':').unwrap_or(""),
                )
            }
            None => (None, tail.strip_prefix(':').unwrap_or("")),
        };
        let mut value = self.lookup(name)?;
        match conversion {
            None => {}
            Some('s') => value = Value::from(repr::str(&value)?),
            Some('r') => {
                let mut text = String::new();
                repr::repr(&value, &mut text, 0)?;
                value = Value::from(text);
            }
            Some(_) => return Err(unsupported("this conversion")),
        }
        let spec = self.format(spec, depth - 1)?;
        format_value(&value, &spec)
    }

    fn lookup(&mut self, name: &str) -> Result<Value, Error> {
        let first_end = name.find(['.', '[']).unwrap_or(name.len());
        let (first, mut rest) = name.split_at(first_end);
        let (positional, keywords) = split(self.args);
        let mut value = if first.is_empty() || first.bytes().all(|b| b.is_ascii_digit()) {
            let manual = !first.is_empty();
            if *self.manual.get_or_insert(manual) != manual {
                return Err(value_error(
                    "cannot switch from manual field specification to automatic field numbering",
                ));
            }
            let index = if manual {
                first.parse().unwrap_or(usize::MAX)
            } else {
                self.next
            };
            self.next += usize::from(!manual);
            let found = positional.get(index).cloned();
            found.ok_or_else(|| {
                exception(
                    "IndexError",
                    "Replacement index out of range for positional args tuple",
                )
            })?
        } else {
            let found = keywords
                .as_ref()
                .filter(|k| k.has(first))
                .and_then(|k| k.peek::<Value>(first).ok());
            found.ok_or_else(|| exception("KeyError", first))?
        };
        while !rest.is_empty() {
            if let Some(tail) = rest.strip_prefix('.') {
                let end = tail.find(['.', '[']).unwrap_or(tail.len());
                value = ops::attribute(&value, &tail[..end])?;
                rest = &tail[end..];
            } else {
                let end = rest
                    .find(']')
                    .ok_or_else(|| value_error("Missing ']' in format string"))?;
                let key = &rest[1..end];
                let key = key
                    .parse::<i64>()
                    .map_or_else(|_| Value::from(key), Value::from);
                value = ops::item(&value, &key)?;
                rest = &rest[end + 1..];
            }
        }
        Ok(value)
    }
}

/// `format(value, spec)`.
fn format_value(value: &Value, spec: &str) -> Result<String, Error> {
    if spec.is_empty() {
        return repr::str(value);
    }
    let spec = parse_spec(spec)?;
    match py(value) {
        Py::Str(text) if matches!(spec.kind, None | Some('s')) => spec.text(text),
        Py::Str(_) => Err(value_error("Unknown format code for object of type 'str'")),
        Py::Bool(b) => spec.int(i128::from(b)),
        Py::Int(i) => spec.int(i),
        Py::Float(f) => spec.float(f),
        _ => Err(type_error(format!(
            "unsupported format string passed to {}.__format__",
            type_name(value)
        ))),
    }
}

fn parse_spec(text: &str) -> Result<Spec, Error> {
    let mut spec = Spec::default();
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
        spec.precision = Some(usize::try_from(digits(&mut chars)).unwrap_or(0));
    }
    spec.kind = chars.next();
    match chars.next() {
        None => Ok(spec),
        Some(_) => Err(value_error("Invalid format specifier")),
    }
}
