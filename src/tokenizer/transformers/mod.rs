//! What the loader of the benchmark's client makes of a tokenizer.
//!
//! The client loads its tokenizer with `AutoTokenizer.from_pretrained` of transformers 5.5.0, which does not always use
//! `tokenizer.json` as written: a class with its own constructor keeps vocabulary and merges and puts its own
//! normalizer, pre-tokenizer and model flags in place of the file's. Which class that is depends on
//! `tokenizer_config.json` and on `config.json`. A recount that ignores this is off by as much as a factor of two, so
//! this module repeats the decision (`choose`), the arguments a class is built with (`merge`, `init`), what the classes
//! build (`class`) and which added tokens result (`added`), and writes the `tokenizer.json` that says the same.
//!
//! The vocabulary and the merges, nearly all of the file, are passed through as bytes (`parts`).

mod added;
mod choose;
mod class;
mod init;
mod merge;
mod mistral;
mod parts;
mod overrides;
mod special;
mod vocabulary;

use std::borrow::Cow;
use std::collections::HashSet;

use indexmap::IndexMap;

use self::added::{ModelVocabulary, Token, TokenWithId};
use self::class::Class;
use self::init::Init;
use self::parts::Parts;
use super::resolve::TokenizerFiles;

pub use overrides::Replaced;

/// Whose rules decide how text is split.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rules {
    /// Those of transformers 5.5.0: what the benchmark's client counted.
    #[default]
    Transformers,
    /// Those that `tokenizer.json` states.
    File,
}

/// A tokenizer with the rules applied, ready for an engine.
#[derive(Debug, Clone)]
pub struct Applied<'a> {
    /// The `tokenizer.json` to load, without truncation and padding; borrowed where the file can stay as it is.
    pub json: Cow<'a, [u8]>,
    /// What of the file does not apply and what stands in its place; only what can change a count.
    pub replaced: Vec<Replaced>,
    /// `truncation` and `padding`, where the file had them and they were switched off.
    pub switched_off: Vec<&'static str>,
    /// The named special tokens in the order in which transformers hands them to chat templates: `bos_token`,
    /// `eos_token`, `unk_token`, `sep_token`, `pad_token`, `cls_token`, `mask_token`, then names of the model's own.
    pub special_tokens: IndexMap<String, String>,
    /// The transformers class that loads this tokenizer.
    pub class: String,
    /// Why the rules that the client followed are not known, if they are not: then the file's own rules are in `json`.
    pub unknown: Option<String>,
}

/// Why the rules could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// `tokenizer.json` is not what its name says.
    #[error("tokenizer.json is not valid JSON of a tokenizer")]
    TokenizerJson(#[source] serde_json::Error),
    /// The client could not have loaded this tokenizer.
    #[error(
        "transformers 5.5.0 would refuse this tokenizer: {0}; use --tokenizer-rules file to count with it anyway"
    )]
    WouldNotLoad(String),
}

/// Applies `rules` to a tokenizer's files.
///
/// # Errors
/// When `tokenizer.json` is not a tokenizer's, and under [`Rules::Transformers`] when transformers would fail to load.
pub fn apply(files: &TokenizerFiles, rules: Rules) -> Result<Applied<'_>, RulesError> {
    let mut parts = Parts::parse(&files.tokenizer_json).map_err(RulesError::TokenizerJson)?;
    let had_padding = parts.padding()?;
    let switched_off = parts.switch_off();
    let choice = choose::choose(files);
    let mut unknown = choice.unknown;
    let mut class = choice.class;
    if let Some(why) = class.cannot_build(&parts) {
        unknown = Some(why);
        class = Class::AsWritten;
    }
    let name = choice.name;
    let init = match (Init::new(files, class, &parts, had_padding), rules) {
        (Ok(init), _) => init,
        (Err(_), Rules::File) => Init::default(),
        (Err(error), Rules::Transformers) => return Err(error),
    };
    let mut applied = Applied {
        json: Cow::Borrowed(&files.tokenizer_json),
        replaced: Vec::new(),
        switched_off,
        special_tokens: init.special_tokens(),
        class: name,
        unknown: None,
    };
    if rules == Rules::Transformers {
        class.rebuild(&init, &mut parts, &mut applied.replaced)?;
        put_added_tokens(class, &init, &mut parts, &mut applied.replaced)?;
        let splits = !parts.get("pre_tokenizer")?.is_null();
        mistral::refuse(files, splits, || entries(class, &init, &parts))?;
        applied.unknown = unknown;
    }
    if let Some(json) = parts.edited() {
        applied.json = Cow::Owned(json);
    }
    Ok(applied)
}

/// Writes `added_tokens` where one comes, goes or is matched in another way; new ids need a look at the vocabulary.
/// With `split_special_tokens` text that looks like a special token is split like any other, so those are left out.
fn put_added_tokens(
    class: Class,
    init: &Init,
    parts: &mut Parts,
    replaced: &mut Vec<Replaced>,
) -> Result<(), RulesError> {
    let set = |tokens: &[TokenWithId]| {
        tokens
            .iter()
            .map(|added| added.token.clone())
            .collect::<HashSet<_>>()
    };
    let file = parts.added_tokens()?;
    let guess = init
        .added_tokens(class, &file, &ModelVocabulary::of_added(&file))
        .tokens();
    let (old, new) = (set(&file), set(&guess));
    let left_out = |token: &Token| init.split_special_tokens && token.special;
    let guess: HashSet<Token> = new.into_iter().filter(|token| !left_out(token)).collect();
    let found = Replaced::added_tokens(&old, &guess);
    if found.is_some() {
        let model = parts.vocabulary(&init.contents(&file))?;
        let mut tokens = init.added_tokens(class, &file, &model).tokens();
        tokens.retain(|added| !left_out(&added.token));
        parts.set(
            "added_tokens",
            &serde_json::to_value(tokens).map_err(RulesError::TokenizerJson)?,
        );
        replaced.extend(found);
    }
    Ok(())
}

/// The entries of the vocabulary with the added tokens.
fn entries(class: Class, init: &Init, parts: &Parts) -> Result<u32, RulesError> {
    let file = parts.added_tokens()?;
    let model = parts.vocabulary(&init.contents(&file))?;
    let beyond = init.added_tokens(class, &file, &model).beyond(&model);
    Ok(model.size.saturating_add(beyond))
}

#[cfg(test)]
mod tests;
