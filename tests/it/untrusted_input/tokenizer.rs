//! tokenizer.json with unusual regular expressions, added tokens, normalizers and models.

use serde_json::{Value, json};

use super::{TOK, add_tokenizer, bare, check_args, event, prompt, session};
use crate::support::{Run, read};

fn run_with(tokenizer: impl AsRef<[u8]>, text: &str) -> Run {
    let run = bare(session(&[prompt("s", text)]));
    add_tokenizer(&run, tokenizer, &json!({}));
    run
}

#[track_caller]
fn check_bytes(
    name: &str,
    tokenizer: impl AsRef<[u8]>,
    text: &str,
    code: i32,
    says: &str,
) -> Value {
    let run = run_with(tokenizer, text);
    check_args(name, &run, &TOK, code, says)
}

/// The llama3 fixture with `change` made.
#[track_caller]
fn check(name: &str, change: impl FnOnce(&mut Value), text: &str, code: i32, says: &str) -> Value {
    let mut tokenizer: Value =
        serde_json::from_slice(&read("tokenizers/llama3/tokenizer.json")).unwrap();
    change(&mut tokenizer);
    check_bytes(name, tokenizer.to_string(), text, code, says)
}

fn pattern(pattern: &str) -> impl FnOnce(&mut Value) {
    let split = json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
    let bytes = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    move |tokenizer| {
        tokenizer["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [split, bytes]});
    }
}

#[test]
fn regular_expressions_that_backtrack() {
    let text = format!("{}!", "a".repeat(5000));
    let panicked = "sample s in the line at byte 177: tokenizers panicked: Onig: Regex search error: retry-limit-in-match over";
    check("(a+)+$", pattern("(a+)+$"), &text, 2, panicked);
    check(
        r"(a+)+\1b",
        pattern(r"(a+)+\1b"),
        &text,
        2,
        "tokenizers panicked",
    );
    check(
        "(x+x+)+y",
        pattern("(x+x+)+y"),
        &"x".repeat(3000),
        2,
        "tokenizers panicked",
    );
    // Each word alone stays below the expression's own limit.
    let words = format!("{}! ", "a".repeat(20)).repeat(20_000);
    check(
        "(a+)+$ on many words",
        pattern("(a+)+$"),
        &words,
        2,
        "counting the line at byte 177 does not end",
    );
}

#[test]
fn regular_expressions_that_are_odd() {
    let text = "aaa! b";
    check(
        "an open group",
        pattern("(a"),
        text,
        2,
        "tokenizers cannot load the tokenizer",
    );
    let deep = "(".repeat(100_000) + "a" + &")".repeat(100_000);
    check(
        "groups nested 100,000 times",
        pattern(&deep),
        text,
        2,
        "parse depth limit over",
    );
    check(
        "a repeat of a repeat of a repeat",
        pattern("a{1000}{1000}{1000}"),
        text,
        0,
        "",
    );
    check("an empty pattern", pattern(""), text, 0, "");
    let words: Vec<_> = (0..20_000).map(|i| format!("w{i}")).collect();
    check(
        "a choice of 20,000 words",
        pattern(&words.join("|")),
        text,
        0,
        "",
    );
    check("a lookbehind without end", pattern("(?<=a+)b"), text, 0, "");
}

fn added(contents: &[(&str, bool)]) -> impl FnOnce(&mut Value) {
    let token = |(at, (content, special)): (usize, &(&str, bool))| {
        json!({"id": 5000 + at, "content": content, "special": special,
            "single_word": false, "lstrip": false, "rstrip": false, "normalized": false})
    };
    let tokens: Vec<_> = contents.iter().enumerate().map(token).collect();
    move |tokenizer| tokenizer["added_tokens"] = json!(tokens)
}

#[test]
fn added_tokens() {
    let total = |summary: Value| summary["input_sequence_lengths"]["total"].clone();
    check(
        "empty added tokens",
        added(&[("", true), ("", false)]),
        "aaaa",
        0,
        "",
    );
    let overlapping = [("aa", true), ("aaa", false), ("a", true), ("aaa!", true)];
    // The leftmost one wins, and of several there the longest: aaaa! is aaa, a, !.
    let summary = check(
        "added tokens that overlap",
        added(&overlapping),
        "aaaa!",
        0,
        "",
    );
    assert_eq!(total(summary), 3);
    check(
        "one added token a thousand times",
        added(&vec![("aa", true); 1000]),
        "aaaa",
        0,
        "",
    );
    let all: Vec<_> = (' '..='~').map(|c| c.to_string()).collect();
    let all: Vec<_> = all.iter().map(|c| (c.as_str(), true)).collect();
    let summary = check(
        "every character an added token",
        added(&all),
        "hello!",
        0,
        "",
    );
    assert_eq!(total(summary), 6);
    let many: Vec<_> = (0..20_000).map(|i| format!("<{i}>")).collect();
    let many: Vec<_> = many.iter().map(|c| (c.as_str(), true)).collect();
    check("20,000 added tokens", added(&many), "a <7> b", 0, "");
    let long = "a".repeat(1_000_000);
    check(
        "an added token of a megabyte",
        added(&[(&long, true)]),
        "aaa",
        2,
        "loading the tokenizer does not end",
    );
    check(
        "an added token with NUL and line ends",
        added(&[("\0\n", true)]),
        "a\u{0}\nb",
        0,
        "",
    );
}

#[test]
fn normalizers_that_grow() {
    let grow = |times: usize| {
        let replace =
            json!({"type": "Replace", "pattern": {"String": "a"}, "content": "a".repeat(10)});
        json!({"type": "Sequence", "normalizers": vec![replace; times]})
    };
    check(
        "a normalizer that grows a hundredfold",
        |it| it["normalizer"] = grow(2),
        "aaaa",
        0,
        "",
    );
    check(
        "a normalizer that grows for ever",
        |it| it["normalizer"] = grow(12),
        &"a".repeat(400),
        2,
        "counting the line at byte 177 does not end",
    );
    let nested = (0..30).fold(
        json!({"type": "NFC"}),
        |it, _| json!({"type": "Sequence", "normalizers": [it]}),
    );
    check(
        "normalizers nested 30 times",
        |it| it["normalizer"] = nested,
        "aaaa",
        0,
        "",
    );
}

#[test]
fn models_that_are_not_trained() {
    let cannot = "tokenizers cannot load the tokenizer";
    check(
        "merges that need each other",
        |it| it["model"]["merges"] = json!(vec!["a a"; 10]),
        "aa",
        2,
        cannot,
    );
    check(
        "no vocabulary",
        |it| {
            it["model"]["vocab"] = json!({});
            it["model"]["merges"] = json!([]);
        },
        "aa",
        0,
        "",
    );
    check(
        "no model",
        |it| drop(it.as_object_mut().unwrap().remove("model")),
        "aa",
        2,
        "missing field `model`",
    );
    check(
        "a negative id",
        |it| it["model"]["vocab"]["zz"] = json!(-1),
        "aa",
        2,
        cannot,
    );
    check(
        "the last id of all",
        |it| it["model"]["vocab"]["zz"] = json!(u32::MAX),
        "aa",
        0,
        "",
    );
    check(
        "an unknown kind of model",
        |it| it["model"]["type"] = json!("Oracle"),
        "aa",
        2,
        "cannot load",
    );
    let unigram = json!({"type": "Unigram", "unk_id": 5, "vocab": [["a", -1.0]]});
    check(
        "an unknown token that is not there",
        |it| it["model"] = unigram,
        "aa",
        2,
        cannot,
    );
    let words = json!({"type": "WordLevel", "unk_token": "[UNK]", "vocab": {"a": 0}});
    check(
        "a word that has no token",
        |it| it["model"] = words,
        "bb",
        2,
        "Missing [UNK] token from the vocabulary",
    );
}

#[test]
fn files_that_are_not_tokenizers() {
    let none = "cannot load ./tok/tokenizer.json: tokenizer.json is not valid JSON";
    for (name, bytes) in [
        ("an empty tokenizer.json", Vec::new()),
        ("null", b"null".to_vec()),
        ("a list", b"[]".to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf{}".to_vec()),
        ("NULs", vec![0; 1000]),
        (
            "lists nested 100,000 times",
            ["{\"a\":".to_owned(), "[".repeat(100_000)]
                .concat()
                .into_bytes(),
        ),
    ] {
        check_bytes(&format!("a tokenizer.json: {name}"), bytes, "aa", 2, none);
    }
    let deep = "{\"version\":\"1.0\",\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]},\"normalizer\":".to_owned()
        + &"{\"type\":\"Sequence\",\"normalizers\":[".repeat(100_000);
    check_bytes(
        "a tokenizer.json: normalizers nested 100,000 times",
        deep,
        "aa",
        2,
        "cannot load ./tok/tokenizer.json",
    );
    // Sparse: larger than any that is read, and than the disk may hold.
    let run = run_with("", "aa");
    std::fs::File::options()
        .write(true)
        .open(run.path("../tok/tokenizer.json"))
        .unwrap()
        .set_len(600 << 20)
        .unwrap();
    let name = "a tokenizer.json of 600 MiB";
    check_args(name, &run, &TOK, 2, "tokenizer.json");
    let run = run_with("", "aa");
    std::fs::remove_file(run.path("../tok/tokenizer.json")).unwrap();
    std::os::unix::fs::symlink("tokenizer.json", run.path("../tok/tokenizer.json")).unwrap();
    let name = "a tokenizer.json that links to itself";
    check_args(name, &run, &TOK, 2, "tokenizer.json");
}

#[test]
fn a_long_word() {
    let text = "a".repeat(2_000_000);
    let run = bare(session(&[
        prompt("s", &text),
        event(
            "sample.complete",
            20,
            "s",
            &json!(["TextModelOutput", ["a", text]]),
        ),
    ]));
    let summary = super::check("a word of two megabytes", &run, 0, "");
    assert!(
        summary["input_sequence_lengths"]["total"]
            .as_u64()
            .is_some_and(|tokens| tokens > 0)
    );
}
