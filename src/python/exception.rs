//! Python's exceptions.

use minijinja::{Error, ErrorKind};

/// An exception that Python raises, or the point where only this implementation stops.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct Exception {
    /// The exception's type, as Python names it. `Unsupported` and `Limit` are not Python's.
    pub kind: &'static str,
    /// Close to Python's message, not equal to it.
    pub message: String,
    /// Python continues here, so its result is not known: a feature is not supported, or a limit was reached.
    pub unsupported: bool,
}

impl Exception {
    /// An exception that Python raises too.
    pub(crate) fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            unsupported: false,
        }
    }

    /// A feature of Python or Jinja2 that this implementation does not have.
    pub(crate) fn unsupported(feature: impl std::fmt::Display) -> Self {
        Self {
            kind: "Unsupported",
            message: format!("{feature} is not supported"),
            unsupported: true,
        }
    }
}

impl From<Exception> for Error {
    fn from(exception: Exception) -> Self {
        Self::new(ErrorKind::InvalidOperation, exception.message.clone()).with_source(exception)
    }
}

/// [`Exception::new`], as an error of `minijinja`.
pub(crate) fn exception(kind: &'static str, message: impl Into<String>) -> Error {
    Exception::new(kind, message).into()
}

/// A `TypeError`.
pub(crate) fn type_error(message: impl Into<String>) -> Error {
    exception("TypeError", message)
}

/// [`Exception::unsupported`], as an error of `minijinja`.
pub(crate) fn unsupported(feature: impl std::fmt::Display) -> Error {
    Exception::unsupported(feature).into()
}
