//! Jinja2's filters on single values; [`super::sequences`] has those on sequences.

use std::borrow::Cow;

use minijinja::{Environment, Error, State, Value};

use super::sequences;
use crate::jinja::limits::charge;
use crate::python::arguments::{Arguments, bind, split};
use crate::python::exception::{exception, type_error, unsupported};
use crate::python::limits::fits;
use crate::python::value::{Py, index, len, py, text, tuple, undefined_error};
use crate::python::{arithmetic, format, json, methods, repr, text as strings};

/// The names of all filters of `jinja2.filters.FILTERS`. Those that no chat template uses raise when they run.
#[rustfmt::skip]
pub(in crate::jinja) const FILTERS: [&str; 54] = [
    "abs", "attr", "batch", "capitalize", "center", "count", "d", "default", "dictsort", "e", "escape",
    "filesizeformat", "first", "float", "forceescape", "format", "groupby", "indent", "int", "items", "join", "last",
    "length", "list", "lower", "map", "max", "min", "pprint", "random", "reject", "rejectattr", "replace", "reverse",
    "round", "safe", "select", "selectattr", "slice", "sort", "string", "striptags", "sum", "title", "tojson", "trim",
    "truncate", "unique", "upper", "urlencode", "urlize", "wordcount", "wordwrap", "xmlattr",
];

/// Puts the filters into `env`.
pub(super) fn install(env: &mut Environment<'static>) {
    env.add_filter("tojson", |args: Arguments| json::dumps(&args.into_values()));
    for name in FILTERS.into_iter().filter(|name| *name != "tojson") {
        env.add_filter(name, move |state: &mut State, args: Arguments| {
            let args = args.into_values();
            charge(state, &args)?;
            sequences::filter(state, name, &args).unwrap_or_else(|| filter(name, &args))
        });
    }
}

/// `soft_str(value)`: the text of a value.
fn soft_str(value: &Value) -> Result<Cow<'_, str>, Error> {
    match value.as_str() {
        Some(_) if value.is_safe() => Err(unsupported("filtering Markup")),
        Some(text) => Ok(Cow::Borrowed(text)),
        None => repr::str(value).map(Cow::Owned),
    }
}

fn filter(name: &str, args: &[Value]) -> Result<Value, Error> {
    let one = || bind(name, args, ["value"], 1).map(|[value]| value.unwrap_or_default());
    let converted = |convert: fn(&str) -> String| {
        let value = one()?;
        Ok(Value::from(convert(&soft_str(&value)?)))
    };
    match name {
        "capitalize" => converted(strings::capitalize),
        "title" => converted(title),
        "upper" => converted(str::to_uppercase),
        "lower" => converted(str::to_lowercase),
        "trim" => {
            let [value, chars] = bind(name, args, ["value", "chars"], 1)?;
            let value = value.unwrap_or_default();
            methods::strip(&value, &soft_str(&value)?, "strip", chars.as_slice())
        }
        "replace" => replace(args),
        "indent" => indent(args),
        "string" => {
            let value = one()?;
            Ok(if value.as_str().is_some() {
                value
            } else {
                Value::from(repr::str(&value)?)
            })
        }
        "length" | "count" => len(&one()?).map(Value::from),
        "d" | "default" => default(args),
        "e" | "escape" => {
            let value = one()?;
            if value.is_safe() {
                return Ok(value);
            }
            Ok(Value::from_safe_string(strings::escape(&repr::str(
                &value,
            )?)))
        }
        "safe" => Ok(Value::from_safe_string(repr::str(&one()?)?)),
        "int" => int(args),
        "float" => {
            let [value, default] = bind(name, args, ["value", "default"], 1)?;
            let default = default.unwrap_or_else(|| Value::from(0.0));
            Ok(float(&value.unwrap_or_default())?.map_or(default, Value::from))
        }
        "format" => {
            let [template, values @ ..] = args else {
                return Err(type_error("format() missing its value"));
            };
            let (positional, keywords) = split(values);
            match keywords {
                None => format::percent(&soft_str(template)?, &tuple(positional.to_vec()))
                    .map(Value::from),
                Some(_) if positional.is_empty() => Err(unsupported("format() with names")),
                Some(_) => Err(exception(
                    "FilterArgumentError",
                    "can't handle positional and keyword arguments at the same time",
                )),
            }
        }
        _ => Err(unsupported(format!("the filter {name}"))),
    }
}

/// `default(value, default_value="", boolean=False)`.
fn default(args: &[Value]) -> Result<Value, Error> {
    let [value, default, boolean] =
        bind("default", args, ["value", "default_value", "boolean"], 1)?;
    let value = value.unwrap_or_default();
    let replaced =
        value.is_undefined() || (boolean.is_some_and(|b| b.is_true()) && !value.is_true());
    Ok(if replaced {
        default.unwrap_or_else(|| Value::from(""))
    } else {
        value
    })
}

/// `do_title`: words begin after white space, hyphens and opening brackets.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut first = true;
    for c in text.chars() {
        if first {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
        first = strings::is_space(c) || matches!(c, '-' | '(' | '{' | '[' | '<');
    }
    out
}

