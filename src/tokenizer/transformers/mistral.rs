//! `fix_mistral_regex`, which transformers 5.5.0 reads and then fails on.

use serde_json::Value;

use super::RulesError;
use crate::tokenizer::resolve::TokenizerFiles;

/// Model types that the correction is for.
const MODEL_TYPES: [&str; 5] = ["mistral", "mistral3", "voxtral", "ministral", "pixtral"];
/// Vocabularies up to this size are left alone.
const MAX_OLD_VOCABULARY: u32 = 100_000;

/// Refuses a tokenizer that asks for the corrected regex where the correction would be made: it reaches for an
/// attribute that the backend does not have (`TokenizersBackend._patch_mistral_regex`), so no client has ever counted
/// with it.
/// `splits`: there is a pre-tokenizer; `vocabulary` counts the entries, added tokens included.
pub(super) fn refuse(
    files: &TokenizerFiles,
    splits: bool,
    vocabulary: impl FnOnce() -> Result<u32, RulesError>,
) -> Result<(), RulesError> {
    let asked = files
        .tokenizer_config
        .as_ref()
        .and_then(|config| config.get("fix_mistral_regex"));
    let (Some(Value::Bool(true)), Some(config)) = (asked, &files.config) else {
        return Ok(());
    };
    let applies = match config
        .get("transformers_version")
        .and_then(Value::as_str)
        .map(version)
    {
        Some(version) if version <= [4, 57, 2] => {
            let model_type = config.get("model_type").and_then(Value::as_str);
            model_type.is_none_or(|model_type| MODEL_TYPES.contains(&model_type))
        }
        Some(version) => version <= [4, 57, 3],
        None => true,
    };
    if applies && splits && vocabulary()? > MAX_OLD_VOCABULARY {
        return Err(RulesError::WouldNotLoad(
            "fix_mistral_regex is set, which that version fails on".to_owned(),
        ));
    }
    Ok(())
}

/// The first three numbers of a version.
fn version(text: &str) -> [u32; 3] {
    let mut numbers = text.split('.').map(|part| {
        let digits = part
            .find(|c: char| !c.is_ascii_digit())
            .map_or(part, |end| &part[..end]);
        digits.parse().unwrap_or(0)
    });
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}
