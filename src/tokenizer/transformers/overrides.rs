//! What the loader replaced, in words short enough for a warning.

use std::collections::HashSet;

use serde_json::Value;

use super::added::Token;

/// One part of a `tokenizer.json` that the loader does not take as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// The part: `normalizer`, `pre_tokenizer`, `model` or `added_tokens`.
    pub what: &'static str,
    /// What the file has.
    pub from: String,
    /// What the client used.
    pub to: String,
}

/// The longest description, in characters.
const LONGEST: usize = 120;

impl Replaced {
    /// A part that differs in something that can change a count.
    pub(super) fn part(what: &'static str, old: &Value, new: &Value) -> Option<Self> {
        let (old, new) = (essence(old), essence(new));
        if old == new {
            return None;
        }
        let (mut from, mut to) = (kind(&old), kind(&new));
        if from == to {
            (from, to) = (shorten(&old.to_string()), shorten(&new.to_string()));
        }
        Some(Self { what, from, to })
    }

    /// A model whose kind or flags differ in something that can change a count; only the differences are named.
    pub(super) fn flags(
        model: &Value,
        old: &[(&str, Value)],
        new: &[(&str, Value)],
    ) -> Option<Self> {
        let was_bpe = model.is_null() || model == "BPE";
        let differing: Vec<_> = old
            .iter()
            .zip(new)
            .filter(|((key, old), (_, new))| flag(key, old) != flag(key, new))
            .map(|((key, old), (_, new))| (*key, flag(key, old), flag(key, new)))
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
            what: "model",
            from: format!("{old_kind} {}", side(|entry| entry.1.clone()))
                .trim_end()
                .to_owned(),
            to: format!("BPE {}", side(|entry| entry.2.clone()))
                .trim_end()
                .to_owned(),
        })
    }

    /// Added tokens that come, go, or are matched in another way; `None` if only marks that matching ignores differ.
    pub(super) fn added_tokens(old: &HashSet<Token>, new: &HashSet<Token>) -> Option<Self> {
        let matching = |tokens: &HashSet<Token>| -> HashSet<Token> {
            tokens
                .iter()
                .map(|token| Token {
                    special: false,
                    ..token.clone()
                })
                .collect()
        };
        let (old, new) = (matching(old), matching(new));
        let side = |tokens: &HashSet<Token>, other: &HashSet<Token>| {
            let mut differing: Vec<&str> = tokens
                .difference(other)
                .map(|token| token.content.as_str())
                .collect();
            differing.sort_unstable();
            if differing.is_empty() {
                return "none".to_owned();
            }
            shorten(&format!("{}: {}", differing.len(), differing.join(" ")))
        };
        (old != new).then(|| Self {
            what: "added_tokens",
            from: side(&old, &new),
            to: side(&new, &old),
        })
    }
}

/// A flag of a BPE as it counts: absent, null and empty are one, and so are a missing flag and a false one.
pub(super) fn flag(key: &str, value: &Value) -> Value {
    match (key, value) {
        ("fuse_unk" | "byte_fallback" | "ignore_merges", Value::Null) => Value::from(false),
        ("dropout", dropout) if dropout.as_f64() == Some(0.0) => Value::Null,
        ("continuing_subword_prefix" | "end_of_word_suffix", affix) if affix == "" => Value::Null,
        (_, value) => value.clone(),
    }
}

/// A part without what cannot change a count, and with defaults filled in.
pub(super) fn essence(value: &Value) -> Value {
    match value {
        Value::Array(parts) => parts.iter().map(essence).collect(),
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
                            *parts = essence(parts);
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

/// The names of a part's types: `Sequence[Split, ByteLevel]`.
fn kind(value: &Value) -> String {
    let Some(name) = value.get("type").and_then(Value::as_str) else {
        return if value.is_null() {
            "none".to_owned()
        } else {
            shorten(&value.to_string())
        };
    };
    let parts = ["normalizers", "pretokenizers"]
        .into_iter()
        .find_map(|key| value.get(key)?.as_array());
    match parts {
        Some(parts) => format!(
            "{name}[{}]",
            parts.iter().map(kind).collect::<Vec<_>>().join(", ")
        ),
        None => name.to_owned(),
    }
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}
