//! Counting the texts of a run: prompts (ISL), outputs (OSL) and outputs after their first chunk (TPOT), against
//! `tokenizers` doing what the reference does at the end of a run: `encode_batch_fast` of every one of them, on the same
//! threads.
//!
//! Without more, it counts text made of `fixtures/engine/sample.txt` by a small tokenizer trained on it. With
//! `COUNT_TOKENIZER=tokenizer.json`, `COUNT_TEXTS=texts.jsonl` (an object with a `text` on each line) and
//! `COUNT_SAMPLES=1000` it counts slices of those texts.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rayon::prelude::*;
use serde_json::{Value, json};
use tok_recompute::tokenizer::engine::{Engine, EngineMode};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SAMPLE: &str = include_str!("../fixtures/engine/sample.txt");
const PROMPT_BYTES: usize = 1500;
const OUTPUT_BYTES: usize = 4500;

/// The texts of a run: prompts, and outputs with the length of their first chunk.
struct Texts {
    prompts: Vec<String>,
    outputs: Vec<(String, usize)>,
}

impl Texts {
    fn bytes(&self) -> u64 {
        let outputs = self.outputs.iter().map(|(text, _)| text.len());
        self.prompts
            .iter()
            .map(String::len)
            .chain(outputs)
            .sum::<usize>() as u64
    }
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn tokenizer_json() -> Vec<u8> {
    env("COUNT_TOKENIZER").map_or_else(trained, |path| {
        std::fs::read(path).expect("COUNT_TOKENIZER is readable")
    })
}

/// A small byte-level BPE with the splitting rules of Llama 3.
fn trained() -> Vec<u8> {
    use tokenizers::models::{TrainerWrapper, bpe};
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;
    let rules = json!({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": fastokens::CL100K_BASE_PATTERN}, "behavior": "Isolated", "invert": false},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
    ]});
    let rules: tokenizers::PreTokenizerWrapper =
        serde_json::from_value(rules).expect("the rules are well-formed");
    let mut tokenizer = tokenizers::Tokenizer::new(bpe::BPE::default());
    tokenizer.with_pre_tokenizer(Some(rules));
    let alphabet = ByteLevel::alphabet().into_iter().collect();
    let trainer = bpe::BpeTrainer::builder()
        .vocab_size(1500)
        .show_progress(false)
        .initial_alphabet(alphabet)
        .build();
    tokenizer
        .train(&mut TrainerWrapper::from(trainer), SAMPLE.lines())
        .expect("the sample trains");
    tokenizer
        .to_string(false)
        .expect("a tokenizer has JSON")
        .into_bytes()
}

/// Slices of the corpus, each about as long as a prompt or an output: between half and one and a half of the mean.
fn texts() -> Texts {
    let corpus = env("COUNT_TEXTS").map_or_else(
        || SAMPLE.to_owned(),
        |path| {
            let lines = std::fs::read_to_string(path).expect("COUNT_TEXTS is readable");
            let texts = lines
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
            texts
                .map(|object| {
                    object["text"]
                        .as_str()
                        .expect("an object has a text")
                        .to_owned()
                        + "\n\n"
                })
                .collect()
        },
    );
    let samples = env("COUNT_SAMPLES").map_or(100, |count| {
        count.parse().expect("COUNT_SAMPLES is a number")
    });
    let lines: Vec<&str> = corpus.split_inclusive('\n').collect();
    let mut state = 1_u64;
    let mut below = move |end: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits") % end
    };
    let mut slice = |mean: usize| {
        let (want, mut text) = (mean / 2 + below(mean), String::new());
        while text.len() < want {
            let from = below(lines.len());
            let run = 1 + below(8);
            text.extend(lines[from..].iter().take(run).copied());
        }
        text.truncate(
            (0..=want)
                .rev()
                .find(|&at| text.is_char_boundary(at))
                .unwrap_or(0),
        );
        text
    };
    let first_chunk = |text: &str| text.char_indices().nth(5).map_or(text.len(), |(at, _)| at);
    Texts {
        prompts: (0..samples).map(|_| slice(PROMPT_BYTES)).collect(),
        outputs: (0..samples)
            .map(|_| slice(OUTPUT_BYTES))
            .map(|text| (first_chunk(&text), text))
            .map(|(cut, text)| (text, cut))
            .collect(),
    }
}

