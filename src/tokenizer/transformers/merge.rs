//! The configuration files of a tokenizer merged into arguments, as transformers 5.5.0 merges them
//! (`PreTrainedTokenizerBase._from_pretrained`).

use std::collections::{BTreeMap, HashSet};

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::RulesError;
use super::added::Token;
use super::parts::Parts;
use super::special::{ATTRIBUTES, Special, list, refused};
use crate::tokenizer::resolve::TokenizerFiles;

/// Takes the model's own named tokens out of the arguments: strings under keys that end in `_token`, and
/// `extra_special_tokens` where that is a map.
pub(super) fn own_tokens(
    arguments: &mut Map<String, Value>,
) -> Result<IndexMap<String, Special>, RulesError> {
    let is_own = |key: &str, value: &Value| {
        key.ends_with("_token") && !ATTRIBUTES.contains(&key) && value.is_string()
    };
    let mut own: IndexMap<String, Value> = IndexMap::new();
    for (key, value) in std::mem::take(arguments) {
        if is_own(&key, &value) {
            own.insert(key, value);
        } else {
            arguments.insert(key, value);
        }
    }
    if let Some(Value::Object(map)) = arguments.get("extra_special_tokens") {
        own.extend(map.clone());
        arguments.shift_remove("extra_special_tokens");
    }
    own.into_iter()
        .map(|(key, value)| match Special::from_value(&key, &value)? {
            Some(special) => Ok((key, special)),
            None => Err(refused(format!("{key} is null"))),
        })
        .collect()
}

/// `added_tokens_decoder`: a map of ids to tokens.
pub(super) fn from_decoder(decoder: &Value) -> Result<BTreeMap<i64, Token>, RulesError> {
    let malformed =
        || refused("added_tokens_decoder is not a map of ids to added tokens".to_owned());
    let entries = decoder.as_object().ok_or_else(malformed)?;
    entries
        .iter()
        .map(|(id, token)| {
            let id = id.trim().parse().map_err(|_| malformed())?;
            Ok((id, Token::from_value(token).ok_or_else(malformed)?))
        })
        .collect()
}

/// Without `added_tokens_decoder`: `special_tokens_map.json` over the arguments, then the added tokens of
/// `added_tokens.json` and of `tokenizer.json`.
pub(super) fn from_legacy_files(
    files: &TokenizerFiles,
    parts: &Parts,
    arguments: &mut Map<String, Value>,
    own: &mut IndexMap<String, Special>,
) -> Result<BTreeMap<i64, Token>, RulesError> {
    let empty = Map::new();
    let object = |value: &'_ Option<Value>| {
        value
            .as_ref()
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or(empty.clone())
    };
    for (key, mut value) in object(&files.special_tokens_map) {
        if key == "extra_special_tokens" {
            value = merge_extra(arguments.get("extra_special_tokens"), value);
        } else if let Value::Object(token) = &mut value {
            mark_added(token);
        }
        arguments.insert(key, value);
    }
    if let Some(Value::Object(map)) = arguments.get("extra_special_tokens") {
        for (key, value) in map.clone() {
            own.extend(Special::from_value(&key, &value)?.map(|special| (key, special)));
        }
        arguments.shift_remove("extra_special_tokens");
    }
    let mut special: HashSet<String> = HashSet::new();
    for key in ATTRIBUTES {
        let value = arguments.get(key).unwrap_or(&Value::Null);
        special
            .extend(Special::from_value(key, value)?.map(|special| special.content().to_owned()));
    }
    special.extend(
        list(arguments.get("extra_special_tokens"))?
            .iter()
            .map(|token| token.content().to_owned()),
    );

    let mut added = BTreeMap::new();
    for (content, id) in object(&files.added_tokens) {
        let id = id
            .as_i64()
            .ok_or_else(|| refused(format!("added_tokens.json has no id for {content:?}")))?;
        added.insert(id, Token::plain(&content, special.contains(&content)));
    }
    added.extend(
        parts
            .added_tokens()?
            .into_iter()
            .map(|token| (i64::from(token.id), token.token)),
    );
    Ok(added)
}

/// `AddedToken(**value, special=True)`, written as the configuration writes one.
fn mark_added(token: &mut Map<String, Value>) {
    token.insert("__type".to_owned(), Value::from("AddedToken"));
    token.insert("special".to_owned(), Value::from(true));
}

/// The list of `special_tokens_map.json` behind that of the configuration, without repeats.
fn merge_extra(existing: Option<&Value>, new: Value) -> Value {
    let Value::Array(new) = new else { return new };
    let mut merged = existing
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    for mut token in new {
        if let Value::Object(token) = &mut token {
            mark_added(token);
        }
        if !merged.contains(&token) {
            merged.push(token);
        }
    }
    Value::from(merged)
}
