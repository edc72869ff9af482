//! `str % values` and `str.format`: conversions without flags, widths or precisions.

use std::fmt::Write as _;

use minijinja::{Error, Value};

use super::arguments::split;
use super::exception::{exception, type_error, unsupported};
use super::limits::fits;
use super::repr;
use super::value::{Py, py, type_name};

fn value_error(message: &str) -> Error {
    exception("ValueError", message)
}

/// `template % values`, with `%s`, `%r`, `%d`, `%i` and `%%`.
///
/// # Errors
/// `TypeError` for too few, too many or wrong values. Other conversions are not supported.
pub(crate) fn percent(template: &str, values: &Value) -> Result<String, Error> {
    let single = [values.clone()];
    let mut args = match py(values) {
        Py::Tuple(items) => items.iter(),
        _ => single.iter(),
    };
    let (mut out, mut rest) = (String::new(), template);
    while let Some((before, tail)) = rest.split_once('%') {
        out.push_str(before);
        let kind = tail
            .chars()
            .next()
            .ok_or_else(|| value_error("incomplete format"))?;
        rest = &tail[kind.len_utf8()..];
        if kind == '%' {
            out.push('%');
            continue;
        }
        if !matches!(kind, 's' | 'r' | 'd' | 'i') {
            return Err(unsupported(format!("%{kind} in a format")));
        }
        let value = args
            .next()
            .ok_or_else(|| type_error("not enough arguments for format string"))?;
        match kind {
            's' => out.push_str(&repr::str(value)?),
            'r' => repr::repr(value, &mut out, 0)?,
            _ => _ = write!(out, "{}", integer(value)?),
        }
        fits(out.len())?;
    }
    out.push_str(rest);
    // Python takes a single value of these types for a mapping, which may have more keys than are used.
    let is_mapping = matches!(
        py(values),
        Py::Dict(_) | Py::List(_) | Py::Range(_) | Py::Undefined
    );
    if args.next().is_some() && !is_mapping {
        return Err(type_error(
            "not all arguments converted during string formatting",
        ));
    }
    Ok(out)
}

#[allow(clippy::cast_possible_truncation, reason = "as Python's int(float)")]
fn integer(value: &Value) -> Result<i128, Error> {
    match py(value) {
        Py::Int(i) => Ok(i),
        Py::Bool(b) => Ok(i128::from(b)),
        Py::Float(f) if f.abs() < 1e38 => Ok(f.trunc() as i128),
        Py::Float(_) => Err(unsupported("an integer of more than 128 bits")),
        _ => Err(type_error(format!(
            "%d format: a real number is required, not {}",
            type_name(value)
        ))),
    }
}

/// `template.format(args)`, with the fields `{}`, `{0}` and `{name}` and the format `d`.
///
/// # Errors
/// `IndexError`, `KeyError` for a missing value, `ValueError` for a bad template. Attributes, conversions and other
/// formats are not supported.
pub(crate) fn braces(template: &str, args: &[Value]) -> Result<String, Error> {
    let mut numbering = Numbering::default();
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
        let (field, tail) = rest
            .split_once('}')
            .ok_or_else(|| value_error("expected '}' before end of string"))?;
        if field.contains(['{', '[', '.', '!']) {
            return Err(unsupported("this field of a format"));
        }
        let (name, spec) = field.split_once(':').unwrap_or((field, ""));
        out.push_str(&formatted(&numbering.value(name, args)?, spec)?);
        fits(out.len())?;
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

/// The numbering of fields, which is either automatic or given, not both.
#[derive(Default)]
struct Numbering {
    next: usize,
    is_given: Option<bool>,
}

impl Numbering {
    fn value(&mut self, name: &str, args: &[Value]) -> Result<Value, Error> {
        let (positional, keywords) = split(args);
        if !name.bytes().all(|b| b.is_ascii_digit()) {
            return keywords
                .and_then(|keywords| keywords.peek(name).ok())
                .ok_or_else(|| exception("KeyError", name));
        }
        let given = !name.is_empty();
        if *self.is_given.get_or_insert(given) != given {
            return Err(value_error(
                "cannot switch between automatic and manual field numbering",
            ));
        }
        let index = if given {
            name.parse().unwrap_or(usize::MAX)
        } else {
            self.next
        };
        self.next += 1;
        positional
            .get(index)
            .cloned()
            .ok_or_else(|| exception("IndexError", format!("index {index} out of range")))
    }
}

/// `format(value, spec)`.
fn formatted(value: &Value, spec: &str) -> Result<String, Error> {
    match (spec, py(value)) {
        ("", _) => repr::str(value),
        ("d", Py::Int(i)) => Ok(i.to_string()),
        ("d", Py::Bool(b)) => Ok(u8::from(b).to_string()),
        ("d", Py::Str(_) | Py::Float(_)) => Err(value_error("Unknown format code 'd'")),
        ("d", _) => Err(type_error(format!(
            "unsupported format string passed to {}.__format__",
            type_name(value)
        ))),
        _ => Err(unsupported("this format specification")),
    }
}
