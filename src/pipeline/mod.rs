//! The order of the stages: log → events → counts on every core block, then observations → samples → series in log
//! order, and at the end the figures that a report is made from.

mod tail;
mod worker;
mod aggregate;
mod full_run;
mod rows;
mod steady_state;

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::cpu::{OrderedError, Pools, run_ordered};
use crate::event::Damage;
use crate::files::atomic::WriteError;
use crate::log::{BatchSizes, Log, LogError, LogItem, MAX_LINE_BYTES};
use crate::process::failpoint;
use crate::process::memory::Usage;
use crate::report::ClientVersion;
use crate::tokenizer::{EngineError, Tokenizer};

pub use aggregate::{Aggregator, BatchOutcome, DamagedLine, Part, RunResult, Tally, Values};
pub use full_run::SampleMap;
pub use rows::{RowMaker, RowSink};
pub use tail::{Following, Stop};
use worker::{TextCounting, Worker};

/// The resources and the rules by which a log is turned into figures.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The pools that work.
    pub pools: &'a Pools,
    /// The tokenizer; without one only token ids are counted.
    pub tokenizer: Option<&'a Tokenizer>,
    /// The rules of the run's client and configuration.
    pub rules: Rules,
    /// The run's `sample_idx_map.json`, which is read when the log is at its end.
    pub sample_map: Option<&'a Path>,
    /// The sizes of batches; the figures do not depend on them.
    pub sizes: BatchSizes,
    /// The process's own memory, where it is bounded; then `sizes` bound lines for its sake too.
    pub max_bytes: Option<u64>,
    /// True if a text that takes too long ends the process (see [`crate::process::watchdog`]).
    pub watched: bool,
}

/// The rules by which a run's log is turned into figures: those of its client version and its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one setting of the run"
)]
pub struct Rules {
    /// The client version.
    pub client: ClientVersion,
    /// True if responses were streamed; `None` lets the log tell.
    pub streaming: Option<bool>,
    /// True if early-stopping estimates are made, where the client version has them.
    pub early_stopping: bool,
    /// True if prompts are counted (`settings.metrics_isl`).
    pub isl: bool,
    /// True if the steady state is looked for.
    pub steady_state: bool,
    /// The size of a super-pass in samples, for logs that do not announce it.
    pub superpass: Option<u64>,
    /// True if the completed turns of the whole run are counted.
    pub full_run: bool,
}

impl Rules {
    /// Returns true if a log that was counted by these rules must be counted again to follow `other`.
    pub fn count_differently(&self, other: &Self) -> bool {
        let counting = |rules: &Self| {
            (
                (rules.streaming, rules.isl, rules.full_run),
                (rules.steady_state, rules.superpass),
            )
        };
        self.client.counts_unlike(other.client) || counting(self) != counting(other)
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            client: ClientVersion::NEWEST,
            streaming: None,
            early_stopping: true,
            isl: true,
            steady_state: false,
            superpass: None,
            full_run: false,
        }
    }
}