/// Tokens of all prompts, outputs, and outputs after their first chunk, as `tokenizers` counts them in batches.
fn drain(tokenizer: &tokenizers::Tokenizer, texts: &Texts) -> [usize; 3] {
    let count = |batch: Vec<&str>| -> usize {
        let encoded = tokenizer
            .encode_batch_fast(batch, false)
            .expect("text is encoded");
        encoded.iter().map(tokenizers::Encoding::len).sum()
    };
    [
        count(texts.prompts.iter().map(String::as_str).collect()),
        count(
            texts
                .outputs
                .iter()
                .map(|(text, _)| text.as_str())
                .collect(),
        ),
        count(
            texts
                .outputs
                .iter()
                .map(|(text, cut)| &text[*cut..])
                .collect(),
        ),
    ]
}

fn isl(engine: &Engine, texts: &Texts) -> usize {
    texts
        .prompts
        .par_iter()
        .map(|text| engine.count(text).expect("text is counted"))
        .sum()
}

fn osl(engine: &Engine, texts: &Texts) -> usize {
    texts
        .outputs
        .par_iter()
        .map(|(text, _)| engine.count(text).expect("text is counted"))
        .sum()
}

fn osl_and_tpot(engine: &Engine, texts: &Texts) -> (usize, usize) {
    let counts = texts
        .outputs
        .par_iter()
        .map(|(text, cut)| engine.count_with_tail(text, *cut).expect("text is counted"));
    counts.reduce(|| (0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
}

fn ours(engine: &Engine, texts: &Texts) -> [usize; 3] {
    let isl = isl(engine, texts);
    let (osl, tpot) = osl_and_tpot(engine, texts);
    [isl, osl, tpot]
}

fn counting(criterion: &mut Criterion) {
    let (json, texts) = (tokenizer_json(), texts());
    let engine = Engine::load(&json, EngineMode::Auto, u64::MAX).expect("the tokenizer loads");
    let tokenizer = tokenizers::Tokenizer::from_bytes(&json).expect("the tokenizer loads");
    let expected = drain(&tokenizer, &texts);
    let mut group = criterion.benchmark_group("count");
    group
        .sample_size(10)
        .throughput(Throughput::Bytes(texts.bytes()));
    group.bench_function("all/tokenizers", |bencher| {
        bencher.iter(|| assert_eq!(drain(&tokenizer, &texts), expected));
    });
    group.bench_function("all/ours", |bencher| {
        bencher.iter(|| assert_eq!(ours(&engine, &texts), expected));
    });
    group.bench_function("osl", |bencher| {
        bencher.iter(|| assert_eq!(osl(&engine, &texts), expected[1]));
    });
    group.bench_function("osl and tpot", |bencher| {
        bencher.iter(|| assert_eq!(osl_and_tpot(&engine, &texts), (expected[1], expected[2])));
    });
    group.finish();
}

/// An agentic run: each prompt repeats the one before and adds to it. The segment cache is empty at first.
fn conversation(criterion: &mut Criterion) {
    let (json, texts) = (tokenizer_json(), texts());
    let prompts: Vec<String> = (1..=20)
        .map(|turns| {
            let parts = texts.prompts.iter().cycle().take(turns * 2);
            parts.map(String::as_str).collect()
        })
        .collect();
    let load = |mode| Engine::load(&json, mode, u64::MAX).expect("the tokenizer loads");
    let count = |engine: &Engine| -> usize {
        let counts = prompts.iter().map(|text| engine.count(text));
        counts.map(|count| count.expect("text is counted")).sum()
    };
    let tokenizers = load(EngineMode::Tokenizers);
    let expected = count(&tokenizers);
    let bytes: usize = prompts.iter().map(String::len).sum();
    let mut group = criterion.benchmark_group("conversation of 20 turns");
    group
        .sample_size(20)
        .throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("tokenizers", |bencher| {
        bencher.iter(|| assert_eq!(count(&tokenizers), expected));
    });
    group.bench_function("fastokens and the segment cache", |bencher| {
        bencher.iter_batched_ref(
            || load(EngineMode::Auto),
            |engine| assert_eq!(count(engine), expected),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// Loading, which a small run pays for.
fn loading(criterion: &mut Criterion) {
    let json = tokenizer_json();
    let mut group = criterion.benchmark_group("load");
    group.sample_size(10);
    for (name, mode) in [
        ("both engines", EngineMode::Auto),
        ("tokenizers", EngineMode::Tokenizers),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(Engine::load(&json, mode, u64::MAX).is_ok()));
        });
    }
    group.finish();
}

criterion_group!(benches, counting, conversation, loading);
criterion_main!(benches);
