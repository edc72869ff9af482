//! Added tokens as the `tokenizers` 0.22 crate keeps them (`tokenizer/added_vocabulary.rs`), and as transformers hands
//! them over.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A token that is matched before the text is split, as `tokenizer.json` writes it.
#[expect(clippy::struct_excessive_bools, reason = "the file's own fields")]
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Token {
    pub content: String,
    pub single_word: bool,
    pub lstrip: bool,
    pub rstrip: bool,
    pub normalized: bool,
    pub special: bool,
}

/// A token with its id, one element of `added_tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TokenWithId {
    pub id: u32,
    #[serde(flatten)]
    pub token: Token,
}

impl Token {
    /// `AddedToken(content, special=special)`: a special token is not normalized.
    pub fn plain(content: &str, special: bool) -> Self {
        Self {
            content: content.to_owned(),
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: !special,
            special,
        }
    }

    /// `AddedToken(**value)`: `None` where a field has another type than Python's constructor takes.
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

/// The model's vocabulary, as far as added tokens need it.
#[derive(Debug, Default)]
pub(super) struct ModelVocabulary {
    /// Ids of the contents that were asked for.
    pub ids: HashMap<String, u32>,
    /// Number of entries.
    pub size: u32,
}

impl ModelVocabulary {
    /// What the ids of a file's added tokens tell, which is enough where nothing else is added.
    pub fn of_added(tokens: &[TokenWithId]) -> Self {
        let ids: HashMap<String, u32> = tokens
            .iter()
            .map(|added| (added.token.content.clone(), added.id))
            .collect();
        let size = ids.values().max().map_or(0, |last| last.saturating_add(1));
        Self { ids, size }
    }
}

/// `AddedVocabulary`: which tokens are matched, and how.
#[derive(Debug, Default)]
pub(super) struct AddedVocabulary {
    ids: HashMap<String, u32>,
    by_id: BTreeMap<u32, Token>,
    /// Special tokens in the version first seen: it decides whether a token is matched in normalized text.
    special: HashMap<String, Token>,
    /// Other tokens, in the version last seen.
    classic: HashMap<String, Token>,
}

impl AddedVocabulary {
    /// `add_tokens`: a token that differs in any flag replaces the one before it.
    pub fn add(&mut self, tokens: &[Token], model: &ModelVocabulary) {
        for token in tokens
            .iter()
            .filter(|token| token.special && !token.content.is_empty())
        {
            self.special
                .entry(token.content.clone())
                .or_insert_with(|| token.clone());
        }
        let mut existing: HashSet<Token> = self.by_id.values().cloned().collect();
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

    /// Whether a token with this content was added.
    pub fn contains(&self, content: &str) -> bool {
        self.ids.contains_key(content)
    }

    /// Tokens outside the model's vocabulary.
    pub fn beyond(&self, model: &ModelVocabulary) -> u32 {
        let beyond = self
            .ids
            .keys()
            .filter(|content| !model.ids.contains_key(*content))
            .count();
        u32::try_from(beyond).unwrap_or(u32::MAX)
    }

    /// The tokens by id, with the flags that matching uses.
    pub fn tokens(&self) -> Vec<TokenWithId> {
        self.by_id
            .iter()
            .map(|(&id, token)| {
                let matched = self
                    .special
                    .get(&token.content)
                    .or_else(|| self.classic.get(&token.content));
                let normalized = matched.unwrap_or(token).normalized;
                let special = self.special.contains_key(&token.content);
                TokenWithId {
                    id,
                    token: Token {
                        normalized,
                        special,
                        ..token.clone()
                    },
                }
            })
            .collect()
    }
}
