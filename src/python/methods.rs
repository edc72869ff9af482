//! Methods of Python values.

use minijinja::{Error, State, Value};

use super::args::bind;
use super::limits::{equal, fits};
use super::objects::{DictView, ViewKind, slice_positions};
use super::value::{
    Dict, Py, dict, hashable, index, iter, list, py, text, tuple, type_name, undefined_error,
};
use super::{exception, format, repr, type_error, unsupported};
use crate::python::text as strings;

/// In alphabetical order.
const STR: [&str; 47] = [
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "maketrans",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "translate",
    "upper",
    "zfill",
];
const LIST: [&str; 11] = [
    "append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse",
    "sort",
];
const TUPLE: [&str; 2] = ["count", "index"];
const DICT: [&str; 11] = [
    "clear",
    "copy",
    "fromkeys",
    "get",
    "items",
    "keys",
    "pop",
    "popitem",
    "setdefault",
    "update",
    "values",
];
const NUMBER: [&str; 14] = [
    "as_integer_ratio",
    "bit_count",
    "bit_length",
    "conjugate",
    "denominator",
    "from_bytes",
    "fromhex",
    "hex",
    "imag",
    "is_integer",
    "numerator",
    "real",
    "to_bytes",
    "is_integer",
];
const RANGE: [&str; 5] = ["count", "index", "start", "step", "stop"];
const VIEW: [&str; 2] = ["isdisjoint", "mapping"];

/// Whether some built-in type has a method or an attribute of this name.
pub fn is_method_name(name: &str) -> bool {
    [&STR[..], &LIST, &DICT, &NUMBER, &RANGE, &VIEW]
        .iter()
        .any(|names| names.contains(&name))
}

/// Whether the type of `value` has a method `name`.
pub fn has(value: &Value, name: &str) -> bool {
    match py(value) {
        Py::Str(_) => STR.binary_search(&name).is_ok(),
        Py::List(_) => LIST.contains(&name),
        Py::Tuple(_) => TUPLE.contains(&name),
        Py::Dict(_) => DICT.contains(&name),
        Py::Int(_) | Py::Bool(_) => {
            NUMBER.contains(&name) && !matches!(name, "fromhex" | "hex" | "is_integer")
        }
        Py::Float(_) => NUMBER.contains(&name) && !name.contains("bit") && !name.contains("bytes"),
        Py::Range(_) => RANGE.contains(&name),
        Py::View(_) => VIEW.contains(&name),
        _ => false,
    }
}

/// Whether the sandbox refuses the method because it changes the value.
pub fn is_mutating(value: &Value, name: &str) -> bool {
    match py(value) {
        Py::List(_) => LIST.contains(&name) && !matches!(name, "copy" | "count" | "index"),
        Py::Dict(_) => matches!(name, "clear" | "pop" | "popitem" | "setdefault" | "update"),
        _ => false,
    }
}

/// `receiver.name(args)`.
///
/// # Errors
/// `UndefinedError` for a method that is not there, `SecurityError` for one that the sandbox refuses, and what the
/// method raises.
pub fn call(
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
        Py::Range(range) => {
            sequence_method(receiver, &range.items().collect::<Vec<_>>(), name, args)
        }
        Py::Int(i) if name == "bit_length" => {
            Ok(Value::from(128 - i.unsigned_abs().leading_zeros()))
        }
        Py::Float(f) if name == "is_integer" => Ok(Value::from(f.fract() == 0.0)),
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
        _ => {
            let [keys, value] = bind(name, args, ["-keys", "-value"], 1)?;
            let value = value.unwrap_or_else(|| Value::from(()));
            Ok(dict(
                iter(&keys.unwrap_or_default())?
                    .into_iter()
                    .map(|k| (k, value.clone()))
                    .collect(),
            ))
        }
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
            let [what] = bind(name, args, ["-value"], 1)?;
            let what = what.unwrap_or_default();
            let mut count = 0;
            for item in items {
                count += usize::from(equal(item, &what)?);
            }
            Ok(Value::from(count))
        }
        "index" => {
            let [what, start, stop] = bind(name, args, ["-value", "-start", "-stop"], 1)?;
            let none = Value::from(());
            let (start, stop) = (
                start.unwrap_or_else(|| none.clone()),
                stop.unwrap_or_else(|| none.clone()),
            );
            let what = what.unwrap_or_default();
            for at in slice_positions(items.len(), &start, &stop, &none)?.items() {
                if let Some(item) = at.as_usize().and_then(|at| items.get(at))
                    && equal(item, &what)?
                {
                    return Ok(at);
                }
            }
            Err(exception("ValueError", "value is not in list"))
        }
        "copy" => Ok(list(items.to_vec())),
        _ => Err(unsupported(format!("{}.{name}()", type_name(receiver)))),
    }
}

