//! The keyword arguments of a tokenizer class, and the tokens that its constructor adds (transformers 5.5.0,
//! `PreTrainedTokenizerBase.__init__`, `TokenizersBackend.__init__`).

use std::collections::{BTreeMap, HashMap, HashSet};

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::LoaderRulesError;
use super::added_tokens::{AddedToken, AddedTokenWithId, AddedVocabulary, ModelVocabulary};
use super::from_pretrained::{
    added_tokens_from_decoder, added_tokens_from_legacy_files, take_model_specific_tokens,
};
use super::special_tokens::{
    SPECIAL_TOKENS_ATTRIBUTES, SpecialToken, extra_special_tokens, would_not_load,
};
use super::tokenizer_class::TokenizerClass;
use super::tokenizer_json::TokenizerJson;
use crate::tokenizer::resolve::TokenizerFiles;

/// The part of a tokenizer class's keyword arguments (`init_kwargs` in transformers) that counting needs.
#[derive(Debug, Default)]
pub(super) struct InitKwargs {
    arguments: Map<String, Value>,
    /// The named special tokens, in order.
    named: IndexMap<String, SpecialToken>,
    /// The special tokens without a name.
    extra: Vec<SpecialToken>,
    /// The added tokens by id.
    added: BTreeMap<i64, AddedToken>,
    /// If true, special tokens are split like other text.
    pub split_special_tokens: bool,
}

impl InitKwargs {
    /// Merges the configuration files for `class`; `pad_token` is the padding token of `tokenizer.json`.
    pub fn new(
        files: &TokenizerFiles,
        class: TokenizerClass,
        tokenizer_json: &TokenizerJson,
        pad_token: Option<String>,
    ) -> Result<Self, LoaderRulesError> {
        let mut arguments = match &files.tokenizer_config {
            Some(Value::Object(config)) => config.clone(),
            Some(_) => {
                return Err(would_not_load(
                    "tokenizer_config.json is not an object".to_owned(),
                ));
            }
            None => Map::new(),
        };
        if let Some(other) = arguments.get("tokenizer_file").and_then(Value::as_str) {
            return Err(would_not_load(format!(
                "tokenizer_config.json names another tokenizer_file, {other:?}"
            )));
        }
        if let Some(tokens) = arguments.shift_remove("additional_special_tokens") {
            arguments.entry("extra_special_tokens").or_insert(tokens);
        }
        let mut model_specific = take_model_specific_tokens(&mut arguments)?;
        let added = match arguments.get("added_tokens_decoder") {
            Some(decoder) => added_tokens_from_decoder(decoder)?,
            None => added_tokens_from_legacy_files(
                files,
                tokenizer_json,
                &mut arguments,
                &mut model_specific,
            )?,
        };
        let by_content: HashMap<&str, &AddedToken> = added
            .values()
            .map(|token| (token.content.as_str(), token))
            .collect();
        for key in SPECIAL_TOKENS_ATTRIBUTES {
            let Some(value) = arguments.get(key) else {
                continue;
            };
            let Some(special) = SpecialToken::from_value(key, value)? else {
                continue;
            };
            if let Some(token) = by_content.get(special.content()) {
                let mut flagged = json!(token);
                flagged["__type"] = Value::from("AddedToken");
                arguments.insert(key.to_owned(), flagged);
            }
        }
        let mut kwargs = Self {
            arguments,
            added,
            ..Self::default()
        };
        kwargs.name_special_tokens(class, pad_token, model_specific)?;
        Ok(kwargs)
    }

    /// Names the special tokens, as the constructors do.
    fn name_special_tokens(
        &mut self,
        class: TokenizerClass,
        pad_token: Option<String>,
        model_specific: IndexMap<String, SpecialToken>,
    ) -> Result<(), LoaderRulesError> {
        for (key, default) in class.defaults() {
            self.arguments.entry(*key).or_insert_with(|| json!(default));
        }
        if class == TokenizerClass::CodeLlama {
            self.add_infilling_tokens();
        }
        if let Some(pad_token) = pad_token {
            self.arguments
                .entry("pad_token")
                .or_insert(Value::from(pad_token));
        }
        if let Some(tokens) = self.arguments.get("additional_special_tokens").cloned() {
            self.arguments
                .entry("extra_special_tokens")
                .or_insert(tokens);
        }
        let mut named = IndexMap::new();
        for key in SPECIAL_TOKENS_ATTRIBUTES {
            if let Some(special) =
                SpecialToken::from_value(key, self.arguments.get(key).unwrap_or(&Value::Null))?
            {
                named.insert(key.to_owned(), special);
            }
        }
        for (key, value) in &self.arguments {
            let flagged =
                value.is_string() || value.get("__type").is_some_and(|kind| kind == "AddedToken");
            if key.ends_with("_token")
                && !SPECIAL_TOKENS_ATTRIBUTES.contains(&key.as_str())
                && flagged
            {
                named.extend(
                    SpecialToken::from_value(key, value)?.map(|special| (key.clone(), special)),
                );
            }
        }
        named.extend(model_specific);
        self.extra = extra_special_tokens(self.arguments.get("extra_special_tokens"))?;
        self.named = named;
        self.split_special_tokens = self.truthy("split_special_tokens", false);
        Ok(())
    }

