//! Jinja2's filters on single values; [`super::sequences`] has those on sequences, [`super::numbers`] those on numbers.

use std::borrow::Cow;
use std::fmt::Write as _;

use minijinja::{Environment, Error, State, Value};

use super::{numbers, sequences};
use crate::jinja::limits::charge;
use crate::python::arguments::{Arguments, bind, split};
use crate::python::exception::{exception, type_error, unsupported};
use crate::python::limits::fits;
use crate::python::percent_format::percent;
use crate::python::string_methods::{string_method, strip};
use crate::python::value::{Dict, Py, dict, index, iter, len, py, text, tuple};
use crate::python::{access, arithmetic, json, methods, repr, text as strings};

/// The names of all filters of `jinja2.filters.FILTERS`. Those that are not supported raise when they run.
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
            sequences::filter(state, name, &args)
                .or_else(|| numbers::filter(name, &args))
                .unwrap_or_else(|| filter(name, &args))
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
        "attr" => attr(args),
        "capitalize" => converted(strings::capitalize),
        "title" => converted(title),
        "upper" => converted(str::to_uppercase),
        "lower" => converted(str::to_lowercase),
        "center" => {
            let [value, width] = bind(name, args, ["value", "width"], 1)?;
            let width = width.unwrap_or_else(|| Value::from(80));
            string_method(&soft_str(&value.unwrap_or_default())?, "center", &[width])
        }
        "trim" => {
            let [value, chars] = bind(name, args, ["value", "chars"], 1)?;
            let value = value.unwrap_or_default();
            strip(&value, &soft_str(&value)?, "strip", chars.as_slice())
        }
        "replace" => replace(args),
        "indent" => indent(args),
        "truncate" => truncate(args),
        "wordcount" => {
            let value = one()?;
            let text = soft_str(&value)?;
            let words = text.split(|c: char| c != '_' && !c.is_alphanumeric());
            Ok(Value::from(words.filter(|word| !word.is_empty()).count()))
        }
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
            escape(&value)
        }
        "forceescape" => escape(&one()?),
        "safe" => Ok(Value::from_safe_string(repr::str(&one()?)?)),
        "format" => format(args),
        "urlencode" => url_encode(&one()?),
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

/// `attr(obj, name)`: an attribute, never the item of a dict.
fn attr(args: &[Value]) -> Result<Value, Error> {
    let [value, name] = bind("attr", args, ["obj", "name"], 2)?;
    let (value, name) = (value.unwrap_or_default(), name.unwrap_or_default());
    let name = text(&name)?;
    match py(&value) {
        Py::Dict(_) if !methods::has(&value, name) => Ok(Value::UNDEFINED),
        _ => access::attribute(&value, name),
    }
}

fn escape(value: &Value) -> Result<Value, Error> {
    let escaped = strings::escape(&repr::str(value)?);
    Ok(Value::from_safe_string(escaped))
}

fn format(args: &[Value]) -> Result<Value, Error> {
    let [template, values @ ..] = args else {
        return Err(type_error("format() missing its value"));
    };
    let (positional, keywords) = split(values);
    let values = match keywords {
        None => tuple(positional.to_vec()),
        Some(keywords) if positional.is_empty() => {
            let mut named = Dict::new();
            for name in keywords.args() {
                named.insert(Value::from(name), keywords.peek(name)?);
            }
            dict(named)
        }
        Some(_) => {
            return Err(exception(
                "FilterArgumentError",
                "can't handle positional and keyword arguments at the same time",
            ));
        }
    };
    percent(&soft_str(template)?, &values).map(Value::from)
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

fn truncate(args: &[Value]) -> Result<Value, Error> {
    let names = ["s", "length", "killwords", "end", "leeway"];
    let [value, length, kill, end, leeway] = bind("truncate", args, names, 1)?;
    let value = value.unwrap_or_default();
    let end = end.unwrap_or_else(|| Value::from("..."));
    let end = text(&end)?;
    let size = |value: Option<Value>, default| value.as_ref().map_or(Ok(default), index);
    let (length, leeway) = (
        size(length, 255)?,
        size(leeway.filter(|l| !l.is_none()), 5)?,
    );
    let end_len = i64::try_from(end.chars().count()).unwrap_or(0);
    if length < end_len || leeway < 0 {
        return Err(exception("AssertionError", "expected a longer length"));
    }
    if i64::try_from(len(&value)?).unwrap_or(i64::MAX) <= length.saturating_add(leeway) {
        return Ok(value.clone());
    }
    let s = text(&value)?;
    let kept: String = s
        .chars()
        .take(usize::try_from(length - end_len).unwrap_or(0))
        .collect();
    let kill = kill.is_some_and(|k| k.is_true());
    let kept = if kill {
        &kept[..]
    } else {
        kept.rsplit_once(' ').map_or(&kept[..], |(left, _)| left)
    };
    Ok(Value::from(format!("{kept}{end}")))
}

fn quote_url(value: &Value, for_query: bool) -> Result<String, Error> {
    let mut out = String::new();
    for byte in repr::str(value)?.bytes() {
        match byte {
            b'/' if for_query => out.push_str("%2F"),
            b' ' if for_query => out.push('+'),
            b if b.is_ascii_alphanumeric() || b"_.-~/".contains(&b) => out.push(char::from(b)),
            b => _ = write!(out, "%{b:02X}"),
        }
    }
    Ok(out)
}

fn url_encode(value: &Value) -> Result<Value, Error> {
    let pairs = match py(value) {
        Py::Dict(dict) => dict.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
        Py::List(_) | Py::Tuple(_) | Py::View(_) | Py::Generator(_) => {
            let mut pairs = Vec::new();
            for pair in iter(value)? {
                match &iter(&pair)?[..] {
                    [k, v] => pairs.push((k.clone(), v.clone())),
                    _ => return Err(exception("ValueError", "not a pair")),
                }
            }
            pairs
        }
        _ => return quote_url(value, false).map(Value::from),
    };
    let parts = pairs
        .iter()
        .map(|(k, v)| Ok([quote_url(k, true)?, quote_url(v, true)?].join("=")));
    Ok(Value::from(
        parts.collect::<Result<Vec<_>, Error>>()?.join("&"),
    ))
}
