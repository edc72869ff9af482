//! `+`, `-`, `*`, `/`, `//`, `%`, `**` and `~`.

use minijinja::{Error, Value};

use super::exception::{exception, type_error, unsupported};
use super::limits::{fits, fits_items};
use super::value::{Py, list, py, tuple, type_name, undefined_error};
use super::{percent_format, repr, text};

/// A number as an operand; a `bool` is an `int`.
pub(super) enum Number {
    Int(i128),
    Float(f64),
}

impl Number {
    fn float(&self) -> f64 {
        match self {
            Number::Int(i) => *i as f64,
            Number::Float(f) => *f,
        }
    }
}

/// The number that `value` is.
///
/// # Errors
/// `TypeError` for other types, `UndefinedError` for undefined values.
pub(super) fn number(value: &Value) -> Result<Number, Error> {
    match py(value) {
        Py::Bool(b) => Ok(Number::Int(i128::from(b))),
        Py::Int(i) => Ok(Number::Int(i)),
        Py::Float(f) => Ok(Number::Float(f)),
        Py::Undefined => Err(undefined_error()),
        Py::Other => Err(unsupported("arithmetic with an object")),
        _ => Err(type_error(format!(
            "unsupported operand type: '{}'",
            type_name(value)
        ))),
    }
}

fn int(value: Option<i128>) -> Result<Value, Error> {
    value
        .map(Value::from)
        .ok_or_else(|| unsupported("an integer of more than 128 bits"))
}

/// `-value`.
///
/// # Errors
/// As [`number`].
pub(crate) fn negate(value: &Value) -> Result<Value, Error> {
    match number(value)? {
        Number::Int(i) => int(i.checked_neg()),
        Number::Float(f) => Ok(Value::from(-f)),
    }
}

fn zero_division() -> Error {
    exception("ZeroDivisionError", "division by zero")
}

/// One operation on two numbers; `f` is `//`, `p` is `**`.
///
/// # Errors
/// As [`number`]; `ZeroDivisionError`, `OverflowError`; integers beyond 128 bits and complex numbers are not supported.
pub(crate) fn arithmetic(op: char, a: &Value, b: &Value) -> Result<Value, Error> {
    let operands = match (number(a), number(b)) {
        (Ok(a), Ok(b)) => (a, b),
        _ if a.is_undefined() || b.is_undefined() => return Err(undefined_error()),
        (Err(e), _) | (_, Err(e)) => return Err(e),
    };
    match (op, &operands) {
        ('+', (Number::Int(a), Number::Int(b))) => return int(a.checked_add(*b)),
        ('-', (Number::Int(a), Number::Int(b))) => return int(a.checked_sub(*b)),
        ('*', (Number::Int(a), Number::Int(b))) => return int(a.checked_mul(*b)),
        ('f' | '%' | '/', (_, Number::Int(0))) => return Err(zero_division()),
        ('f', (Number::Int(a), Number::Int(b))) => return int(floor_div(*a, *b)),
        ('%', (Number::Int(a), Number::Int(b))) => return int(floor_div(*a, *b).map(|q| a - q * b)),
        ('p', (Number::Int(a), Number::Int(b))) if *b >= 0 => {
            return int(u32::try_from(*b).ok().and_then(|b| a.checked_pow(b)));
        }
        _ => {}
    }
    let (a, b) = (operands.0.float(), operands.1.float());
    if b == 0.0 && matches!(op, 'f' | '%' | '/') {
        return Err(zero_division());
    }
    Ok(Value::from(match op {
        '+' => a + b,
        '-' => a - b,
        '*' => a * b,
        '/' => a / b,
        'f' => float_div_rem(a, b).0,
        '%' => float_div_rem(a, b).1,
        _ => float_power(a, b)?,
    }))
}

fn float_power(a: f64, b: f64) -> Result<f64, Error> {
    if a == 0.0 && b < 0.0 {
        return Err(zero_division());
    }
    if a < 0.0 && b.fract() != 0.0 {
        return Err(unsupported("a complex number"));
    }
    let power = a.powf(b);
    if power.is_infinite() && a.is_finite() && b.is_finite() {
        return Err(exception("OverflowError", "Numerical result out of range"));
    }
    Ok(power)
}

fn floor_div(a: i128, b: i128) -> Option<i128> {
    let quotient = a.checked_div(b)?;
    Some(if a % b != 0 && (a < 0) != (b < 0) {
        quotient - 1
    } else {
        quotient
    })
}

