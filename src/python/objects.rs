//! Python objects that `minijinja` has no counterpart for, and the functions that Jinja2 puts into every template.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{Enumerator, Object, ObjectRepr};
use minijinja::{Environment, Error, State, Value};

use super::args::{Arguments, bind, split};
use super::value::{Dict, Py, dict, index, iter, list, py, tuple, type_name};
use super::{exception, methods, repr, type_error, unsupported};

/// Jinja2's sandbox refuses longer ranges (`jinja2.sandbox.MAX_RANGE`).
const MAX_RANGE: i64 = 100_000;

/// A Python `range`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First number.
    pub start: i64,
    /// First number not in it.
    pub stop: i64,
    /// Never 0.
    pub step: i64,
}

impl Range {
    /// How many numbers.
    pub fn len(&self) -> usize {
        let (low, high) = if self.step > 0 {
            (self.start, self.stop)
        } else {
            (self.stop, self.start)
        };
        let span = i128::from(high) - i128::from(low);
        let step = i128::from(self.step).abs();
        usize::try_from((span.max(0) + step - 1) / step).unwrap_or(usize::MAX)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers.
    pub fn items(self) -> impl Iterator<Item = Value> {
        (0..self.len())
            .map(move |i| Value::from(self.start + i64::try_from(i).unwrap_or(0) * self.step))
    }
}

impl Object for Range {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.items().nth(key.as_usize()?)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.len())
    }
}

/// Which part of a dict a view shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewKind {
    /// `dict.keys()`
    Keys,
    /// `dict.values()`
    Values,
    /// `dict.items()`
    Items,
}

/// `dict.keys()`, `dict.values()` or `dict.items()`.
#[derive(Debug)]
pub struct DictView {
    /// Which part is shown.
    pub kind: ViewKind,
    /// The dict.
    pub dict: Value,
}

impl DictView {
    /// What is shown, in order.
    pub fn items(&self) -> Vec<Value> {
        let Py::Dict(dict) = py(&self.dict) else {
            return Vec::new();
        };
        match self.kind {
            ViewKind::Keys => dict.keys().cloned().collect(),
            ViewKind::Values => dict.values().cloned().collect(),
            ViewKind::Items => dict
                .iter()
                .map(|(k, v)| tuple(vec![k.clone(), v.clone()]))
                .collect(),
        }
    }
}

impl Object for DictView {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.items())
    }
}

/// A generator. It is made at once and gives, or raises, when it is first used.
pub struct Generator(Mutex<Option<Result<Vec<Value>, Error>>>);

impl Generator {
    /// A generator of `items`.
    pub fn value(items: Result<Vec<Value>, Error>) -> Value {
        Value::from_object(Self(Mutex::new(Some(items))))
    }

    /// What is left: everything the first time, nothing after.
    ///
    /// # Errors
    /// What the generator raises.
    pub fn take(&self) -> Result<Vec<Value>, Error> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .unwrap_or(Ok(Vec::new()))
    }

    /// The next item, the others stay.
    ///
    /// # Errors
    /// What the generator raises.
    pub fn next(&self) -> Result<Option<Value>, Error> {
        let mut items = self.take()?.into_iter();
        let first = items.next();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Ok(items.collect()));
        Ok(first)
    }
}

impl fmt::Debug for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<generator>")
    }
}

impl Object for Generator {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        None
    }
}

/// A method of a value that was looked up and not called.
#[derive(Debug)]
pub struct BoundMethod {
    /// Whose method.
    pub receiver: Value,
    /// Which.
    pub name: String,
}

impl Object for BoundMethod {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        methods::call(state, &self.receiver, &self.name, args)
    }
}

/// One group of the filter `groupby`: a pair, whose parts also have names.
#[derive(Debug)]
pub struct Group([Value; 2]);

impl Group {
    /// The group `grouper` of the list `members`.
    pub fn value(grouper: Value, members: Value) -> Value {
        Value::from_object(Self([grouper, members]))
    }

    /// Both parts.
    pub fn parts(&self) -> &[Value] {
        &self.0
    }
}

