//! Added tokens as `tokenizers` 0.22 keeps them (`tokenizer/added_vocabulary.rs`), and as transformers passes them.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A token that is matched before the text is split, in the fields of `tokenizer.json`.
#[expect(clippy::struct_excessive_bools, reason = "the file's own fields")]
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct AddedToken {
    pub content: String,
    pub single_word: bool,
    pub lstrip: bool,
    pub rstrip: bool,
    pub normalized: bool,
    pub special: bool,
}

/// An element of `added_tokens`: a token with its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AddedTokenWithId {
    pub id: u32,
    #[serde(flatten)]
    pub token: AddedToken,
}

impl AddedToken {
    /// `AddedToken(content, special=special)`: a special token is not normalized.
    pub fn new(content: &str, special: bool) -> Self {
        Self {
            content: content.to_owned(),
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: !special,
            special,
        }
    }

    /// `AddedToken(**value)`; `None` if a field does not have the type that Python's constructor takes.
    pub fn from_value(value: &Value) -> Option<Self> {
        let flag = |key: &str| match value.get(key) {
            None => Some(None),
            Some(Value::Bool(flag)) => Some(Some(*flag)),
            Some(_) => None,
        };
        let special = flag("special")?.unwrap_or(false);
        Some(Self {
            content: value.get("content")?.as_str()?.to_owned(),
            single_word: flag("single_word")?.unwrap_or(false),
            lstrip: flag("lstrip")?.unwrap_or(false),
            rstrip: flag("rstrip")?.unwrap_or(false),
            normalized: flag("normalized")?.unwrap_or(!special),
            special,
        })
    }
}

/// The part of the model's vocabulary that added tokens need.
#[derive(Debug, Default)]
pub(super) struct ModelVocabulary {
    /// The ids of the requested contents.
    pub ids: HashMap<String, u32>,
    /// The number of entries.
    pub size: u32,
}

impl ModelVocabulary {
    /// The vocabulary as the ids of a file's added tokens imply it, which is enough if no other token is added.
    pub fn of_added(tokens: &[AddedTokenWithId]) -> Self {
        let ids: HashMap<String, u32> = tokens
            .iter()
            .map(|added| (added.token.content.clone(), added.id))
            .collect();
        let size = ids.values().max().map_or(0, |last| last.saturating_add(1));
        Self { ids, size }
    }
}

/// The tokens that are matched, as `AddedVocabulary` of `tokenizers` keeps them.
#[derive(Debug, Default)]
pub(super) struct AddedVocabulary {
    ids: HashMap<String, u32>,
    by_id: BTreeMap<u32, AddedToken>,
    /// Special tokens as first added, which decides whether they are matched in normalized text.
    special: HashMap<String, AddedToken>,
    /// Other tokens as last added.
    classic: HashMap<String, AddedToken>,
}

impl AddedVocabulary {
    /// `add_tokens`: a token that differs in a flag replaces an earlier one of the same content.
    pub fn add(&mut self, tokens: &[AddedToken], model: &ModelVocabulary) {
        for token in tokens
            .iter()
            .filter(|token| token.special && !token.content.is_empty())
        {
            self.special
                .entry(token.content.clone())
                .or_insert_with(|| token.clone());
        }
        let mut existing: HashSet<AddedToken> = self.by_id.values().cloned().collect();
        let mut next_id = match self.by_id.keys().next_back() {
            Some(&last) if last >= model.size => last.saturating_add(1),
            _ => model.size,
        };
        for token in tokens {
            if token.content.is_empty() || existing.contains(token) {
                continue;
            }
            let known = self
                .ids
                .get(&token.content)
                .or_else(|| model.ids.get(&token.content));
            let id = known.copied().unwrap_or_else(|| {
                next_id = next_id.saturating_add(1);
                next_id - 1
            });
            self.ids.insert(token.content.clone(), id);
            self.by_id.insert(id, token.clone());
            if !self.special.contains_key(&token.content) {
                self.classic.insert(token.content.clone(), token.clone());
            }
            existing.insert(token.clone());
        }
    }

    /// Returns true if a token with this content was added.
    pub fn contains(&self, content: &str) -> bool {
        self.ids.contains_key(content)
    }

    /// The number of tokens outside of the model's vocabulary.
    pub fn count_outside(&self, model: &ModelVocabulary) -> u32 {
        let outside = self
            .ids
            .keys()
            .filter(|content| !model.ids.contains_key(*content))
            .count();
        u32::try_from(outside).unwrap_or(u32::MAX)
    }

    /// The tokens by id, with the flags that apply to matching.
    pub fn tokens(&self) -> Vec<AddedTokenWithId> {
        self.by_id
            .iter()
            .map(|(&id, token)| {
                let matched = self
                    .special
                    .get(&token.content)
                    .or_else(|| self.classic.get(&token.content));
                let normalized = matched.unwrap_or(token).normalized;
                let special = self.special.contains_key(&token.content);
                AddedTokenWithId {
                    id,
                    token: AddedToken {
                        normalized,
                        special,
                        ..token.clone()
                    },
                }
            })
            .collect()
    }
}
