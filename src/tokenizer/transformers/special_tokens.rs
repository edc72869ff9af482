//! Special tokens in the notation of the configuration files.

use serde_json::Value;

use super::LoaderRulesError;
use super::added_tokens::AddedToken;

/// The special tokens that every tokenizer can name, in the order of transformers.
pub(super) const SPECIAL_TOKENS_ATTRIBUTES: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];

/// A special token in a configuration: a string, or an added token with flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SpecialToken {
    Text(String),
    Flagged(AddedToken),
}

impl SpecialToken {
    /// Reads the token in `value`, of the name `key`; `Ok(None)` for null.
    pub fn from_value(key: &str, value: &Value) -> Result<Option<Self>, LoaderRulesError> {
        match value {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(Self::Text(text.clone()))),
            value if value.get("__type").is_some_and(|kind| kind == "AddedToken") => {
                AddedToken::from_value(value)
                    .map(|token| Some(Self::Flagged(token)))
                    .ok_or_else(|| {
                        would_not_load(format!("{key} has fields that are not an added token's"))
                    })
            }
            _ => Err(would_not_load(format!(
                "{key} is neither a string nor an added token"
            ))),
        }
    }

    pub fn content(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Flagged(token) => &token.content,
        }
    }
}

pub(super) fn would_not_load(why: String) -> LoaderRulesError {
    LoaderRulesError::WouldNotLoad(why)
}

/// Reads `extra_special_tokens`, a list of special tokens without names.
pub(super) fn extra_special_tokens(
    value: Option<&Value>,
) -> Result<Vec<SpecialToken>, LoaderRulesError> {
    let key = "extra_special_tokens";
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(tokens)) => tokens
            .iter()
            .map(|token| {
                SpecialToken::from_value(key, token)?
                    .ok_or_else(|| would_not_load(format!("{key} has a null")))
            })
            .collect(),
        Some(_) => Err(would_not_load(format!("{key} is not a list"))),
    }
}
