//! The fuel and the output that a template may use up.
//!
//! `minijinja` charges fuel for values once they exist. A hostile template can make one step read a great deal, so
//! reading is charged too, and [`crate::python::limits`] bounds sizes before a value is made.

use minijinja::{Error, State, Value};

use crate::python::exception::Exception;
use crate::python::value::{Py, py};

/// The kind of the exception of a template that reaches a limit.
pub(crate) const LIMIT: &str = "Limit";

/// The limits of one rendering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Steps of the interpreter: about one an instruction, and one every 64 bytes made or read.
    pub fuel: u64,
    /// The size of the rendering, in bytes.
    pub output_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel: 10_000_000,
            output_bytes: 64 << 20,
        }
    }
}

/// The exception of a template that reaches a limit.
pub(super) fn limit_reached(message: &str) -> Exception {
    Exception {
        kind: LIMIT,
        message: message.to_owned(),
        unsupported: true,
    }
}

/// Charges for reading values: one unit of fuel every 64 bytes of text and every 8 items.
///
/// # Errors
/// When the fuel is used up.
pub(super) fn charge<'v>(
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
