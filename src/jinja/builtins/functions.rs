//! Jinja2's and transformers' global functions.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::value::{Object, ObjectRepr};
use minijinja::{Environment, Error, State, Value};

use crate::python::arguments::{Arguments, bind, split};
use crate::python::exception::{exception, type_error, unsupported};
use crate::python::objects::Range;
use crate::python::repr;
use crate::python::value::{Dict, Py, dict, index, iter, py};

/// The longest range of Jinja2's sandbox (`jinja2.sandbox.MAX_RANGE`).
const MAX_RANGE: i64 = 100_000;

/// Puts Jinja2's and transformers' functions into `env`.
pub(super) fn install(env: &mut Environment<'static>) {
    env.add_function("range", |args: Arguments| range(&args.into_values()));
    env.add_function("dict", |args: Arguments| {
        Ok::<_, Error>(dict(make_dict(&args.into_values())?))
    });
    env.add_function("__namespace", minijinja::functions::namespace);
    env.add_function("namespace", |state: &mut State, args: Arguments| {
        let make = state.lookup("__namespace").unwrap_or_default();
        make.call(state, &[dict(make_dict(&args.into_values())?)])
    });
    env.add_function("cycler", |items: Arguments| match items.into_values() {
        items if items.is_empty() => Err(exception(
            "RuntimeError",
            "at least one item has to be provided",
        )),
        items => Ok(Value::from_object(Cycler {
            items,
            at: Mutex::new(0),
        })),
    });
    env.add_function("joiner", |args: Arguments| {
        let [separator] = bind("joiner", &args.into_values(), ["sep"], 0)?;
        let separator = separator.unwrap_or_else(|| Value::from(", "));
        Ok::<_, Error>(Value::from_object(Joiner {
            separator,
            used: Mutex::new(false),
        }))
    });
    env.add_function("lipsum", |_: Arguments| {
        Err::<Value, _>(unsupported("the function lipsum"))
    });
    env.add_function("raise_exception", |args: Arguments| {
        let [message] = bind("raise_exception", &args.into_values(), ["message"], 1)?;
        Err::<Value, _>(exception(
            "TemplateError",
            repr::str(&message.unwrap_or_default())?,
        ))
    });
}

/// `cycler(…)`: its items in turn, again and again.
#[derive(Debug)]
struct Cycler {
    items: Vec<Value>,
    at: Mutex<usize>,
}

impl Cycler {
    /// The index of the current item.
    fn at(&self) -> MutexGuard<'_, usize> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Object for Cycler {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        (key.as_str() == Some("current")).then(|| self.items[*self.at()].clone())
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        _: &[Value],
    ) -> Result<Value, Error> {
        let mut at = self.at();
        match method {
            "next" => {
                let item = self.items[*at].clone();
                *at = (*at + 1) % self.items.len();
                Ok(item)
            }
            "reset" => {
                *at = 0;
                Ok(Value::from(()))
            }
            _ => Err(exception(
                "UndefinedError",
                format!("cycler has no attribute '{method}'"),
            )),
        }
    }
}

/// `joiner(sep)`: an empty text at the first call, then `sep`.
#[derive(Debug)]
struct Joiner {
    separator: Value,
    used: Mutex<bool>,
}

impl Object for Joiner {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, _: &[Value]) -> Result<Value, Error> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(if std::mem::replace(&mut *used, true) {
            self.separator.clone()
        } else {
            Value::from("")
        })
    }
}

fn range(args: &[Value]) -> Result<Value, Error> {
    let numbers = args.iter().map(index).collect::<Result<Vec<_>, _>>()?;
    let range = match numbers[..] {
        [stop] => Range {
            start: 0,
            stop,
            step: 1,
        },
        [start, stop] => Range {
            start,
            stop,
            step: 1,
        },
        [_, _, 0] => return Err(exception("ValueError", "range() arg 3 must not be zero")),
        [start, stop, step] => Range { start, stop, step },
        _ => return Err(type_error("range expected 1 to 3 arguments")),
    };
    if i64::try_from(range.len()).is_ok_and(|len| len <= MAX_RANGE) {
        return Ok(Value::from_object(range));
    }
    Err(exception(
        "OverflowError",
        format!("Range too big. The sandbox blocks ranges larger than {MAX_RANGE}."),
    ))
}

/// `dict(…)`: a mapping or pairs, then keywords.
fn make_dict(args: &[Value]) -> Result<Dict, Error> {
    let (positional, keywords) = split(args);
    let mut entries = match positional {
        [] => Dict::new(),
        [one] => {
            if let Py::Dict(dict) = py(one) {
                dict.clone()
            } else {
                let mut dict = Dict::new();
                for pair in iter(one)? {
                    match &iter(&pair)?[..] {
                        [key, value] => dict.insert(key.clone(), value.clone()),
                        _ => {
                            return Err(exception(
                                "ValueError",
                                "dictionary update sequence element has not length 2",
                            ));
                        }
                    };
                }
                dict
            }
        }
        _ => return Err(type_error("dict expected at most 1 argument")),
    };
    if let Some(keywords) = &keywords {
        for name in keywords.args() {
            entries.insert(Value::from(name), keywords.peek::<Value>(name)?);
        }
    }
    Ok(entries)
}