/// The part of a string between character positions, and where it starts; `None` when `start` is past its end.
fn window(
    s: &str,
    start: Option<Value>,
    end: Option<Value>,
) -> Result<Option<(usize, &str)>, Error> {
    let none = || Value::from(());
    let (start, end) = (start.unwrap_or_else(none), end.unwrap_or_else(none));
    if start.is_none() && end.is_none() {
        return Ok(Some((0, s)));
    }
    let len = s.chars().count();
    if !start.is_none() && index(&start)? > i64::try_from(len).unwrap_or(i64::MAX) {
        return Ok(None);
    }
    let at = slice_positions(len, &start, &end, &none())?;
    if at.start > at.stop {
        return Ok(None);
    }
    let byte = |i: i64| {
        s.char_indices()
            .nth(usize::try_from(i).unwrap_or(0))
            .map_or(s.len(), |(b, _)| b)
    };
    Ok(Some((
        usize::try_from(at.start).unwrap_or(0),
        &s[byte(at.start)..byte(at.stop)],
    )))
}

/// A method of a string.
///
/// # Errors
/// What the method raises.
pub fn string_method(s: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
    let no_args = || bind(name, args, [], 0);
    if let Some(predicate) = predicate(s, name) {
        no_args()?;
        return predicate.map(Value::from);
    }
    let made = match name {
        "upper" => s.to_uppercase(),
        "lower" => s.to_lowercase(),
        "casefold"
            if s.is_ascii() || s.chars().all(|c| c.to_lowercase().eq([c])) && !s.contains('ß') =>
        {
            s.to_lowercase()
        }
        "title" => strings::title(s),
        "capitalize" => strings::capitalize(s),
        "swapcase" => strings::swapcase(s),
        _ => return string_method_with_args(s, name, args),
    };
    no_args()?;
    Ok(Value::from(made))
}

