//! Reads from a model's vocabulary only the ids that added tokens need.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::added_tokens::ModelVocabulary;

/// Reads a vocabulary, a map of content to id or a list of (content, score), and keeps the ids of `contents`.
pub(super) struct VocabularyVisitor<'c> {
    pub contents: &'c HashSet<&'c str>,
}

impl<'de> Visitor<'de> for VocabularyVisitor<'_> {
    type Value = ModelVocabulary;

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("a vocabulary")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<ModelVocabulary, M::Error> {
        let mut found = ModelVocabulary::default();
        while let Some(content) = map.next_key_seed(StringIn(self.contents))? {
            found.size += 1;
            match content {
                Some(content) => drop(found.ids.insert(content, map.next_value()?)),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<ModelVocabulary, S::Error> {
        let mut found = ModelVocabulary::default();
        while let Some((content, _)) = seq.next_element::<(String, IgnoredAny)>()? {
            if self.contents.contains(content.as_str()) {
                found.ids.insert(content, found.size);
            }
            found.size += 1;
        }
        Ok(found)
    }
}

/// Reads a string, and allocates it only if it is in the set.
struct StringIn<'c>(&'c HashSet<&'c str>);

impl<'de> DeserializeSeed<'de> for StringIn<'_> {
    type Value = Option<String>;
    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Option<String>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for StringIn<'_> {
    type Value = Option<String>;
    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("a string")
    }
    fn visit_str<E>(self, text: &str) -> Result<Option<String>, E> {
        Ok(self.0.contains(text).then(|| text.to_owned()))
    }
}
