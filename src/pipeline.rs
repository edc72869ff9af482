//! The only file that knows the order: log → events → counts, on every core block; observations
//! → samples → series, in log order; and at the end the figures that a report is made from.

mod observe;
mod record;

use std::ops::ControlFlow;

use crate::cores::{OrderedError, Pools, run_ordered};
use crate::count::{EngineError, Tokenizer};
use crate::event::Damage;
use crate::log::{BatchSizes, Log, LogError, Piece};

use observe::Observer;
pub use record::{BatchOutcome, DamagedLine, Finished, Record};

/// What a run's log is turned into figures with.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// Where the work runs.
    pub pools: &'a Pools,
    /// What counts; without it only token ids are counted.
    pub tokenizer: Option<&'a Tokenizer>,
    /// Whether responses were streamed; `None`: the log tells.
    pub streaming: Option<bool>,
    /// Whether early-stopping estimates are made.
    pub early_stopping: bool,
    /// How much of the log goes into one batch; the figures do not depend on it.
    pub sizes: BatchSizes,
}

/// What stops the work.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The log cannot be read to its end.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A text cannot be counted, or the engines disagree on it.
    #[error("counting failed for sample {sample} in the line at byte {offset}")]
    Count {
        /// Whose text.
        sample: String,
        /// Where its line starts.
        offset: u64,
        /// Why.
        source: EngineError,
    },
    /// A defect of ours: caught, and reported instead of a number.
    #[error("internal error at batch {} of the log", .0.index)]
    Panicked(#[source] OrderedError),
}

/// Batches that were taken and are not recorded yet, for each thread.
const IN_FLIGHT_PER_THREAD: usize = 4;

/// Reads the whole of `log`. `progress` hears how many bytes and tokens more are recorded.
pub fn run(
    log: Log,
    job: &Job,
    mut progress: impl FnMut(u64, u64) + Send,
) -> Result<Finished, PipelineError> {
    let threads = job.pools.threads();
    let mut record = Record::default();
    let mut cut = None;
    let ended = run_ordered(
        job.pools,
        log.batches(job.sizes),
        IN_FLIGHT_PER_THREAD * threads,
        |_| Observer::new(job.tokenizer, job.streaming != Some(false)),
        |observer, piece| piece.map(|piece| observe(observer, &piece)),
        |outcome| match outcome {
            Ok(Ok(batch)) => {
                let (bytes, tokens) = record.so_far();
                record.take(batch);
                let (bytes_now, tokens_now) = record.so_far();
                progress(bytes_now - bytes, tokens_now - tokens);
                ControlFlow::Continue(())
            }
            Ok(Err(error)) => ControlFlow::Break(error),
            Err(error @ LogError::Truncated { .. }) => {
                cut = Some(error);
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error.into()),
        },
    );
    match ended.map_err(PipelineError::Panicked)? {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(record.finish(job.streaming, job.early_stopping, cut)),
    }
}

fn observe(observer: &mut Observer, piece: &Piece) -> Result<BatchOutcome, PipelineError> {
    match piece {
        Piece::Lines(batch) => observer.batch(batch),
        Piece::TooLong { offset, len_bytes } => Ok(BatchOutcome {
            bytes: len_bytes + 1,
            lines: 1,
            damaged: vec![(1, *offset, Damage::TooLong)],
            ..BatchOutcome::default()
        }),
    }
}
