use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};
use tokenizers::Tokenizer;

use super::*;
use crate::tokenizer::resolve::{TokenizerFiles, TokenizerLocation};

/// The results of transformers 5.5.0 for 357 configurations, written by `fixtures/rules/make.py`.
const CASES: &str = include_str!("../../../fixtures/rules/cases.json");

fn files(tokenizer: &Value, case: &Value) -> TokenizerFiles {
    let part = |key: &str| case.get(key).cloned();
    TokenizerFiles {
        tokenizer_json: tokenizer.to_string().into_bytes(),
        tokenizer_config: part("tokenizer_config"),
        config: part("config"),
        special_tokens_map: part("special_tokens_map"),
        added_tokens: part("added_tokens"),
        ..TokenizerFiles::default()
    }
}

fn model_flags(tokenizer: &Value) -> Map<String, Value> {
    let mut model = tokenizer["model"].as_object().cloned().unwrap_or_default();
    model.remove("vocab");
    model.remove("merges");
    model
}

/// Compares with what transformers wrote: the parts (but for what cannot change a count), the added tokens, the special
/// tokens, and counts of hard strings by the `tokenizers` crate.
fn differences(
    base: &Value,
    applied: &AppliedRules,
    expect: &Value,
    texts: &[String],
) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, ours: Value, theirs: Value| {
        if ours != theirs {
            found.push(format!("{what}: ours {ours}, theirs {theirs}"));
        }
    };
    let json: Value = serde_json::from_slice(&applied.json).unwrap();
    let expected = |key: &str| expect.get(key).unwrap_or(&base[key]).clone();
    compare("class", json!(applied.class), expect["class"].clone());
    compare(
        "unknown",
        json!(applied.unknown_rules.is_some()),
        json!(expect.get("unknown").is_some()),
    );
    if applied.unknown_rules.is_some() {
        return found;
    }
    for key in ["normalizer", "pre_tokenizer"] {
        compare(
            key,
            overrides::canonical(&json[key]),
            overrides::canonical(&expected(key)),
        );
    }
    let flags = |model: &Map<String, Value>| -> BTreeMap<String, Value> {
        model
            .iter()
            .map(|(key, value)| (key.clone(), overrides::canonical_flag(key, value)))
            .collect()
    };
    let theirs = expect
        .get("model")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_else(|| model_flags(base));
    compare(
        "model",
        json!(flags(&model_flags(&json))),
        json!(flags(&theirs)),
    );
    let mut ours = json["added_tokens"].clone();
    let mut theirs = as_matched(expected("added_tokens"), base, &json, expect);
    if expect.get("split_special_tokens").is_some() {
        theirs
            .as_array_mut()
            .unwrap()
            .retain(|token| token["special"] != true);
    } else {
        for token in [&mut ours, &mut theirs]
            .into_iter()
            .flat_map(|tokens| tokens.as_array_mut().unwrap())
        {
            token["special"] = Value::Null;
        }
    }
    compare("added_tokens", ours, theirs);
    let special = expect.get("special_tokens").cloned().unwrap_or(json!({}));
    compare(
        "special_tokens",
        json!(applied.special_tokens.iter().collect::<Vec<_>>()),
        json!(pairs(&special)),
    );
    compare(
        "truncation",
        json!([json["truncation"], json["padding"]]),
        json!([null, null]),
    );

    let tokenizer = Tokenizer::from_bytes(&applied.json).unwrap();
    if let Some(counts) = expect.get("counts") {
        let ours: Vec<usize> = texts
            .iter()
            .map(|text| tokenizer.encode_fast(text.as_str(), false).unwrap().len())
            .collect();
        compare("counts", json!(ours), counts.clone());
    }
    found
}

