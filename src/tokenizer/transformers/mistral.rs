//! Rejects `fix_mistral_regex`, on which transformers 5.5.0 fails.

use serde_json::Value;

use super::LoaderRulesError;
use crate::tokenizer::resolve::TokenizerFiles;

/// The model types that the correction applies to.
const MODEL_TYPES: [&str; 5] = ["mistral", "mistral3", "voxtral", "ministral", "pixtral"];
/// The largest vocabulary that the correction does not apply to.
const MAX_UNAFFECTED_VOCABULARY: u32 = 100_000;

/// Rejects a tokenizer to which transformers would apply the corrected regex. The correction reads an attribute that the
/// backend does not have (`TokenizersBackend._patch_mistral_regex`), so no client has counted with such a tokenizer.
/// `vocabulary_size` counts the entries, added tokens included.
pub(super) fn check_fix_mistral_regex(
    files: &TokenizerFiles,
    has_pre_tokenizer: bool,
    vocabulary_size: impl FnOnce() -> Result<u32, LoaderRulesError>,
) -> Result<(), LoaderRulesError> {
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
    if applies && has_pre_tokenizer && vocabulary_size()? > MAX_UNAFFECTED_VOCABULARY {
        return Err(LoaderRulesError::WouldNotLoad(
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