fn replace(args: &[Value]) -> Result<Value, Error> {
    let [value, old, new, count] = bind("replace", args, ["s", "old", "new", "count"], 3)?;
    let part = |value: Option<Value>| repr::str(&value.unwrap_or_default());
    let count = count
        .filter(|c| !c.is_none())
        .as_ref()
        .map_or(Ok(-1), index)?;
    strings::replace(&part(value)?, &part(old)?, &part(new)?, count).map(Value::from)
}

fn indent(args: &[Value]) -> Result<Value, Error> {
    let [value, width, first, blank] = bind("indent", args, ["s", "width", "first", "blank"], 1)?;
    let value = value.unwrap_or_default();
    if value.is_safe() {
        return Err(unsupported("indenting Markup"));
    }
    let width = width.unwrap_or_else(|| Value::from(4));
    let indention = match width.as_str() {
        Some(text) => text.to_owned(),
        None => match index(&width)? {
            100_001.. => return Err(unsupported("an indentation this wide")),
            width => " ".repeat(usize::try_from(width).unwrap_or(0)),
        },
    };
    let body = arithmetic::add(&value, &Value::from("\n"))?;
    let lines = strings::lines(text(&body)?, false);
    let is_true = |value: Option<Value>| value.is_some_and(|v| v.is_true());
    let blank = is_true(blank);
    let mut out = if is_true(first) {
        indention.clone()
    } else {
        String::new()
    };
    for (i, line) in lines.into_iter().enumerate() {
        if i > 0 {
            out.push('\n');
            out.push_str(if blank || !line.is_empty() {
                &indention
            } else {
                ""
            });
        }
        out.push_str(line);
        fits(out.len())?;
    }
    Ok(Value::from(out))
}

/// `float(value)`, `None` where it raises `TypeError` or `ValueError`.
fn float(value: &Value) -> Result<Option<f64>, Error> {
    Ok(match py(value) {
        Py::Float(f) => Some(f),
        Py::Int(i) => Some(i as f64),
        Py::Bool(b) => Some(f64::from(u8::from(b))),
        Py::Str(s) => {
            let digits = s.trim_matches(strings::is_space);
            let unsigned = digits.trim_start_matches(['+', '-']).to_ascii_lowercase();
            let word = matches!(unsigned.as_str(), "inf" | "infinity" | "nan");
            let plain = digits.bytes().all(|b| {
                b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E' | b'_')
            });
            let underscores = digits.contains('_');
            if underscores && plain {
                return Err(unsupported("reading a number with underscores"));
            }
            if word || plain {
                digits.parse().ok()
            } else {
                None
            }
        }
        Py::Undefined => return Err(undefined_error()),
        _ => None,
    })
}

#[allow(clippy::cast_possible_truncation)]
fn int(args: &[Value]) -> Result<Value, Error> {
    let [value, default, base] = bind("int", args, ["value", "default", "base"], 1)?;
    let value = value.unwrap_or_default();
    let base = base.as_ref().map_or(Ok(10), index)?;
    let default = default.unwrap_or_else(|| Value::from(0));
    Ok(match py(&value) {
        Py::Int(i) => Value::from(i),
        Py::Bool(b) => Value::from(i64::from(b)),
        Py::Str(s) => match parse_int(s, base)? {
            Some(i) => Value::from(i),
            None => match float(&value)? {
                Some(f) if f.is_finite() => whole(f)?,
                _ => default,
            },
        },
        Py::Float(f) if f.is_finite() => whole(f)?,
        Py::Float(f) if f.is_infinite() => {
            return Err(exception(
                "OverflowError",
                "cannot convert float infinity to integer",
            ));
        }
        Py::Undefined => return Err(undefined_error()),
        _ => default,
    })
}

#[allow(clippy::cast_possible_truncation)]
fn whole(f: f64) -> Result<Value, Error> {
    if f.abs() < 1e38 {
        Ok(Value::from(f.trunc() as i128))
    } else {
        Err(unsupported("an integer of more than 128 bits"))
    }
}

fn parse_int(s: &str, base: i64) -> Result<Option<i128>, Error> {
    let s = s.trim_matches(strings::is_space);
    let (negative, digits) = match s.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, s.strip_prefix('+').unwrap_or(s)),
    };
    let prefixed = [("0x", 16), ("0o", 8), ("0b", 2)];
    let lower = digits.to_ascii_lowercase();
    let (mut radix, mut digits) = (u32::try_from(base).unwrap_or(1), lower.as_str());
    for (prefix, of_prefix) in prefixed {
        if let Some(rest) = digits
            .strip_prefix(prefix)
            .filter(|_| radix == 0 || radix == of_prefix)
        {
            (radix, digits) = (of_prefix, rest);
        }
    }
    if radix == 0 {
        radix = 10;
        if digits.len() > 1 && digits.starts_with('0') && digits.bytes().any(|b| b != b'0') {
            return Ok(None);
        }
    }
    if !(2..=36).contains(&radix) {
        return Ok(None);
    }
    let well_formed = !digits.is_empty()
        && !digits.starts_with('_')
        && !digits.ends_with('_')
        && !digits.contains("__");
    let digits = digits.replace('_', "");
    if !well_formed || !digits.chars().all(|c| c.is_digit(radix)) {
        return Ok(None);
    }
    match i128::from_str_radix(&digits, radix) {
        Ok(value) => Ok(Some(if negative { -value } else { value })),
        Err(_) => Err(unsupported("an integer of more than 128 bits")),
    }
}