/// Their added tokens with the flags that apply to matching. These differ from the written ones if a special token was
/// added twice: the first one decides whether it is matched in normalized text, and it stays special.
fn as_matched(mut theirs: Value, base: &Value, ours: &Value, expect: &Value) -> Value {
    let find = |tokenizer: &Value, content: &Value| {
        tokenizer["added_tokens"]
            .as_array()
            .unwrap()
            .iter()
            .find(|token| token["content"] == *content)
            .cloned()
    };
    for token in theirs.as_array_mut().unwrap() {
        let first = match expect["class"].as_str().unwrap() {
            "TokenizersBackend" => find(base, &token["content"]),
            "Qwen2Tokenizer" => find(ours, &token["content"]),
            _ => None,
        };
        if let Some(first) = first.filter(|first| first["special"] == true) {
            token["special"] = json!(true);
            token["normalized"] = first["normalized"].clone();
        }
    }
    theirs
}

fn pairs(object: &Value) -> Vec<(&String, &Value)> {
    object.as_object().into_iter().flatten().collect()
}

#[test]
fn does_what_transformers_does() {
    let table: Value = serde_json::from_str(CASES).unwrap();
    let texts: Vec<String> = serde_json::from_value(table["texts"].clone()).unwrap();
    let mut wrong = Vec::new();
    for (index, case) in table["cases"].as_array().unwrap().iter().enumerate() {
        let base = &table["bases"][case["base"].as_str().unwrap()];
        let files = files(base, case);
        let found = match (
            apply(&files, LoaderRules::Transformers),
            case["expect"].get("error"),
        ) {
            (Ok(applied), None) => differences(base, &applied, &case["expect"], &texts),
            (Err(LoaderRulesError::WouldNotLoad(_)), Some(_)) => continue,
            (Ok(applied), Some(_)) if applied.unknown_rules.is_some() => continue,
            (Ok(_), Some(error)) => vec![format!("theirs refuses: {error}")],
            (Err(error), _) => vec![format!("ours refuses: {error}")],
        };
        if !found.is_empty() {
            wrong.push(format!(
                "case {index} {}\n  {}",
                Value::Object(described(case)),
                found.join("\n  ")
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} cases differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn described(case: &Value) -> Map<String, Value> {
    let mut case = case.as_object().cloned().unwrap_or_default();
    case.remove("expect");
    case
}

#[test]
fn the_file_rules_change_nothing_but_truncation_and_padding() {
    let table: Value = serde_json::from_str(CASES).unwrap();
    for case in table["cases"].as_array().unwrap() {
        let name = case["base"].as_str().unwrap();
        let files = files(&table["bases"][name], case);
        let applied = apply(&files, LoaderRules::File).unwrap();
        assert!(applied.overrides.is_empty() && applied.unknown_rules.is_none());
        if name == "cut" {
            assert_eq!(applied.disabled, ["truncation", "padding"]);
            let mut expected = table["bases"][name].clone();
            expected["truncation"] = Value::Null;
            expected["padding"] = Value::Null;
            assert_eq!(
                serde_json::from_slice::<Value>(&applied.json).unwrap(),
                expected
            );
        } else {
            assert!(applied.disabled.is_empty());
            assert!(matches!(applied.json, Cow::Borrowed(bytes) if bytes == files.tokenizer_json));
        }
    }
}

#[test]
fn overrides_are_described() {
    let table: Value = serde_json::from_str(CASES).unwrap();
    let check = |base: &str, class: &str, expected: &[(&str, &str, &str)]| {
        let case = json!({"tokenizer_config": {"tokenizer_class": class}});
        let files = files(&table["bases"][base], &case);
        let applied = apply(&files, LoaderRules::Transformers).unwrap();
        let found: Vec<(&str, &str, &str)> = applied
            .overrides
            .iter()
            .map(|r| (r.component, r.from.as_str(), r.to.as_str()))
            .collect();
        assert_eq!(found, expected, "{base} {class}");
    };
    check("byte_level", "PreTrainedTokenizerFast", &[]);
    check(
        "spm",
        "LlamaTokenizer",
        &[
            ("normalizer", "Sequence[Prepend, Replace]", "none"),
            ("pre_tokenizer", "none", "Metaspace"),
            ("model", "BPE unk_token=\"<unk>\"", "BPE unk_token=null"),
        ],
    );
    check(
        "byte_level",
        "GPT2Tokenizer",
        &[
            ("pre_tokenizer", "Sequence[Split, ByteLevel]", "ByteLevel"),
            ("model", "BPE ignore_merges=true", "BPE ignore_merges=false"),
        ],
    );
    check("word", "BertTokenizer", &[]);
}

#[test]
fn refuses_what_is_not_a_tokenizer() {
    for json in [
        "",
        "[]",
        "{}",
        "{\"model\": 3}",
        "{\"model\": {\"vocab\": {\"a\": 0}}",
        "{\"model\": {}, \"added_tokens\": 7}",
    ] {
        let files = TokenizerFiles {
            tokenizer_json: json.into(),
            ..TokenizerFiles::default()
        };
        assert!(
            matches!(
                apply(&files, LoaderRules::Transformers),
                Err(LoaderRulesError::TokenizerJson(_))
            ),
            "{json}"
        );
    }
}

#[test]
fn refuses_the_mistral_correction_where_it_fails() {
    let vocab: Map<String, Value> = (0..100_001)
        .map(|id| (format!("t{id}"), Value::from(id)))
        .collect();
    let check = |setting: Value, config: Option<Value>, refused: bool| {
        let tokenizer = json!({
            "added_tokens": [], "normalizer": null, "pre_tokenizer": {"type": "Whitespace"},
            "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "t0"},
        });
        let files = files(
            &tokenizer,
            &json!({"tokenizer_config": {"fix_mistral_regex": setting}, "config": config}),
        );
        let files = TokenizerFiles {
            config: config.clone(),
            ..files
        };
        assert_eq!(
            apply(&files, LoaderRules::Transformers).is_err(),
            refused,
            "{setting} {config:?}"
        );
    };
    check(json!(true), Some(json!({"model_type": "mistral"})), true);
    check(
        json!(true),
        Some(json!({"model_type": "foo", "transformers_version": "4.57.3"})),
        true,
    );
    check(
        json!(true),
        Some(json!({"model_type": "foo", "transformers_version": "4.57.1"})),
        false,
    );
    check(
        json!(true),
        Some(json!({"model_type": "pixtral", "transformers_version": "4.50.0.dev0"})),
        true,
    );
    check(
        json!(true),
        Some(json!({"model_type": "mistral", "transformers_version": "5.0.0"})),
        false,
    );
    check(json!(false), Some(json!({"model_type": "mistral"})), false);
    check(json!(true), None, false);
}

/// Writes the applied rules of the folders in `RULES_DIRS` (colon-separated), for a comparison with transformers.
#[test]
#[ignore = "reads the folders that RULES_DIRS names"]
fn writes_applied_files() {
    let Ok(dirs) = std::env::var("RULES_DIRS") else {
        return;
    };
    for dir in dirs.split(':').map(Path::new) {
        let location = TokenizerLocation {
            dir: dir.into(),
            tokenizer_json: dir.join("tokenizer.json"),
            repo_id: None,
        };
        let started = std::time::Instant::now();
        let files = TokenizerFiles::read(&location).unwrap();
        let read = started.elapsed();
        let started = std::time::Instant::now();
        let applied = apply(&files, LoaderRules::Transformers).unwrap();
        let took = started.elapsed();
        let out = dir.join("applied");
        if std::fs::create_dir_all(&out).is_ok() {
            std::fs::write(out.join("tokenizer.json"), &applied.json).unwrap();
            let about = json!({
                "class": applied.class, "special_tokens": applied.special_tokens.iter().collect::<Vec<_>>(),
                "unknown": applied.unknown_rules,
                "replaced": applied.overrides.iter().map(|r| [r.component, &r.from, &r.to]).collect::<Vec<_>>(),
                "borrowed": matches!(applied.json, Cow::Borrowed(_)),
                "read_ms": read.as_secs_f64() * 1e3, "apply_ms": took.as_secs_f64() * 1e3,
            });
            std::fs::write(out.join("about.json"), about.to_string()).unwrap();
        }
    }
}
