//! Figures do not depend on batch sizes or on the number of threads.

use std::sync::LazyLock;

use proptest::prelude::*;
use tok_recompute::cpu::{CorePlan, Pools};
use tok_recompute::log::{BatchSizes, Log};
use tok_recompute::pipeline::{self, Job, Rules};
use tok_recompute::tokenizer::resolve::{self, SearchPaths, TokenizerFiles};
use tok_recompute::tokenizer::transformers::LoaderRules;
use tok_recompute::tokenizer::{EngineMode, LoadOptions, Tokenizer};

use crate::support::fixture;

/// The tokenizer of the structured run.
pub static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| {
    let location = resolve::resolve(
        fixture("tokenizers/chat").to_str().unwrap(),
        &SearchPaths::default(),
    )
    .unwrap();
    let options = LoadOptions {
        rules: LoaderRules::Transformers,
        engine: EngineMode::Auto,
        text_bytes: u64::MAX,
        now: jiff::civil::date(2026, 1, 2).at(3, 4, 5, 0),
    };
    Tokenizer::load(&TokenizerFiles::read(&location).unwrap(), &options).unwrap()
});

/// Everything that a report is made from, as text.
fn figures(sizes: BatchSizes) -> String {
    let pools = Pools::new(&CorePlan::unpinned(sizes.threads)).unwrap();
    let job = Job {
        pools: &pools,
        tokenizer: Some(&TOKENIZER),
        rules: Rules::default(),
        sample_map: None,
        sizes,
        max_bytes: None,
        watched: true,
    };
    let log = Log::open(&fixture("run_chat/events.jsonl")).unwrap();
    let finished = pipeline::run(log, &job, |_, _| {}).unwrap();
    format!(
        "{:?} {:?} {:?}",
        finished.snapshot, finished.anomalies, finished.tally.damage
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn batches_and_threads_do_not_change_the_figures(
        batch_bytes in 1_usize..40_000,
        tail_bytes in 1_usize..5_000,
        threads in 1_usize..6,
    ) {
        static EXPECTED: LazyLock<String> = LazyLock::new(|| figures(BatchSizes::new(1)));
        let sizes = BatchSizes { batch_bytes, tail_bytes, threads, ..BatchSizes::new(threads) };
        prop_assert_eq!(&figures(sizes), &*EXPECTED);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn tables_and_rows_are_those_of_the_model(events in proptest::collection::vec(any::<[u8; 6]>(), 0..200)) {
        // Few samples, so that most events meet one in flight.
        let few = events.into_iter().map(|[kind, sample, rest @ ..]| [&[kind, sample % 8][..], &rest].concat());
        crate::fuzz::table::run(&few.flatten().collect::<Vec<u8>>());
    }
}
