//! Operators: what `+`, `<`, `in`, `x.y` and `x[y]` mean, written by the translation as filters.

use std::cmp::Ordering;

use minijinja::{Environment, Error, State, Value};

use super::args::Arguments;
use super::limits::{charge, equal, fits, fits_items};
use super::objects::{BoundMethod, slice};
use super::value::{Dict, Py, dict, hashable, iter, list, py, tuple, type_name, undefined_error};
use super::{exception, format, methods, repr, text, type_error, unsupported};

/// Puts the operators into `env`.
pub fn install(env: &mut Environment<'static>) {
    env.add_filter("__add", |state: &State, args: Arguments| {
        let args = args.into_values();
        charge(state, &args)?;
        let texts: Option<Vec<_>> = args.iter().map(plain).collect();
        texts.map_or_else(|| fold(&args, add), |texts| concat_texts(&texts))
    });
    env.add_filter("__printed_sum", |state: &State, args: Arguments| {
        let args = args.into_values();
        charge(state, &args)?;
        if args.iter().all(|arg| plain(arg).is_some()) {
            return Ok(Value::from_object(PrintedSum(args)));
        }
        fold(&args, add)
    });
    operator(env, "__sub", |a, b| arithmetic('-', a, b));
    operator(env, "__mul", mul);
    operator(env, "__div", |a, b| arithmetic('/', a, b));
    operator(env, "__floordiv", |a, b| arithmetic('f', a, b));
    operator(env, "__mod", modulo);
    operator(env, "__pow", |a, b| arithmetic('p', a, b));
    env.add_filter("__eq", |state: &State, a: &Value, b: &Value| {
        charge(state, [a, b])?;
        equal(a, b)
    });
    comparison(env, "__lt", Ordering::is_lt);
    comparison(env, "__le", Ordering::is_le);
    comparison(env, "__gt", Ordering::is_gt);
    comparison(env, "__ge", Ordering::is_ge);
    env.add_filter("__neg", |a: &Value| negate(a));
    env.add_filter("__pos", |a: &Value| match number(a)? {
        Number::Int(i) => int(Some(i)),
        Number::Float(f) => Ok(Value::from(f)),
    });
    env.add_filter("__concat", |state: &State, args: Arguments| {
        let args = args.into_values();
        charge(state, &args)?;
        concat(&args)
    });
    env.add_filter("__in", |state: &State, a: &Value, b: &Value| {
        charge(state, [a, b])?;
        contains(b, a)
    });
    env.add_filter("__iter", |state: &State, value: &Value| match py(value) {
        Py::List(_) | Py::Tuple(_) => Ok(value.clone()),
        _ => {
            charge(state, [value])?;
            iter(value).map(list)
        }
    });
    env.add_filter("__row", |value: &Value| row(value));
    env.add_filter("__rows", |state: &State, value: &Value| {
        charge(state, [value])?;
        let rows = iter(value)?
            .iter()
            .map(row)
            .collect::<Result<Vec<_>, Error>>();
        rows.map(list)
    });
    env.add_filter("__mapping", |value: &Value| match py(value) {
        Py::Dict(dict) if dict.keys().all(|k| k.as_str().is_some()) => Ok(value.clone()),
        _ => Err(type_error(
            "argument after ** must be a mapping with string keys",
        )),
    });
    env.add_filter("__dict", |pairs: &Value| {
        let mut entries = Dict::new();
        for pair in iter(pairs)?.chunks_exact(2) {
            hashable(&pair[0])?;
            entries.insert(pair[0].clone(), pair[1].clone());
        }
        Ok::<_, Error>(dict(entries))
    });
    access(env);
    statements(env);
}

/// Attributes, items, slices and methods.
fn access(env: &mut Environment<'static>) {
    env.add_filter("__item", |state: &State, value: &Value, key: &Value| {
        if value.as_str().is_some() {
            charge(state, [value])?;
        }
        item(value, key)
    });
    env.add_filter("__attr", |value: &Value, name: &str| attribute(value, name));
    env.add_filter(
        "__slice",
        |state: &State, v: &Value, a: &Value, b: &Value, c: &Value| {
            charge(state, [v])?;
            slice(v, a, b, c)
        },
    );
    env.add_filter(
        "__slice_constant",
        |v: &Value, a: &Value, b: &Value, c: &Value| match py(v) {
            Py::Str(_) | Py::List(_) | Py::Tuple(_) => slice(v, a, b, c),
            // Where Jinja2 folds constants it swallows the TypeError.
            _ => Err(unsupported("slicing a constant of this type")),
        },
    );
    env.add_filter(
        "__method",
        |state: &mut State, args: Arguments| match &args.into_values()[..] {
            [receiver, name, rest @ ..] => {
                charge(state, rest.iter().chain([receiver]))?;
                methods::call(state, receiver, name.as_str().unwrap_or_default(), rest)
            }
            _ => Err(type_error("no method named")),
        },
    );
}