/// The reason why the work stops.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The log cannot be read to its end.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A text cannot be counted, or the engines disagree on it.
    #[error("counting failed for sample {sample} in the line at byte {offset}")]
    Count {
        /// The sample whose text it is.
        sample: String,
        /// The byte offset of its line.
        offset: u64,
        /// Why.
        source: EngineError,
    },
    /// The memory limit is exceeded.
    #[error(
        "{} MiB are needed after {after_bytes} bytes of log, more than the limit of {} MiB: raise --max-memory",
        needed_bytes >> 20, max_bytes >> 20
    )]
    Memory {
        /// In use, and wanted next.
        needed_bytes: u64,
        /// The limit.
        max_bytes: u64,
        /// Log that was recorded.
        after_bytes: u64,
    },
    /// A line is too long for the memory limit.
    #[error(
        "the line at byte {offset} has {} MiB, which may need more memory than the limit allows: raise --max-memory",
        len_bytes.div_ceil(1 << 20)
    )]
    LongLine {
        /// The byte offset of its start.
        offset: u64,
        /// Its length.
        len_bytes: u64,
    },
    /// The run's sample map is there and cannot be read.
    #[error("cannot read {}", .path.display())]
    SampleMap {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Rows cannot be written.
    #[error(transparent)]
    Rows(#[from] WriteError),
    /// A defect of ours: caught, and reported instead of a number.
    #[error("internal error at batch {} of the log", .0.index)]
    Panicked(#[source] OrderedError),
}

/// Batches that were taken and are not recorded yet, for each thread.
const IN_FLIGHT_PER_THREAD: usize = 4;

/// A batch so much longer than asked for is one long line; they are decoded one at a time, since each takes many times
/// its length in memory.
const LONG_BATCHES: usize = 8;

/// Reads the whole of `log`. `progress` hears how many bytes and tokens more are recorded.
pub fn run(
    log: Log,
    job: &Job,
    progress: impl FnMut(u64, u64) + Send,
) -> Result<RunResult, PipelineError> {
    run_with_rows(log, job, progress, None)
}

/// As [`run`]; if there is a sink, it gets a [`Row`](crate::sample::Row) for every tracked sample.
pub fn run_with_rows(
    log: Log,
    job: &Job,
    mut progress: impl FnMut(u64, u64) + Send,
    sink: Option<&mut dyn RowSink>,
) -> Result<RunResult, PipelineError> {
    let labelled = sink.is_some();
    let streamed = job.rules.streaming != Some(false);
    let mut rows = match sink {
        Some(sink) => Some(RowMaker::begin(sink, streamed)?),
        None => None,
    };
    let mut aggregator = Aggregator::new(Part::Whole, &job.rules);
    let mut cut = None;
    let mut batches = log.batches(job.sizes);
    let worker = || job.worker(job.tokenizer.into()).labelled(labelled);
    let ended = extend(&mut batches, job, worker, |outcome| match outcome {
        Ok(batch) => {
            let so_far = |aggregator: &Aggregator| {
                let tally = aggregator.tally();
                (tally.bytes, tally.tokens)
            };
            let (bytes, tokens) = so_far(&aggregator);
            job.take(&mut aggregator, batch, rows.as_mut())?;
            let (bytes_now, tokens_now) = so_far(&aggregator);
            progress(bytes_now - bytes, tokens_now - tokens);
            ControlFlow::Continue(())
        }
        Err(PipelineError::Log(error @ LogError::Truncated { .. })) => {
            cut = Some(error);
            ControlFlow::Continue(())
        }
        Err(error) => ControlFlow::Break(error),
    });
    match ended.map_err(PipelineError::Panicked)? {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => {
            batches.check_unchanged()?;
            rows.map_or(Ok(()), RowMaker::finish)?;
            let result = aggregator.finish(job.read_sample_map()?, cut);
            job.within_memory(0, result.tally.bytes).map(|()| result)
        }
    }
}

/// Counts the batches of `pieces` on every thread, and passes the outcomes to `take` in log order until it breaks.
fn extend<'a, B: Send>(
    pieces: impl Iterator<Item = Result<LogItem, LogError>> + Send,
    job: &Job,
    worker: impl Fn() -> Worker<'a> + Sync,
    take: impl FnMut(Result<BatchOutcome, PipelineError>) -> ControlFlow<B> + Send,
) -> Result<ControlFlow<B>, OrderedError> {
    let one_long_line = Mutex::new(());
    run_ordered(
        job.pools,
        pieces,
        IN_FLIGHT_PER_THREAD * job.pools.threads(),
        |_| worker(),
        |worker, piece| {
            let piece = piece?;
            let _ = failpoint::hit("pipeline.batch");
            let _alone = is_long(&piece, &job.sizes)
                .then(|| one_long_line.lock().unwrap_or_else(PoisonError::into_inner));
            observe(worker, &piece, job)
        },
        take,
    )
}

impl Job<'_> {
    fn worker<'a>(&self, counting: TextCounting<'a>) -> Worker<'a> {
        let worker = Worker::new(counting, &self.rules);
        if self.watched {
            worker.watched()
        } else {
            worker
        }
    }

    /// The run's sample map, where the report needs it and the run has one.
    fn read_sample_map(&self) -> Result<Option<SampleMap>, PipelineError> {
        match self.sample_map {
            Some(path) if self.rules.full_run => Ok(SampleMap::read(path)?),
            _ => Ok(None),
        }
    }

    /// Aggregators a batch, if there is room for it.
    fn take(
        &self,
        aggregator: &mut Aggregator,
        batch: BatchOutcome,
        rows: Option<&mut RowMaker>,
    ) -> ControlFlow<PipelineError> {
        let _ = failpoint::hit("pipeline.record");
        let samples = batch.observations.len();
        let of_rows = rows.as_ref().map_or(0, |rows| rows.growth_bytes(samples));
        let growth_bytes = aggregator.growth_bytes(samples) + of_rows;
        if let Err(error) = self.within_memory(growth_bytes, aggregator.tally().bytes) {
            return ControlFlow::Break(error);
        }
        match aggregator.take(batch, rows) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error.into()),
        }
    }

    /// Checks that `growth_bytes` more than the memory in use are allowed.
    fn within_memory(&self, growth_bytes: u64, after_bytes: u64) -> Result<(), PipelineError> {
        let Some(max_bytes) = self.max_bytes else {
            return Ok(());
        };
        let Some(usage) = Usage::read() else {
            return Ok(());
        };
        let needed_bytes = usage.now_bytes + growth_bytes;
        if needed_bytes <= max_bytes {
            return Ok(());
        }
        Err(PipelineError::Memory {
            needed_bytes,
            max_bytes,
            after_bytes,
        })
    }
}

fn is_long(piece: &LogItem, sizes: &BatchSizes) -> bool {
    let long = sizes.batch_bytes.saturating_mul(LONG_BATCHES);
    matches!(piece, LogItem::Lines(batch) if batch.bytes().len() > long)
}

fn observe(worker: &mut Worker, piece: &LogItem, job: &Job) -> Result<BatchOutcome, PipelineError> {
    match piece {
        LogItem::Lines(batch) => worker.batch(batch),
        LogItem::TooLong { offset, len_bytes }
            if job.max_bytes.is_some() && *len_bytes <= MAX_LINE_BYTES as u64 =>
        {
            Err(PipelineError::LongLine {
                offset: *offset,
                len_bytes: *len_bytes,
            })
        }
        LogItem::TooLong { offset, len_bytes } => Ok(BatchOutcome {
            bytes: len_bytes + 1,
            lines: 1,
            damaged: vec![(1, *offset, Damage::TooLong)],
            ..BatchOutcome::default()
        }),
    }
}
