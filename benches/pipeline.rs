//! A log from its bytes to its figures, step by step: reading, decoding, skimming, the table (no tokenizer), and
//! everything with text and with messages that go through a chat template. Each step asserts what it comes to.
//!
//! Without more, the tokenizers are the small ones in `fixtures/tokenizers`, on text made of `fixtures/engine/sample.txt`.
//! `PIPELINE_TOKENIZER` names the folder of another, and `PIPELINE_SAMPLES` how many samples there are.
//! `PIPELINE_KEEP=DIR` also leaves the logs in `DIR`, as runs to time the command on.

#![allow(clippy::disallowed_methods, reason = "a bench writes its own log")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement,
};
use serde_json::{Value, json};
use tok_recompute::cpu::{CorePlan, CoreRequest, Machine, Pools};
use tok_recompute::event::Decoder;
use tok_recompute::log::{BatchSizes, Log, LogItem};
use tok_recompute::pipeline::{self, Job, Rules, RunResult};
use tok_recompute::tokenizer::resolve::{SearchPaths, TokenizerFiles, resolve};
use tok_recompute::tokenizer::transformers::LoaderRules;
use tok_recompute::tokenizer::{EngineMode, LoadOptions, Tokenizer};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SAMPLE: &str = include_str!("../fixtures/engine/sample.txt");
const PROMPT_BYTES: usize = 1500;
const OUTPUT_BYTES: usize = 4500;
/// Lines of a log that are not a sample's: started, tracking, ended.
const SESSION_LINES: u64 = 3;
const LINES_PER_SAMPLE: u64 = 3;

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn samples() -> u64 {
    env("PIPELINE_SAMPLES").map_or(500, |count| {
        count.parse().expect("PIPELINE_SAMPLES is a number")
    })
}

/// Slices of the sample, no two alike: its lines from another place each time.
fn slices() -> impl FnMut(usize) -> String {
    let lines: Vec<&str> = SAMPLE.split_inclusive('\n').collect();
    let mut state = 1_u64;
    move |mean| {
        let mut below = |end: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).expect("31 bits") % end
        };
        let (want, mut text) = (mean / 2 + below(mean), String::new());
        while text.len() < want {
            text.push_str(lines[below(lines.len())]);
        }
        text
    }
}

/// A streamed log. `reasoning`: four fifths of each output are reasoning.
fn log(samples: u64, reasoning: bool) -> String {
    let (mut log, mut slice) = (String::new(), slices());
    let mut event = |kind: &str, at: u64, uuid: &str, data: &Value| {
        writeln!(
            log,
            r#"{{"event_type":"{kind}","timestamp_ns":{at},"sample_uuid":"{uuid}","conversation_id":"","turn":null,"data":{data}}}"#
        )
        .expect("a string takes everything");
    };
    event("session.started", 1, "", &Value::Null);
    event("session.start_performance_tracking", 2, "", &Value::Null);
    for sample in 0..samples {
        let (uuid, at) = (format!("{sample:032x}"), 10 + 1000 * sample);
        let prompt = json!([
            "PromptData",
            slice(PROMPT_BYTES),
            null,
            null,
            null,
            null,
            null,
            null
        ]);
        let text = slice(OUTPUT_BYTES);
        let (first, rest) = text.split_at(text.char_indices().nth(5).map_or(0, |(at, _)| at));
        let output = if reasoning {
            let content = slice(OUTPUT_BYTES / 4);
            json!(["TextModelOutput", content, [first, rest], null])
        } else {
            json!(["TextModelOutput", [first, rest], null, null])
        };
        event("sample.issued", at, &uuid, &prompt);
        event("sample.recv_first", at + 100, &uuid, &Value::Null);
        event("sample.complete", at + 900, &uuid, &output);
    }
    event("session.ended", 1000 * (samples + 1), "", &Value::Null);
    log
}

/// The log as a run's `events.jsonl`, in `PIPELINE_KEEP` or in a folder that goes away.
fn run(folder: &Path, name: &str, log: &str) -> PathBuf {
    let run = env("PIPELINE_KEEP")
        .map_or_else(|| folder.to_owned(), PathBuf::from)
        .join(name);
    std::fs::create_dir_all(&run).expect("a folder can be made");
    let path = run.join("events.jsonl");
    std::fs::write(&path, log).expect("a log can be written");
    path
}

