//! The tokenizer classes that build their own normalizer, pre-tokenizer and model flags (transformers 5.5.0,
//! `models/*/tokenization_*.py`).

use serde_json::{Value, json};

use super::RulesError;
use super::init::Init;
use super::overrides::Replaced;
use super::parts::Parts;

/// How Qwen 2 and 3 split text (Onigurama syntax).
const QWEN2_SPLIT: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// How Qwen 3.5 splits text: marks count as letters.
const QWEN3_5_SPLIT: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// What loads a tokenizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// The base class: `tokenizer.json` as written.
    AsWritten,
    CodeGen,
    CodeLlama,
    Cohere,
    Gemma,
    Gpt2,
    GptNeoX,
    Llama,
    Qwen2,
    Qwen3_5,
    Roberta,
}

/// Where the names of special tokens come from when no file has them: (attribute, default).
type Defaults = &'static [(&'static str, Option<&'static str>)];

impl Class {
    pub const ALL: [Self; 11] = [
        Self::AsWritten,
        Self::CodeGen,
        Self::CodeLlama,
        Self::Cohere,
        Self::Gemma,
        Self::Gpt2,
        Self::GptNeoX,
        Self::Llama,
        Self::Qwen2,
        Self::Qwen3_5,
        Self::Roberta,
    ];