/// CPython's `float_divmod`.
fn float_div_rem(a: f64, b: f64) -> (f64, f64) {
    let mut rem = a % b;
    let mut div = (a - rem) / b;
    if rem == 0.0 {
        rem = 0.0_f64.copysign(b);
    } else if (b < 0.0) != (rem < 0.0) {
        rem += b;
        div -= 1.0;
    }
    let floor = div.floor();
    let floor = if div - floor > 0.5 {
        floor + 1.0
    } else {
        floor
    };
    (
        if div == 0.0 {
            0.0_f64.copysign(a / b)
        } else {
            floor
        },
        rem,
    )
}

/// `a + b`.
///
/// # Errors
/// `TypeError` for types that do not go together, `UndefinedError` for undefined values.
pub(crate) fn add(a: &Value, b: &Value) -> Result<Value, Error> {
    match (py(a), py(b)) {
        (Py::Str(x), Py::Str(y)) if a.is_safe() || b.is_safe() => {
            let escape = |v: &Value, s: &str| {
                if v.is_safe() {
                    s.to_owned()
                } else {
                    text::escape(s)
                }
            };
            Ok(Value::from_safe_string(escape(a, x) + &escape(b, y)))
        }
        (Py::Str(x), Py::Str(y)) => concat_texts(&[x, y]),
        (Py::List(x), Py::List(y)) => {
            fits_items(x.len() + y.len())?;
            Ok(list([x, y].concat()))
        }
        (Py::Tuple(x), Py::Tuple(y)) => {
            fits_items(x.len() + y.len())?;
            Ok(tuple([x, y].concat()))
        }
        (Py::Str(_), other) if !matches!(other, Py::Undefined | Py::Other) => Err(type_error(
            format!("can only concatenate str (not \"{}\") to str", type_name(b)),
        )),
        _ => arithmetic('+', a, b),
    }
}

/// The text of a string that is not `Markup`.
pub(crate) fn plain(value: &Value) -> Option<&str> {
    value.as_str().filter(|_| !value.is_safe())
}

/// The sum of a chain of strings, which are copied once, not once for every operator.
///
/// # Errors
/// A sum of too great a size.
pub(crate) fn concat_texts(texts: &[&str]) -> Result<Value, Error> {
    fits(texts.iter().map(|text| text.len()).sum())?;
    Ok(Value::from(texts.concat()))
}

/// `a * b`.
///
/// # Errors
/// As [`add`].
pub(crate) fn mul(a: &Value, b: &Value) -> Result<Value, Error> {
    let (sequence, count) = match (py(a), py(b)) {
        (Py::Str(_) | Py::List(_) | Py::Tuple(_), Py::Int(n)) => (a, n),
        (Py::Int(n), Py::Str(_) | Py::List(_) | Py::Tuple(_)) => (b, n),
        (Py::Str(_) | Py::List(_) | Py::Tuple(_), Py::Bool(n)) => (a, i128::from(n)),
        (Py::Bool(n), Py::Str(_) | Py::List(_) | Py::Tuple(_)) => (b, i128::from(n)),
        _ => return arithmetic('*', a, b),
    };
    let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
    Ok(match py(sequence) {
        Py::Str(s) => {
            fits(s.len().saturating_mul(count))?;
            let repeated = s.repeat(count);
            if sequence.is_safe() {
                Value::from_safe_string(repeated)
            } else {
                Value::from(repeated)
            }
        }
        Py::List(items) => list(repeat(items, count)?),
        Py::Tuple(items) => tuple(repeat(items, count)?),
        _ => Value::UNDEFINED,
    })
}

fn repeat(items: &[Value], count: usize) -> Result<Vec<Value>, Error> {
    fits_items(items.len().saturating_mul(count))?;
    Ok(std::iter::repeat_n(items, count)
        .flatten()
        .cloned()
        .collect())
}

/// `a % b`: the remainder, or printf's formatting.
///
/// # Errors
/// As [`add`]; for formatting as [`percent_format::percent`].
pub(crate) fn modulo(a: &Value, b: &Value) -> Result<Value, Error> {
    match py(a) {
        Py::Str(_) if a.is_safe() => Err(unsupported("formatting with Markup")),
        Py::Str(template) => percent_format::percent(template, b).map(Value::from),
        _ => arithmetic('%', a, b),
    }
}

/// `a ~ b ~ …`: the texts of all, as Jinja2 joins them.
///
/// # Errors
/// As [`repr::str`]; a result of too great a size.
pub(crate) fn concat(args: &[Value]) -> Result<Value, Error> {
    let mut out = String::new();
    for arg in args {
        match arg.as_str() {
            Some(s) => {
                fits(out.len() + s.len())?;
                out.push_str(s);
            }
            None => out.push_str(&repr::str(arg)?),
        }
    }
    fits(out.len())?;
    Ok(Value::from(out))
}
