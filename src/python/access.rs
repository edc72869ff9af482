//! `value[key]`, `value.name` and `value[start:stop:step]`.

use minijinja::{Error, Value};

use super::exception::{exception, type_error, unsupported};
use super::methods;
use super::objects::{BoundMethod, Group, Range};
use super::value::{Py, hashable, index, len, list, py, tuple, type_name, undefined_error};

/// Jinja2's `environment.getitem`: the item, else for a string the attribute, else undefined.
///
/// # Errors
/// `UndefinedError` for an item of an undefined value.
pub(crate) fn item(value: &Value, key: &Value) -> Result<Value, Error> {
    if let (Py::Dict(dict), true) = (py(value), hashable(key).is_ok())
        && let Some(found) = dict.get(key)
    {
        return Ok(found.clone());
    }
    match (py(value), py(key)) {
        (Py::Undefined, _) => Err(undefined_error()),
        (Py::List(_) | Py::Tuple(_) | Py::Str(_) | Py::Range(_), Py::Int(_) | Py::Bool(_)) => {
            let at = index(key)?;
            let len = i64::try_from(len(value)?).unwrap_or(i64::MAX);
            let at = usize::try_from(if at < 0 { at + len } else { at }).unwrap_or(usize::MAX);
            Ok(match py(value) {
                Py::List(items) | Py::Tuple(items) => items.get(at).cloned(),
                Py::Str(s) => s
                    .chars()
                    .nth(at)
                    .map(|c| Value::from(c.encode_utf8(&mut [0; 4]) as &str)),
                Py::Range(range) => range.items().nth(at),
                _ => None,
            }
            .unwrap_or_default())
        }
        (Py::Namespace | Py::Other, _) => Ok(value.get_item(key).unwrap_or_default()),
        (_, Py::Str(name)) => Ok(own_attribute(value, name)),
        _ => Ok(Value::UNDEFINED),
    }
}

/// Attributes of every Python object, also of undefined values.
#[rustfmt::skip]
const OBJECT: [&str; 12] = [
    "__class__", "__doc__", "__init__", "__str__", "__repr__", "__eq__", "__ne__", "__hash__", "__len__", "__iter__",
    "__bool__", "__module__",
];

/// Jinja2's `environment.getattr`: the attribute, else the item, else undefined.
///
/// # Errors
/// `UndefinedError` for an attribute of an undefined value.
pub(crate) fn attribute(value: &Value, name: &str) -> Result<Value, Error> {
    if value.is_undefined() {
        // These exist, but the sandbox hides them.
        return if OBJECT.contains(&name) {
            Ok(Value::UNDEFINED)
        } else {
            Err(undefined_error())
        };
    }
    let own = own_attribute(value, name);
    if let (true, Py::Dict(dict)) = (own.is_undefined() && !methods::has(value, name), py(value)) {
        return Ok(dict.get(&Value::from(name)).cloned().unwrap_or_default());
    }
    Ok(own)
}

/// The Python attribute: a number, a part of a group, a method, or undefined if it does not exist or the sandbox refuses it.
fn own_attribute(value: &Value, name: &str) -> Value {
    if let Some(data) = data_attribute(value, name) {
        return data;
    }
    match py(value) {
        Py::Namespace | Py::Other if !name.starts_with("__") => {
            value.get_attr(name).unwrap_or_default()
        }
        _ if methods::has(value, name) && !methods::is_mutating(value, name) => {
            Value::from_object(BoundMethod {
                receiver: value.clone(),
                name: name.to_owned(),
            })
        }
        _ => Value::UNDEFINED,
    }
}

