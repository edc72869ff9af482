//! Jinja2's tests.

use std::cmp::Ordering;

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, State, Value};

use super::args::{Arguments, bind};
use super::limits::{charge, equal};
use super::value::{Dict, Py, py};
use super::{FILTERS, ops, repr, unsupported};

/// The names of all tests, as `jinja2.tests.TESTS` has them.
pub const TESTS: [&str; 39] = [
    "odd",
    "even",
    "divisibleby",
    "defined",
    "undefined",
    "filter",
    "test",
    "none",
    "boolean",
    "false",
    "true",
    "integer",
    "float",
    "lower",
    "upper",
    "string",
    "mapping",
    "number",
    "sequence",
    "iterable",
    "callable",
    "sameas",
    "escaped",
    "in",
    "==",
    "eq",
    "equalto",
    "!=",
    "ne",
    ">",
    "gt",
    "greaterthan",
    "ge",
    ">=",
    "<",
    "lt",
    "lessthan",
    "<=",
    "le",
];

/// Puts the tests into `env`.
pub fn install(env: &mut Environment<'static>) {
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
        "in" => two().and_then(|(value, container)| ops::contains(&container, &value)),
        "divisibleby" => {
            let [value, by] = bind(name, args, ["value", "num"], 2)?;
            let rest = ops::modulo(&value.unwrap_or_default(), &by.unwrap_or_default())?;
            Ok(is_zero(&rest))
        }
        "sameas" => two().and_then(|(a, b)| same(&a, &b)),
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
    Ok(ops::compare(&a, &b)?.is_some_and(holds))
}

fn is_zero(value: &Value) -> bool {
    *value == Value::from(0)
}

/// Where a list or a dict is, which is what it is in Python.
fn address(value: &Value) -> Option<usize> {
    let list = value
        .downcast_object_ref::<Vec<Value>>()
        .map(|list| std::ptr::from_ref(list).addr());
    list.or_else(|| {
        value
            .downcast_object_ref::<Dict>()
            .map(|dict| std::ptr::from_ref(dict).addr())
    })
}

/// `a is b`. Of equal numbers, strings and tuples Python may have one or two.
fn same(a: &Value, b: &Value) -> Result<bool, Error> {
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

fn unary(name: &str, value: &Value) -> Result<bool, Error> {
    let seen = py(value);
    Ok(match name {
        "odd" => ops::modulo(value, &Value::from(2)).map(|r| r == Value::from(1))?,
        "even" => is_zero(&ops::modulo(value, &Value::from(2))?),
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
        "lower" | "upper" => {
            let text = repr::str(value)?;
            let (lower, upper) = (
                text.chars().any(char::is_lowercase),
                text.chars().any(char::is_uppercase),
            );
            if name == "lower" {
                lower && !upper
            } else {
                upper && !lower
            }
        }
        "string" => matches!(seen, Py::Str(_)),
        "mapping" => matches!(seen, Py::Dict(_)),
        "number" => matches!(seen, Py::Int(_) | Py::Float(_) | Py::Bool(_)),
        // `Undefined` too has a length and a `__getitem__` to look up.
        "sequence" => matches!(
            seen,
            Py::Str(_) | Py::List(_) | Py::Tuple(_) | Py::Dict(_) | Py::Range(_) | Py::Undefined
        ),
        "iterable" => match seen {
            Py::None | Py::Bool(_) | Py::Int(_) | Py::Float(_) | Py::Method(_) | Py::Namespace => {
                false
            }
            Py::Other => !is_callable(value) && value.try_iter().is_ok(),
            _ => true,
        },
        "callable" => is_callable(value),
        _ => value.is_safe(),
    })
}

/// `callable(value)`: functions, macros and methods; and undefined values, whose call raises.
fn is_callable(value: &Value) -> bool {
    match py(value) {
        Py::Undefined | Py::Method(_) => true,
        Py::Other => {
            value.kind() == ValueKind::Plain
                || value
                    .as_object()
                    .is_some_and(|o| o.type_name().ends_with("::Macro"))
        }
        _ => false,
    }
}
