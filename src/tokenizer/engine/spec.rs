//! The splitting rules of a tokenizer.json, read without its vocabulary.
//!
//! The normalizer, the pre-tokenizer, the added tokens and the model's flags decide where a text may be split and
//! whether `fastokens` counts it exactly. They are a few kilobytes of a file of ten megabytes, so the rest is skipped.

use serde::Deserialize;
use serde_json::Value;

/// The members of a tokenizer.json that decide how its texts may be counted.
#[derive(Debug, Deserialize)]
pub(super) struct TokenizerSpec {
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    pub(super) added_tokens: Vec<AddedTokenSpec>,
    model: ModelFlags,
    #[serde(default)]
    truncation: Value,
    #[serde(default)]
    padding: Value,
}

/// An entry of `added_tokens`.
#[derive(Debug, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the file's own flags")]
pub(super) struct AddedTokenSpec {
    pub(super) content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    normalized: bool,
}

#[derive(Debug, Deserialize)]
struct ModelFlags {
    #[serde(default)]
    r#type: Option<String>,
    #[serde(default)]
    dropout: Option<f32>,
    #[serde(default)]
    merges: Option<serde::de::IgnoredAny>,
}

/// Splitting rules with proved split points (see [`super::split_points`]). The engines were compared on each of them,
/// over every code point in context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// cl100k, Llama 3.
    Cl100k,
    /// Qwen2 and Qwen3: cl100k with one digit at a time.
    Qwen2,
    /// Qwen3.5: Qwen2 with marks among the letters.
    Qwen35,
    /// o200k, gpt-oss.
    O200k,
    /// Mistral's tekken: o200k without contractions and with one digit at a time.
    Tekken,
    /// DeepSeek-V3: three Splits.
    DeepSeek,
    /// GPT-2: the built-in pattern of `ByteLevel`.
    Gpt2,
}

