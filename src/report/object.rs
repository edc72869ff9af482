//! Rewriting a JSON object: some values replaced in place, everything else kept as it is written.

use std::borrow::Cow;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::summary::SummaryError;
use crate::python::msgspec::{FloatStyle, compact};

/// A JSON object being rewritten. Keys are set in the writer's order: one that is missing goes after the one before.
#[derive(Default, Serialize)]
#[serde(transparent)]
pub(super) struct Object<'a> {
    fields: IndexMap<String, Cow<'a, RawValue>>,
    /// The position of the next missing key.
    #[serde(skip)]
    next: usize,
}

impl<'a> Object<'a> {
    /// An object out of `json`; of repeated keys the last value counts, at the first one's place.
    pub(super) fn parse(json: &'a [u8]) -> Result<Self, SummaryError> {
        // As a value first, which bounds the nesting, so that indentation cannot explode.
        let found = match serde_json::from_slice(json)? {
            Value::Object(_) => return Ok(Self::of(serde_json::from_slice(json)?)),
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
        };
        Err(SummaryError::NotAnObject { found })
    }

    fn of(fields: IndexMap<String, &'a RawValue>) -> Self {
        let fields = fields
            .into_iter()
            .map(|(key, value)| (key, Cow::Borrowed(value)))
            .collect();
        Self { fields, next: 0 }
    }

    /// The keys, in the file's order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(String::as_str)
    }

    /// Gives `key` a value, in its old place if it has one.
    pub(super) fn set(&mut self, key: &str, value: impl Serialize) {
        let raw =
            RawValue::from_string(compact(&value, FloatStyle::Msgspec)).expect("written as JSON");
        if let Some((index, _, old)) = self.fields.get_full_mut(key) {
            *old = Cow::Owned(raw);
            self.next = index + 1;
        } else {
            self.fields
                .shift_insert(self.next, key.to_owned(), Cow::Owned(raw));
            self.next += 1;
        }
    }

    /// Gives `key` a value if it has none.
    pub(super) fn set_default(&mut self, key: &str, value: impl Serialize) {
        match self.fields.get_index_of(key) {
            Some(index) => self.next = index + 1,
            None => self.set(key, value),
        }
    }

    /// Gives `key` a value, or takes away the one it had.
    pub(super) fn set_or_remove(&mut self, key: &str, value: Option<impl Serialize>) {
        if let Some(value) = value {
            self.set(key, value);
        } else if let Some((index, ..)) = self.fields.shift_remove_full(key)
            && index < self.next
        {
            self.next -= 1;
        }
    }

    /// Makes the value of `key` an object and lets `fill` set its keys.
    pub(super) fn set_object(&mut self, key: &str, fill: impl FnOnce(&mut Object)) {
        let old = self.fields.get(key).cloned();
        let fields = old
            .as_deref()
            .and_then(|old| serde_json::from_str(old.get()).ok());
        let mut object = fields.map(Object::of).unwrap_or_default();
        fill(&mut object);
        self.set(key, &object);
    }
}
