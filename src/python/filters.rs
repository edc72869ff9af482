//! Jinja2's filters on single values; those on sequences are in [`super::sequences`].

use std::borrow::Cow;
use std::fmt::Write as _;

use minijinja::{Environment, Error, State, Value};

use super::args::{Arguments, bind, split};
use super::limits::{charge, fits};
use super::value::{Py, dict, index, iter, len, py, text, type_name, undefined_error};
use super::{
    exception, format, json, methods, ops, repr, sequences, text as strings, type_error,
    unsupported,
};

/// The names of all filters, as `jinja2.filters.FILTERS` has them.
pub const FILTERS: [&str; 54] = [
    "abs",
    "attr",
    "batch",
    "capitalize",
    "center",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "filesizeformat",
    "first",
    "float",
    "forceescape",
    "format",
    "groupby",
    "indent",
    "int",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "items",
    "map",
    "min",
    "max",
    "pprint",
    "random",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "string",
    "striptags",
    "sum",
    "title",
    "trim",
    "truncate",
    "unique",
    "upper",
    "urlencode",
    "urlize",
    "wordcount",
    "wordwrap",
    "xmlattr",
    "tojson",
];

/// Puts the filters into `env`.
pub fn install(env: &mut Environment<'static>) {
    env.add_filter("tojson", |args: Arguments| {
        json::tojson(&args.into_values())
    });
    for name in FILTERS.into_iter().filter(|name| *name != "tojson") {
        env.add_filter(name, move |state: &mut State, args: Arguments| {
            let args = args.into_values();
            charge(state, &args)?;
            sequences::filter(state, name, &args).unwrap_or_else(|| filter(name, &args))
        });
    }
}

/// `soft_str(value)`.
fn soft(value: &Value) -> Result<Cow<'_, str>, Error> {
    match value.as_str() {
        Some(_) if value.is_safe() => Err(unsupported("filtering Markup")),
        Some(text) => Ok(Cow::Borrowed(text)),
        None => repr::str(value).map(Cow::Owned),
    }
}

