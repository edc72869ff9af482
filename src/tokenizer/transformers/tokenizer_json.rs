//! Edits a `tokenizer.json` without parsing its vocabulary and its merges.

use std::collections::HashSet;
use std::fmt;

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::LoaderRulesError;
use super::added_tokens::{AddedTokenWithId, ModelVocabulary};
use super::vocabulary::VocabularyVisitor;

/// The members of an object in the order of the file, each as its text or as its replacement.
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
        let object = deserializer.deserialize_map(ObjectVisitor { nested: None })?;
        Ok(object.top)
    }
}

/// Reads an object's members as texts, except the one named `nested`, which is read as members of its own.
struct ObjectVisitor {
    nested: Option<&'static str>,
}

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = TokenizerJson<'de>;

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<TokenizerJson<'de>, M::Error> {
        let mut object = TokenizerJson::default();
        while let Some(key) = map.next_key::<String>()? {
            let member = if self.nested == Some(&key) {
                object.model = map.next_value()?;
                Member::New(String::new())
            } else {
                Member::Raw(map.next_value()?)
            };
            object.top.0.insert(key, member);
        }
        Ok(object)
    }
}

impl<'a> Members<'a> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(Member::text)
    }

    fn set(&mut self, key: &str, member: Member<'a>) {
        self.0.insert(key.to_owned(), member);
    }

    /// Writes the object, with `model` as the value of an empty member.
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

    /// The largest number of bytes that [`Self::write`] can write.
    fn max_bytes(&self) -> usize {
        self.0
            .iter()
            .map(|(key, member)| 6 * key.len() + member.text().len() + 4)
            .sum::<usize>()
            + 2
    }
}

/// A `tokenizer.json` whose members can be replaced.
#[derive(Debug, Default)]
pub(super) struct TokenizerJson<'a> {
    /// The top-level members; the model's is empty until the file is written.
    top: Members<'a>,
    /// The model's members.
    model: Members<'a>,
    edited: bool,
}

impl<'a> TokenizerJson<'a> {
    /// Parses `json` in one pass over the bytes, borrowing the vocabulary and the merges.
    pub fn parse(json: &'a [u8]) -> Result<Self, serde_json::Error> {
        let mut reader = serde_json::Deserializer::from_slice(json);
        let object = reader.deserialize_map(ObjectVisitor {
            nested: Some("model"),
        })?;
        reader.end()?;
        if !object.top.0.contains_key("model") {
            return Err(serde::de::Error::missing_field("model"));
        }
        Ok(object)
    }

    /// A top-level member; `Null` if it is absent.
    pub fn get(&self, key: &str) -> Result<Value, LoaderRulesError> {
        let text = self.top.get(key).unwrap_or("null");
        serde_json::from_str(text).map_err(LoaderRulesError::TokenizerJson)
    }

    /// A flag or name of the model, not its vocabulary or merges; `Null` if it is absent.
    pub fn model_member(&self, key: &str) -> Result<Value, LoaderRulesError> {
        let text = self.model.get(key).unwrap_or("null");
        serde_json::from_str(text).map_err(LoaderRulesError::TokenizerJson)
    }

    /// Replaces a top-level member.
    pub fn set(&mut self, key: &str, value: &Value) {
        self.top.set(key, Member::New(value.to_string()));
        self.edited = true;
    }

    /// Replaces the model by a BPE with these flags; the vocabulary and the merges stay.
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

    /// Returns true if the vocabulary is a map, not a list.
    pub fn vocab_is_map(&self) -> bool {
        self.model
            .get("vocab")
            .is_some_and(|vocab| vocab.starts_with('{'))
    }

    /// The file's padding token, which the loader uses as `pad_token` if the configuration does not name one.
    pub fn pad_token(&self) -> Result<Option<String>, LoaderRulesError> {
        let token = &self.get("padding")?["pad_token"];
        Ok(token.as_str().map(str::to_owned))
    }

    /// Disables truncation and padding. Returns the names of those that were enabled.
    pub fn disable_truncation_and_padding(&mut self) -> Vec<&'static str> {
        let enabled: Vec<&'static str> = ["truncation", "padding"]
            .into_iter()
            .filter(|key| self.top.get(key).is_some_and(|text| text != "null"))
            .collect();
        for key in &enabled {
            self.set(key, &Value::Null);
        }
        enabled
    }

    /// The file's `added_tokens`.
    pub fn added_tokens(&self) -> Result<Vec<AddedTokenWithId>, LoaderRulesError> {
        let text = self
            .top
            .get("added_tokens")
            .filter(|text| *text != "null")
            .unwrap_or("[]");
        serde_json::from_str(text).map_err(LoaderRulesError::TokenizerJson)
    }

    /// Looks up the ids of `contents` in the model's vocabulary and counts the entries.
    pub fn vocabulary(
        &self,
        contents: &HashSet<&str>,
    ) -> Result<ModelVocabulary, LoaderRulesError> {
        let Some(text) = self.model.get("vocab") else {
            return Ok(ModelVocabulary::default());
        };
        let mut json = serde_json::Deserializer::from_str(text);
        json.deserialize_any(VocabularyVisitor { contents })
            .map_err(LoaderRulesError::TokenizerJson)
    }

    /// The edited file; `None` if nothing was replaced.
    pub fn edited(&self) -> Option<Vec<u8>> {
        let mut out = String::with_capacity(
            self.edited
                .then(|| self.top.max_bytes() + self.model.max_bytes())?,
        );
        self.top.write(&mut out, Some(&self.model));
        Some(out.into_bytes())
    }
}
