//! Selects the class that loads a tokenizer (transformers 5.5.0, `models/auto/tokenization_auto.py`).

use serde_json::Value;

use super::tokenizer_class::TokenizerClass;
use crate::tokenizer::resolve::TokenizerFiles;

/// The model types, one a row: the type, the class named for it (`-` for none), its default class if the files name
/// none, and `ignores-code` if code shipped with the tokenizer is not run. `fixtures/rules/tables.py` writes it.
const MODEL_TYPES: &str = include_str!("model_types.tsv");
/// The names of tokenizer classes in transformers, without `Fast`, and the class behind each.
const CLASSES: &str = include_str!("classes.tsv");

/// The base class, which takes `tokenizer.json` as written.
const BACKEND: &str = "TokenizersBackend";

/// The class that `AutoTokenizer` loads a tokenizer with.
pub(super) struct AutoClass {
    /// The class's name in transformers.
    pub name: String,
    /// The class's rules here.
    pub class: TokenizerClass,
    /// The reason why the class's rules are not known here, if they are not.
    pub unknown_rules: Option<String>,
}

impl AutoClass {
    /// Decides as `AutoTokenizer.from_pretrained(dir, trust_remote_code=True)` does, except that code which a tokenizer
    /// ships is never run: its rules are unknown.
    pub(super) fn select(files: &TokenizerFiles) -> Self {
        let mut selected = select_class(files);
        let versions = files
            .tokenizer_config
            .as_ref()
            .and_then(|config| config.get("fast_tokenizer_files"))
            .and_then(Value::as_array);
        if versions.is_some_and(|versions| versions.len() > 1) {
            selected.unknown_rules.get_or_insert_with(|| {
                "tokenizer_config.json lists several versions of tokenizer.json, of which this program reads the plain one"
                    .to_owned()
            });
        }
        selected
    }
}

struct ModelType {
    named: Option<&'static str>,
    default: &'static str,
    ignores_code: bool,
}

fn select_class(files: &TokenizerFiles) -> AutoClass {
    let text = |value: &Option<Value>, key: &str| {
        value
            .as_ref()
            .and_then(|value| value.get(key))
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let model_type = model_type(text(&files.config, "model_type").as_deref().unwrap_or(""));
    let stated = text(&files.tokenizer_config, "tokenizer_class");
    let code = custom_code(files.tokenizer_config.as_ref());

    if let (None, Some(stated), Some(named)) = (&code, &stated, model_type.named)
        && without_fast(named) != without_fast(stated)
    {
        return class_named(BACKEND);
    }
    if let Some(code) = code
        && !model_type.ignores_code
    {
        return AutoClass {
            name: code.clone(),
            class: TokenizerClass::AsWritten,
            unknown_rules: Some(format!(
                "the tokenizer ships its own code ({code}), which the client ran and this program does not"
            )),
        };
    }
    let stated =
        stated.or_else(|| text(&files.config, "tokenizer_class").filter(|name| !name.is_empty()));
    class_named(stated.map_or(model_type.default, |stated| {
        class_by_name(without_fast(&stated))
    }))
}

fn class_named(name: &'static str) -> AutoClass {
    // The base class of slow tokenizers loads as the base class of fast ones.
    let name = if name == "PythonBackend" {
        BACKEND
    } else {
        name
    };
    let class = TokenizerClass::ALL
        .into_iter()
        .find(|class| class.name() == name);
    AutoClass {
        name: name.to_owned(),
        class: class.unwrap_or(TokenizerClass::AsWritten),
        unknown_rules: class.is_none().then(|| {
            format!("the client loaded it as {name}, whose rules this program does not know")
        }),
    }
}

/// The class that transformers has under a name, or the base class.
fn class_by_name(name: &str) -> &'static str {
    rows(CLASSES)
        .find(|row| row.first() == Some(&name))
        .and_then(|row| row.get(1).copied())
        .unwrap_or(BACKEND)
}

fn model_type(name: &str) -> ModelType {
    let row = rows(MODEL_TYPES)
        .find(|row| row.first() == Some(&name))
        .unwrap_or_default();
    ModelType {
        named: row.get(1).copied().filter(|named| *named != "-"),
        default: row.get(2).copied().unwrap_or(BACKEND),
        ignores_code: row.get(3).is_some(),
    }
}

fn rows(table: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    table.lines().map(|line| line.split('\t').collect())
}

/// The class that `auto_map` names for the tokenizer in shipped code: one name, or a pair (slow, fast).
fn custom_code(tokenizer_config: Option<&Value>) -> Option<String> {
    let map = tokenizer_config?.get("auto_map")?;
    let entry = if map.is_array() {
        map
    } else {
        map.get("AutoTokenizer")?
    };
    match entry {
        Value::Null => None,
        Value::Array(pair) => pair
            .iter()
            .rev()
            .find_map(Value::as_str)
            .map(str::to_owned)
            .or_else(|| Some("auto_map".to_owned())),
        entry => Some(entry.as_str().unwrap_or("auto_map").to_owned()),
    }
}

fn without_fast(name: &str) -> &str {
    name.strip_suffix("Fast").unwrap_or(name)
}
