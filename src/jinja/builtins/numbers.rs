//! Jinja2's filters on numbers.

use minijinja::{Error, Value};

use crate::python::arguments::bind;
use crate::python::exception::{exception, type_error, unsupported};
use crate::python::text as strings;
use crate::python::value::{Py, index, py, text, type_name, undefined_error};

/// Applies the filter `name`; returns `None` for a name that is not here.
pub(super) fn filter(name: &str, args: &[Value]) -> Option<Result<Value, Error>> {
    Some(match name {
        "abs" => {
            bind(name, args, ["value"], 1).and_then(|[value]| absolute(&value.unwrap_or_default()))
        }
        "filesizeformat" => file_size(args),
        "float" => bind(name, args, ["value", "default"], 1).and_then(|[value, default]| {
            let default = default.unwrap_or_else(|| Value::from(0.0));
            Ok(float(&value.unwrap_or_default())?.map_or(default, Value::from))
        }),
        "int" => int(args),
        "round" => round(args),
        _ => return None,
    })
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
        Py::Undefined if method != "common" => return Err(undefined_error()),
        _ => {
            return Err(type_error(format!(
                "type {} doesn't define __round__ method",
                type_name(&value)
            )));
        }
    };
    let power = 10_f64.powi(i32::try_from(precision).unwrap_or(0));
    let scaled = number * power;
    let whole = if method == "ceil" {
        scaled.ceil()
    } else {
        scaled.floor()
    };
    // Python's `ceil` and `floor` return integers, which have no negative zero.
    Ok(Value::from((whole + 0.0) / power))
}

fn file_size(args: &[Value]) -> Result<Value, Error> {
    let [value, binary] = bind("filesizeformat", args, ["value", "binary"], 1)?;
    let binary = binary.is_some_and(|b| b.is_true());
    let value = value.unwrap_or_default();
    let bytes = float(&value)?.ok_or_else(|| match py(&value) {
        Py::Str(_) => exception("ValueError", "could not convert string to float"),
        _ => type_error("float() argument must be a string or a real number"),
    })?;
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
