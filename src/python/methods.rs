//! Methods of Python values.

use minijinja::{Error, State, Value};

use super::arguments::bind;
use super::compare::equal;
use super::exception::{exception, unsupported};
use super::limits::fits;
use super::objects::{DictView, ViewKind};
use super::value::{
    Dict, Py, dict, hashable, index, iter, list, py, text, tuple, type_name, undefined_error,
};
use super::{format, text as strings};

/// The methods of `str`, in alphabetical order.
#[rustfmt::skip]
const STR: [&str; 47] = [
    "capitalize", "casefold", "center", "count", "encode", "endswith", "expandtabs", "find", "format", "format_map",
    "index", "isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier", "islower", "isnumeric",
    "isprintable", "isspace", "istitle", "isupper", "join", "ljust", "lower", "lstrip", "maketrans", "partition",
    "removeprefix", "removesuffix", "replace", "rfind", "rindex", "rjust", "rpartition", "rsplit", "rstrip", "split",
    "splitlines", "startswith", "strip", "swapcase", "title", "translate", "upper", "zfill",
];
const LIST: [&str; 11] = [
    "append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse",
    "sort",
];
const TUPLE: [&str; 2] = ["count", "index"];
#[rustfmt::skip]
const DICT: [&str; 11] = [
    "clear", "copy", "fromkeys", "get", "items", "keys", "pop", "popitem", "setdefault", "update", "values",
];
/// The methods and attributes of `int` and `float`: none is supported.
#[rustfmt::skip]
const NUMBER: [&str; 13] = [
    "as_integer_ratio", "bit_count", "bit_length", "conjugate", "denominator", "from_bytes", "fromhex", "hex", "imag",
    "is_integer", "numerator", "real", "to_bytes",
];
const RANGE: [&str; 5] = ["count", "index", "start", "step", "stop"];
const VIEW: [&str; 2] = ["isdisjoint", "mapping"];

/// Checks whether some built-in type has a method or an attribute of this name.
pub(crate) fn is_method_name(name: &str) -> bool {
    [&STR[..], &LIST, &DICT, &NUMBER, &RANGE, &VIEW]
        .iter()
        .any(|names| names.contains(&name))
}

/// Checks whether the type of `value` has a method `name`.
pub(crate) fn has(value: &Value, name: &str) -> bool {
    match py(value) {
        Py::Str(_) => STR.binary_search(&name).is_ok(),
        Py::List(_) => LIST.contains(&name),
        Py::Tuple(_) => TUPLE.contains(&name),
        Py::Dict(_) => DICT.contains(&name),
        Py::Int(_) | Py::Bool(_) | Py::Float(_) => NUMBER.contains(&name),
        Py::Range(_) => RANGE.contains(&name),
        Py::View(_) => VIEW.contains(&name),
        _ => false,
    }
}

/// Checks whether the sandbox refuses the method because it changes the value.
pub(crate) fn is_mutating(value: &Value, name: &str) -> bool {
    match py(value) {
        Py::List(_) => LIST.contains(&name) && !matches!(name, "copy" | "count" | "index"),
        Py::Dict(_) => matches!(name, "clear" | "pop" | "popitem" | "setdefault" | "update"),
        _ => false,
    }
}

/// `receiver.name(args)`.
///
/// # Errors
/// `UndefinedError` for a method that does not exist, `SecurityError` for one that the sandbox refuses, and the
/// exceptions of the method.
pub(crate) fn call(
    state: &mut State<'_, '_>,
    receiver: &Value,
    name: &str,
    args: &[Value],
) -> Result<Value, Error> {
    if is_mutating(receiver, name) {
        return Err(exception(
            "SecurityError",
            format!("access to attribute '{name}' is unsafe"),
        ));
    }
    if !has(receiver, name) {
        return match py(receiver) {
            Py::Dict(dict) if dict.contains_key(&Value::from(name)) => {
                dict[&Value::from(name)].call(state, args)
            }
            Py::Namespace | Py::Other => receiver.call_method(state, name, args),
            _ => Err(exception(
                "UndefinedError",
                format!("'{} object' has no attribute '{name}'", type_name(receiver)),
            )),
        };
    }
    match py(receiver) {
        Py::Str(_) if receiver.is_safe() => Err(unsupported("methods of Markup")),
        Py::Str(s) if name.ends_with("strip") => strip(receiver, s, name, args),
        Py::Str(s) => string_method(s, name, args),
        Py::Dict(entries) => dict_method(receiver, entries, name, args),
        Py::List(items) | Py::Tuple(items) => sequence_method(receiver, items, name, args),
        Py::Undefined => Err(undefined_error()),
        _ => Err(unsupported(format!("{}.{name}()", type_name(receiver)))),
    }
}

