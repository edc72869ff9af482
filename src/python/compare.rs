//! `==`, `is`, `<`, `in` and sorting.

use std::cmp::Ordering;

use minijinja::{Error, Value};

use super::arithmetic::{Number, number};
use super::exception::{type_error, unsupported};
use super::value::{Dict, Py, hashable, iter, py, type_name, undefined_error};

/// The number of values that one comparison looks at; a shared part counts each time.
const MAX_COMPARED: usize = 10_000_000;

/// `a == b`, within bounds: parts that a value has twice are compared twice.
///
/// # Errors
/// Values with too many parts are not supported.
pub(crate) fn equal(a: &Value, b: &Value) -> Result<bool, Error> {
    equal_within(a, b, &mut MAX_COMPARED.clone())
}

fn equal_within(a: &Value, b: &Value, left: &mut usize) -> Result<bool, Error> {
    *left = left
        .checked_sub(1)
        .ok_or_else(|| unsupported("comparing values of this size"))?;
    match (py(a), py(b)) {
        (Py::List(a), Py::List(b)) | (Py::Tuple(a), Py::Tuple(b)) if a.len() == b.len() => {
            for (a, b) in a.iter().zip(b) {
                if !equal_within(a, b, left)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Py::Dict(a), Py::Dict(b)) if a.len() == b.len() => {
            for (key, a) in a {
                match b.get(key) {
                    Some(b) if equal_within(a, b, left)? => {}
                    _ => return Ok(false),
                }
            }
            Ok(true)
        }
        (Py::List(_) | Py::Tuple(_) | Py::Dict(_), _)
        | (_, Py::List(_) | Py::Tuple(_) | Py::Dict(_)) => Ok(false),
        _ => Ok(a == b),
    }
}

/// `a is b`.
///
/// # Errors
/// Equal strings, floats and tuples, and larger equal integers, are not supported: Python may have one or two of them.
pub(crate) fn identical(a: &Value, b: &Value) -> Result<bool, Error> {
    match (py(a), py(b)) {
        (Py::None, Py::None) => Ok(true),
        (Py::Bool(a), Py::Bool(b)) => Ok(a == b),
        (Py::Int(a), Py::Int(b)) if (-5..=256).contains(&a) && (-5..=256).contains(&b) => {
            Ok(a == b)
        }
        (Py::List(_) | Py::Dict(_), _) | (_, Py::List(_) | Py::Dict(_)) => {
            Ok(address(a) == address(b))
        }
        _ if a.kind() != b.kind() || !equal(a, b)? => Ok(false),
        _ => Err(unsupported("the identity of equal values")),
    }
}

/// The address of a list or a dict, which is its identity.
fn address(value: &Value) -> Option<usize> {
    let list = value
        .downcast_object_ref::<Vec<Value>>()
        .map(|list| std::ptr::from_ref(list).addr());
    let dict = || value.downcast_object_ref::<Dict>();
    list.or_else(|| dict().map(|dict| std::ptr::from_ref(dict).addr()))
}

/// The order of `a` and `b`, `None` if one of them is NaN.
///
/// # Errors
/// `TypeError` where Python does not order the two types, `UndefinedError` for undefined values.
pub(crate) fn compare(a: &Value, b: &Value) -> Result<Option<Ordering>, Error> {
    match (py(a), py(b)) {
        (Py::Str(x), Py::Str(y)) => return Ok(Some(x.cmp(y))),
        (Py::List(x), Py::List(y)) | (Py::Tuple(x), Py::Tuple(y)) => {
            for (x, y) in x.iter().zip(y) {
                if !equal(x, y)? {
                    return compare(x, y);
                }
            }
            return Ok(Some(x.len().cmp(&y.len())));
        }
        _ => {}
    }
    match (number(a), number(b)) {
        (Ok(Number::Int(x)), Ok(Number::Int(y))) => Ok(Some(x.cmp(&y))),
        (Ok(Number::Int(x)), Ok(Number::Float(y))) => Ok(compare_mixed(x, y)),
        (Ok(Number::Float(x)), Ok(Number::Int(y))) => {
            Ok(compare_mixed(y, x).map(Ordering::reverse))
        }
        (Ok(Number::Float(x)), Ok(Number::Float(y))) => Ok(x.partial_cmp(&y)),
        _ if a.is_undefined() || b.is_undefined() => Err(undefined_error()),
        _ => Err(type_error(format!(
            "'<' not supported between instances of '{}' and '{}'",
            type_name(a),
            type_name(b)
        ))),
    }
}

#[allow(clippy::cast_possible_truncation)]
fn compare_mixed(int: i128, float: f64) -> Option<Ordering> {
    if float.abs() >= 1e38 || float.is_nan() {
        return 0.0_f64.partial_cmp(&float);
    }
    Some(
        int.cmp(&(float.trunc() as i128))
            .then(0.0_f64.partial_cmp(&float.fract())?),
    )
}

/// Python's stable `list.sort` of items with their keys.
///
/// # Errors
/// As [`compare`]; keys that do not order, such as NaN, are not supported.
pub(crate) fn sort<T>(mut items: Vec<(Value, T)>, reverse: bool) -> Result<Vec<(Value, T)>, Error> {
    if items.len() < 2 {
        return Ok(items);
    }
    let right = items.split_off(items.len() / 2);
    let mut left = sort(items, reverse)?.into_iter().peekable();
    let mut right = sort(right, reverse)?.into_iter().peekable();
    let mut merged = Vec::with_capacity(left.len() + right.len());
    while let (Some((a, _)), Some((b, _))) = (left.peek(), right.peek()) {
        let order = compare(b, a)?.ok_or_else(|| unsupported("sorting what does not order"))?;
        let right_first = if reverse {
            order.is_gt()
        } else {
            order.is_lt()
        };
        merged.extend(if right_first {
            right.next()
        } else {
            left.next()
        });
    }
    merged.extend(left);
    merged.extend(right);
    Ok(merged)
}

/// Checks whether one of `items` equals `value`.
fn any_equal(items: &[Value], value: &Value) -> Result<bool, Error> {
    for item in items {
        if equal(item, value)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `value in container`.
///
/// # Errors
/// `TypeError` where Python raises it: nothing is in `None`, only strings are in strings.
pub(crate) fn contains(container: &Value, value: &Value) -> Result<bool, Error> {
    Ok(match py(container) {
        Py::Undefined => false,
        Py::Str(s) => match value.as_str() {
            Some(part) => memchr::memmem::find(s.as_bytes(), part.as_bytes()).is_some(),
            None => {
                return Err(type_error(format!(
                    "'in <string>' requires string, not {}",
                    type_name(value)
                )));
            }
        },
        Py::List(items) | Py::Tuple(items) => any_equal(items, value)?,
        Py::Dict(dict) => {
            hashable(value)?;
            dict.contains_key(value)
        }
        Py::View(_) | Py::Range(_) | Py::Generator(_) => any_equal(&iter(container)?, value)?,
        Py::Other => return Err(unsupported("looking into an object")),
        _ => {
            return Err(type_error(format!(
                "argument of type '{}' is not iterable",
                type_name(container)
            )));
        }
    })
}
