//! Reading a text log allocates by the batch, not by the event: an allocation per event is what makes threads wait for
//! each other. Counted for a log and for one twice as long.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::disallowed_methods, reason = "tests write their own files")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tok_recompute::cpu::{CorePlan, Pools};
use tok_recompute::log::{BatchSizes, Log};
use tok_recompute::pipeline::{self, Job, Rules, RunResult};
use tok_recompute::tokenizer::resolve::{SearchPaths, TokenizerFiles, resolve};
use tok_recompute::tokenizer::transformers::LoaderRules;
use tok_recompute::tokenizer::{EngineMode, LoadOptions, Tokenizer};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract, which is the same one.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Tests of this binary share the counter: each runs alone, loading included.
fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

const PROMPT: &str = "What does the bridge over the river cost, and who pays for it?";
const OUTPUT: &str =
    ", it is the city that pays: 1,250 a month.\\n\\nThe \\\"bridge\\\" is older than the city.";

/// A streamed log of `samples` samples in sequence; three events each.
fn log(samples: u64) -> String {
    let mut text = String::new();
    let mut event = |kind: &str, at: u64, uuid: &str, data: &str| {
        writeln!(
            text,
            r#"{{"event_type":"{kind}","timestamp_ns":{at},"sample_uuid":"{uuid}","conversation_id":"","turn":null,"data":{data}}}"#
        )
        .unwrap();
    };
    event("session.started", 1, "", "null");
    event("session.start_performance_tracking", 2, "", "null");
    for sample in 0..samples {
        let (uuid, at) = (format!("{sample:032x}"), 10 + 100 * sample);
        let prompt = format!(r#"["PromptData","{PROMPT} ({sample})"]"#);
        let output = format!(r#"["TextModelOutput",["Well","{OUTPUT} ({sample})"]]"#);
        event("sample.issued", at, &uuid, &prompt);
        event("sample.recv_first", at + 10, &uuid, "null");
        event("sample.complete", at + 50, &uuid, &output);
    }
    event("session.ended", 10 + 100 * samples, "", "null");
    text
}

/// The rules of a streaming run.
fn rules() -> Rules {
    Rules {
        streaming: Some(true),
        early_stopping: false,
        ..Rules::default()
    }
}

/// What reading a log of `samples` samples comes to, and how often it allocates.
fn allocations(samples: u64, pools: &Pools, tokenizer: Option<&Tokenizer>) -> (RunResult, u64) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), log(samples)).unwrap();
    let job = Job {
        pools,
        tokenizer,
        rules: rules(),
        sample_map: None,
        sizes: BatchSizes::new(2),
        max_bytes: None,
        watched: true,
    };
    let log = Log::open(file.path()).unwrap();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let finished = pipeline::run(log, &job, |_, _| {}).unwrap();
    (finished, ALLOCATIONS.load(Ordering::Relaxed) - before)
}

/// Allocations that `samples` further samples cost, caches and buffers being warm.
fn allocations_of_further(samples: u64, tokenizer: Option<&Tokenizer>) -> u64 {
    let pools = Pools::new(&CorePlan::unpinned(2)).unwrap();
    allocations(samples, &pools, tokenizer);
    let (short, of_short) = allocations(samples, &pools, tokenizer);
    let (long, of_long) = allocations(2 * samples, &pools, tokenizer);
    assert_eq!(short.tally.lines, 3 * samples + 3);
    assert_eq!(long.tally.lines, 6 * samples + 3);
    assert_eq!(long.tally.tokens > short.tally.tokens, tokenizer.is_some());
    of_long.saturating_sub(of_short)
}

#[test]
fn reading_allocates_by_the_batch() {
    let _alone = alone();
    let samples = 20_000;
    let allocations = allocations_of_further(samples, None);
    // About 12 batches more; each a table of observations that grows, and buffers handed on.
    assert!(
        allocations < 1_000,
        "{allocations} allocations for {samples} samples more"
    );
}

/// The engine returns a list of ids for each text that it counts: there are no others.
#[test]
fn counting_adds_the_engine_s_lists_only() {
    let _alone = alone();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tokenizers/llama3");
    let location = resolve(
        fixture.to_str().unwrap(),
        &SearchPaths::from_env(|_| None, None),
    )
    .unwrap();
    let options = LoadOptions {
        rules: LoaderRules::Transformers,
        engine: EngineMode::Fastokens,
        text_bytes: u64::MAX,
        now: "2026-01-01T00:00:00".parse().unwrap(),
    };
    let tokenizer = Tokenizer::load(&TokenizerFiles::read(&location).unwrap(), &options).unwrap();
    let samples = 5_000;
    let allocations = allocations_of_further(samples, Some(&tokenizer));
    // Five for a sample's prompt, shared tail and first chunk; nothing for its three events.
    assert!(
        allocations < 6 * samples,
        "{allocations} allocations for {samples} samples more"
    );
}
