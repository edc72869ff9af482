//! The process itself: exit codes, memory, the watchdog, failpoints, texts of errors and panics.

pub(crate) mod exit;
pub(crate) mod failpoint;
pub mod memory;
pub(crate) mod watchdog;

use std::any::Any;
use std::error::Error;

/// An error and its causes in one line, as anyhow's `{:#}` shows them.
pub(crate) fn error_chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}

/// The message of a caught panic.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}
