//! What operators, methods, filters and tests mean in Python, for templates that `minijinja` runs.
//!
//! The rules are CPython 3.11's and Jinja2 3.1's, the environment is the one that transformers 5.5.0 sets up
//! (`utils/chat_template_utils.py`). What Python can do and we cannot raises [`Exception::unsupported`]: never a
//! rendering that differs in silence.

pub mod args;
pub mod clock;
pub mod double;
pub mod exact;
pub mod filters;
pub mod format;
pub mod json;
pub mod json_repr;
pub mod limits;
pub mod loads;
pub mod methods;
pub mod msgspec;
pub mod objects;
pub mod ops;
pub mod repr;
pub mod sequences;
pub mod tests;
pub mod text;
pub mod value;

use minijinja::{Environment, Error, ErrorKind, Value};

pub use filters::FILTERS;
pub use methods::is_method_name;
pub use tests::TESTS;

/// A Python exception that a template raises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct Exception {
    /// The exception's type, as Python names it.
    pub kind: &'static str,
    /// Its message: close to Python's, not equal.
    pub message: String,
    /// Python would go on here; it is us who cannot.
    pub unsupported: bool,
}

impl From<Exception> for Error {
    fn from(exception: Exception) -> Self {
        Error::new(ErrorKind::InvalidOperation, exception.message.clone()).with_source(exception)
    }
}

/// A Python exception of type `kind`.
pub fn exception(kind: &'static str, message: impl Into<String>) -> Error {
    Exception {
        kind,
        message: message.into(),
        unsupported: false,
    }
    .into()
}

/// A `TypeError`.
pub fn type_error(message: impl Into<String>) -> Error {
    exception("TypeError", message)
}

/// Something Python can do that is not done here.
pub fn unsupported(what: impl std::fmt::Display) -> Error {
    Exception {
        kind: "Unsupported",
        message: format!("{what} is not supported"),
        unsupported: true,
    }
    .into()
}

/// Puts operators, filters, tests and functions into `env`.
pub fn install(env: &mut Environment<'static>, now: jiff::civil::DateTime) {
    ops::install(env);
    filters::install(env);
    tests::install(env);
    objects::install(env);
    clock::install(env, now);
    env.set_formatter(|out, _state, value| {
        if let Some(text) = value.as_str() {
            out.write_str(text)?;
        } else if let Some(ops::PrintedSum(parts)) = value.downcast_object_ref() {
            for part in parts.iter().filter_map(Value::as_str) {
                out.write_str(part)?;
            }
        } else {
            out.write_str(&repr::str(value)?)?;
        }
        Ok(())
    });
}
