//! The engine against `tokenizers`: every family of splitting rules, on small tokenizers trained here.

use std::sync::LazyLock;

use ::tokenizers::models::bpe::{BPE, BpeTrainer};
use ::tokenizers::pre_tokenizers::byte_level::ByteLevel;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::spec::tests::{added, split_by_patterns};
use super::*;

/// What strings are made of: what pretokens, normalization and added tokens are sensitive to.
const PIECES: &[&str] = &[
    "a", "Z", "word", "Word", "HTTPx", " ", "  ", "\n", "\r\n", "\t", "'", "'s", "'\u{17f}", "'re",
    "'LL", "1", "23", "4567", "٣", "中", "文字", "，", "。", "「", "か", "が", "カ", "한글",
    "\u{1112}", "\u{1161}", "\u{11ab}", "и", "й", "Й", "\u{301}", "\u{306}", "\u{3099}", "é", "👍🏽",
    "!", "/", "//", "?!", "<|end|>", "<|e", "nd|>", "<think>", "_", "-", ".", ",", "(", "\"",
    "\u{a0}", "\u{3000}", "\u{85}", "\u{200d}", "\u{212a}", "ß", "ا", "\u{93f}", "\u{0}", "=",
];

/// A tokenizer of the splitting rules `pre_tokenizer`, trained on the sources of this module.
pub(super) fn trained(pre_tokenizer: &Value, normalizer: &Value, added: &[Value]) -> Vec<u8> {
    let texts = [
        include_str!("split_points.rs"),
        include_str!("cross_check.rs"),
        include_str!("tests.rs"),
    ];
    let mut tokenizer = ::tokenizers::Tokenizer::new(BPE::default());
    let step: ::tokenizers::PreTokenizerWrapper =
        serde_json::from_value(pre_tokenizer.clone()).unwrap();
    tokenizer.with_pre_tokenizer(Some(step));
    let alphabet = ByteLevel::alphabet().into_iter().collect();
    let trainer = BpeTrainer::builder()
        .vocab_size(900)
        .show_progress(false)
        .initial_alphabet(alphabet)
        .build();
    tokenizer
        .train(
            &mut ::tokenizers::models::TrainerWrapper::from(trainer),
            texts.into_iter(),
        )
        .unwrap();
    let mut json: Value = serde_json::from_str(&tokenizer.to_string(false).unwrap()).unwrap();
    json["normalizer"] = normalizer.clone();
    json["added_tokens"] = added.iter().cloned().collect();
    serde_json::to_vec(&json).unwrap()
}

fn load(json: &[u8], choice: EngineMode) -> Engine {
    Engine::load(json, choice, u64::MAX).unwrap()
}

/// One engine for each family, and one more under NFC.
static ENGINES: LazyLock<Vec<Engine>> = LazyLock::new(|| {
    let rules = split_by_patterns()
        .into_iter()
        .map(|(_, rules)| (rules, Value::Null));
    let nfc = split_by_patterns()
        .into_iter()
        .map(|(_, rules)| (rules, json!({"type": "NFC"})));
    let added = [added("<|end|>", 900, false), added("<think>", 901, true)];
    rules
        .chain(nfc)
        .map(|(rules, normalizer)| {
            load(&trained(&rules, &normalizer, &added), EngineMode::Fastokens)
        })
        .collect()
});

fn texts() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..24).prop_map(|pieces| pieces.concat())
}