fn string_method_with_args(s: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
    match name {
        "split" | "rsplit" => split(s, name, args),
        "startswith" | "endswith" => {
            let [affix, start, end] = bind(name, args, ["-prefix", "-start", "-end"], 1)?;
            let part = window(s, start, end)?;
            let affix = affix.unwrap_or_default();
            let has = |affix: &Value| -> Result<bool, Error> {
                let affix = text(affix)?;
                Ok(part.is_some_and(|(_, p)| {
                    if name == "startswith" {
                        p.starts_with(affix)
                    } else {
                        p.ends_with(affix)
                    }
                }))
            };
            match py(&affix) {
                Py::Tuple(affixes) => {
                    for affix in affixes {
                        if has(affix)? {
                            return Ok(Value::from(true));
                        }
                    }
                    Ok(Value::from(false))
                }
                _ => has(&affix).map(Value::from),
            }
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
            Ok(strings_list(strings::lines(
                s,
                keep.is_some_and(|k| k.is_true()),
            )))
        }
        "partition" | "rpartition" => {
            let [sep] = bind(name, args, ["-sep"], 1)?;
            let sep = sep.unwrap_or_default();
            let sep = text(&sep)?;
            if sep.is_empty() {
                return Err(exception("ValueError", "empty separator"));
            }
            let parts = if name == "partition" {
                s.split_once(sep)
            } else {
                s.rsplit_once(sep)
            };
            let parts = match parts {
                Some((left, right)) => [left, sep, right],
                None if name == "partition" => [s, "", ""],
                None => ["", "", s],
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
        "ljust" | "rjust" | "center" | "zfill" | "expandtabs" => pad(s, name, args),
        "format" => format::braces(s, args).map(Value::from),
        _ => Err(unsupported(format!("str.{name}()"))),
    }
}

fn strings_list<'s>(parts: impl IntoIterator<Item = &'s str>) -> Value {
    list(parts.into_iter().map(Value::from).collect())
}

/// `str.strip` and its sides, also the filter `trim`: of `s`, the text of `value`.
///
/// # Errors
/// `TypeError` for characters that are no string.
pub fn strip(value: &Value, s: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
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
    let parts = if name == "split" {
        strings::split(s, sep, count)?
    } else {
        strings::rsplit(s, sep, count)?
    };
    Ok(list(parts.into_iter().map(Value::from).collect()))
}

fn search(s: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
    let [what, start, end] = bind(name, args, ["-sub", "-start", "-end"], 1)?;
    let what = what.unwrap_or_default();
    let what = text(&what)?;
    let part = window(s, start, end)?;
    if name == "count" {
        return Ok(Value::from(
            part.map_or(0, |(_, p)| p.matches(what).count()),
        ));
    }
    let found = part.and_then(|(offset, p)| {
        let at = if name.starts_with('r') {
            p.rfind(what)
        } else {
            p.find(what)
        };
        at.map(|at| offset + p[..at].chars().count())
    });
    match found {
        Some(at) => Ok(Value::from(at)),
        None if name.ends_with("index") => Err(exception("ValueError", "substring not found")),
        None => Ok(Value::from(-1)),
    }
}

fn pad(s: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
    if name == "expandtabs" {
        let [size] = bind(name, args, ["tabsize"], 0)?;
        let size = size.as_ref().map_or(Ok(8), index)?;
        return Ok(Value::from(strings::expand_tabs(
            s,
            usize::try_from(size.min(1000)).unwrap_or(0),
        )));
    }
    let [width, fill] = bind(name, args, ["-width", "-fillchar"], 1)?;
    let width = usize::try_from(index(&width.unwrap_or_default())?).unwrap_or(0);
    if width > 1 << 20 {
        return Err(unsupported("padding this wide"));
    }
    let fill = fill.as_ref().map_or(Ok(" "), text)?;
    let mut chars = fill.chars();
    let (Some(fill), None) = (chars.next(), chars.next()) else {
        return Err(type_error(
            "The fill character must be exactly one character long",
        ));
    };
    let missing = width.saturating_sub(s.chars().count());
    let left = match name {
        "ljust" => 0,
        "rjust" | "zfill" => missing,
        _ => missing / 2 + (missing & width & 1),
    };
    let run = |n: usize, c: char| std::iter::repeat_n(c, n).collect::<String>();
    Ok(Value::from(if name == "zfill" {
        let sign = s.len() - s.strip_prefix(['+', '-']).map_or(s.len(), str::len);
        format!("{}{}{}", &s[..sign], run(missing, '0'), &s[sign..])
    } else {
        format!("{}{s}{}", run(left, fill), run(missing - left, fill))
    }))
}

/// `str.is…()`; `None` for other names.
fn predicate(s: &str, name: &str) -> Option<Result<bool, Error>> {
    let all = |test: fn(char) -> Result<bool, Error>| {
        s.chars()
            .try_fold(!s.is_empty(), |so_far, c| Ok(test(c)? && so_far))
    };
    let lower = || s.chars().any(char::is_lowercase);
    let upper = || s.chars().any(char::is_uppercase);
    Some(match name {
        "isascii" => Ok(s.is_ascii()),
        "isspace" => all(|c| Ok(strings::is_space(c))),
        "islower" => Ok(lower() && !upper()),
        "isupper" => Ok(upper() && !lower()),
        "isalpha" => all(|c| Ok(c.is_alphabetic() && !c.is_numeric())),
        "isdecimal" => all(|c| numeric(c, NumericKind::Decimal)),
        "isdigit" => all(|c| numeric(c, NumericKind::Digit)),
        "isnumeric" => all(|c| numeric(c, NumericKind::Numeric)),
        "isalnum" => all(|c| Ok(c.is_alphabetic() || c.is_numeric())),
        "isprintable" => Ok(s.chars().all(repr::is_printable)),
        "isidentifier" => Ok(!s.starts_with(|c: char| c.is_ascii_digit())
            && !s.is_empty()
            && s.chars().all(|c| c == '_' || c.is_alphanumeric())),
        "istitle" => Ok((lower() || upper()) && strings::title(s) == s),
        _ => return None,
    })
}

#[derive(Clone, Copy, PartialEq)]
enum NumericKind {
    Decimal,
    Digit,
    Numeric,
}

/// Whether a character is of the kind. Outside ASCII only what is sure is answered.
fn numeric(c: char, kind: NumericKind) -> Result<bool, Error> {
    let superscript = matches!(c, '²' | '³' | '¹' | '⁰' | '⁴'..='⁹' | '₀'..='₉');
    let fraction = matches!(c, '¼'..='¾');
    if c.is_ascii() {
        return Ok(c.is_ascii_digit());
    }
    if superscript || fraction {
        return Ok(kind == NumericKind::Numeric || (superscript && kind == NumericKind::Digit));
    }
    let ideograph = matches!(c, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{2_0000}'..='\u{3_ffff}');
    if c.is_numeric() || (ideograph && kind == NumericKind::Numeric) {
        return Err(unsupported(
            "asking for the kind of a numeral outside ASCII",
        ));
    }
    Ok(false)
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
