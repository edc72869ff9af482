//! The tokenizer classes that build their own normalizer, pre-tokenizer and model flags (transformers 5.5.0,
//! `models/*/tokenization_*.py`).

use serde_json::{Value, json};

use super::LoaderRulesError;
use super::init_kwargs::InitKwargs;
use super::overrides::Override;
use super::tokenizer_json::TokenizerJson;

/// The split pattern of Qwen 2 and 3 (Oniguruma syntax).
const QWEN2_SPLIT: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The split pattern of Qwen 3.5, in which marks count as letters.
const QWEN3_5_SPLIT: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// A tokenizer class of transformers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenizerClass {
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

/// The special tokens of a constructor: (attribute, default).
type ClassDefaults = &'static [(&'static str, Option<&'static str>)];

impl TokenizerClass {
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

    /// The class's name in transformers.
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

    /// The special tokens that the class's constructor names, with their defaults.
    pub fn defaults(self) -> ClassDefaults {
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

    /// The reason why this class cannot be built from a file, if there is one: it needs a vocabulary that is a map.
    pub fn cannot_build(self, tokenizer_json: &TokenizerJson) -> Option<String> {
        (self != Self::AsWritten && !tokenizer_json.vocab_is_map()).then(|| {
            format!(
                "{} builds a BPE, and tokenizer.json has a vocabulary of another kind",
                self.name()
            )
        })
    }

    /// Replaces the file's components by the class's own, and records those that can change a count.
    pub fn rebuild(
        self,
        kwargs: &InitKwargs,
        tokenizer_json: &mut TokenizerJson,
        overrides: &mut Vec<Override>,
    ) -> Result<(), LoaderRulesError> {
        if self == Self::AsWritten {
            return Ok(());
        }
        for (key, new) in [
            ("normalizer", self.normalizer()),
            ("pre_tokenizer", self.pre_tokenizer(kwargs)?),
        ] {
            let old = tokenizer_json.get(key)?;
            if let Some(found) = Override::component(key, &old, &new) {
                overrides.push(found);
                tokenizer_json.set(key, &new);
            }
        }
        let flags = self.bpe_flags(kwargs);
        let old: Vec<(&str, Value)> = flags
            .iter()
            .map(|(key, _)| Ok((*key, tokenizer_json.model_member(key)?)))
            .collect::<Result<_, LoaderRulesError>>()?;
        let kind = tokenizer_json.model_member("type")?;
        if let Some(found) = Override::model(&kind, &old, &flags) {
            overrides.push(found);
            tokenizer_json.set_bpe(&flags);
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

    fn pre_tokenizer(self, kwargs: &InitKwargs) -> Result<Value, LoaderRulesError> {
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
                    kwargs.truthy("add_prefix_space", true),
                    kwargs.truthy("legacy", false),
                ) {
                    (false, _) => "never",
                    (true, true) => "always",
                    (true, false) => "first",
                },
            ),
            Self::CodeLlama => metaspace(if kwargs.truthy("add_prefix_space", true) {
                "first"
            } else {
                "never"
            }),
            Self::Gemma => json!({
                "type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false,
            }),
            Self::Cohere => json!({"type": "Sequence", "pretokenizers": [
                {"type": "Digits", "individual_digits": true},
                byte_level(kwargs.flag("add_prefix_space")?, true),
            ]}),
            Self::CodeGen | Self::Gpt2 | Self::GptNeoX | Self::Roberta => {
                byte_level(kwargs.flag("add_prefix_space")?, true)
            }
            Self::Qwen2 => split(QWEN2_SPLIT, kwargs.flag_or_null("add_prefix_space")?),
            Self::Qwen3_5 => split(QWEN3_5_SPLIT, kwargs.flag_or_null("add_prefix_space")?),
        })
    }

    /// All flags of the BPE that the class builds.
    fn bpe_flags(self, kwargs: &InitKwargs) -> Vec<(&'static str, Value)> {
        let is_sentencepiece = matches!(self, Self::Llama | Self::CodeLlama | Self::Gemma);
        let unk = if matches!(self, Self::CodeLlama | Self::Gemma) {
            Value::from(kwargs.special_token("unk_token").unwrap_or("None"))
        } else {
            Value::Null
        };
        let affix = if is_sentencepiece {
            Value::Null
        } else {
            Value::from("")
        };
        vec![
            ("dropout", Value::Null),
            ("unk_token", unk),
            ("continuing_subword_prefix", affix.clone()),
            ("end_of_word_suffix", affix),
            ("fuse_unk", Value::from(is_sentencepiece)),
            ("byte_fallback", Value::from(is_sentencepiece)),
            ("ignore_merges", Value::from(false)),
        ]
    }
}