fn cut_at(text: &str, share: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a short text"
    )]
    let at = (text.len() as f64 * share) as usize;
    floor_char_boundary(text, at)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn both_sides_of_a_split_point_are_the_whole(text in texts()) {
        for engine in ENGINES.iter() {
            let split_points = engine.split_points.as_ref().unwrap();
            let whole = engine.tokenizers.ids(&text).unwrap();
            for at in (0..=text.len()).filter(|&at| split_points.contains(&text, at)) {
                let sides = [engine.tokenizers.ids(&text[..at]).unwrap(), engine.tokenizers.ids(&text[at..]).unwrap()].concat();
                prop_assert_eq!(&sides, &whole, "{:?} split at {} under {:?}", text, at, engine.family);
            }
        }
    }

    #[test]
    fn a_tail_counts_as_if_alone(text in texts(), share in 0.0..=1.0) {
        let cut = cut_at(&text, share);
        for engine in ENGINES.iter() {
            let expected = (engine.tokenizers.count(&text).unwrap(), engine.tokenizers.count(&text[cut..]).unwrap());
            prop_assert_eq!(engine.count_with_tail(&text, cut).unwrap(), expected);
        }
    }

    #[test]
    fn a_pair_counts_as_two(start in texts(), a in texts(), b in texts(), end in texts()) {
        let (a, b) = ([start.as_str(), &a, &end].concat(), [start.as_str(), &b, &end].concat());
        for engine in ENGINES.iter() {
            let expected = (engine.tokenizers.count(&a).unwrap(), engine.tokenizers.count(&b).unwrap());
            prop_assert_eq!(engine.count_pair(&a, &b).unwrap(), expected);
        }
    }

    #[test]
    fn pieces_join_to_the_text_and_add_up(text in texts(), bytes in 1_usize..40) {
        for engine in ENGINES.iter() {
            let pieces: Vec<&str> = engine.pieces(&text, bytes).collect();
            prop_assert_eq!(pieces.concat(), text.clone());
            let sum: usize = pieces.iter().map(|piece| engine.tokenizers.count(piece).unwrap()).sum();
            prop_assert_eq!(sum, engine.tokenizers.count(&text).unwrap());
        }
    }

    #[test]
    fn turns_of_a_conversation_count_in_any_order(turns in prop::collection::vec((texts(), any::<bool>()), 1..6)) {
        for engine in ENGINES.iter().step_by(3) {
            let mut prompt = "A system prompt of one long line. ".repeat(150);
            let mut prompts = Vec::new();
            for (turn, forgets) in &turns {
                if *forgets {
                    prompt.truncate(floor_char_boundary(&prompt, prompt.len() * 3 / 4));
                }
                prompt.push_str(turn);
                prompts.push(prompt.clone());
            }
            for prompt in prompts.iter().chain(prompts.iter().rev()) {
                let counted = engine.count(prompt).unwrap();
                prop_assert_eq!(counted, engine.tokenizers.count(prompt).unwrap());
            }
        }
    }
}

#[test]
fn every_cut_of_a_text_counts_as_tokenizers_does() {
    let text = "It's 12345 o'clock,\r\n\r\n  don't!\n中文，字。カが e\u{301}te\u{301} 👍🏽<|end|> I'LL  go/\n/ <think>\tй 'ſ x";
    for engine in ENGINES.iter() {
        let whole = engine.tokenizers.count(text).unwrap();
        for cut in (0..=text.len()).filter(|&cut| text.is_char_boundary(cut)) {
            let tail = engine.tokenizers.count(&text[cut..]).unwrap();
            assert_eq!(
                engine.count_with_tail(text, cut).unwrap(),
                (whole, tail),
                "cut at {cut}"
            );
        }
    }
}

#[test]
fn counts_would_differ_if_cut_anywhere() {
    let engine = &ENGINES[0];
    let sides = engine.tokenizers.count("split point of the te").unwrap()
        + engine.tokenizers.count("xt").unwrap();
    assert_ne!(
        sides,
        engine.tokenizers.count("split point of the text").unwrap()
    );
}

#[test]
fn a_shared_tail_is_counted_once() {
    let engine = &ENGINES[0];
    let text = "left, right and all the rest of a text";
    let (head, tail) = shared_ends(text, &text[3..], engine.split_points.as_ref().unwrap());
    assert_eq!(
        (head, &text[text.len() - tail..]),
        (0, ", right and all the rest of a text")
    );
}

#[test]
fn long_texts_are_cut_where_they_may_be() {
    let engine = &ENGINES[0];
    let long = "many words and more of them, 12 times.\n".repeat(5000);
    assert_eq!(
        engine.count(&long).unwrap(),
        engine.tokenizers.count(&long).unwrap()
    );
    assert!(
        engine
            .pieces(&long, MAX_FASTOKENS_BYTES)
            .all(|part| part.len() <= MAX_FASTOKENS_BYTES)
    );
    let one_word = "a".repeat(3 * MAX_FASTOKENS_BYTES);
    assert_eq!(engine.pieces(&one_word, MAX_FASTOKENS_BYTES).count(), 1);
    assert_eq!(
        engine.count(&one_word).unwrap(),
        engine.tokenizers.count(&one_word).unwrap()
    );
    assert_eq!(::fastokens::fanout::threads(), 1);
}

#[test]
fn engines_that_disagree_are_caught_at_load_and_while_counting() {
    let rules = &split_by_patterns()[0].1;
    let (one, other) = (
        trained(rules, &Value::Null, &[]),
        trained(rules, &Value::Null, &[added("and", 900, false)]),
    );
    let mut engine = load(&one, EngineMode::Fastokens);
    engine.tokenizers = TokenizersEngine::load(&other).unwrap();
    let spec = TokenizerSpec::read(&other).unwrap();
    let compared = cross_check::compare_engines(
        engine.fastokens.as_ref().unwrap(),
        &engine.tokenizers,
        &spec,
    );
    assert!(matches!(compared, Err(EngineError::Disagreement { .. })));

    let differs = |text: &String| {
        engine.count_unchecked(text).unwrap() != engine.tokenizers.count(text).unwrap()
    };
    let text = (0..1_000_000)
        .map(|n| format!("sand, land and brand {n}"))
        .find(|text| cross_check::is_sampled(text) && differs(text))
        .unwrap();
    let error = engine.count(&text).unwrap_err().to_string();
    assert!(error.starts_with("fastokens counts "), "{error}");
    assert_eq!(engine.report().checked_while_counting, 0);
}