fn tokenizer(fixture: &str) -> Tokenizer {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/tokenizers")
        .join(fixture);
    let name = env("PIPELINE_TOKENIZER").unwrap_or_else(|| own.display().to_string());
    let location =
        resolve(&name, &SearchPaths::from_env(|_| None, None)).expect("the tokenizer is there");
    let files = TokenizerFiles::read(&location).expect("the tokenizer can be read");
    let options = LoadOptions {
        rules: LoaderRules::Transformers,
        engine: EngineMode::Auto,
        text_bytes: u64::MAX,
        now: "2026-01-01T00:00:00".parse().expect("a date"),
    };
    Tokenizer::load(&files, &options).expect("the tokenizer loads")
}

fn pools(threads: usize) -> Pools {
    let request = CoreRequest {
        threads: Some(threads),
        ..CoreRequest::default()
    };
    let plan = CorePlan::new(&Machine::here(), &request).expect("there are CPUs");
    Pools::new(&plan).expect("threads start")
}

fn read(path: &Path) -> u64 {
    let pieces = Log::open(path)
        .expect("the log opens")
        .batches(BatchSizes::new(1));
    let lines = pieces.map(|piece| match piece.expect("the log can be read") {
        LogItem::Lines(batch) => batch.lines().count() as u64,
        LogItem::TooLong { .. } => 0,
    });
    lines.sum()
}

/// Lines that are an event to `is_event`.
fn events(path: &Path, is_event: impl Fn(&mut Decoder, &[u8]) -> bool) -> u64 {
    let mut decoder = Decoder::default();
    let pieces = Log::open(path)
        .expect("the log opens")
        .batches(BatchSizes::new(1));
    let mut events = 0;
    for piece in pieces {
        let LogItem::Lines(batch) = piece.expect("the log can be read") else {
            continue;
        };
        for line in batch.lines() {
            events += u64::from(is_event(&mut decoder, line.bytes));
        }
    }
    events
}

/// The rules of a streaming run.
fn rules() -> Rules {
    Rules {
        streaming: Some(true),
        ..Rules::default()
    }
}

fn recompute(path: &Path, pools: &Pools, tokenizer: Option<&Tokenizer>) -> RunResult {
    let job = Job {
        pools,
        tokenizer,
        rules: rules(),
        sample_map: None,
        sizes: BatchSizes::new(pools.threads()),
        max_bytes: None,
        watched: true,
    };
    let log = Log::open(path).expect("the log opens");
    pipeline::run(log, &job, |_, _| {}).expect("the log can be counted")
}

/// The whole pipeline on one thread and on all; both come to the same tokens.
fn whole(
    group: &mut BenchmarkGroup<measurement::WallTime>,
    name: &str,
    path: &Path,
    tokenizer: Option<&Tokenizer>,
) {
    let lines = SESSION_LINES + LINES_PER_SAMPLE * samples();
    let all = available_parallelism().map_or(1, Into::into);
    let expected = recompute(path, &pools(1), tokenizer).tally.tokens;
    assert_eq!(expected > 0, tokenizer.is_some());
    let mut threads = vec![1, all];
    threads.dedup();
    for threads in threads {
        let pools = pools(threads);
        group.bench_function(format!("{name}, threads: {threads}"), |bencher| {
            bencher.iter(|| {
                let finished = recompute(path, &pools, tokenizer);
                assert_eq!(
                    (finished.tally.lines, finished.tally.tokens),
                    (lines, expected)
                );
                assert!(finished.ended && finished.tally.damage.is_empty());
            });
        });
    }
}

fn steps(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lines = SESSION_LINES + LINES_PER_SAMPLE * samples();
    for (kind, reasoning) in [("text", false), ("reasoning", true)] {
        let log = log(samples(), reasoning);
        let path = run(folder.path(), kind, &log);
        let mut group = criterion.benchmark_group(kind);
        group
            .sample_size(10)
            .throughput(Throughput::Bytes(log.len() as u64));
        group.bench_function("reading", |bencher| {
            bencher.iter(|| assert_eq!(read(&path), lines));
        });
        group.bench_function("reading and decoding", |bencher| {
            let is_event = |decoder: &mut Decoder, line: &[u8]| decoder.decode(line, |e| e.is_ok());
            bencher.iter(|| assert_eq!(events(&path, is_event), lines));
        });
        group.bench_function("reading and skimming", |bencher| {
            let is_event = |decoder: &mut Decoder, line: &[u8]| decoder.skim(line, |e| e.is_ok());
            bencher.iter(|| assert_eq!(events(&path, is_event), lines));
        });
        whole(&mut group, "without a tokenizer", &path, None);
        let tokenizer = tokenizer(if reasoning { "chat" } else { "llama3" });
        whole(&mut group, "counted", &path, Some(&tokenizer));
        group.finish();
    }
}

criterion_group!(benches, steps);
criterion_main!(benches);
