//! What a tokenizer's own rules say, read without its vocabulary.
//!
//! Whether a text may be cut in two and counted in parts, and whether the fast engine may be trusted with it, follow
//! from the normalizer, the pre-tokenizer, the added tokens and the model's flags. They are a few kilobytes of a
//! tokenizer.json of ten megabytes, so they are read on their own and the rest is skipped.

use serde::Deserialize;
use serde_json::Value;

/// The parts of a tokenizer.json that decide how it may be counted.
#[derive(Debug, Deserialize)]
pub struct Shape {
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    pub(super) added_tokens: Vec<Added>,
    model: ModelFlags,
    #[serde(default)]
    truncation: Value,
    #[serde(default)]
    padding: Value,
}

/// An entry of `added_tokens`.
#[derive(Debug, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the file's own flags")]
pub(super) struct Added {
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

/// The splitting rules that are known well enough to prove where a text may be cut; see [`super::seam`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// One Split with the pattern of Llama 3 and cl100k, or that of Qwen2 and Qwen3 (one digit at a time).
    Cl100k,
    /// One Split with the pattern of o200k and gpt-oss.
    O200k,
    /// The three Splits of DeepSeek-V3.
    DeepSeek,
    /// `ByteLevel` with its own built-in pattern, as GPT-2.
    Gpt2,
}

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const DEEPSEEK: [&str; 3] = [
    r"\p{N}{1,3}",
    "[一-龥\u{3040}-ゟ゠-ヿ]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
];

impl Shape {
    /// Reads the shape of the tokenizer.json in `json`; the error is the parser's when it is not one.
    pub fn read(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// Why the fast engine must not count with this tokenizer, where its own rules already say so.
    ///
    /// Read from the sources of fastokens 0.3.5: it has byte-pair models only, does not honour `single_word`, and
    /// cannot be compared when the model drops merges at random.
    pub fn refuses_fast(&self) -> Option<&'static str> {
        let bpe = match &self.model.r#type {
            Some(kind) => kind == "BPE",
            None => self.model.merges.is_some(),
        };
        if !bpe {
            Some("its model is not byte-pair encoding")
        } else if self.model.dropout.is_some_and(|share| share > 0.0) {
            Some("its model drops merges at random")
        } else if self.cuts_or_pads() {
            Some("it truncates or pads")
        } else if self.added_tokens.iter().any(|token| token.single_word) {
            Some("an added token matches whole words only")
        } else {
            None
        }
    }

    /// The family whose proof allows cutting a text, or why there is none.
    pub fn family(&self) -> Result<Family, &'static str> {
        if self.refuses_fast().is_some() {
            return Err("its model, truncation, padding or added tokens depend on the whole text");
        }
        if self
            .added_tokens
            .iter()
            .any(|token| token.lstrip || token.rstrip)
        {
            return Err("an added token absorbs the spaces around it");
        }
        let nfc = only_nfc(&self.normalizer).ok_or("its normalizer can reach across a cut")?;
        if nfc
            && self
                .added_tokens
                .iter()
                .any(|token| token.normalized && !token.content.is_ascii())
        {
            return Err("an added token changes under its normalizer");
        }
        family_of(&self.pre_tokenizer).ok_or("its splitting rules are not among those proved")
    }

    fn cuts_or_pads(&self) -> bool {
        !self.truncation.is_null() || !self.padding.is_null()
    }
}

/// Whether the normalizer applies NFC (`Some(true)`), nothing (`Some(false)`), or anything else (`None`).
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
    match patterns.as_slice() {
        [one] if *one == LLAMA3 || *one == QWEN => Some(Family::Cl100k),
        [one] if *one == O200K => Some(Family::O200k),
        three if *three == DEEPSEEK => Some(Family::DeepSeek),
        _ => None,
    }
}

fn is_byte_level(step: &Value, use_regex: bool) -> bool {
    step["type"] == "ByteLevel"
        && step["add_prefix_space"] == false
        // Absent in old files, where the pattern is used.
        && step.get("use_regex").and_then(Value::as_bool).unwrap_or(true) == use_regex
}

fn isolating_pattern(step: &Value) -> Option<&str> {
    let plain =
        step["type"] == "Split" && step["behavior"] == "Isolated" && step["invert"] == false;
    step["pattern"]["Regex"].as_str().filter(|_| plain)
}
