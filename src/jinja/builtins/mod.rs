//! The filters, tests, operators and functions that a template finds.

mod clock;
mod filters;
mod functions;
mod numbers;
mod operators;
mod sequences;
mod tests;

use jiff::civil::DateTime;
use minijinja::{Environment, Value};

pub(super) use self::filters::FILTERS;
pub(super) use self::tests::TESTS;
use crate::python::repr;

/// Puts operators, filters, tests and functions into `env`.
pub(super) fn install(env: &mut Environment<'static>, now: DateTime) {
    operators::install(env);
    filters::install(env);
    tests::install(env);
    functions::install(env);
    clock::install(env, now);
    env.set_formatter(|out, _state, value| {
        if let Some(text) = value.as_str() {
            out.write_str(text)?;
        } else if let Some(operators::PrintedSum(parts)) = value.downcast_object_ref() {
            for part in parts.iter().filter_map(Value::as_str) {
                out.write_str(part)?;
            }
        } else {
            out.write_str(&repr::str(value)?)?;
        }
        Ok(())
    });
}
