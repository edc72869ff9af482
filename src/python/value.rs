//! A template value seen as a Python object.

use std::sync::Arc;

use indexmap::IndexMap;
use minijinja::value::{Tuple, ValueKind};
use minijinja::{Error, Value};
use serde_json::Value as Json;

use super::exception::{exception, type_error, unsupported};
use super::limits::fits_items;
use super::objects::{BoundMethod, DictView, Generator, Group, Range};

/// A Python dict, of the type that `minijinja` uses for maps.
pub(crate) type Dict = IndexMap<Value, Value>;

/// A value, seen as the type that it has in Python.
#[derive(Debug)]
pub(crate) enum Py<'a> {
    /// Jinja2's `Undefined`.
    Undefined,
    /// `None`
    None,
    /// `bool`
    Bool(bool),
    /// `int`
    Int(i128),
    /// `float`
    Float(f64),
    /// `str`
    Str(&'a str),
    /// `list`
    List(&'a [Value]),
    /// `tuple`
    Tuple(&'a [Value]),
    /// `dict`
    Dict(&'a Dict),
    /// The result of `dict.keys()`, `.values()` or `.items()`.
    View(&'a DictView),
    /// `range`
    Range(&'a Range),
    /// A generator: true, without a length, empty after its first use.
    Generator(&'a Generator),
    /// A method of a value, not called.
    Method,
    /// A `namespace`.
    Namespace,
    /// Anything else: functions, macros, `loop`.
    Other,
}

/// The Python type of `value`.
pub(crate) fn py(value: &Value) -> Py<'_> {
    match value.kind() {
        ValueKind::Undefined => Py::Undefined,
        ValueKind::None => Py::None,
        ValueKind::Bool => Py::Bool(value.is_true()),
        ValueKind::Number if value.is_integer() => {
            i128::try_from(value.clone()).map_or(Py::Other, Py::Int)
        }
        ValueKind::Number => f64::try_from(value.clone()).map_or(Py::Other, Py::Float),
        ValueKind::String => value.as_str().map_or(Py::Other, Py::Str),
        _ => object(value),
    }
}

fn object(value: &Value) -> Py<'_> {
    if let Some(list) = value.downcast_object_ref::<Vec<Value>>() {
        Py::List(list)
    } else if let Some(dict) = value.downcast_object_ref::<Dict>() {
        Py::Dict(dict)
    } else if let Some(tuple) = value.downcast_object_ref::<Tuple>() {
        Py::Tuple(tuple)
    } else if let Some(group) = value.downcast_object_ref::<Group>() {
        Py::Tuple(group.parts())
    } else if let Some(view) = value.downcast_object_ref::<DictView>() {
        Py::View(view)
    } else if let Some(range) = value.downcast_object_ref::<Range>() {
        Py::Range(range)
    } else if let Some(generator) = value.downcast_object_ref::<Generator>() {
        Py::Generator(generator)
    } else if value.downcast_object_ref::<BoundMethod>().is_some() {
        Py::Method
    } else if value
        .as_object()
        .is_some_and(|o| o.type_name().ends_with("::Namespace"))
    {
        Py::Namespace
    } else {
        Py::Other
    }
}

/// The name of a value's type, for messages.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match py(value) {
        Py::Undefined => "Undefined",
        Py::None => "NoneType",
        Py::Bool(_) => "bool",
        Py::Int(_) => "int",
        Py::Float(_) => "float",
        Py::Str(_) => "str",
        Py::List(_) => "list",
        Py::Tuple(_) => "tuple",
        Py::Dict(_) => "dict",
        Py::View(_) => "dict view",
        Py::Range(_) => "range",
        Py::Generator(_) => "generator",
        Py::Method => "method",
        Py::Namespace => "Namespace",
        Py::Other => "object",
    }
}

/// Jinja2's error for every operation on an undefined value.
pub(crate) fn undefined_error() -> Error {
    exception("UndefinedError", "a value is undefined")
}

/// The items of an iterable.
///
/// # Errors
/// `TypeError` for a value that is not iterable; the exception of a generator.
pub(crate) fn iter(value: &Value) -> Result<Vec<Value>, Error> {
    Ok(match py(value) {
        Py::Undefined => Vec::new(),
        Py::List(items) | Py::Tuple(items) => items.to_vec(),
        Py::Str(text) => {
            fits_items(text.len())?;
            let char = |c: char| Value::from(c.encode_utf8(&mut [0; 4]) as &str);
            text.chars().map(char).collect()
        }
        Py::Dict(dict) => dict.keys().cloned().collect(),
        Py::View(view) => view.items(),
        Py::Range(range) => range.items().collect(),
        Py::Generator(generator) => generator.take()?,
        Py::Other => return Err(unsupported("iterating over an object")),
        _ => {
            return Err(type_error(format!(
                "'{}' object is not iterable",
                type_name(value)
            )));
        }
    })
}

/// `len(value)`.
///
/// # Errors
/// `TypeError` for a value without a length.
pub(crate) fn len(value: &Value) -> Result<usize, Error> {
    Ok(match py(value) {
        Py::Undefined => 0,
        Py::List(items) | Py::Tuple(items) => items.len(),
        Py::Str(text) => text.chars().count(),
        Py::Dict(dict) => dict.len(),
        Py::View(view) => view.items().len(),
        Py::Range(range) => range.len(),
        Py::Other => return Err(unsupported("the length of an object")),
        _ => {
            return Err(type_error(format!(
                "object of type '{}' has no len()",
                type_name(value)
            )));
        }
    })
}

/// Refuses values that Python cannot hash.
///
/// # Errors
/// `TypeError` for lists and dicts, also inside tuples.
pub(crate) fn hashable(value: &Value) -> Result<(), Error> {
    match py(value) {
        Py::List(_) | Py::Dict(_) => Err(type_error(format!(
            "unhashable type: '{}'",
            type_name(value)
        ))),
        Py::Tuple(items) => items.iter().try_for_each(hashable),
        _ => Ok(()),
    }
}

/// A list of `items`.
pub(crate) fn list(items: Vec<Value>) -> Value {
    Value::from_object(items)
}

/// A tuple of `items`.
pub(crate) fn tuple(items: Vec<Value>) -> Value {
    Value::from(Tuple::new(items))
}

/// A dict.
pub(crate) fn dict(entries: Dict) -> Value {
    Value::from_object(entries)
}

/// A JSON value as the Python object that a decoder makes of it.
///
/// Numbers without fraction or exponent are `int` where they fit 64 bits. `serde_json` keeps larger ones as doubles, so
/// an integer beyond 64 bits in an event's messages prints as a float where Python prints its digits.
pub fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(b) => Value::from(*b),
        Json::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(i), _) => Value::from(i),
            (None, Some(u)) => Value::from(u),
            _ => Value::from(n.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(s) => string(s),
        Json::Array(items) => list(items.iter().map(from_json).collect()),
        Json::Object(map) => dict(map.iter().map(|(k, v)| (string(k), from_json(v))).collect()),
    }
}

