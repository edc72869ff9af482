//! Properties of a followed log: nothing is recorded twice or lost, in any order of writes, reads, counts and failures.

use std::fmt;
use std::fs::{self, File};
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use proptest::prelude::*;
use tempfile::TempDir;
use tok_recompute::cpu::{CorePlan, Pools};
use tok_recompute::log::{BatchSizes, Log, LogError, TailedFile};
use tok_recompute::metric::Metric;
use tok_recompute::pipeline::{self, Following, Job, PipelineError, Rules, RunResult};

use crate::properties::TOKENIZER;
use crate::support::read;

/// One step of a test.
#[derive(Clone, Debug)]
enum Step {
    /// Appends this number of bytes.
    Write(usize),
    /// Reads everything, or only this number of pieces.
    Read(Option<usize>),
    /// Counts this number of pieces.
    Count(usize),
    /// Counts this number of pieces, and lets another thread take over before the first one returns.
    TakeOver(usize),
    /// Lets counting fail.
    Fail,
    CountAgain,
    ReadAgain,
    /// Cuts the log and writes this number of bytes anew.
    Rewrite(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1_usize..30_000).prop_map(Step::Write),
        6 => Just(Step::Read(None)),
        1 => (0_usize..4).prop_map(|pieces| Step::Read(Some(pieces))),
        6 => (0_usize..20).prop_map(Step::Count),
        2 => (0_usize..6).prop_map(Step::TakeOver),
        1 => Just(Step::Fail),
        1 => Just(Step::CountAgain),
        1 => Just(Step::ReadAgain),
        1 => (0_usize..3_000).prop_map(Step::Rewrite),
    ]
}

/// A log that is not printed when a test fails.
struct Text(Vec<u8>);

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a log of {} bytes", self.0.len())
    }
}

/// The log of a run with some damaged lines, and maybe a cut end.
fn log() -> impl Strategy<Value = Text> {
    static LINES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let log = read("run_chat/events.jsonl");
        log.split_inclusive(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect()
    });
    let odd = prop_oneof![
        Just(&b"\n"[..]),
        Just(&b"{\"event_type\":\n"[..]),
        Just(&b"\xC3\n"[..]),
        Just(&b" \r\n"[..]),
    ];
    let odds = proptest::collection::vec((0..LINES.len(), odd), 0..4);
    (odds, 0_usize..200).prop_map(|(odds, cut)| {
        let mut lines: Vec<&[u8]> = LINES.iter().map(Vec::as_slice).collect();
        for (at, odd) in odds {
            lines.insert(at, odd);
        }
        let mut log = lines.concat();
        // Half of the logs are whole.
        log.truncate(log.len() - cut.saturating_sub(100));
        Text(log)
    })
}

/// Returns a function that stops the work after this number of pieces.
fn after(pieces: usize) -> impl Fn() -> bool + Sync {
    let asked = AtomicUsize::new(0);
    move || asked.fetch_add(1, SeqCst) >= pieces
}

fn never() -> bool {
    false
}

/// The input of a test.
#[derive(Debug)]
struct Setup {
    log: Text,
    steps: Vec<Step>,
    threads: usize,
    batch_bytes: usize,
}

fn setup() -> impl Strategy<Value = Setup> {
    let steps = proptest::collection::vec(step(), 0..40);
    (log(), steps, 1_usize..4, 1_usize..20_000).prop_map(|(log, steps, threads, batch_bytes)| {
        Setup {
            log,
            steps,
            threads,
            batch_bytes,
        }
    })
}

struct Scene {
    _folder: TempDir,
    path: PathBuf,
    log: Vec<u8>,
    written: usize,
    following: Following,
    pools: [Pools; 2],
    sizes: BatchSizes,
}

impl Scene {
    /// Runs all steps.
    fn played(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        File::create(&path).unwrap();
        let threads = setup.threads;
        let pools = [threads, 1].map(|threads| Pools::new(&CorePlan::unpinned(threads)).unwrap());
        let mut scene = Self {
            _folder: folder,
            following: Following::new(TailedFile::open(&path).unwrap(), Rules::default()),
            path,
            log: setup.log.0,
            written: 0,
            pools,
            sizes: BatchSizes {
                batch_bytes: setup.batch_bytes,
                tail_bytes: setup.batch_bytes,
                ..BatchSizes::new(threads)
            },
        };
        for step in &setup.steps {
            scene.step(step);
        }
        scene
    }