fn filter(name: &str, args: &[Value]) -> Result<Value, Error> {
    let one = || bind(name, args, ["value"], 1).map(|[value]| value.unwrap_or_default());
    match name {
        "abs" => absolute(&one()?),
        "attr" => {
            let [value, attribute] = bind(name, args, ["obj", "name"], 2)?;
            let (value, attribute) = (value.unwrap_or_default(), attribute.unwrap_or_default());
            // Only attributes count here, never the items of a dict.
            let attribute = text(&attribute)?;
            match py(&value) {
                Py::Dict(_) if !methods::has(&value, attribute) => Ok(Value::UNDEFINED),
                _ => ops::attribute(&value, attribute),
            }
        }
        "capitalize" => Ok(Value::from(strings::capitalize(&soft(&one()?)?))),
        "title" => Ok(Value::from(title(&soft(&one()?)?))),
        "upper" => Ok(Value::from(soft(&one()?)?.to_uppercase())),
        "lower" => Ok(Value::from(soft(&one()?)?.to_lowercase())),
        "center" => {
            let [value, width] = bind(name, args, ["value", "width"], 1)?;
            let value = Value::from(soft(&value.unwrap_or_default())?.as_ref());
            let width = width.unwrap_or_else(|| Value::from(80));
            methods::string_method(value.as_str().unwrap_or_default(), "center", &[width])
        }
        "trim" => {
            let [value, chars] = bind(name, args, ["value", "chars"], 1)?;
            let value = value.unwrap_or_default();
            methods::strip(&value, &soft(&value)?, "strip", chars.as_slice())
        }
        "replace" => replace(args),
        "indent" => indent(args),
        "truncate" => truncate(args),
        "wordcount" => {
            let value = one()?;
            let text = soft(&value)?;
            Ok(Value::from(
                text.split(|c: char| c != '_' && !c.is_alphanumeric())
                    .filter(|w| !w.is_empty())
                    .count(),
            ))
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
        "d" | "default" => {
            let [value, default, boolean] =
                bind(name, args, ["value", "default_value", "boolean"], 1)?;
            let value = value.unwrap_or_default();
            let replaced =
                value.is_undefined() || (boolean.is_some_and(|b| b.is_true()) && !value.is_true());
            Ok(if replaced {
                default.unwrap_or_else(|| Value::from(""))
            } else {
                value
            })
        }
        "e" | "escape" => escape(&one()?, false),
        "forceescape" => escape(&one()?, true),
        "safe" => Ok(Value::from_safe_string(repr::str(&one()?)?)),
        "int" => int(args),
        "float" => {
            let [value, default] = bind(name, args, ["value", "default"], 1)?;
            let default = default.unwrap_or_else(|| Value::from(0.0));
            Ok(float(&value.unwrap_or_default())?.map_or(default, Value::from))
        }
        "round" => round(args),
        "format" => {
            let [template, rest @ ..] = args else {
                return Err(type_error("format() missing its value"));
            };
            let (positional, keywords) = split(rest);
            let values = match keywords {
                Some(_) if !positional.is_empty() => {
                    return Err(exception(
                        "FilterArgumentError",
                        "can't handle positional and keyword arguments",
                    ));
                }
                Some(k) => dict(
                    k.args()
                        .filter_map(|n| Some((Value::from(n), k.peek(n).ok()?)))
                        .collect(),
                ),
                None => super::value::tuple(positional.to_vec()),
            };
            format::percent(&soft(template)?, &values).map(Value::from)
        }
        "filesizeformat" => file_size(args),
        "urlencode" => url_encode(&one()?),
        _ => Err(unsupported(format!("the filter {name}"))),
    }
}

fn absolute(value: &Value) -> Result<Value, Error> {
    match py(value) {
        Py::Int(i) => Ok(Value::from(i.abs())),
        Py::Bool(b) => Ok(Value::from(i64::from(b))),
        Py::Float(f) => Ok(Value::from(f.abs())),
        _ => Err(type_error(format!(
            "bad operand type for abs(): '{}'",
            type_name(value)
        ))),
    }
}

/// `do_title`: words begin after white space, hyphens and opening brackets.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut first = true;
    for c in text.chars() {
        let breaks = strings::is_space(c) || matches!(c, '-' | '(' | '{' | '[' | '<');
        if first {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
        first = breaks;
    }
    out
}

fn escape(value: &Value, force: bool) -> Result<Value, Error> {
    if value.is_safe() && !force {
        return Ok(value.clone());
    }
    Ok(Value::from_safe_string(strings::escape(&repr::str(value)?)))
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
    let body = ops::add(&value, &Value::from("\n"))?;
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

fn round(args: &[Value]) -> Result<Value, Error> {
    let [value, precision, method] = bind("round", args, ["value", "precision", "method"], 1)?;
    let value = value.unwrap_or_default();
    let precision = precision.as_ref().map_or(Ok(0), index)?;
    let method = method.unwrap_or_else(|| Value::from("common"));
    let method = text(&method)?;
    if !matches!(method, "common" | "ceil" | "floor") {
        return Err(exception(
            "FilterArgumentError",
            "method must be common, ceil or floor",
        ));
    }
    if !(0..=300).contains(&precision) {
        return Err(unsupported("rounding to this precision"));
    }
    let digits = usize::try_from(precision).unwrap_or(0);
    let number = match py(&value) {
        Py::Int(_) if method == "common" => return Ok(value.clone()),
        Py::Bool(b) if method == "common" => return Ok(Value::from(i64::from(b))),
        Py::Float(f) if method == "common" => {
            // The shortest decimal that rounds is exact: `round(2.675, 2)` is 2.67.
            return Ok(Value::from(format!("{f:.digits$}").parse().unwrap_or(f)));
        }
        Py::Int(i) => i as f64,
        Py::Bool(b) => f64::from(u8::from(b)),
        Py::Float(f) => f,
        Py::Undefined => return Err(undefined_error()),
        _ => {
            return Err(type_error(format!(
                "type {} doesn't define __round__ method",
                type_name(&value)
            )));
        }
    };
    let power = 10_f64.powi(i32::try_from(precision).unwrap_or(0));
    let scaled = number * power;
    Ok(Value::from(
        if method == "ceil" {
            scaled.ceil()
        } else {
            scaled.floor()
        } / power,
    ))
}

fn file_size(args: &[Value]) -> Result<Value, Error> {
    let [value, binary] = bind("filesizeformat", args, ["value", "binary"], 1)?;
    let binary = binary.is_some_and(|b| b.is_true());
    let bytes = float(&value.unwrap_or_default())?
        .ok_or_else(|| exception("ValueError", "could not convert to float"))?;
    let base = if binary { 1024.0 } else { 1000.0 };
    if bytes.total_cmp(&1.0).is_eq() {
        return Ok(Value::from("1 Byte"));
    }
    if bytes < base {
        return Ok(Value::from(format!("{} Bytes", bytes.trunc())));
    }
    let mut unit = base;
    let prefixes = if binary {
        ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"]
    } else {
        ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"]
    };
    let mut shown = prefixes[0];
    for prefix in prefixes {
        unit *= base;
        shown = prefix;
        if bytes < unit {
            break;
        }
    }
    Ok(Value::from(format!("{:.1} {shown}", base * bytes / unit)))
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
