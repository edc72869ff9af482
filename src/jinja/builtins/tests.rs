//! Jinja2's tests.

use std::cmp::Ordering;

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, State, Value};

use super::FILTERS;
use crate::jinja::limits::charge;
use crate::python::arguments::{Arguments, bind};
use crate::python::arithmetic::modulo;
use crate::python::compare::{compare, contains, equal, identical};
use crate::python::value::{Py, py};
use crate::python::{repr, text};

/// The names of all tests of `jinja2.tests.TESTS`.
#[rustfmt::skip]
pub(in crate::jinja) const TESTS: [&str; 39] = [
    "!=", "<", "<=", "==", ">", ">=", "boolean", "callable", "defined", "divisibleby", "eq", "equalto", "escaped",
    "even", "false", "filter", "float", "ge", "greaterthan", "gt", "in", "integer", "iterable", "le", "lessthan",
    "lower", "lt", "mapping", "ne", "none", "number", "odd", "sameas", "sequence", "string", "test", "true",
    "undefined", "upper",
];

/// Puts the tests into `env`.
pub(super) fn install(env: &mut Environment<'static>) {
    for name in TESTS {
        env.add_test(name, move |state: &State, args: Arguments| {
            let args = args.into_values();
            charge(state, &args)?;
            test(name, &args)
        });
    }
}

fn test(name: &str, args: &[Value]) -> Result<bool, Error> {
    let two = || {
        bind(name, args, ["value", "other"], 2)
            .map(|[a, b]| (a.unwrap_or_default(), b.unwrap_or_default()))
    };
    match name {
        "in" => two().and_then(|(value, container)| contains(&container, &value)),
        "divisibleby" => {
            let [value, by] = bind(name, args, ["value", "num"], 2)?;
            let rest = modulo(&value.unwrap_or_default(), &by.unwrap_or_default())?;
            Ok(is_zero(&rest))
        }
        "sameas" => two().and_then(|(a, b)| identical(&a, &b)),
        "==" | "eq" | "equalto" => two().and_then(|(a, b)| equal(&a, &b)),
        "!=" | "ne" => two().and_then(|(a, b)| Ok(!equal(&a, &b)?)),
        ">" | "gt" | "greaterthan" => order(two()?, |o| o == Ordering::Greater),
        ">=" | "ge" => order(two()?, Ordering::is_ge),
        "<" | "lt" | "lessthan" => order(two()?, |o| o == Ordering::Less),
        "<=" | "le" => order(two()?, Ordering::is_le),
        _ => {
            let [value] = bind(name, args, ["value"], 1)?;
            unary(name, &value.unwrap_or_default())
        }
    }
}

fn order((a, b): (Value, Value), holds: impl Fn(Ordering) -> bool) -> Result<bool, Error> {
    Ok(compare(&a, &b)?.is_some_and(holds))
}

fn is_zero(value: &Value) -> bool {
    *value == Value::from(0)
}

fn unary(name: &str, value: &Value) -> Result<bool, Error> {
    let seen = py(value);
    Ok(match name {
        "odd" => modulo(value, &Value::from(2)).map(|r| r == Value::from(1))?,
        "even" => is_zero(&modulo(value, &Value::from(2))?),
        "defined" => !value.is_undefined(),
        "undefined" => value.is_undefined(),
        "filter" => value.as_str().is_some_and(|name| FILTERS.contains(&name)),
        "test" => value.as_str().is_some_and(|name| TESTS.contains(&name)),
        "none" => value.is_none(),
        "boolean" => matches!(seen, Py::Bool(_)),
        "false" => matches!(seen, Py::Bool(false)),
        "true" => matches!(seen, Py::Bool(true)),
        "integer" => matches!(seen, Py::Int(_)),
        "float" => matches!(seen, Py::Float(_)),
        "lower" => text::is_lower(&repr::str(value)?),
        "upper" => text::is_upper(&repr::str(value)?),
        "string" => matches!(seen, Py::Str(_)),
        "mapping" => matches!(seen, Py::Dict(_)),
        "number" => matches!(seen, Py::Int(_) | Py::Float(_) | Py::Bool(_)),
        // `Undefined` has a length and `__getitem__` too.
        "sequence" => matches!(
            seen,
            Py::Str(_) | Py::List(_) | Py::Tuple(_) | Py::Dict(_) | Py::Range(_) | Py::Undefined
        ),
        "iterable" => match seen {
            Py::None | Py::Bool(_) | Py::Int(_) | Py::Float(_) | Py::Method | Py::Namespace => {
                false
            }
            Py::Other => !is_callable(value) && value.try_iter().is_ok(),
            _ => true,
        },
        "callable" => is_callable(value),
        _ => value.is_safe(),
    })
}

/// `callable(value)`: functions, macros, methods, and undefined values, whose call raises.
fn is_callable(value: &Value) -> bool {
    match py(value) {
        Py::Undefined | Py::Method => true,
        Py::Other => {
            value.kind() == ValueKind::Plain
                || value
                    .as_object()
                    .is_some_and(|o| o.type_name().ends_with("::Macro"))
        }
        _ => false,
    }
}
