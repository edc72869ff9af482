//! Whatever happens to a followed log and to those who work on it, in whatever order: nothing is recorded twice or lost.

use std::fmt;
use std::fs::{self, File};
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use proptest::prelude::*;
use tempfile::TempDir;
use tok_recompute::cpu::{CorePlan, Pools};
use tok_recompute::log::{BatchSizes, Log, LogError};
use tok_recompute::pipeline::{self, Finished, Following, Job, PipelineError};

use crate::properties::TOKENIZER;
use crate::support::read;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// So many bytes more are written.
    Write(usize),
    /// What is there is read, or only so many pieces of it.
    Read(Option<usize>),
    /// So many pieces are counted.
    Count(usize),
    /// Somebody counts, and after so many pieces somebody else takes over before the first one comes back.
    TakeOver(usize),
    /// Counting fails.
    Fail,
    CountAgain,
    ReadAgain,
    /// The log is cut and begun anew with so many bytes.
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

/// Its bytes are not worth seeing.
struct Text(Vec<u8>);

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a log of {} bytes", self.0.len())
    }
}

/// The log of a run with some lines that nobody can read, and maybe one that is cut at its end.
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
        // Half of them are whole.
        log.truncate(log.len() - cut.saturating_sub(100));
        Text(log)
    })
}

/// Stops after so many pieces.
fn after(pieces: usize) -> impl Fn() -> bool + Sync {
    let asked = AtomicUsize::new(0);
    move || asked.fetch_add(1, SeqCst) >= pieces
}

fn never() -> bool {
    false
}

/// What a test begins with.
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
    /// After all steps.
    fn played(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        File::create(&path).unwrap();
        let threads = setup.threads;
        let pools = [threads, 1].map(|threads| Pools::new(&CorePlan::unpinned(threads)).unwrap());
        let mut scene = Self {
            _folder: folder,
            following: Following::open(&path).unwrap(),
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
            Step::ReadAgain => self.following.read_again(),
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

    /// What is not there any more is counted another time.
    fn count(&self, job: &Job, stop: &pipeline::Stop) {
        match self.following.count(job, stop) {
            Ok(_) | Err(PipelineError::Log(LogError::Rewritten { .. })) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// There is no room for anything.
    fn fail(&self) {
        let job = Job {
            max_bytes: Some(1),
            ..self.job(&self.pools[0])
        };
        match self.following.count(&job, &never) {
            // There may be nothing to do.
            Ok(true)
            | Err(PipelineError::Memory { .. } | PipelineError::Log(LogError::Rewritten { .. })) => {
            }
            other => panic!("{other:?}"),
        }
    }

    /// Reads and counts what is left.
    fn complete(&mut self) {
        self.write(usize::MAX / 2);
        // What was written anew is noticed by the first read.
        self.read(false, &never);
        self.read(true, &never);
        let job = self.job(&self.pools[0]);
        assert!(self.following.count(&job, &never).unwrap());
        assert!(self.following.is_counted());
    }

    /// What the first bytes of the log come to by themselves.
    fn whole(&self, bytes: u64) -> Finished {
        let start = self.log[..usize::try_from(bytes).unwrap()].to_vec();
        let log = Log::from_reader(Path::new("-"), Cursor::new(start)).unwrap();
        pipeline::run(log, &job(&self.pools[0], self.sizes), |_, _| {}).unwrap()
    }
}

fn job(pools: &Pools, sizes: BatchSizes) -> Job<'_> {
    Job {
        pools,
        tokenizer: Some(&TOKENIZER),
        streaming: None,
        early_stopping: true,
        sizes,
        max_bytes: None,
        watched: false,
    }
}

fn series(finished: &Finished, names: &[&str]) -> String {
    let series = names.iter().map(|name| finished.snapshot.series(name));
    format!("{:?}", series.collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_is_recorded_twice_or_lost(setup in setup()) {
        let mut scene = Scene::played(setup);
        scene.complete();
        let expected = scene.whole(scene.log.len() as u64);
        let got = scene.following.finish(None, true);
        prop_assert_eq!(format!("{got:?}"), format!("{expected:?}"));
    }

    /// What is not counted when it is stopped is named, and everything else is exact.
    #[test]
    fn a_stopped_follow_is_exact_for_what_it_has(setup in setup()) {
        let scene = Scene::played(setup);
        // After a rewrite the two places are of different logs until it is read.
        scene.read(false, &never);
        let following = &scene.following;
        let (seen, counted) = (following.read_bytes(), following.counted_bytes());
        prop_assert!(counted <= seen);
        let (seen, counted) = (scene.whole(seen), scene.whole(counted));
        let got = following.finish(None, true);
        let timing = ["sample_latency_ns", "ttft_ns", "chunk_delta_ns"];
        let tokens = ["isl", "osl"];
        prop_assert_eq!(series(&got, &timing), series(&seen, &timing));
        prop_assert_eq!(series(&got, &tokens), series(&counted, &tokens));
        prop_assert_eq!(&got.snapshot.counters, &seen.snapshot.counters);
        prop_assert_eq!(got.tokens, counted.tokens);
        let expected = seen.texts - counted.texts;
        prop_assert_eq!(got.uncounted, expected);
        let pending = got.snapshot.n_pending_tasks - seen.snapshot.n_pending_tasks;
        prop_assert_eq!(pending, expected);
    }
}
