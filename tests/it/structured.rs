//! The count of a message is that of its rendering, minus the count of an empty message.

use std::sync::LazyLock;

use proptest::prelude::*;
use tok_recompute::tokenizer::chat_template::{Limits, Message, TemplateSource, Templates};
use tok_recompute::tokenizer::resolve::{self, SearchPaths, TokenizerFiles};
use tok_recompute::tokenizer::transformers::LoaderRules;
use tok_recompute::tokenizer::{Counted, EngineMode, LoadOptions, MessageParts, Tokenizer};

use crate::support::{fixture, read};

struct Both {
    ours: Tokenizer,
    templates: Templates,
    tokenizers: tokenizers::Tokenizer,
}

static BOTH: LazyLock<Both> = LazyLock::new(|| {
    let location = resolve::resolve(
        fixture("tokenizers/chat").to_str().unwrap(),
        &SearchPaths::default(),
    )
    .unwrap();
    let files = TokenizerFiles::read(&location).unwrap();
    let now = jiff::civil::date(2026, 1, 2).at(3, 4, 5, 0);
    let options = LoadOptions {
        rules: LoaderRules::Transformers,
        engine: EngineMode::Auto,
        text_bytes: u64::MAX,
        now,
    };
    let config = files.tokenizer_config.clone();
    let special: Vec<_> = ["bos_token", "eos_token", "pad_token", "unk_token"]
        .into_iter()
        .filter_map(|name| {
            Some((
                name.to_owned(),
                config.as_ref()?.get(name)?.as_str()?.to_owned(),
            ))
        })
        .collect();
    let source = TemplateSource {
        tokenizer_config: config,
        ..TemplateSource::default()
    };
    Both {
        ours: Tokenizer::load(&files, &options).unwrap(),
        templates: Templates::new(source, &special, now, Limits::default()),
        tokenizers: tokenizers::Tokenizer::from_bytes(read("tokenizers/chat/tokenizer.json"))
            .unwrap(),
    }
});

fn rendered(content: &str, reasoning: &str) -> u64 {
    let message = Message {
        content,
        reasoning: Some(reasoning).filter(|r| !r.is_empty()),
        tool_calls: None,
    };
    let mut text = String::new();
    BOTH.templates.render_message(&message, &mut text).unwrap();
    BOTH.tokenizers.encode_fast(text, false).unwrap().len() as u64
}

fn parts<'a>(content: &'a str, reasoning: &'a str) -> MessageParts<'a> {
    MessageParts {
        content,
        reasoning,
        tool_calls: None,
        skip_first_tool_chunk: false,
    }
}

fn text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[a-z]{1,8}",
        "[0-9]{1,5}",
        Just(" ".to_owned()),
        Just("\n\n".to_owned()),
        Just("\r\n".to_owned()),
        Just("数据".to_owned()),
        Just("e\u{301}".to_owned()),
        Just("🙂".to_owned()),
        Just("don't".to_owned()),
        Just("</think>".to_owned()),
        Just("<|im_end|>".to_owned()),
    ];
    prop::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn a_message_counts_what_its_rendering_adds(content in text(), reasoning in text(), cut in 0.0..1.0_f64) {
        let frame = rendered("", "");
        let expected = |content: &str, reasoning: &str| Counted::Tokens {
            tokens: rendered(content, reasoning).saturating_sub(frame),
            fallback: None,
        };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let mut at = (reasoning.len() as f64 * cut) as usize;
        while !reasoning.is_char_boundary(at) {
            at -= 1;
        }
        let (whole, after) = (parts(&content, &reasoning), parts(&content, &reasoning[at..]));
        prop_assert_eq!(BOTH.ours.message(&whole).unwrap(), expected(&content, &reasoning));
        let pair = BOTH.ours.message_pair(&whole, &after).unwrap();
        prop_assert_eq!(pair, (expected(&content, &reasoning), expected(&content, &reasoning[at..])));
    }
}
