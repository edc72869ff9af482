//! Special tokens as configuration files write them.

use serde_json::Value;

use super::RulesError;
use super::added::Token;

/// The special tokens that every tokenizer can name, in transformers' order.
pub(super) const ATTRIBUTES: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];

/// A special token as a configuration gives it: a string, or one with flags of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Special {
    Text(String),
    Flagged(Token),
}

impl Special {
    /// The token that a value stands for; `Ok(None)` for null.
    pub fn from_value(key: &str, value: &Value) -> Result<Option<Self>, RulesError> {
        match value {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(Self::Text(text.clone()))),
            value if value.get("__type").is_some_and(|kind| kind == "AddedToken") => {
                Token::from_value(value)
                    .map(|token| Some(Self::Flagged(token)))
                    .ok_or_else(|| {
                        refused(format!("{key} has fields that are not an added token's"))
                    })
            }
            _ => Err(refused(format!(
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

pub(super) fn refused(why: String) -> RulesError {
    RulesError::WouldNotLoad(why)
}

/// A list of special tokens without names.
pub(super) fn list(value: Option<&Value>) -> Result<Vec<Special>, RulesError> {
    let key = "extra_special_tokens";
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(tokens)) => tokens
            .iter()
            .map(|token| {
                Special::from_value(key, token)?.ok_or_else(|| refused(format!("{key} has a null")))
            })
            .collect(),
        Some(_) => Err(refused(format!("{key} is not a list"))),
    }
}
