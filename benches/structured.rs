//! Reasoning messages, OSL and TPOT together: ours against the reference's way, which renders each of the two in turn
//! and encodes it with `tokenizers`, on one thread. `STRUCTURED_TOKENIZER` names another tokenizer's folder.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tok_recompute::tokenizer::chat_template::{Limits, Message, TemplateSource, Templates};
use tok_recompute::tokenizer::resolve::{self, SearchPaths, TokenizerFiles};
use tok_recompute::tokenizer::transformers::{self, LoaderRules};
use tok_recompute::tokenizer::{Counted, EngineMode, LoadOptions, MessageParts, Tokenizer};

/// About so many tokens of reasoning; the answer has a fourth of that.
const TOKENS: [usize; 3] = [500, 2_000, 8_000];
const CHARS_A_TOKEN: usize = 4;

fn text(chars: usize, from: usize) -> String {
    let corpus = include_str!("../fixtures/corpus/english.txt");
    corpus.chars().cycle().skip(from).take(chars).collect()
}

fn structured(criterion: &mut Criterion) {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tokenizers/chat");
    let folder =
        std::env::var("STRUCTURED_TOKENIZER").unwrap_or_else(|_| fixture.display().to_string());
    let location = resolve::resolve(&folder, &SearchPaths::default()).expect("a tokenizer");
    let files = TokenizerFiles::read(&location).expect("its files");
    let now = jiff::civil::DateTime::default();
    let options = LoadOptions {
        rules: LoaderRules::Transformers,
        engine: EngineMode::Fastokens,
        text_bytes: u64::MAX,
        now,
    };
    let ours = Tokenizer::load(&files, &options).expect("a tokenizer that loads");
    let applied = transformers::apply(&files, LoaderRules::Transformers).expect("known rules");
    let theirs = tokenizers::Tokenizer::from_bytes(&applied.json).expect("a tokenizer that loads");
    let special: Vec<_> = applied.special_tokens.clone().into_iter().collect();
    let source = TemplateSource {
        chat_template_jinja: files.chat_template.clone(),
        additional_templates: files.additional_chat_templates.clone(),
        tokenizer_config: files.tokenizer_config.clone(),
    };
    let templates = Templates::new(source, &special, now, Limits::default());
    let render = |content: &str, reasoning: &str| {
        let mut text = String::new();
        let reasoning = Some(reasoning).filter(|r| !r.is_empty());
        templates
            .render_message(
                &Message {
                    content,
                    reasoning,
                    tool_calls: None,
                },
                &mut text,
            )
            .expect("it renders");
        theirs.encode_fast(text, false).expect("it encodes").len() as u64
    };
    let frame = render("", "");

    for tokens in TOKENS {
        let reasoning = text(tokens * CHARS_A_TOKEN, 0);
        let content = text(tokens * CHARS_A_TOKEN / 4, 7_000);
        let part = |reasoning| MessageParts {
            content: &content,
            reasoning,
            tool_calls: None,
            skip_first_tool_chunk: false,
        };
        let count = || {
            ours.message_pair(&part(&reasoning), &part(&reasoning[5..]))
                .expect("it counts")
        };
        let by_turns = || {
            (
                render(&content, &reasoning) - frame,
                render(&content, &reasoning[5..]) - frame,
            )
        };
        let expected = by_turns();
        let counted = |tokens| Counted::Tokens {
            tokens,
            fallback: None,
        };
        assert_eq!(count(), (counted(expected.0), counted(expected.1)));

        let mut group = criterion.benchmark_group(format!("reasoning message of {tokens} tokens"));
        group.throughput(Throughput::Elements(1));
        group.bench_function("ours", |bencher| bencher.iter(|| black_box(count())));
        group.bench_function("render and encode in turn", |bencher| {
            bencher.iter(|| black_box(by_turns()));
        });
        group.finish();
    }
}

criterion_group!(benches, structured);
criterion_main!(benches);