/// An attribute of a number or a range that is not a method, or a named part of a group.
fn data_attribute(value: &Value, name: &str) -> Option<Value> {
    Some(match (py(value), name) {
        (Py::Int(i), "real" | "numerator") => Value::from(i),
        (Py::Bool(b), "real" | "numerator") => Value::from(i64::from(b)),
        (Py::Int(_) | Py::Bool(_), "imag") => Value::from(0),
        (Py::Int(_) | Py::Bool(_), "denominator") => Value::from(1),
        (Py::Float(f), "real") => Value::from(f),
        (Py::Float(_), "imag") => Value::from(0.0),
        (Py::Range(range), "start") => Value::from(range.start),
        (Py::Range(range), "stop") => Value::from(range.stop),
        (Py::Range(range), "step") => Value::from(range.step),
        (Py::Tuple(_), _) => value.downcast_object_ref::<Group>()?.part(name)?.clone(),
        _ => return None,
    })
}

/// The positions of a slice of `len` items, in order.
///
/// # Errors
/// `TypeError` for bounds that are not integers, `ValueError` for a step of 0.
pub(super) fn slice_positions(
    len: usize,
    start: &Value,
    stop: &Value,
    step: &Value,
) -> Result<Range, Error> {
    let bound = |value: &Value| {
        if value.is_none() {
            Ok(None)
        } else {
            index(value).map(Some)
        }
    };
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let step = bound(step)?.unwrap_or(1);
    if step == 0 {
        return Err(exception("ValueError", "slice step cannot be zero"));
    }
    let (low, high) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let clamp = |value: i64| {
        (if value < 0 {
            value.saturating_add(len)
        } else {
            value
        })
        .clamp(low, high)
    };
    let start = bound(start)?.map_or(if step > 0 { low } else { high }, clamp);
    let stop = bound(stop)?.map_or(if step > 0 { high } else { low }, clamp);
    Ok(Range { start, stop, step })
}

/// `value[start:stop:step]`.
///
/// # Errors
/// `TypeError` for a value that cannot be sliced.
pub(crate) fn slice(
    value: &Value,
    start: &Value,
    stop: &Value,
    step: &Value,
) -> Result<Value, Error> {
    let pick = |items: &[Value]| -> Result<Vec<Value>, Error> {
        let positions = slice_positions(items.len(), start, stop, step)?;
        Ok(positions
            .items()
            .filter_map(|i| items.get(i.as_usize()?).cloned())
            .collect())
    };
    Ok(match py(value) {
        Py::List(items) => list(pick(items)?),
        Py::Tuple(items) => tuple(pick(items)?),
        Py::Str(s) => slice_text(s, start, stop, step)?,
        Py::Range(range) => {
            let at = slice_positions(range.len(), start, stop, step)?;
            Value::from_object(Range {
                start: range.start + at.start * range.step,
                stop: range.start + at.stop * range.step,
                step: range.step * at.step,
            })
        }
        Py::Undefined => return Err(undefined_error()),
        Py::Other => return Err(unsupported("slicing an object")),
        _ => {
            return Err(type_error(format!(
                "'{}' object is not subscriptable",
                type_name(value)
            )));
        }
    })
}

fn slice_text(s: &str, start: &Value, stop: &Value, step: &Value) -> Result<Value, Error> {
    let len = if s.is_ascii() {
        s.len()
    } else {
        s.chars().count()
    };
    let at = slice_positions(len, start, stop, step)?;
    if at.step == 1 {
        let from = usize::try_from(at.start).unwrap_or(0);
        let count = at.len();
        if s.is_ascii() {
            return Ok(Value::from(&s[from..from + count]));
        }
        let mut ends = s.char_indices().map(|(i, _)| i).chain([s.len()]);
        let begin = ends.nth(from).unwrap_or(s.len());
        let end = if count == 0 {
            begin
        } else {
            ends.nth(count - 1).unwrap_or(s.len())
        };
        return Ok(Value::from(&s[begin..end]));
    }
    let chars: Vec<char> = s.chars().collect();
    Ok(Value::from(
        at.items()
            .filter_map(|i| chars.get(i.as_usize()?))
            .collect::<String>(),
    ))
}
