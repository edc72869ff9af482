//! The components of a `tokenizer.json` that the loader replaces, described briefly enough for a warning.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::Value;

use super::added_tokens::AddedToken;

/// The longest description, in characters.
const MAX_DESCRIPTION_CHARS: usize = 120;

/// A component of `tokenizer.json` that the loader replaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Override {
    /// The component: `normalizer`, `pre_tokenizer`, `model` or `added_tokens`.
    #[serde(rename = "what")]
    pub component: &'static str,
    /// The file's component.
    pub from: String,
    /// The client's component.
    pub to: String,
}

impl Override {
    /// Compares two versions of a component; `None` if they count alike.
    pub(super) fn component(component: &'static str, old: &Value, new: &Value) -> Option<Self> {
        let (old, new) = (canonical(old), canonical(new));
        if old == new {
            return None;
        }
        let (mut from, mut to) = (type_names(&old), type_names(&new));
        if from == to {
            (from, to) = (truncate(&old.to_string()), truncate(&new.to_string()));
        }
        Some(Self {
            component,
            from,
            to,
        })
    }

    /// Compares the model with a BPE of the flags `new`; `None` if they count alike. Only differing flags are described.
    pub(super) fn model(
        model: &Value,
        old: &[(&str, Value)],
        new: &[(&str, Value)],
    ) -> Option<Self> {
        let was_bpe = model.is_null() || model == "BPE";
        let differing: Vec<_> = old
            .iter()
            .zip(new)
            .filter(|((key, old), (_, new))| canonical_flag(key, old) != canonical_flag(key, new))
            .map(|((key, old), (_, new))| {
                (*key, canonical_flag(key, old), canonical_flag(key, new))
            })
            .collect();
        if was_bpe && differing.is_empty() {
            return None;
        }
        let side = |which: fn(&(&str, Value, Value)) -> Value| {
            let flags = differing
                .iter()
                .map(|entry| format!("{}={}", entry.0, which(entry)));
            flags.collect::<Vec<_>>().join(" ")
        };
        let old_kind = model.as_str().unwrap_or("BPE");
        Some(Self {
            component: "model",
            from: format!("{old_kind} {}", side(|entry| entry.1.clone()))
                .trim_end()
                .to_owned(),
            to: format!("BPE {}", side(|entry| entry.2.clone()))
                .trim_end()
                .to_owned(),
        })
    }

    /// Compares two sets of added tokens; `None` if they match alike.
    pub(super) fn added_tokens(
        old: &HashSet<AddedToken>,
        new: &HashSet<AddedToken>,
    ) -> Option<Self> {
        let matching = |tokens: &HashSet<AddedToken>| -> HashSet<AddedToken> {
            tokens
                .iter()
                .map(|token| AddedToken {
                    special: false,
                    ..token.clone()
                })
                .collect()
        };
        let (old, new) = (matching(old), matching(new));
        let side = |tokens: &HashSet<AddedToken>, other: &HashSet<AddedToken>| {
            let mut differing: Vec<&str> = tokens
                .difference(other)
                .map(|token| token.content.as_str())
                .collect();
            differing.sort_unstable();
            if differing.is_empty() {
                return "none".to_owned();
            }
            truncate(&format!("{}: {}", differing.len(), differing.join(" ")))
        };
        (old != new).then(|| Self {
            component: "added_tokens",
            from: side(&old, &new),
            to: side(&new, &old),
        })
    }
}

/// A flag of a BPE in canonical form: absent, null and empty are the same, and so are absent and false.
pub(super) fn canonical_flag(key: &str, value: &Value) -> Value {
    match (key, value) {
        ("fuse_unk" | "byte_fallback" | "ignore_merges", Value::Null) => Value::from(false),
        ("dropout", dropout) if dropout.as_f64() == Some(0.0) => Value::Null,
        ("continuing_subword_prefix" | "end_of_word_suffix", affix) if affix == "" => Value::Null,
        (_, value) => value.clone(),
    }
}

/// A component in canonical form: without members that cannot change a count, and with defaults filled in.
pub(super) fn canonical(value: &Value) -> Value {
    match value {
        Value::Array(parts) => parts.iter().map(canonical).collect(),
        Value::Object(members) => {
            let mut members = members.clone();
            match members.get("type").and_then(Value::as_str) {
                Some("ByteLevel") => {
                    members.remove("trim_offsets");
                    members.entry("use_regex").or_insert(Value::from(true));
                }
                Some("Sequence") => {
                    for key in ["normalizers", "pretokenizers"] {
                        if let Some(parts) = members.get_mut(key) {
                            *parts = canonical(parts);
                        }
                    }
                }
                _ => {}
            }
            Value::Object(members)
        }
        value => value.clone(),
    }
}

/// The names of a component's types: `Sequence[Split, ByteLevel]`.
fn type_names(value: &Value) -> String {
    let Some(name) = value.get("type").and_then(Value::as_str) else {
        return if value.is_null() {
            "none".to_owned()
        } else {
            truncate(&value.to_string())
        };
    };
    let parts = ["normalizers", "pretokenizers"]
        .into_iter()
        .find_map(|key| value.get(key)?.as_array());
    match parts {
        Some(parts) => format!(
            "{name}[{}]",
            parts.iter().map(type_names).collect::<Vec<_>>().join(", ")
        ),
        None => name.to_owned(),
    }
}

fn truncate(text: &str) -> String {
    if text.chars().count() <= MAX_DESCRIPTION_CHARS {
        return text.to_owned();
    }
    text.chars()
        .take(MAX_DESCRIPTION_CHARS)
        .chain(['…'])
        .collect()
}