fn dict_method(
    receiver: &Value,
    entries: &Dict,
    name: &str,
    args: &[Value],
) -> Result<Value, Error> {
    let view = |kind| {
        let [] = bind(name, args, [], 0)?;
        Ok(Value::from_object(DictView {
            kind,
            dict: receiver.clone(),
        }))
    };
    match name {
        "keys" => view(ViewKind::Keys),
        "values" => view(ViewKind::Values),
        "items" => view(ViewKind::Items),
        "get" => {
            let [key, default] = bind(name, args, ["-key", "-default"], 1)?;
            let key = key.unwrap_or_default();
            hashable(&key)?;
            Ok(entries
                .get(&key)
                .cloned()
                .or(default)
                .unwrap_or_else(|| Value::from(())))
        }
        "copy" => {
            let [] = bind(name, args, [], 0)?;
            Ok(dict(entries.clone()))
        }
        _ => Err(unsupported(format!("dict.{name}()"))),
    }
}

fn sequence_method(
    receiver: &Value,
    items: &[Value],
    name: &str,
    args: &[Value],
) -> Result<Value, Error> {
    match name {
        "count" => {
            let what = only_argument(name, args, "-value")?;
            let mut count = 0;
            for item in items {
                count += usize::from(equal(item, &what)?);
            }
            Ok(Value::from(count))
        }
        "index" => {
            let what = only_argument(name, args, "-value")?;
            for (at, item) in items.iter().enumerate() {
                if equal(item, &what)? {
                    return Ok(Value::from(at));
                }
            }
            Err(exception("ValueError", "value is not in list"))
        }
        "copy" => Ok(list(items.to_vec())),
        _ => Err(unsupported(format!("{}.{name}()", type_name(receiver)))),
    }
}

/// The only argument that is supported of a method that also takes positions.
fn only_argument(method: &str, args: &[Value], name: &'static str) -> Result<Value, Error> {
    let [first, start, end] = bind(method, args, [name, "-start", "-end"], 1)?;
    if start.or(end).is_some_and(|position| !position.is_none()) {
        return Err(unsupported(format!("{method}() with positions")));
    }
    Ok(first.unwrap_or_default())
}

/// A method of a string.
///
/// # Errors
/// As the method.
fn string_method(s: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
    let converted = match name {
        "upper" => s.to_uppercase(),
        "lower" => s.to_lowercase(),
        "title" => strings::title(s),
        "capitalize" => strings::capitalize(s),
        _ if name.starts_with("is") => {
            let [] = bind(name, args, [], 0)?;
            return predicate(s, name).map(Value::from);
        }
        _ => return string_method_with_args(s, name, args),
    };
    let [] = bind(name, args, [], 0)?;
    Ok(Value::from(converted))
}

fn string_method_with_args(s: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
    match name {
        "split" | "rsplit" => split(s, name, args),
        "startswith" | "endswith" => {
            let has = |affix: &Value| match (text(affix), name) {
                (Ok(affix), "startswith") => Ok(s.starts_with(affix)),
                (Ok(affix), _) => Ok(s.ends_with(affix)),
                (Err(error), _) => Err(error),
            };
            let affix = only_argument(name, args, "-prefix")?;
            let Py::Tuple(affixes) = py(&affix) else {
                return has(&affix).map(Value::from);
            };
            for affix in affixes {
                if has(affix)? {
                    return Ok(Value::from(true));
                }
            }
            Ok(Value::from(false))
        }
        "find" | "rfind" | "index" | "rindex" | "count" => search(s, name, args),
        "replace" => {
            let [old, new, count] = bind(name, args, ["-old", "-new", "-count"], 2)?;
            let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
            let count = count.as_ref().map_or(Ok(-1), index)?;
            strings::replace(s, text(&old)?, text(&new)?, count).map(Value::from)
        }
        "join" => {
            let [items] = bind(name, args, ["-iterable"], 1)?;
            let mut out = String::new();
            for (i, item) in iter(&items.unwrap_or_default())?.iter().enumerate() {
                out.push_str(if i > 0 { s } else { "" });
                out.push_str(text(item)?);
                fits(out.len())?;
            }
            Ok(Value::from(out))
        }
        "splitlines" => {
            let [keep] = bind(name, args, ["keepends"], 0)?;
            let lines = strings::lines(s, keep.is_some_and(|k| k.is_true()));
            Ok(list(lines.into_iter().map(Value::from).collect()))
        }
        "partition" | "rpartition" => {
            let [sep] = bind(name, args, ["-sep"], 1)?;
            let sep = sep.unwrap_or_default();
            let sep = text(&sep)?;
            if sep.is_empty() {
                return Err(exception("ValueError", "empty separator"));
            }
            let parts = match name {
                "partition" => s.split_once(sep).map_or([s, "", ""], |(l, r)| [l, sep, r]),
                _ => s.rsplit_once(sep).map_or(["", "", s], |(l, r)| [l, sep, r]),
            };
            Ok(tuple(parts.into_iter().map(Value::from).collect()))
        }
        "removeprefix" | "removesuffix" => {
            let [affix] = bind(name, args, ["-affix"], 1)?;
            let affix = affix.unwrap_or_default();
            let affix = text(&affix)?;
            let rest = if name == "removeprefix" {
                s.strip_prefix(affix)
            } else {
                s.strip_suffix(affix)
            };
            Ok(Value::from(rest.unwrap_or(s)))
        }
        "format" => format::braces(s, args).map(Value::from),
        _ => Err(unsupported(format!("str.{name}()"))),
    }
}

