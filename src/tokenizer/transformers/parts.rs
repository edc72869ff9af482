//! `tokenizer.json` taken apart without parsing what is large.

use std::collections::HashSet;
use std::fmt;

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::RulesError;
use super::added::{ModelVocabulary, TokenWithId};
use super::vocabulary::VocabularyScan;

/// An object's members in the order of the file, each value as its text or as what replaces it.
#[derive(Debug, Default)]
struct Members<'a>(IndexMap<String, Member<'a>>);

#[derive(Debug)]
enum Member<'a> {
    Raw(&'a RawValue),
    New(String),
}

impl Member<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Raw(raw) => raw.get(),
            Self::New(text) => text,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parts = deserializer.deserialize_map(Object { apart: None })?;
        Ok(parts.top)
    }
}

/// Reads an object's members as texts, but the one named `apart` as members of its own.
struct Object {
    apart: Option<&'static str>,
}

impl<'de> Visitor<'de> for Object {
    type Value = Parts<'de>;

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Parts<'de>, M::Error> {
        let mut parts = Parts::default();
        while let Some(key) = map.next_key::<String>()? {
            let member = if self.apart == Some(&key) {
                parts.model = map.next_value()?;
                Member::New(String::new())
            } else {
                Member::Raw(map.next_value()?)
            };
            parts.top.0.insert(key, member);
        }
        Ok(parts)
    }
}

impl<'a> Members<'a> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(Member::text)
    }

    fn set(&mut self, key: &str, member: Member<'a>) {
        self.0.insert(key.to_owned(), member);
    }

    /// Writes the object, with `model` in the place of a member that is empty.
    fn write(&self, out: &mut String, model: Option<&Self>) {
        out.push('{');
        for (index, (key, member)) in self.0.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            out.push_str(&Value::from(key.as_str()).to_string());
            out.push(':');
            match (member.text(), model) {
                ("", Some(model)) => model.write(out, None),
                (text, _) => out.push_str(text),
            }
        }
        out.push('}');
    }

    /// At most this many bytes are written.
    fn bytes(&self) -> usize {
        self.0
            .iter()
            .map(|(key, member)| 6 * key.len() + member.text().len() + 4)
            .sum::<usize>()
            + 2
    }
}

/// The parts of a `tokenizer.json`.
#[derive(Debug, Default)]
pub(super) struct Parts<'a> {
    /// Its members; that of the model is empty and filled in at the end.
    top: Members<'a>,
    /// The model's members.
    model: Members<'a>,
    edited: bool,
}

impl<'a> Parts<'a> {
    /// Takes `json` apart in one pass over the bytes; the vocabulary and the merges stay where they are.
    pub fn parse(json: &'a [u8]) -> Result<Self, serde_json::Error> {
        let mut reader = serde_json::Deserializer::from_slice(json);
        let parts = reader.deserialize_map(Object {
            apart: Some("model"),
        })?;
        reader.end()?;
        if !parts.top.0.contains_key("model") {
            return Err(serde::de::Error::missing_field("model"));
        }
        Ok(parts)
    }

    /// A part as a value; `Null` where it is absent.
    pub fn get(&self, key: &str) -> Result<Value, RulesError> {
        let text = self.top.get(key).unwrap_or("null");
        serde_json::from_str(text).map_err(RulesError::TokenizerJson)
    }

    /// A flag or name of the model as a value (not its vocabulary or merges); `Null` where it is absent.
    pub fn model(&self, key: &str) -> Result<Value, RulesError> {
        let text = self.model.get(key).unwrap_or("null");
        serde_json::from_str(text).map_err(RulesError::TokenizerJson)
    }

    /// Puts `value` in the place of a part.
    pub fn set(&mut self, key: &str, value: &Value) {
        self.top.set(key, Member::New(value.to_string()));
        self.edited = true;
    }

    /// Makes the model a BPE with these flags, on the vocabulary and the merges that it has.
    pub fn set_bpe(&mut self, flags: &[(&str, Value)]) {
        let mut model = Members::default();
        model.set("type", Member::New("\"BPE\"".to_owned()));
        for (key, value) in flags {
            model.set(key, Member::New(value.to_string()));
        }
        let old = std::mem::take(&mut self.model);
        let mut merges = Member::New("[]".to_owned());
        for (key, member) in old.0 {
            match key.as_str() {
                "vocab" => model.set("vocab", member),
                "merges" => merges = member,
                _ => {}
            }
        }
        model.set("merges", merges);
        self.model = model;
        self.edited = true;
    }

    /// The first byte of the vocabulary: `{` for a map, `[` for a list.
    pub fn vocab_is_map(&self) -> bool {
        self.model
            .get("vocab")
            .is_some_and(|vocab| vocab.starts_with('{'))
    }

    /// The padding token of the file, which the loader takes for `pad_token` where nothing else names one.
    pub fn padding(&self) -> Result<Option<String>, RulesError> {
        let padding = self.get("padding")?;
        Ok(padding
            .get("pad_token")
            .and_then(Value::as_str)
            .map(str::to_owned))
    }

    /// Switches truncation and padding off; names those that were on.
    pub fn switch_off(&mut self) -> Vec<&'static str> {
        let on: Vec<&'static str> = ["truncation", "padding"]
            .into_iter()
            .filter(|key| self.top.get(key).is_some_and(|text| text != "null"))
            .collect();
        for key in &on {
            self.set(key, &Value::Null);
        }
        on
    }

    /// The file's `added_tokens`.
    pub fn added_tokens(&self) -> Result<Vec<TokenWithId>, RulesError> {
        let text = self
            .top
            .get("added_tokens")
            .filter(|text| *text != "null")
            .unwrap_or("[]");
        serde_json::from_str(text).map_err(RulesError::TokenizerJson)
    }

    /// Looks `wanted` up in the model's vocabulary and counts its entries.
    pub fn vocabulary(&self, wanted: &HashSet<&str>) -> Result<ModelVocabulary, RulesError> {
        let Some(text) = self.model.get("vocab") else {
            return Ok(ModelVocabulary::default());
        };
        let mut json = serde_json::Deserializer::from_str(text);
        json.deserialize_any(VocabularyScan { wanted })
            .map_err(RulesError::TokenizerJson)
    }

    /// The whole file again, if anything in it was replaced.
    pub fn edited(&self) -> Option<Vec<u8>> {
        let mut out =
            String::with_capacity(self.edited.then(|| self.top.bytes() + self.model.bytes())?);
        self.top.write(&mut out, Some(&self.model));
        Some(out.into_bytes())
    }
}
