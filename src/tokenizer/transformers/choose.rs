//! Which class loads a tokenizer (transformers 5.5.0, `models/auto/tokenization_auto.py`).

use serde_json::Value;

use super::class::Class;
use crate::tokenizer::resolve::TokenizerFiles;

/// For every model type that has one: the class named for it (`-` for none), the class it gets when no file names one,
/// and `ignores-code` where code shipped with the tokenizer is not run. Written by `fixtures/rules/tables.py`.
const MODEL_TYPES: &str = include_str!("model_types.tsv");
/// Names of tokenizer classes that transformers knows, without `Fast`, and the class behind each.
const CLASSES: &str = include_str!("classes.tsv");

/// The base class, which takes `tokenizer.json` as written.
const BACKEND: &str = "TokenizersBackend";

/// The class that loads a tokenizer.
pub(super) struct Choice {
    /// Its name in transformers.
    pub name: String,
    /// What we do for it.
    pub class: Class,
    /// Why its rules are not known here.
    pub unknown: Option<String>,
}

struct ModelType {
    named: Option<&'static str>,
    default: &'static str,
    ignores_code: bool,
}

/// The decision of `AutoTokenizer.from_pretrained(dir, trust_remote_code=True)`, except that code which a tokenizer
/// ships is never run: that is an unknown rule.
pub(super) fn choose(files: &TokenizerFiles) -> Choice {
    let mut choice = by_class(files);
    let versions = files
        .tokenizer_config
        .as_ref()
        .and_then(|config| config.get("fast_tokenizer_files"));
    if versions
        .and_then(Value::as_array)
        .is_some_and(|versions| versions.len() > 1)
    {
        choice.unknown.get_or_insert_with(|| {
            "tokenizer_config.json lists several versions of tokenizer.json, of which this program reads the plain one"
                .to_owned()
        });
    }
    choice
}

fn by_class(files: &TokenizerFiles) -> Choice {
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
        return known(BACKEND);
    }
    if let Some(code) = code
        && !model_type.ignores_code
    {
        return Choice {
            name: code.clone(),
            class: Class::AsWritten,
            unknown: Some(format!(
                "the tokenizer ships its own code ({code}), which the client ran and this program does not"
            )),
        };
    }
    let stated =
        stated.or_else(|| text(&files.config, "tokenizer_class").filter(|name| !name.is_empty()));
    known(stated.map_or(model_type.default, |stated| {
        class_behind(without_fast(&stated))
    }))
}

fn known(name: &'static str) -> Choice {
    // A class named as the base of the slow tokenizers is loaded as the base of the fast ones.
    let name = if name == "PythonBackend" {
        BACKEND
    } else {
        name
    };
    let class = Class::ALL.into_iter().find(|class| class.name() == name);
    Choice {
        name: name.to_owned(),
        class: class.unwrap_or(Class::AsWritten),
        unknown: class.is_none().then(|| {
            format!("the client loaded it as {name}, whose rules this program does not know")
        }),
    }
}

/// The class that transformers has under a name; the base class where it has none.
fn class_behind(name: &str) -> &'static str {
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

/// The class in shipped code that `auto_map` names for the tokenizer: a pair of (slow, fast) names or one name.
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
