//! The arguments that a tokenizer class is built with, and the tokens that its constructor adds (transformers 5.5.0,
//! `PreTrainedTokenizerBase.__init__`, `TokenizersBackend.__init__`).

use std::collections::{BTreeMap, HashMap, HashSet};

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::RulesError;
use super::added::{AddedVocabulary, ModelVocabulary, Token, TokenWithId};
use super::class::Class;
use super::merge::{from_decoder, from_legacy_files, own_tokens};
use super::parts::Parts;
use super::special::{ATTRIBUTES, Special, list, refused};
use crate::tokenizer::resolve::TokenizerFiles;

/// What a tokenizer class is built with, as far as counting needs it.
#[derive(Debug, Default)]
pub(super) struct Init {
    arguments: Map<String, Value>,
    /// Named special tokens in order.
    special: IndexMap<String, Special>,
    /// Special tokens without a name.
    extra: Vec<Special>,
    /// Added tokens by id.
    added: BTreeMap<i64, Token>,
    /// Special tokens are split like other text.
    pub split_special_tokens: bool,
}

impl Init {
    /// Merges the files for `class`; `padding` is the padding token of `tokenizer.json`.
    pub fn new(
        files: &TokenizerFiles,
        class: Class,
        parts: &Parts,
        padding: Option<String>,
    ) -> Result<Self, RulesError> {
        let mut arguments = match &files.tokenizer_config {
            Some(Value::Object(config)) => config.clone(),
            Some(_) => return Err(refused("tokenizer_config.json is not an object".to_owned())),
            None => Map::new(),
        };
        if let Some(other) = arguments.get("tokenizer_file").and_then(Value::as_str) {
            return Err(refused(format!(
                "tokenizer_config.json names another tokenizer_file, {other:?}"
            )));
        }
        if let Some(tokens) = arguments.shift_remove("additional_special_tokens") {
            arguments.entry("extra_special_tokens").or_insert(tokens);
        }
        let mut own = own_tokens(&mut arguments)?;
        let added = match arguments.get("added_tokens_decoder") {
            Some(decoder) => from_decoder(decoder)?,
            None => from_legacy_files(files, parts, &mut arguments, &mut own)?,
        };
        let by_content: HashMap<&str, &Token> = added
            .values()
            .map(|token| (token.content.as_str(), token))
            .collect();
        for key in ATTRIBUTES {
            let Some(value) = arguments.get(key) else {
                continue;
            };
            let Some(special) = Special::from_value(key, value)? else {
                continue;
            };
            if let Some(token) = by_content.get(special.content()) {
                let mut flagged = json!(token);
                flagged["__type"] = Value::from("AddedToken");
                arguments.insert(key.to_owned(), flagged);
            }
        }
        let mut init = Self {
            arguments,
            added,
            ..Self::default()
        };
        init.construct(class, padding, own)?;
        Ok(init)
    }

    /// The part of the constructors that names special tokens.
    fn construct(
        &mut self,
        class: Class,
        padding: Option<String>,
        own: IndexMap<String, Special>,
    ) -> Result<(), RulesError> {
        for (key, default) in class.defaults() {
            self.arguments.entry(*key).or_insert_with(|| json!(default));
        }
        if class == Class::CodeLlama {
            self.name_infilling_tokens();
        }
        if let Some(padding) = padding {
            self.arguments
                .entry("pad_token")
                .or_insert(Value::from(padding));
        }
        if let Some(tokens) = self.arguments.get("additional_special_tokens").cloned() {
            self.arguments
                .entry("extra_special_tokens")
                .or_insert(tokens);
        }
        let mut named = IndexMap::new();
        for key in ATTRIBUTES {
            if let Some(special) =
                Special::from_value(key, self.arguments.get(key).unwrap_or(&Value::Null))?
            {
                named.insert(key.to_owned(), special);
            }
        }
        for (key, value) in &self.arguments {
            let flagged =
                value.is_string() || value.get("__type").is_some_and(|kind| kind == "AddedToken");
            if key.ends_with("_token") && !ATTRIBUTES.contains(&key.as_str()) && flagged {
                named
                    .extend(Special::from_value(key, value)?.map(|special| (key.clone(), special)));
            }
        }
        named.extend(own);
        self.extra = list(self.arguments.get("extra_special_tokens"))?;
        self.special = named;
        self.split_special_tokens = self.truthy("split_special_tokens", false);
        Ok(())
    }