#[test]
fn sampled_texts_are_recorded() {
    let engine = load(
        &trained(&split_by_patterns()[0].1, &Value::Null, &[]),
        EngineMode::Auto,
    );
    let text = (0..1_000_000)
        .map(|n| format!("sample {n}"))
        .find(|text| cross_check::is_sampled(text))
        .unwrap();
    engine.count(&text).unwrap();
    engine.count_with_tail(&text, 3).unwrap();
    let report = engine.report();
    assert_eq!(
        (report.engine, report.checked_while_counting),
        ("fastokens", 3)
    );
    assert!(report.checked_at_load > 600, "{report:?}");
}

#[test]
fn tokenizers_counts_a_long_s_after_an_apostrophe_under_o200k() {
    for engine in ENGINES.iter() {
        let before = engine.report().texts_for_tokenizers;
        assert_eq!(
            engine.count("é'ſ'm").unwrap(),
            engine.tokenizers.count("é'ſ'm").unwrap()
        );
        assert_eq!(
            engine.report().texts_for_tokenizers - before,
            u64::from(engine.family == Some(Family::O200k))
        );
    }
}

#[test]
fn the_engine_follows_choice_amount_and_rules() {
    let bpe = trained(&split_by_patterns()[0].1, &Value::Null, &[]);
    let mut words: Value = serde_json::from_slice(&bpe).unwrap();
    words["model"] = json!({"type": "WordLevel", "vocab": {"a": 0, "?": 1}, "unk_token": "?"});
    let words = serde_json::to_vec(&words).unwrap();
    let cases = [
        (
            &bpe,
            EngineMode::Auto,
            u64::MAX,
            "fastokens",
            "it agrees with tokenizers on ",
        ),
        (
            &bpe,
            EngineMode::Auto,
            1000,
            "tokenizers",
            "there is little text",
        ),
        (
            &bpe,
            EngineMode::Fastokens,
            1000,
            "fastokens",
            "it agrees with tokenizers on ",
        ),
        (
            &bpe,
            EngineMode::Tokenizers,
            u64::MAX,
            "tokenizers",
            "it was asked for",
        ),
        (
            &words,
            EngineMode::Auto,
            u64::MAX,
            "tokenizers",
            "its model is not byte-pair encoding",
        ),
    ];
    for (json, choice, bytes, engine, why) in cases {
        let report = Engine::load(json, choice, bytes).unwrap().report();
        assert!(
            report.engine == engine && report.why.starts_with(why),
            "{choice:?} {bytes}: {report:?}"
        );
    }
    let refused = Engine::load(&words, EngineMode::Fastokens, u64::MAX)
        .err()
        .unwrap();
    assert!(matches!(refused, EngineError::Unsupported(_)));
}

#[test]
fn json_that_is_not_a_tokenizer_is_an_error() {
    for (json, expected) in [
        ("", "Json"),
        ("{}", "Json"),
        ("[]", "Json"),
        (r#"{"model": {"type": "BPE"}}"#, "Load"),
    ] {
        let error = Engine::load(json.as_bytes(), EngineMode::Auto, u64::MAX)
            .err()
            .unwrap();
        assert!(
            format!("{error:?}").starts_with(expected),
            "{json}: {error:?}"
        );
    }
}

/// By hand: `ENGINE_TOKENIZERS=a.json:b.json ENGINE_TEXTS=texts.jsonl cargo test --release real_ -- --ignored`, with
/// objects that have a `text` on each line.
#[test]
#[ignore = "reads tokenizers and texts named by environment variables"]
fn engines_agree_on_real_tokenizers() {
    let named = |variable| std::env::var(variable).ok();
    let (Some(tokenizers), Some(texts)) = (named("ENGINE_TOKENIZERS"), named("ENGINE_TEXTS"))
    else {
        return;
    };
    let texts = std::fs::read_to_string(texts).unwrap();
    let texts: Vec<Value> = texts
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for path in tokenizers.split(':') {
        let engine = load(&std::fs::read(path).unwrap(), EngineMode::Fastokens);
        for (n, text) in texts
            .iter()
            .map(|object| object["text"].as_str().unwrap())
            .enumerate()
        {
            let cut = floor_char_boundary(text, n * 37 % (text.len() + 1));
            let expected = (
                engine.tokenizers.count(text).unwrap(),
                engine.tokenizers.count(&text[cut..]).unwrap(),
            );
            assert_eq!(
                engine.count_with_tail(text, cut).unwrap(),
                expected,
                "{path}: text {n} cut at {cut}"
            );
        }
    }
}