/// What the statements of Jinja2 are written with.
fn statements(env: &mut Environment<'static>) {
    env.add_filter("__variable", |state: &State, name: &str| {
        state.lookup(name).unwrap_or_default()
    });
    env.add_filter("__flag", |_: &Value| minijinja::functions::namespace(None));
    env.add_filter("__missing", |_: &Value| Value::from_object(Missing));
    env.add_filter("__is_missing", |value: &Value| {
        value.downcast_object_ref::<Missing>().is_some()
    });
    env.add_filter("__unknown", |_: &Value, name: &str| {
        Err::<Value, _>(exception(
            "TemplateRuntimeError",
            format!("No filter or test named '{name}' found."),
        ))
    });
    env.add_filter("__no_loader", |_: &Value, _: &str| {
        Err::<Value, _>(type_error("no loader for this environment specified"))
    });
    env.add_filter("__autoescape", |on: &Value| {
        if on.is_true() {
            Err(unsupported("autoescape"))
        } else {
            Ok(false)
        }
    });
}

fn operator(
    env: &mut Environment<'static>,
    name: &'static str,
    op: impl Fn(&Value, &Value) -> Result<Value, Error> + Send + Sync + 'static,
) {
    env.add_filter(name, move |state: &State, args: Arguments| {
        let args = args.into_values();
        charge(state, &args)?;
        fold(&args, &op)
    });
}

fn comparison(env: &mut Environment<'static>, name: &'static str, holds: fn(Ordering) -> bool) {
    env.add_filter(name, move |state: &State, a: &Value, b: &Value| {
        charge(state, [a, b])?;
        compare(a, b).map(|order| order.is_some_and(holds))
    });
}

/// Strings that are added up only to be printed: each is printed where it is, and none is copied.
#[derive(Debug)]
pub struct PrintedSum(pub Vec<Value>);

impl minijinja::value::Object for PrintedSum {}

/// An argument that a macro was called without.
#[derive(Debug)]
struct Missing;

impl minijinja::value::Object for Missing {}

fn fold(
    args: &[Value],
    op: impl Fn(&Value, &Value) -> Result<Value, Error>,
) -> Result<Value, Error> {
    let [first, rest @ ..] = args else {
        return Err(type_error("no operand"));
    };
    rest.iter()
        .try_fold(first.clone(), |left, right| op(&left, right))
}

/// One item of a loop that takes its items apart: a list or a tuple.
fn row(value: &Value) -> Result<Value, Error> {
    match py(value) {
        Py::List(_) | Py::Tuple(_) => Ok(value.clone()),
        Py::None | Py::Bool(_) | Py::Int(_) | Py::Float(_) => Err(type_error(format!(
            "cannot unpack non-iterable {} object",
            type_name(value)
        ))),
        _ => iter(value).map(list),
    }
}