impl Object for Group {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str() {
            Some("grouper") => Some(self.0[0].clone()),
            Some("list") => Some(self.0[1].clone()),
            Some(_) => None,
            None => self.0.get(key.as_usize()?).cloned(),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(2)
    }
}

/// `cycler(…)`: its items, round and round.
#[derive(Debug)]
struct Cycler {
    items: Vec<Value>,
    at: Mutex<usize>,
}

impl Cycler {
    fn at(&self) -> std::sync::MutexGuard<'_, usize> {
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

/// `joiner(sep)`: nothing the first time it is called, `sep` after.
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

/// Puts Jinja2's and transformers' functions into `env`.
pub fn install(env: &mut Environment<'static>) {
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
        Err::<Value, _>(unsupported("lipsum"))
    });
    env.add_function("raise_exception", |args: Arguments| {
        let [message] = bind("raise_exception", &args.into_values(), ["message"], 1)?;
        Err::<Value, _>(exception(
            "TemplateError",
            repr::str(&message.unwrap_or_default())?,
        ))
    });
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

/// Python's slice of `len` items: the positions, in order.
///
/// # Errors
/// `TypeError` for bounds that are no integers, `ValueError` for a step of 0.
pub fn slice_positions(
    len: usize,
    start: &Value,
    stop: &Value,
    step: &Value,
) -> Result<Range, Error> {
    let bound = |value: &Value| {
        if value.is_none() {
            Ok(None)
        } else {
            index(value).map(Some)
        }
    };
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let step = bound(step)?.unwrap_or(1);
    if step == 0 {
        return Err(exception("ValueError", "slice step cannot be zero"));
    }
    let (low, high) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let clamp = |value: i64| {
        (if value < 0 {
            value.saturating_add(len)
        } else {
            value
        })
        .clamp(low, high)
    };
    let start = bound(start)?.map_or(if step > 0 { low } else { high }, clamp);
    let stop = bound(stop)?.map_or(if step > 0 { high } else { low }, clamp);
    Ok(Range { start, stop, step })
}

/// `value[start:stop:step]`.
///
/// # Errors
/// `TypeError` for what cannot be sliced.
pub fn slice(value: &Value, start: &Value, stop: &Value, step: &Value) -> Result<Value, Error> {
    let pick = |items: &[Value]| -> Result<Vec<Value>, Error> {
        let positions = slice_positions(items.len(), start, stop, step)?;
        Ok(positions
            .items()
            .filter_map(|i| items.get(i.as_usize()?).cloned())
            .collect())
    };
    Ok(match py(value) {
        Py::List(items) => list(pick(items)?),
        Py::Tuple(items) => tuple(pick(items)?),
        Py::Str(s) => slice_text(s, start, stop, step)?,
        Py::Range(range) => {
            let at = slice_positions(range.len(), start, stop, step)?;
            Value::from_object(Range {
                start: range.start + at.start * range.step,
                stop: range.start + at.stop * range.step,
                step: range.step * at.step,
            })
        }
        Py::Undefined => return Err(super::value::undefined_error()),
        Py::Other => return Err(unsupported("slicing an object")),
        _ => {
            return Err(type_error(format!(
                "'{}' object is not subscriptable",
                type_name(value)
            )));
        }
    })
}

fn slice_text(s: &str, start: &Value, stop: &Value, step: &Value) -> Result<Value, Error> {
    let len = if s.is_ascii() {
        s.len()
    } else {
        s.chars().count()
    };
    let at = slice_positions(len, start, stop, step)?;
    if at.step == 1 {
        let from = usize::try_from(at.start).unwrap_or(0);
        let count = at.len();
        if s.is_ascii() {
            return Ok(Value::from(&s[from..from + count]));
        }
        let mut ends = s.char_indices().map(|(i, _)| i).chain([s.len()]);
        let begin = ends.nth(from).unwrap_or(s.len());
        let end = if count == 0 {
            begin
        } else {
            ends.nth(count - 1).unwrap_or(s.len())
        };
        return Ok(Value::from(&s[begin..end]));
    }
    let chars: Vec<char> = s.chars().collect();
    Ok(Value::from(
        at.items()
            .filter_map(|i| chars.get(i.as_usize()?))
            .collect::<String>(),
    ))
}
