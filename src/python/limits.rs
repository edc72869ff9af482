//! What a template may build, and what it pays for looking at.
//!
//! `minijinja` charges fuel for values once they are there. A hostile template can make one step of ours build or read
//! a great deal, so sizes are checked before, and what a step reads is paid for too.

use minijinja::{Error, State, Value};

use super::unsupported;
use super::value::{Py, py};

/// No string that a template makes is longer.
const MAX_BYTES: usize = 64 << 20;
/// No list that a template makes has more items.
const MAX_ITEMS: usize = 8 << 20;
/// Values that one comparison looks at; shared parts count as often as they are met.
const MAX_COMPARED: usize = 10_000_000;

/// Refuses a string of more than `bytes` bytes.
///
/// # Errors
/// Not supported; Python would go on.
pub fn fits(bytes: usize) -> Result<(), Error> {
    if bytes <= MAX_BYTES {
        Ok(())
    } else {
        Err(unsupported("a text of this size"))
    }
}

/// Refuses a list of more than `items` items.
///
/// # Errors
/// As [`fits`].
pub fn fits_items(items: usize) -> Result<(), Error> {
    if items <= MAX_ITEMS {
        Ok(())
    } else {
        Err(unsupported("a list of this size"))
    }
}

/// Pays for reading values: one unit of fuel every 64 bytes of text and every 8 items.
///
/// # Errors
/// When the fuel is used up.
pub fn charge<'v>(
    state: &State<'_, '_>,
    values: impl IntoIterator<Item = &'v Value>,
) -> Result<(), Error> {
    let cost = |value: &Value| match py(value) {
        Py::Str(text) => text.len() / 64,
        Py::List(items) | Py::Tuple(items) => items.len() / 8,
        Py::Dict(entries) => entries.len() / 8,
        _ => 0,
    };
    match values.into_iter().map(cost).sum::<usize>() {
        0 => Ok(()),
        fuel => state.consume_fuel(fuel as u64),
    }
}

/// `a == b`, within bounds: parts that a value has twice are compared twice.
///
/// # Errors
/// Values with too many parts are not supported.
pub fn equal(a: &Value, b: &Value) -> Result<bool, Error> {
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