enum Number {
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

fn number(value: &Value) -> Result<Number, Error> {
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

fn negate(value: &Value) -> Result<Value, Error> {
    match number(value)? {
        Number::Int(i) => int(i.checked_neg()),
        Number::Float(f) => Ok(Value::from(-f)),
    }
}

fn zero_division() -> Error {
    exception("ZeroDivisionError", "division by zero")
}

/// Numbers only. `f` is `//`, `p` is `**`.
fn arithmetic(op: char, a: &Value, b: &Value) -> Result<Value, Error> {
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
    if b == 0.0 && matches!(op, 'f' | '%' | '/') || (op == 'p' && a == 0.0 && b < 0.0) {
        return Err(zero_division());
    }
    Ok(Value::from(match op {
        '+' => a + b,
        '-' => a - b,
        '*' => a * b,
        '/' => a / b,
        'f' => float_div_rem(a, b).0,
        '%' => float_div_rem(a, b).1,
        _ if a < 0.0 && b.fract() != 0.0 => return Err(unsupported("a complex number")),
        _ => match a.powf(b) {
            r if r.is_infinite() && a.is_finite() && b.is_finite() => {
                return Err(exception("OverflowError", "Numerical result out of range"));
            }
            r => r,
        },
    }))
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
pub fn add(a: &Value, b: &Value) -> Result<Value, Error> {
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

fn plain(value: &Value) -> Option<&str> {
    value.as_str().filter(|_| !value.is_safe())
}

/// A chain of `+` between strings: copied once, not once for every operator.
fn concat_texts(texts: &[&str]) -> Result<Value, Error> {
    fits(texts.iter().map(|text| text.len()).sum())?;
    Ok(Value::from(texts.concat()))
}

fn mul(a: &Value, b: &Value) -> Result<Value, Error> {
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
/// As [`add`]; for formatting as [`format::percent`].
pub fn modulo(a: &Value, b: &Value) -> Result<Value, Error> {
    match py(a) {
        Py::Str(_) if a.is_safe() => Err(unsupported("formatting with Markup")),
        Py::Str(template) => format::percent(template, b).map(Value::from),
        _ => arithmetic('%', a, b),
    }
}

fn concat(args: &[Value]) -> Result<Value, Error> {
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

/// How `a` and `b` order, `None` when a NaN is among them.
///
/// # Errors
/// `TypeError` where Python does not order the two types, `UndefinedError` for undefined values.
pub fn compare(a: &Value, b: &Value) -> Result<Option<Ordering>, Error> {
    match (py(a), py(b)) {
        (Py::Str(x), Py::Str(y)) => return Ok(Some(x.cmp(y))),
        (Py::List(x), Py::List(y)) | (Py::Tuple(x), Py::Tuple(y)) => {
            for (x, y) in x.iter().zip(y) {
                if !equal(x, y)? {
                    return compare(x, y);
                }
            }
            return Ok(Some(x.len().cmp(&y.len())));
        }
        _ => {}
    }
    match (number(a), number(b)) {
        (Ok(Number::Int(x)), Ok(Number::Int(y))) => Ok(Some(x.cmp(&y))),
        (Ok(Number::Int(x)), Ok(Number::Float(y))) => Ok(compare_mixed(x, y)),
        (Ok(Number::Float(x)), Ok(Number::Int(y))) => {
            Ok(compare_mixed(y, x).map(Ordering::reverse))
        }
        (Ok(Number::Float(x)), Ok(Number::Float(y))) => Ok(x.partial_cmp(&y)),
        _ if a.is_undefined() || b.is_undefined() => Err(undefined_error()),
        _ => Err(type_error(format!(
            "'<' not supported between instances of '{}' and '{}'",
            type_name(a),
            type_name(b)
        ))),
    }
}

#[allow(clippy::cast_possible_truncation)]
fn compare_mixed(int: i128, float: f64) -> Option<Ordering> {
    if float.abs() >= 1e38 || float.is_nan() {
        return 0.0_f64.partial_cmp(&float);
    }
    Some(
        int.cmp(&(float.trunc() as i128))
            .then(0.0_f64.partial_cmp(&float.fract())?),
    )
}

/// Python's stable `list.sort` of items with their keys.
///
/// # Errors
/// Where [`compare`] raises; keys that do not order, as NaN does not, are not supported.
pub fn sort<T>(mut items: Vec<(Value, T)>, reverse: bool) -> Result<Vec<(Value, T)>, Error> {
    if items.len() < 2 {
        return Ok(items);
    }
    let right = items.split_off(items.len() / 2);
    let mut left = sort(items, reverse)?.into_iter().peekable();
    let mut right = sort(right, reverse)?.into_iter().peekable();
    let mut merged = Vec::with_capacity(left.len() + right.len());
    while let (Some((a, _)), Some((b, _))) = (left.peek(), right.peek()) {
        let order = compare(b, a)?.ok_or_else(|| unsupported("sorting what does not order"))?;
        let right_first = if reverse {
            order.is_gt()
        } else {
            order.is_lt()
        };
        merged.extend(if right_first {
            right.next()
        } else {
            left.next()
        });
    }
    merged.extend(left);
    merged.extend(right);
    Ok(merged)
}

/// Whether one of `items` is `value`.
fn any_equal(items: &[Value], value: &Value) -> Result<bool, Error> {
    for item in items {
        if equal(item, value)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `value in container`.
///
/// # Errors
/// `TypeError` where Python raises it: nothing is in `None`, only strings are in strings.
pub fn contains(container: &Value, value: &Value) -> Result<bool, Error> {
    Ok(match py(container) {
        Py::Undefined => false,
        Py::Str(s) => match value.as_str() {
            Some(part) => memchr::memmem::find(s.as_bytes(), part.as_bytes()).is_some(),
            None => {
                return Err(type_error(format!(
                    "'in <string>' requires string, not {}",
                    type_name(value)
                )));
            }
        },
        Py::List(items) | Py::Tuple(items) => any_equal(items, value)?,
        Py::Dict(dict) => {
            hashable(value)?;
            dict.contains_key(value)
        }
        Py::View(_) | Py::Range(_) | Py::Generator(_) => any_equal(&iter(container)?, value)?,
        Py::Other => return Err(unsupported("looking into an object")),
        _ => {
            return Err(type_error(format!(
                "argument of type '{}' is not iterable",
                type_name(container)
            )));
        }
    })
}

/// Jinja2's `environment.getitem`: the item, else for a string the attribute, else undefined.
///
/// # Errors
/// `UndefinedError` for an item of an undefined value.
pub fn item(value: &Value, key: &Value) -> Result<Value, Error> {
    if let (Py::Dict(dict), true) = (py(value), hashable(key).is_ok())
        && let Some(found) = dict.get(key)
    {
        return Ok(found.clone());
    }
    match (py(value), py(key)) {
        (Py::Undefined, _) => Err(undefined_error()),
        (Py::List(_) | Py::Tuple(_) | Py::Str(_) | Py::Range(_), Py::Int(_) | Py::Bool(_)) => {
            let at = super::value::index(key)?;
            let len = i64::try_from(super::value::len(value)?).unwrap_or(i64::MAX);
            let at = usize::try_from(if at < 0 { at + len } else { at }).unwrap_or(usize::MAX);
            Ok(match py(value) {
                Py::List(items) | Py::Tuple(items) => items.get(at).cloned(),
                Py::Str(s) => s
                    .chars()
                    .nth(at)
                    .map(|c| Value::from(c.encode_utf8(&mut [0; 4]) as &str)),
                Py::Range(range) => range.items().nth(at),
                _ => None,
            }
            .unwrap_or_default())
        }
        (Py::Namespace | Py::Other, _) => Ok(value.get_item(key).unwrap_or_default()),
        (_, Py::Str(name)) => own_attribute(value, name),
        _ => Ok(Value::UNDEFINED),
    }
}

/// Attributes that every Python object has, undefined values too.
const OBJECT: [&str; 12] = [
    "__class__",
    "__doc__",
    "__init__",
    "__str__",
    "__repr__",
    "__eq__",
    "__ne__",
    "__hash__",
    "__len__",
    "__iter__",
    "__bool__",
    "__module__",
];

/// Jinja2's `environment.getattr`: the attribute, else the item, else undefined.
///
/// # Errors
/// `UndefinedError` for an attribute of an undefined value.
pub fn attribute(value: &Value, name: &str) -> Result<Value, Error> {
    if value.is_undefined() {
        // What every Python object has is there, and is not safe.
        return if OBJECT.contains(&name) {
            Ok(Value::UNDEFINED)
        } else {
            Err(undefined_error())
        };
    }
    let own = own_attribute(value, name)?;
    if let (true, Py::Dict(dict)) = (own.is_undefined() && !methods::has(value, name), py(value)) {
        return Ok(dict.get(&Value::from(name)).cloned().unwrap_or_default());
    }
    Ok(own)
}

/// The Python attribute: a method, or undefined where there is none or the sandbox refuses it.
fn own_attribute(value: &Value, name: &str) -> Result<Value, Error> {
    match py(value) {
        Py::Int(_) | Py::Bool(_) if matches!(name, "real" | "numerator") => {
            number(value).and_then(|n| match n {
                Number::Int(i) => int(Some(i)),
                Number::Float(f) => Ok(Value::from(f)),
            })
        }
        Py::Int(_) | Py::Bool(_) if name == "imag" => Ok(Value::from(0)),
        Py::Int(_) | Py::Bool(_) if name == "denominator" => Ok(Value::from(1)),
        Py::Range(range) if name == "start" => Ok(Value::from(range.start)),
        Py::Range(range) if name == "stop" => Ok(Value::from(range.stop)),
        Py::Range(range) if name == "step" => Ok(Value::from(range.step)),
        Py::Namespace | Py::Other if !name.starts_with("__") => {
            Ok(value.get_attr(name).unwrap_or_default())
        }
        _ if methods::has(value, name) && !methods::is_mutating(value, name) => {
            Ok(Value::from_object(BoundMethod {
                receiver: value.clone(),
                name: name.to_owned(),
            }))
        }
        _ => Ok(Value::UNDEFINED),
    }
}