    /// Adds the five infilling tokens of Code Llama's constructor, which also lists them without names.
    fn add_infilling_tokens(&mut self) {
        let mut extra = match self.arguments.shift_remove("additional_special_tokens") {
            Some(Value::Array(tokens)) => tokens,
            _ => Vec::new(),
        };
        let mut arguments = Map::new();
        for (key, default) in [
            ("prefix_token", "▁<PRE>"),
            ("middle_token", "▁<MID>"),
            ("suffix_token", "▁<SUF>"),
            ("eot_token", "▁<EOT>"),
            ("fill_token", "<FILL_ME>"),
        ] {
            let token = self
                .arguments
                .shift_remove(key)
                .unwrap_or(Value::from(default));
            extra.extend(Some(token.clone()).filter(|token| !token.is_null()));
            arguments.insert(key.to_owned(), token);
        }
        arguments.insert("additional_special_tokens".to_owned(), Value::from(extra));
        arguments.append(&mut self.arguments);
        self.arguments = arguments;
    }

    /// The named special tokens as they are passed to chat templates.
    pub fn special_tokens(&self) -> IndexMap<String, String> {
        self.named
            .iter()
            .map(|(key, special)| (key.clone(), special.content().to_owned()))
            .collect()
    }

    /// The content of a named special token.
    pub fn special_token(&self, key: &str) -> Option<&str> {
        self.named.get(key).map(SpecialToken::content)
    }

    /// The truth value of an argument in Python; `default` if it is absent or null.
    pub fn truthy(&self, key: &str, default: bool) -> bool {
        match self.arguments.get(key) {
            None | Some(Value::Null) => default,
            Some(Value::Bool(value)) => *value,
            Some(Value::Number(number)) => number.as_f64() != Some(0.0),
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::Object(members)) => !members.is_empty(),
        }
    }

    /// An argument that must be a boolean if it is given.
    pub fn flag(&self, key: &str) -> Result<bool, LoaderRulesError> {
        match self.arguments.get(key) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(_) => Err(would_not_load(format!("{key} is not a boolean"))),
        }
    }

    /// An argument that must be a boolean or null if it is given.
    pub fn flag_or_null(&self, key: &str) -> Result<bool, LoaderRulesError> {
        if self.arguments.get(key).is_some_and(Value::is_null) {
            Ok(false)
        } else {
            self.flag(key)
        }
    }

    /// The added tokens after construction. The base class starts from the file's own, the others from none.
    pub fn added_tokens(
        &self,
        class: TokenizerClass,
        file: &[AddedTokenWithId],
        model: &ModelVocabulary,
    ) -> AddedVocabulary {
        let mut vocabulary = AddedVocabulary::default();
        if class == TokenizerClass::AsWritten {
            let tokens: Vec<AddedToken> = file.iter().map(|added| added.token.clone()).collect();
            vocabulary.add(&tokens, model);
        }
        vocabulary.add(&self.tokens_to_add(&vocabulary), model);
        let all = self
            .named
            .values()
            .chain(&self.extra)
            .map(SpecialToken::content);
        match class {
            TokenizerClass::Qwen2 => {
                let unique: IndexMap<&str, ()> = all.map(|content| (content, ())).collect();
                let tokens: Vec<AddedToken> = unique
                    .keys()
                    .map(|content| AddedToken::new(content, true))
                    .collect();
                vocabulary.add(&tokens, model);
            }
            TokenizerClass::Cohere => {
                let special = |special: &SpecialToken| match special {
                    SpecialToken::Text(content) => AddedToken::new(content, true),
                    SpecialToken::Flagged(token) => AddedToken {
                        special: true,
                        ..token.clone()
                    },
                };
                let tokens: Vec<AddedToken> = self
                    .named
                    .values()
                    .chain(&self.extra)
                    .map(special)
                    .collect();
                vocabulary.add(&tokens, model);
            }
            _ => {}
        }
        vocabulary
    }

    /// The tokens that `TokenizersBackend.__init__` adds: the added tokens by id, then the other special tokens.
    fn tokens_to_add(&self, present: &AddedVocabulary) -> Vec<AddedToken> {
        let named: HashSet<&str> = self
            .named
            .values()
            .map(SpecialToken::content)
            .filter(|c| !c.is_empty())
            .collect();
        let by_id: HashSet<&str> = self
            .added
            .values()
            .map(|token| token.content.as_str())
            .collect();
        let mut missing: Vec<&SpecialToken> = Vec::new();
        for special in self.named.values().chain(&self.extra) {
            let content = special.content();
            if !present.contains(content) && !by_id.contains(content) && !missing.contains(&special)
            {
                missing.push(special);
            }
        }
        let missing = missing.into_iter().map(|special| match special {
            SpecialToken::Text(content) => AddedToken::new(content, true),
            SpecialToken::Flagged(token) => token.clone(),
        });
        let mark_special = |token: AddedToken| AddedToken {
            special: token.special || named.contains(token.content.as_str()),
            ..token
        };
        self.added
            .values()
            .cloned()
            .chain(missing)
            .map(mark_special)
            .collect()
    }

    /// The contents of all tokens that may be added, whose ids in the vocabulary matter.
    pub fn contents<'t>(&'t self, file: &'t [AddedTokenWithId]) -> HashSet<&'t str> {
        let tokens = file
            .iter()
            .map(|added| &added.token)
            .chain(self.added.values());
        let special = self
            .named
            .values()
            .chain(&self.extra)
            .map(SpecialToken::content);
        tokens
            .map(|token| token.content.as_str())
            .chain(special)
            .collect()
    }
}
