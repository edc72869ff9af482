//! Operators, which the translation writes as filters whose names start with two underscores.

use std::cmp::Ordering;

use minijinja::{Environment, Error, State, Value};

use crate::jinja::limits::charge;
use crate::python::access::{attribute, item, slice};
use crate::python::arguments::Arguments;
use crate::python::arithmetic::{
    add, arithmetic, concat, concat_texts, modulo, mul, negate, plain,
};
use crate::python::compare::{compare, contains, equal};
use crate::python::exception::{exception, type_error, unsupported};
use crate::python::methods;
use crate::python::value::{Dict, Py, dict, hashable, iter, list, py, type_name};

/// Puts the operators into `env`.
pub(super) fn install(env: &mut Environment<'static>) {
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
    env.add_filter("__pos", |a: &Value| arithmetic('*', a, &Value::from(1)));
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

/// The filters with which the translation writes statements.
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

/// Strings that are added only to be printed: each is printed in turn, without a copy.
#[derive(Debug)]
pub(super) struct PrintedSum(pub(super) Vec<Value>);

impl minijinja::value::Object for PrintedSum {}

/// The value of a macro argument that a call leaves out.
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

/// One item of a loop that unpacks its items: a list or a tuple.
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
