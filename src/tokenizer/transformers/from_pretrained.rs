//! Merges a tokenizer's configuration files into keyword arguments as transformers 5.5.0 does
//! (`PreTrainedTokenizerBase._from_pretrained`).

use std::collections::{BTreeMap, HashSet};

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::LoaderRulesError;
use super::added_tokens::AddedToken;
use super::special_tokens::{
    SPECIAL_TOKENS_ATTRIBUTES, SpecialToken, extra_special_tokens, would_not_load,
};
use super::tokenizer_json::TokenizerJson;
use crate::tokenizer::resolve::TokenizerFiles;

/// Takes the model-specific special tokens out of the arguments: strings under keys that end in `_token`, and
/// `extra_special_tokens` if that is a map.
pub(super) fn take_model_specific_tokens(
    arguments: &mut Map<String, Value>,
) -> Result<IndexMap<String, SpecialToken>, LoaderRulesError> {
    let is_model_specific = |key: &str, value: &Value| {
        key.ends_with("_token") && !SPECIAL_TOKENS_ATTRIBUTES.contains(&key) && value.is_string()
    };
    let mut model_specific: IndexMap<String, Value> = IndexMap::new();
    for (key, value) in std::mem::take(arguments) {
        if is_model_specific(&key, &value) {
            model_specific.insert(key, value);
        } else {
            arguments.insert(key, value);
        }
    }
    if let Some(Value::Object(map)) = arguments.get("extra_special_tokens") {
        model_specific.extend(map.clone());
        arguments.shift_remove("extra_special_tokens");
    }
    model_specific
        .into_iter()
        .map(
            |(key, value)| match SpecialToken::from_value(&key, &value)? {
                Some(special) => Ok((key, special)),
                None => Err(would_not_load(format!("{key} is null"))),
            },
        )
        .collect()
}

/// Reads `added_tokens_decoder`, a map of ids to tokens.
pub(super) fn added_tokens_from_decoder(
    decoder: &Value,
) -> Result<BTreeMap<i64, AddedToken>, LoaderRulesError> {
    let malformed =
        || would_not_load("added_tokens_decoder is not a map of ids to added tokens".to_owned());
    let entries = decoder.as_object().ok_or_else(malformed)?;
    entries
        .iter()
        .map(|(id, token)| {
            let id = id.trim().parse().map_err(|_| malformed())?;
            Ok((id, AddedToken::from_value(token).ok_or_else(malformed)?))
        })
        .collect()
}

/// Reads the files that stand in for `added_tokens_decoder`: merges `special_tokens_map.json` into the arguments and
/// returns the added tokens of `added_tokens.json` and of `tokenizer.json`.
pub(super) fn added_tokens_from_legacy_files(
    files: &TokenizerFiles,
    tokenizer_json: &TokenizerJson,
    arguments: &mut Map<String, Value>,
    model_specific: &mut IndexMap<String, SpecialToken>,
) -> Result<BTreeMap<i64, AddedToken>, LoaderRulesError> {
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
            value = merge_extra_special_tokens(arguments.get("extra_special_tokens"), value);
        } else if let Value::Object(token) = &mut value {
            mark_special(token);
        }
        arguments.insert(key, value);
    }
    if let Some(Value::Object(map)) = arguments.get("extra_special_tokens") {
        for (key, value) in map.clone() {
            model_specific
                .extend(SpecialToken::from_value(&key, &value)?.map(|special| (key, special)));
        }
        arguments.shift_remove("extra_special_tokens");
    }
    let mut special: HashSet<String> = HashSet::new();
    for key in SPECIAL_TOKENS_ATTRIBUTES {
        let value = arguments.get(key).unwrap_or(&Value::Null);
        special.extend(
            SpecialToken::from_value(key, value)?.map(|special| special.content().to_owned()),
        );
    }
    special.extend(
        extra_special_tokens(arguments.get("extra_special_tokens"))?
            .iter()
            .map(|token| token.content().to_owned()),
    );

    let mut added = BTreeMap::new();
    for (content, id) in object(&files.added_tokens) {
        let id = id.as_i64().ok_or_else(|| {
            would_not_load(format!("added_tokens.json has no id for {content:?}"))
        })?;
        added.insert(id, AddedToken::new(&content, special.contains(&content)));
    }
    added.extend(
        tokenizer_json
            .added_tokens()?
            .into_iter()
            .map(|token| (i64::from(token.id), token.token)),
    );
    Ok(added)
}

/// Marks a token as `AddedToken(**value, special=True)` in the configuration's notation.
fn mark_special(token: &mut Map<String, Value>) {
    token.insert("__type".to_owned(), Value::from("AddedToken"));
    token.insert("special".to_owned(), Value::from(true));
}

/// Appends the list of `special_tokens_map.json` to that of the configuration, without duplicates.
fn merge_extra_special_tokens(existing: Option<&Value>, new: Value) -> Value {
    let Value::Array(new) = new else { return new };
    let mut merged = existing
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    for mut token in new {
        if let Value::Object(token) = &mut token {
            mark_special(token);
        }
        if !merged.contains(&token) {
            merged.push(token);
        }
    }
    Value::from(merged)
}