/// `bool(json.loads(text))` of the text that `json` was read from.
pub(crate) fn is_true_json(json: &Json) -> bool {
    match json {
        Json::Null => false,
        Json::Bool(b) => *b,
        Json::Number(n) => n.as_f64() != Some(0.0),
        Json::String(s) => !s.is_empty(),
        Json::Array(items) => !items.is_empty(),
        Json::Object(map) => !map.is_empty(),
    }
}

/// A string, shared rather than copied again when the template hands it around.
pub(crate) fn string(text: &str) -> Value {
    Value::from(Arc::<str>::from(text))
}

/// An integer that a Python index or count may be.
///
/// # Errors
/// `TypeError` for a value that is not an integer.
pub(crate) fn index(value: &Value) -> Result<i64, Error> {
    match py(value) {
        Py::Int(i) => Ok(i64::try_from(i).unwrap_or(if i < 0 { i64::MIN } else { i64::MAX })),
        Py::Bool(b) => Ok(i64::from(b)),
        Py::Undefined => Err(type_error(
            "'Undefined' object cannot be interpreted as an integer",
        )),
        _ => Err(type_error(format!(
            "'{}' object cannot be interpreted as an integer",
            type_name(value)
        ))),
    }
}

/// A string argument.
///
/// # Errors
/// `TypeError` for a value that is not a string.
pub(crate) fn text(value: &Value) -> Result<&str, Error> {
    value
        .as_str()
        .ok_or_else(|| type_error(format!("expected str, not {}", type_name(value))))
}