/// `str.strip` and its sides, also the filter `trim`: of `s`, the text of `value`.
///
/// # Errors
/// `TypeError` for characters that are not a string.
pub(crate) fn strip(value: &Value, s: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
    let [chars] = bind(name, args, ["-chars"], 0)?;
    let set = chars.filter(|c| !c.is_none());
    let set = set.as_ref().map(text).transpose()?;
    let strip = |c: char| set.map_or_else(|| strings::is_space(c), |set| set.contains(c));
    let stripped = match name {
        "lstrip" => s.trim_start_matches(strip),
        "rstrip" => s.trim_end_matches(strip),
        _ => s.trim_matches(strip),
    };
    // Most texts have nothing to strip, and some are long.
    let is_whole = stripped.len() == s.len() && value.as_str().is_some() && !value.is_safe();
    Ok(if is_whole {
        value.clone()
    } else {
        Value::from(stripped)
    })
}

fn split(s: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
    let [sep, count] = bind(name, args, ["sep", "maxsplit"], 0)?;
    let sep = sep.filter(|sep| !sep.is_none());
    let sep = sep.as_ref().map(text).transpose()?;
    if sep == Some("") {
        return Err(exception("ValueError", "empty separator"));
    }
    let count = usize::try_from(count.as_ref().map_or(Ok(-1), index)?).unwrap_or(usize::MAX);
    let parts = match (sep, name) {
        (Some(sep), "rsplit") => strings::rsplit(s, sep, count)?,
        (None, "rsplit") if count != usize::MAX => {
            return Err(unsupported(
                "str.rsplit() with a count and without a separator",
            ));
        }
        _ => strings::split(s, sep, count)?,
    };
    Ok(list(parts.into_iter().map(Value::from).collect()))
}

fn search(s: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
    let part = only_argument(name, args, "-sub")?;
    let part = text(&part)?;
    let found = match name {
        "count" => return Ok(Value::from(s.matches(part).count())),
        "find" | "index" => s.find(part),
        _ => s.rfind(part),
    };
    match found {
        Some(at) => Ok(Value::from(s[..at].chars().count())),
        None if name.ends_with("index") => Err(exception("ValueError", "substring not found")),
        None => Ok(Value::from(-1)),
    }
}

/// `str.is…()`. Classes of characters are those of ASCII: Python's tables beyond it are not supported.
fn predicate(s: &str, name: &str) -> Result<bool, Error> {
    let all = |test: fn(&u8) -> bool| {
        if s.is_ascii() {
            Ok(!s.is_empty() && s.bytes().all(|b| test(&b)))
        } else {
            Err(unsupported(format!("str.{name}() outside ASCII")))
        }
    };
    match name {
        "isascii" => Ok(s.is_ascii()),
        "isspace" => Ok(!s.is_empty() && s.chars().all(strings::is_space)),
        "islower" => Ok(strings::is_lower(s)),
        "isupper" => Ok(strings::is_upper(s)),
        "isalpha" => all(u8::is_ascii_alphabetic),
        "isalnum" => all(u8::is_ascii_alphanumeric),
        "isdecimal" | "isdigit" | "isnumeric" => all(u8::is_ascii_digit),
        _ => Err(unsupported(format!("str.{name}()"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_of_strings_are_found() {
        assert!(STR.is_sorted());
        for name in STR {
            assert!(has(&Value::from(""), name), "{name}");
        }
        assert!(!has(&Value::from(""), "append"));
    }
}
