//! Methods of Python values; [`super::string_methods`] has those of `str`.

use minijinja::{Error, State, Value};

use super::access::slice_positions;
use super::arguments::bind;
use super::compare::equal;
use super::exception::{exception, unsupported};
use super::objects::{DictView, ViewKind};
use super::string_methods::{string_method, strip};
use super::value::{Dict, Py, dict, hashable, iter, list, py, type_name, undefined_error};

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
/// The methods and attributes of `int` and `float`.
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
        Py::Int(_) | Py::Bool(_) => {
            NUMBER.contains(&name) && !matches!(name, "fromhex" | "hex" | "is_integer")
        }
        Py::Float(_) => NUMBER.contains(&name) && !name.contains("bit") && !name.contains("bytes"),
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
            let mut entries = Dict::new();
            for key in iter(&keys.unwrap_or_default())? {
                hashable(&key)?;
                entries.insert(key, value.clone());
            }
            Ok(dict(entries))
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
            let (what, none) = (what.unwrap_or_default(), Value::from(()));
            let start = start.unwrap_or_else(|| none.clone());
            let stop = stop.unwrap_or_else(|| none.clone());
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
