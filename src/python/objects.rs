//! Python objects that `minijinja` does not have.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{Enumerator, Object, ObjectRepr};
use minijinja::{Error, State, Value};

use super::methods;
use super::value::{Py, py, tuple};

/// A Python `range`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    /// The first number.
    pub(crate) start: i64,
    /// The end, which is excluded.
    pub(crate) stop: i64,
    /// The step, which is not 0.
    pub(crate) step: i64,
}

impl Range {
    /// The number of items.
    pub(crate) fn len(&self) -> usize {
        let (low, high) = if self.step > 0 {
            (self.start, self.stop)
        } else {
            (self.stop, self.start)
        };
        let span = i128::from(high) - i128::from(low);
        let step = i128::from(self.step).abs();
        usize::try_from((span.max(0) + step - 1) / step).unwrap_or(usize::MAX)
    }

    /// The numbers.
    pub(crate) fn items(self) -> impl Iterator<Item = Value> {
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

/// The part of a dict that a view shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ViewKind {
    /// `dict.keys()`
    Keys,
    /// `dict.values()`
    Values,
    /// `dict.items()`
    Items,
}

/// `dict.keys()`, `dict.values()` or `dict.items()`.
#[derive(Debug)]
pub(crate) struct DictView {
    /// The part that is shown.
    pub(crate) kind: ViewKind,
    /// The dict.
    pub(crate) dict: Value,
}

impl DictView {
    /// The items that are shown, in order.
    pub(crate) fn items(&self) -> Vec<Value> {
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

/// A generator. Its items are computed at once; it returns them, or raises, when it is first used.
pub(crate) struct Generator(Mutex<Option<Result<Vec<Value>, Error>>>);

impl Generator {
    /// A generator of `items`.
    pub(crate) fn value(items: Result<Vec<Value>, Error>) -> Value {
        Value::from_object(Self(Mutex::new(Some(items))))
    }

    /// The remaining items: all of them the first time, none afterwards.
    ///
    /// # Errors
    /// The exception of the generator.
    pub(crate) fn take(&self) -> Result<Vec<Value>, Error> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .unwrap_or(Ok(Vec::new()))
    }

    /// The next item; the others remain.
    ///
    /// # Errors
    /// The exception of the generator.
    pub(crate) fn next(&self) -> Result<Option<Value>, Error> {
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

/// A group of the filter `groupby`: a pair, whose parts also have names.
#[derive(Debug)]
pub(crate) struct Group([Value; 2]);

impl Group {
    /// The group of the list `members`.
    pub(crate) fn value(grouper: Value, members: Value) -> Value {
        Value::from_object(Self([grouper, members]))
    }

    /// Both parts.
    pub(crate) fn parts(&self) -> &[Value] {
        &self.0
    }

    /// The part with a name.
    pub(crate) fn part(&self, name: &str) -> Option<&Value> {
        match name {
            "grouper" => Some(&self.0[0]),
            "list" => Some(&self.0[1]),
            _ => None,
        }
    }
}

impl Object for Group {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str() {
            Some(name) => self.part(name).cloned(),
            None => self.0.get(key.as_usize()?).cloned(),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(2)
    }
}

/// A method of a value that was looked up, but not called.
#[derive(Debug)]
pub(crate) struct BoundMethod {
    /// The value that has the method.
    pub(crate) receiver: Value,
    /// The name of the method.
    pub(crate) name: String,
}

impl Object for BoundMethod {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        methods::call(state, &self.receiver, &self.name, args)
    }
}