    fn job<'a>(&'a self, pools: &'a Pools) -> Job<'a> {
        job(pools, self.sizes)
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Write(bytes) => self.write(bytes),
            Step::Read(None) => self.read(false, &never),
            Step::Read(Some(pieces)) => self.read(false, &after(pieces)),
            Step::Count(pieces) => {
                let job = self.job(&self.pools[0]);
                self.count(&job, &after(pieces));
            }
            Step::TakeOver(pieces) => self.take_over(pieces),
            Step::Fail => self.fail(),
            Step::CountAgain => self.following.count_again(),
            Step::ReadAgain => self.following.read_again(&Rules::default()),
            Step::Rewrite(bytes) => {
                fs::write(&self.path, b"not the same\n").unwrap();
                let mut anew = File::create(&self.path).unwrap();
                self.written = bytes.min(self.log.len());
                anew.write_all(&self.log[..self.written]).unwrap();
            }
        }
    }

    fn write(&mut self, bytes: usize) {
        let end = (self.written + bytes).min(self.log.len());
        let mut file = File::options().append(true).open(&self.path).unwrap();
        file.write_all(&self.log[self.written..end]).unwrap();
        self.written = end;
    }

    fn read(&self, all: bool, stop: &pipeline::Stop) {
        let job = self.job(&self.pools[0]);
        match self.following.read(&job, all, stop) {
            Ok(_) => {}
            Err(PipelineError::Log(LogError::Rewritten { .. })) => self.following.start_again(),
            Err(error) => panic!("{error}"),
        }
    }

    fn take_over(&self, pieces: usize) {
        let asked = AtomicUsize::new(0);
        let stop = || {
            if asked.fetch_add(1, SeqCst) == pieces {
                let job = self.job(&self.pools[1]);
                self.count(&job, &after(3));
            }
            false
        };
        let job = self.job(&self.pools[0]);
        self.count(&job, &stop);
    }

    /// Counts; a rewritten log is left to the next read.
    fn count(&self, job: &Job, stop: &pipeline::Stop) {
        match self.following.count(job, stop) {
            Ok(_) | Err(PipelineError::Log(LogError::Rewritten { .. })) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Counts with a memory limit that nothing fits into.
    fn fail(&self) {
        let job = Job {
            max_bytes: Some(1),
            ..self.job(&self.pools[0])
        };
        match self.following.count(&job, &never) {
            // Nothing may be left to count.
            Ok(true)
            | Err(PipelineError::Memory { .. } | PipelineError::Log(LogError::Rewritten { .. })) => {
            }
            other => panic!("{other:?}"),
        }
    }

    /// Reads and counts the rest.
    fn complete(&mut self) {
        self.write(usize::MAX / 2);
        // The first read notices that the log was rewritten.
        self.read(false, &never);
        self.read(true, &never);
        let job = self.job(&self.pools[0]);
        assert!(self.following.count(&job, &never).unwrap());
        assert!(self.following.is_counted());
    }

    /// Returns the result of a recompute of the first bytes.
    fn whole(&self, bytes: u64) -> RunResult {
        let start = self.log[..usize::try_from(bytes).unwrap()].to_vec();
        let log = Log::from_reader(Path::new("-"), Cursor::new(start)).unwrap();
        pipeline::run(log, &job(&self.pools[0], self.sizes), |_, _| {}).unwrap()
    }
}

fn job(pools: &Pools, sizes: BatchSizes) -> Job<'_> {
    Job {
        pools,
        tokenizer: Some(&TOKENIZER),
        rules: Rules::default(),
        sample_map: None,
        sizes,
        max_bytes: None,
        watched: false,
    }
}

fn series(finished: &RunResult, metrics: &[Metric]) -> String {
    let series = metrics
        .iter()
        .map(|&metric| &finished.snapshot.series[metric]);
    format!("{:?}", series.collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_is_recorded_twice_or_lost(setup in setup()) {
        let mut scene = Scene::played(setup);
        scene.complete();
        let expected = scene.whole(scene.log.len() as u64);
        let got = scene.following.finish(&Rules::default(), None);
        prop_assert_eq!(format!("{got:?}"), format!("{expected:?}"));
    }

    /// A stopped follow reports the number of texts that are not counted, and everything else is exact.
    #[test]
    fn a_stopped_follow_is_exact_for_what_it_has(setup in setup()) {
        let scene = Scene::played(setup);
        // After a rewrite the two positions are in different logs until the next read.
        scene.read(false, &never);
        let following = &scene.following;
        let (seen, counted) = (following.read_bytes(), following.counted_bytes());
        prop_assert!(counted <= seen);
        let (seen, counted) = (scene.whole(seen), scene.whole(counted));
        let got = following.finish(&Rules::default(), None);
        let timing = [Metric::Latency, Metric::Ttft, Metric::ChunkDelta];
        let tokens = [Metric::Isl, Metric::Osl];
        prop_assert_eq!(series(&got, &timing), series(&seen, &timing));
        prop_assert_eq!(series(&got, &tokens), series(&counted, &tokens));
        prop_assert_eq!(&got.snapshot.counters, &seen.snapshot.counters);
        prop_assert_eq!(got.tally.tokens, counted.tally.tokens);
        let expected = seen.tally.texts - counted.tally.texts;
        prop_assert_eq!(got.tally.uncounted, expected);
        let pending = got.snapshot.n_pending_tasks - seen.snapshot.n_pending_tasks;
        prop_assert_eq!(pending, expected);
    }
}