    /// Code Llama's constructor has five more tokens, which it also lists without names.
    fn name_infilling_tokens(&mut self) {
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

    /// The named special tokens, as chat templates get them.
    pub fn special_tokens(&self) -> IndexMap<String, String> {
        self.special
            .iter()
            .map(|(key, special)| (key.clone(), special.content().to_owned()))
            .collect()
    }

    /// The content of a named special token.
    pub fn special(&self, key: &str) -> Option<&str> {
        self.special.get(key).map(Special::content)
    }

    /// An argument's truth in Python, `default` where it is absent or null.
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

    /// An argument that must be a boolean where it is given.
    pub fn flag(&self, key: &str) -> Result<bool, RulesError> {
        match self.arguments.get(key) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(_) => Err(refused(format!("{key} is not a boolean"))),
        }
    }

    /// An argument that must be a boolean or null where it is given.
    pub fn flag_or_null(&self, key: &str) -> Result<bool, RulesError> {
        if self.arguments.get(key).is_some_and(Value::is_null) {
            Ok(false)
        } else {
            self.flag(key)
        }
    }

    /// The added tokens that the constructors leave, of a class that starts from the file's own or from none.
    pub fn added_tokens(
        &self,
        class: Class,
        file: &[TokenWithId],
        model: &ModelVocabulary,
    ) -> AddedVocabulary {
        let mut vocabulary = AddedVocabulary::default();
        if class == Class::AsWritten {
            let tokens: Vec<Token> = file.iter().map(|added| added.token.clone()).collect();
            vocabulary.add(&tokens, model);
        }
        vocabulary.add(&self.tokens_to_add(&vocabulary), model);
        let all = self
            .special
            .values()
            .chain(&self.extra)
            .map(Special::content);
        match class {
            Class::Qwen2 => {
                let unique: IndexMap<&str, ()> = all.map(|content| (content, ())).collect();
                let tokens: Vec<Token> = unique
                    .keys()
                    .map(|content| Token::plain(content, true))
                    .collect();
                vocabulary.add(&tokens, model);
            }
            Class::Cohere => {
                let special = |special: &Special| match special {
                    Special::Text(content) => Token::plain(content, true),
                    Special::Flagged(token) => Token {
                        special: true,
                        ..token.clone()
                    },
                };
                let tokens: Vec<Token> = self
                    .special
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

    /// `TokenizersBackend.__init__`: the added tokens by id, then special tokens that are not among them.
    fn tokens_to_add(&self, present: &AddedVocabulary) -> Vec<Token> {
        let named: HashSet<&str> = self
            .special
            .values()
            .map(Special::content)
            .filter(|c| !c.is_empty())
            .collect();
        let by_id: HashSet<&str> = self
            .added
            .values()
            .map(|token| token.content.as_str())
            .collect();
        let mut missing: Vec<&Special> = Vec::new();
        for special in self.special.values().chain(&self.extra) {
            let content = special.content();
            if !present.contains(content) && !by_id.contains(content) && !missing.contains(&special)
            {
                missing.push(special);
            }
        }
        let missing = missing.into_iter().map(|special| match special {
            Special::Text(content) => Token::plain(content, true),
            Special::Flagged(token) => token.clone(),
        });
        let mark = |token: Token| Token {
            special: token.special || named.contains(token.content.as_str()),
            ..token
        };
        self.added
            .values()
            .cloned()
            .chain(missing)
            .map(mark)
            .collect()
    }

    /// The contents of all tokens that may be added: those whose ids in the vocabulary matter.
    pub fn contents<'t>(&'t self, file: &'t [TokenWithId]) -> HashSet<&'t str> {
        let tokens = file
            .iter()
            .map(|added| &added.token)
            .chain(self.added.values());
        let special = self
            .special
            .values()
            .chain(&self.extra)
            .map(Special::content);
        tokens
            .map(|token| token.content.as_str())
            .chain(special)
            .collect()
    }
}
