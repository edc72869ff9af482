//! The tool's counts against those of `tokenizers`: whole texts, tails, prompts that repeat each other, pairs of messages.

use std::sync::LazyLock;

use tok_recompute::tokenizer::resolve::{self, SearchPaths, TokenizerFiles};
use tok_recompute::tokenizer::transformers::LoaderRules;
use tok_recompute::tokenizer::{Counted, EngineMode, LoadOptions, MessageParts, Tokenizer};

struct Both {
    name: &'static str,
    ours: Tokenizer,
    /// The same templates, every text counted by itself and by `tokenizers`.
    plain: Tokenizer,
    tokenizers: tokenizers::Tokenizer,
}

static TOKENIZERS: LazyLock<Vec<Both>> = LazyLock::new(|| {
    ["llama3", "qwen", "o200k", "deepseek", "chat"]
        .map(load)
        .into()
});

fn load(name: &'static str) -> Both {
    let dir = super::repository(&format!("fixtures/tokenizers/{name}"));
    let location =
        resolve::resolve(dir.to_str().expect("UTF-8"), &SearchPaths::default()).expect("a fixture");
    let files = TokenizerFiles::read(&location).expect("its files");
    let load = |engine| {
        let options = LoadOptions {
            rules: LoaderRules::File,
            engine,
            text_bytes: u64::MAX,
            now: jiff::civil::date(2026, 1, 2).at(3, 4, 5, 0),
        };
        Tokenizer::load(&files, &options).expect("a tokenizer")
    };
    Both {
        name,
        ours: load(EngineMode::Auto),
        plain: load(EngineMode::Tokenizers),
        tokenizers: tokenizers::Tokenizer::from_bytes(&files.tokenizer_json).expect("a tokenizer"),
    }
}

pub fn run(data: &[u8]) {
    let ([which, mode, cut], rest) = super::head(data);
    let both = &TOKENIZERS[usize::from(which) % TOKENIZERS.len()];
    let text = if mode & 1 == 0 {
        String::from_utf8_lossy(rest).into_owned()
    } else {
        let ids: Vec<u32> = rest
            .chunks_exact(2)
            .map(|id| u32::from(u16::from_le_bytes([id[0], id[1]])))
            .collect();
        both.tokenizers.decode(&ids, false).unwrap_or_default()
    };
    let mut at = text.len() * usize::from(cut) / 255;
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    both.check(&text, at);
    if both.name == "chat" {
        both.check_message(&text[..at], &text[at..]);
    }
}

impl Both {
    fn expected(&self, text: &str) -> Counted {
        let encoding = self.tokenizers.encode(text, false).expect("a count");
        Counted::Tokens {
            tokens: encoding.len() as u64,
            fallback: None,
        }
    }

    fn check(&self, text: &str, cut: usize) {
        let (whole, tail) = (self.expected(text), self.expected(&text[cut..]));
        assert_eq!(
            self.ours.text(text).expect("a count"),
            whole,
            "{} {text:?}",
            self.name
        );
        let pair = self.ours.text_with_tail(text, cut).expect("counts");
        assert_eq!(pair, (whole, tail), "{} {text:?} cut at {cut}", self.name);
        for prompt in [&text[..cut], text] {
            let count = self.ours.text(prompt).expect("a count");
            assert_eq!(count, self.expected(prompt), "{} {prompt:?}", self.name);
        }
    }

    fn check_message(&self, reasoning: &str, content: &str) {
        let whole = MessageParts {
            content,
            reasoning,
            tool_calls: None,
            skip_first_tool_chunk: false,
        };
        let first = reasoning.chars().next().map_or(0, char::len_utf8);
        let after = MessageParts {
            reasoning: &reasoning[first..],
            ..whole
        };
        let pair = self.ours.message_pair(&whole, &after).expect("counts");
        let alone = |parts| self.plain.message(parts).expect("a count");
        assert_eq!(
            pair,
            (alone(&whole), alone(&after)),
            "{reasoning:?} {content:?}"
        );
    }
}