    /// Its name in transformers.
    pub fn name(self) -> &'static str {
        match self {
            Self::AsWritten => "TokenizersBackend",
            Self::CodeGen => "CodeGenTokenizer",
            Self::CodeLlama => "CodeLlamaTokenizer",
            Self::Cohere => "CohereTokenizer",
            Self::Gemma => "GemmaTokenizer",
            Self::Gpt2 => "GPT2Tokenizer",
            Self::GptNeoX => "GPTNeoXTokenizer",
            Self::Llama => "LlamaTokenizer",
            Self::Qwen2 => "Qwen2Tokenizer",
            Self::Qwen3_5 => "Qwen3_5Tokenizer",
            Self::Roberta => "RobertaTokenizer",
        }
    }

    /// The special tokens that its constructor names, with their defaults.
    pub fn defaults(self) -> Defaults {
        const END: Option<&str> = Some("<|endoftext|>");
        match self {
            Self::AsWritten => &[],
            Self::CodeLlama | Self::Llama => &[
                ("unk_token", Some("<unk>")),
                ("bos_token", Some("<s>")),
                ("eos_token", Some("</s>")),
            ],
            Self::Cohere => &[
                ("unk_token", Some("<UNK>")),
                ("bos_token", Some("<BOS_TOKEN>")),
                ("eos_token", Some("<|END_OF_TURN_TOKEN|>")),
                ("pad_token", Some("<PAD>")),
                ("cls_token", Some("<CLS>")),
                ("sep_token", Some("<SEP>")),
                ("mask_token", Some("<MASK_TOKEN>")),
            ],
            Self::Gemma => &[
                ("unk_token", Some("<unk>")),
                ("bos_token", Some("<bos>")),
                ("eos_token", Some("<eos>")),
                ("pad_token", Some("<pad>")),
                ("mask_token", Some("<mask>")),
            ],
            Self::CodeGen | Self::Gpt2 => &[
                ("unk_token", END),
                ("bos_token", END),
                ("eos_token", END),
                ("pad_token", None),
            ],
            Self::GptNeoX => &[
                ("unk_token", END),
                ("bos_token", END),
                ("eos_token", END),
                ("pad_token", Some("<|padding|>")),
            ],
            Self::Qwen2 | Self::Qwen3_5 => &[
                ("unk_token", END),
                ("bos_token", None),
                ("eos_token", END),
                ("pad_token", END),
            ],
            Self::Roberta => &[
                ("bos_token", Some("<s>")),
                ("eos_token", Some("</s>")),
                ("sep_token", Some("</s>")),
                ("cls_token", Some("<s>")),
                ("unk_token", Some("<unk>")),
                ("pad_token", Some("<pad>")),
                ("mask_token", Some("<mask>")),
            ],
        }
    }

    /// Why this class's rules cannot be put on a file, if they cannot: they are those of a BPE with a map of a
    /// vocabulary.
    pub fn cannot_build(self, parts: &Parts) -> Option<String> {
        (self != Self::AsWritten && !parts.vocab_is_map()).then(|| {
            format!(
                "{} builds a BPE, and tokenizer.json has a vocabulary of another kind",
                self.name()
            )
        })
    }

    /// Puts the class's own parts in the place of the file's, and names those that can change a count.
    pub fn rebuild(
        self,
        init: &Init,
        parts: &mut Parts,
        replaced: &mut Vec<Replaced>,
    ) -> Result<(), RulesError> {
        if self == Self::AsWritten {
            return Ok(());
        }
        for (key, new) in [
            ("normalizer", self.normalizer()),
            ("pre_tokenizer", self.pre_tokenizer(init)?),
        ] {
            let old = parts.get(key)?;
            if let Some(found) = Replaced::part(key, &old, &new) {
                replaced.push(found);
                parts.set(key, &new);
            }
        }
        let flags = self.bpe_flags(init);
        let old: Vec<(&str, Value)> = flags
            .iter()
            .map(|(key, _)| Ok((*key, parts.model(key)?)))
            .collect::<Result<_, RulesError>>()?;
        let kind = parts.model("type")?;
        if let Some(found) = Replaced::flags(&kind, &old, &flags) {
            replaced.push(found);
            parts.set_bpe(&flags);
        }
        Ok(())
    }

    fn normalizer(self) -> Value {
        match self {
            Self::Cohere | Self::GptNeoX | Self::Qwen2 | Self::Qwen3_5 => json!({"type": "NFC"}),
            Self::Gemma => json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"}),
            _ => Value::Null,
        }
    }

    fn pre_tokenizer(self, init: &Init) -> Result<Value, RulesError> {
        let byte_level = |prefix: bool, use_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": use_regex});
        let split = |regex: &str, prefix: bool| {
            json!({"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false},
                byte_level(prefix, false),
            ]})
        };
        let metaspace = |scheme: &str| json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": false});
        Ok(match self {
            Self::AsWritten => Value::Null,
            Self::Llama => metaspace(
                match (
                    init.truthy("add_prefix_space", true),
                    init.truthy("legacy", false),
                ) {
                    (false, _) => "never",
                    (true, true) => "always",
                    (true, false) => "first",
                },
            ),
            Self::CodeLlama => metaspace(if init.truthy("add_prefix_space", true) {
                "first"
            } else {
                "never"
            }),
            Self::Gemma => json!({
                "type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false,
            }),
            Self::Cohere => json!({"type": "Sequence", "pretokenizers": [
                {"type": "Digits", "individual_digits": true},
                byte_level(init.flag("add_prefix_space")?, true),
            ]}),
            Self::CodeGen | Self::Gpt2 | Self::GptNeoX | Self::Roberta => {
                byte_level(init.flag("add_prefix_space")?, true)
            }
            Self::Qwen2 => split(QWEN2_SPLIT, init.flag_or_null("add_prefix_space")?),
            Self::Qwen3_5 => split(QWEN3_5_SPLIT, init.flag_or_null("add_prefix_space")?),
        })
    }

    /// The flags of the BPE that the class builds, all that a BPE has.
    fn bpe_flags(self, init: &Init) -> Vec<(&'static str, Value)> {
        let pieces = matches!(self, Self::Llama | Self::CodeLlama | Self::Gemma);
        let unk = if matches!(self, Self::CodeLlama | Self::Gemma) {
            Value::from(init.special("unk_token").unwrap_or("None"))
        } else {
            Value::Null
        };
        let affix = if pieces { Value::Null } else { Value::from("") };
        vec![
            ("dropout", Value::Null),
            ("unk_token", unk),
            ("continuing_subword_prefix", affix.clone()),
            ("end_of_word_suffix", affix),
            ("fuse_unk", Value::from(pieces)),
            ("byte_fallback", Value::from(pieces)),
            ("ignore_merges", Value::from(false)),
        ]
    }
}
