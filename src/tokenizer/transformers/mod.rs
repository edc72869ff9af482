//! Applies the loading rules of transformers 5.5.0 to a tokenizer.
//!
//! The benchmark's client loads its tokenizer with `AutoTokenizer.from_pretrained`, which does not always use
//! `tokenizer.json` as written: a class with its own constructor keeps the vocabulary and the merges and replaces the
//! file's normalizer, pre-tokenizer and model flags. `tokenizer_config.json` and `config.json` decide which class that
//! is. A recount that ignores this can be off by a factor of two.
//!
//! So this module selects the class (`auto_class`), merges the configuration files into its arguments
//! (`from_pretrained`, `init_kwargs`), builds the class's components (`tokenizer_class`) and its added tokens
//! (`added_tokens`), and writes the equivalent `tokenizer.json`. The vocabulary and the merges, nearly all of the file,
//! are copied as bytes (`tokenizer_json`).

mod added_tokens;
mod auto_class;
mod from_pretrained;
mod init_kwargs;
mod mistral;
mod overrides;
mod special_tokens;
mod tokenizer_class;
mod tokenizer_json;
mod vocabulary;

use std::borrow::Cow;
use std::collections::HashSet;

use indexmap::IndexMap;

use self::added_tokens::{AddedToken, AddedTokenWithId, ModelVocabulary};
use self::auto_class::AutoClass;
use self::init_kwargs::InitKwargs;
use self::tokenizer_class::TokenizerClass;
use self::tokenizer_json::TokenizerJson;
use super::resolve::TokenizerFiles;

pub use overrides::Override;

/// The rules that a tokenizer is loaded by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LoaderRules {
    /// The rules of transformers 5.5.0, by which the benchmark's client counted.
    #[default]
    Transformers,
    /// `tokenizer.json` as written.
    File,
}

/// A tokenizer to which the loader's rules are applied.
#[derive(Debug, Clone)]
pub struct AppliedRules<'a> {
    /// The `tokenizer.json` to load, without truncation and padding; borrowed if the file stays as it is.
    pub json: Cow<'a, [u8]>,
    /// The components of the file that the loader replaces, if that can change a count.
    pub overrides: Vec<Override>,
    /// `truncation` and `padding`, if the file had them; they are disabled.
    pub disabled: Vec<&'static str>,
    /// The named special tokens in the order in which transformers passes them to chat templates: `bos_token`,
    /// `eos_token`, `unk_token`, `sep_token`, `pad_token`, `cls_token`, `mask_token`, then the model's own names.
    pub special_tokens: IndexMap<String, String>,
    /// The transformers class that loads this tokenizer.
    pub class: String,
    /// The reason why the client's rules are unknown, if they are; `json` then follows the file's own rules.
    pub unknown_rules: Option<String>,
}

/// Why the rules could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum LoaderRulesError {
    /// `tokenizer.json` is not a tokenizer's.
    #[error("tokenizer.json is not valid JSON of a tokenizer")]
    TokenizerJson(#[source] serde_json::Error),
    /// transformers fails to load this tokenizer.
    #[error(
        "transformers 5.5.0 would refuse this tokenizer: {0}; use --tokenizer-rules file to count with it anyway"
    )]
    WouldNotLoad(String),
}

/// Applies `rules` to a tokenizer's files.
///
/// # Errors
/// When `tokenizer.json` is not a tokenizer's, and under [`LoaderRules::Transformers`] when transformers would fail to
/// load it.
pub fn apply(
    files: &TokenizerFiles,
    rules: LoaderRules,
) -> Result<AppliedRules<'_>, LoaderRulesError> {
    let mut tokenizer_json =
        TokenizerJson::parse(&files.tokenizer_json).map_err(LoaderRulesError::TokenizerJson)?;
    let pad_token = tokenizer_json.pad_token()?;
    let disabled = tokenizer_json.disable_truncation_and_padding();
    let AutoClass {
        name,
        mut class,
        mut unknown_rules,
    } = AutoClass::select(files);
    if let Some(why) = class.cannot_build(&tokenizer_json) {
        unknown_rules = Some(why);
        class = TokenizerClass::AsWritten;
    }
    let kwargs = match (
        InitKwargs::new(files, class, &tokenizer_json, pad_token),
        rules,
    ) {
        (Ok(kwargs), _) => kwargs,
        (Err(_), LoaderRules::File) => InitKwargs::default(),
        (Err(error), LoaderRules::Transformers) => return Err(error),
    };
    let mut applied = AppliedRules {
        json: Cow::Borrowed(&files.tokenizer_json),
        overrides: Vec::new(),
        disabled,
        special_tokens: kwargs.special_tokens(),
        class: name,
        unknown_rules: None,
    };
    if rules == LoaderRules::Transformers {
        class.rebuild(&kwargs, &mut tokenizer_json, &mut applied.overrides)?;
        override_added_tokens(class, &kwargs, &mut tokenizer_json, &mut applied.overrides)?;
        let has_pre_tokenizer = !tokenizer_json.get("pre_tokenizer")?.is_null();
        mistral::check_fix_mistral_regex(files, has_pre_tokenizer, || {
            vocabulary_size(class, &kwargs, &tokenizer_json)
        })?;
        applied.unknown_rules = unknown_rules;
    }
    if let Some(json) = tokenizer_json.edited() {
        applied.json = Cow::Owned(json);
    }
    Ok(applied)
}

/// Replaces `added_tokens` if the loader adds, drops or matches one differently. Only then the vocabulary is read, for
/// the ids. With `split_special_tokens`, special tokens are split like other text, so they are dropped.
fn override_added_tokens(
    class: TokenizerClass,
    kwargs: &InitKwargs,
    tokenizer_json: &mut TokenizerJson,
    overrides: &mut Vec<Override>,
) -> Result<(), LoaderRulesError> {
    let file = tokenizer_json.added_tokens()?;
    let added_tokens = |model: &ModelVocabulary| {
        let mut tokens = kwargs.added_tokens(class, &file, model).tokens();
        tokens.retain(|added| !(kwargs.split_special_tokens && added.token.special));
        tokens
    };
    let set = |tokens: &[AddedTokenWithId]| -> HashSet<AddedToken> {
        tokens.iter().map(|added| added.token.clone()).collect()
    };
    let without_ids = set(&added_tokens(&ModelVocabulary::of_added(&file)));
    let Some(found) = Override::added_tokens(&set(&file), &without_ids) else {
        return Ok(());
    };
    let tokens = added_tokens(&tokenizer_json.vocabulary(&kwargs.contents(&file))?);
    let value = serde_json::to_value(tokens).map_err(LoaderRulesError::TokenizerJson)?;
    tokenizer_json.set("added_tokens", &value);
    overrides.push(found);
    Ok(())
}

/// The number of entries of the vocabulary, added tokens included.
fn vocabulary_size(
    class: TokenizerClass,
    kwargs: &InitKwargs,
    tokenizer_json: &TokenizerJson,
) -> Result<u32, LoaderRulesError> {
    let file = tokenizer_json.added_tokens()?;
    let model = tokenizer_json.vocabulary(&kwargs.contents(&file))?;
    let added = kwargs.added_tokens(class, &file, &model);
    Ok(model.size.saturating_add(added.count_outside(&model)))
}

#[cfg(test)]
mod tests;