/// The patterns of the families that have one Split.
const PATTERNS: [(Family, &str); 5] = [
    (
        Family::Cl100k,
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
    (
        Family::Qwen2,
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
    (
        Family::Qwen35,
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
    (
        Family::O200k,
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
    (
        Family::Tekken,
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
];
const DEEPSEEK: [&str; 3] = [
    r"\p{N}{1,3}",
    "[一-龥\u{3040}-ゟ゠-ヿ]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
];

impl TokenizerSpec {
    /// Reads the rules of the tokenizer.json in `json`.
    pub(super) fn read(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// The reason why `fastokens` 0.3.5 does not count exactly with this tokenizer, if its rules give one.
    ///
    /// `fastokens` has byte-pair models only, ignores `single_word`, and runs patterns that are not of a [`Family`] with
    /// a regular expression engine that was not compared on rare characters. A model that drops merges at random cannot
    /// be compared at all.
    pub(super) fn fastokens_unsupported(&self) -> Option<&'static str> {
        let bpe = match &self.model.r#type {
            Some(kind) => kind == "BPE",
            None => self.model.merges.is_some(),
        };
        if !bpe {
            Some("its model is not byte-pair encoding")
        } else if self.model.dropout.is_some_and(|share| share > 0.0) {
            Some("its model drops merges at random")
        } else if self.truncates_or_pads() {
            Some("it truncates or pads")
        } else if self.added_tokens.iter().any(|token| token.single_word) {
            Some("an added token matches whole words only")
        } else if self.family().is_none() && has_pattern(&self.pre_tokenizer) {
            Some("its splitting pattern is not among those compared")
        } else {
            None
        }
    }

    /// The family whose proof of split points applies, or the reason why none does.
    pub(super) fn family_with_split_points(&self) -> Result<Family, &'static str> {
        if let Some(reason) = self.fastokens_unsupported() {
            return Err(reason);
        }
        if self
            .added_tokens
            .iter()
            .any(|token| token.lstrip || token.rstrip)
        {
            return Err("an added token absorbs the spaces around it");
        }
        let nfc =
            only_nfc(&self.normalizer).ok_or("its normalizer can reach across a split point")?;
        if nfc
            && self
                .added_tokens
                .iter()
                .any(|token| token.normalized && !token.content.is_ascii())
        {
            return Err("an added token changes under its normalizer");
        }
        self.family()
            .ok_or("its splitting rules are not among those proved")
    }

    /// The family of the pre-tokenizer, whatever the other rules are.
    pub(super) fn family(&self) -> Option<Family> {
        family_of(&self.pre_tokenizer)
    }

    fn truncates_or_pads(&self) -> bool {
        !self.truncation.is_null() || !self.padding.is_null()
    }
}

/// Returns true for a normalizer that applies NFC, false for one that does nothing, and `None` for any other.
fn only_nfc(normalizer: &Value) -> Option<bool> {
    if normalizer.is_null() {
        return Some(false);
    }
    match normalizer["type"].as_str()? {
        "NFC" => Some(true),
        "Sequence" => normalizer["normalizers"]
            .as_array()?
            .iter()
            .try_fold(false, |nfc, step| Some(nfc | only_nfc(step)?)),
        _ => None,
    }
}

fn family_of(pre_tokenizer: &Value) -> Option<Family> {
    if is_byte_level(pre_tokenizer, true) {
        return Some(Family::Gpt2);
    }
    let steps = match pre_tokenizer["type"].as_str()? {
        "Sequence" => pre_tokenizer["pretokenizers"].as_array()?,
        _ => return None,
    };
    let (last, splits) = steps.split_last()?;
    if !is_byte_level(last, false) {
        return None;
    }
    let patterns: Vec<&str> = splits
        .iter()
        .map(isolating_pattern)
        .collect::<Option<_>>()?;
    if patterns == DEEPSEEK {
        return Some(Family::DeepSeek);
    }
    PATTERNS
        .into_iter()
        .find_map(|(family, pattern)| (patterns == [pattern]).then_some(family))
}

/// Returns true if the pre-tokenizer, or a step of it, splits by a regular expression.
fn has_pattern(pre_tokenizer: &Value) -> bool {
    let steps = pre_tokenizer["pretokenizers"].as_array();
    pre_tokenizer["pattern"].get("Regex").is_some()
        || steps.is_some_and(|steps| steps.iter().any(has_pattern))
}

fn is_byte_level(step: &Value, use_regex: bool) -> bool {
    step["type"] == "ByteLevel"
        && step["add_prefix_space"] == false
        // Old files omit the flag and use the pattern.
        && step.get("use_regex").and_then(Value::as_bool).unwrap_or(true) == use_regex
}

fn isolating_pattern(step: &Value) -> Option<&str> {
    let plain =
        step["type"] == "Split" && step["behavior"] == "Isolated" && step["invert"] == false;
    step["pattern"]["Regex"].as_str().filter(|_| plain)
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// Every family with its pre-tokenizer.
    pub(in super::super) fn split_by_patterns() -> Vec<(Family, Value)> {
        let byte_level = |use_regex| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex});
        let split = |pattern: &str| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
        let sequence = |patterns: &[&str]| {
            let steps = patterns
                .iter()
                .map(|pattern| split(pattern))
                .chain([byte_level(false)]);
            json!({"type": "Sequence", "pretokenizers": steps.collect::<Value>()})
        };
        let mut rules: Vec<_> = PATTERNS
            .iter()
            .map(|(family, pattern)| (*family, sequence(&[pattern])))
            .collect();
        rules.push((Family::DeepSeek, sequence(&DEEPSEEK)));
        rules.push((Family::Gpt2, byte_level(true)));
        rules
    }

    pub(in super::super) fn added(content: &str, id: u32, normalized: bool) -> Value {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": normalized, "special": !normalized})
    }

    fn spec(change: impl FnOnce(&mut Value)) -> TokenizerSpec {
        let mut json = json!({
            "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}]},
            "pre_tokenizer": split_by_patterns()[0].1,
            "added_tokens": [added("<|end|>", 900, false)],
            "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []},
        });
        change(&mut json);
        TokenizerSpec::read(json.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn families_are_recognized() {
        for (family, rules) in split_by_patterns() {
            let spec = spec(|json| json["pre_tokenizer"] = rules);
            assert_eq!(
                (
                    spec.family_with_split_points(),
                    spec.fastokens_unsupported()
                ),
                (Ok(family), None)
            );
        }
    }

    #[test]
    fn rules_that_could_reach_across_a_split_point_have_no_family() {
        let check = |what: &str, change: &dyn Fn(&mut Value), expected: &str| {
            let found = spec(change).family_with_split_points();
            assert!(
                matches!(found, Err(why) if why.contains(expected)),
                "{what}: {found:?}"
            );
        };
        check(
            "dropout",
            &|json| json["model"]["dropout"] = json!(0.1),
            "at random",
        );
        check(
            "word level",
            &|json| json["model"]["type"] = json!("WordLevel"),
            "byte-pair",
        );
        check(
            "truncation",
            &|json| json["truncation"] = json!({"max_length": 8}),
            "truncates",
        );
        check(
            "padding",
            &|json| json["padding"] = json!({"pad_id": 0}),
            "pads",
        );
        check(
            "lstrip",
            &|json| json["added_tokens"][0]["lstrip"] = json!(true),
            "absorbs",
        );
        check(
            "rstrip",
            &|json| json["added_tokens"][0]["rstrip"] = json!(true),
            "absorbs",
        );
        check(
            "single word",
            &|json| json["added_tokens"][0]["single_word"] = json!(true),
            "whole words",
        );
        check(
            "normalized",
            &|json| json["added_tokens"][0] = added("e\u{301}", 9, true),
            "under its normalizer",
        );
        check(
            "lower case",
            &|json| json["normalizer"] = json!({"type": "Lowercase"}),
            "normalizer",
        );
        check(
            "prepend",
            &|json| {
                json["normalizer"]["normalizers"][0] = json!({"type": "Prepend", "prepend": "▁"});
            },
            "normalizer",
        );
        check(
            "metaspace",
            &|json| json["pre_tokenizer"] = json!({"type": "Metaspace"}),
            "splitting rules",
        );
        check(
            "no rules",
            &|json| json["pre_tokenizer"] = Value::Null,
            "splitting rules",
        );
        check(
            "other pattern",
            &|json| json["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = json!(r"\w+"),
            "splitting pattern",
        );
        check(
            "inverted",
            &|json| json["pre_tokenizer"]["pretokenizers"][0]["invert"] = json!(true),
            "splitting pattern",
        );
        check(
            "prefix space",
            &|json| json["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = json!(true),
            "splitting pattern",
        );
    }

    #[test]
    fn fastokens_counts_string_splits() {
        let spec = spec(
            |json| json["pre_tokenizer"] = json!({"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false}),
        );
        assert_eq!(spec.fastokens_unsupported(), None);
    }
}
