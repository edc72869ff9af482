//! A growing log as two aggregators: one of its events, which are read as soon as they are written, and one of its
//! tokens, which are counted when there is time. Each has one offset in the log that only moves forward; the texts
//! between the two offsets are pending, so no list of them is kept.
//!
//! The thread that took up an aggregator last owns it. A thread that lost it records nothing more, so no line is
//! recorded twice.

use std::mem;
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::aggregate::{Aggregator, Part, RunResult};
use super::worker::TextCounting;
use super::{BatchOutcome, Job, PipelineError, Rules, SampleMap, extend};
use crate::cpu::{OrderedError, Stage};
use crate::log::{LogError, LogItem, LogLength, TailedFile};

/// Returns true if the work must end early; everything recorded by then is kept.
pub type Stop<'a> = dyn Fn() -> bool + Sync + 'a;

/// A log that is followed.
#[derive(Debug)]
pub struct Following {
    rules: Mutex<Rules>,
    log: TailedFile,
    seen: Mutex<Share>,
    counted: Mutex<Share>,
}

/// An aggregator, its offset in the log, and its owner.
#[derive(Debug)]
struct Share {
    aggregator: Aggregator,
    offset: u64,
    /// The number of the current owner: it rises each time a thread takes the aggregator up.
    holder: u64,
}

/// The reason why a thread stops recording: another one took over, or an error.
enum Break {
    Superseded,
    Failed(PipelineError),
}

impl Following {
    /// Follows `log`, of which nothing is read yet.
    pub fn new(log: TailedFile, rules: Rules) -> Self {
        Self {
            log,
            rules: Mutex::new(rules),
            seen: Mutex::new(Share::new(Part::Timing, &rules)),
            counted: Mutex::new(Share::new(Part::Tokens, &rules)),
        }
    }

    /// The file.
    pub fn log(&self) -> &TailedFile {
        &self.log
    }

    /// Reads the whole lines that were written since, and says how long the log is; with `all` also a last line that
    /// has no end. Texts are noticed, not counted.
    pub fn read(&self, job: &Job, all: bool, stop: &Stop<'_>) -> Result<LogLength, PipelineError> {
        let length = self.log.length()?;
        let end = if all {
            length.bytes
        } else {
            length.whole_bytes
        };
        let means = job
            .tokenizer
            .map_or(TextCounting::Never, |_| TextCounting::Later);
        let (start, holder) = self.seen().take_up();
        let ended = extend(
            self.pieces(start, end, job, stop),
            job,
            || job.worker(means),
            |outcome| self.seen().take(holder, job, outcome),
        );
        came_to_an_end(ended)?;
        Ok(length)
    }

    /// Counts the texts of all lines that were read, until `stop`; returns whether all of them are counted.
    pub fn count(&self, job: &Job, stop: &Stop<'_>) -> Result<bool, PipelineError> {
        let (end, (start, holder)) = {
            // A log that starts again meanwhile has neither place.
            let seen = self.seen();
            (seen.offset, self.counted().take_up())
        };
        let ended = extend(
            self.pieces(start, end, job, stop),
            job,
            || job.worker(job.tokenizer.into()),
            |outcome| self.counted().take(holder, job, outcome),
        );
        if let Err(OrderedError {
            stage: Stage::Consume,
            ..
        }) = ended
        {
            // Half of a batch may be recorded.
            self.count_again();
        }
        Ok(came_to_an_end(ended)? && self.counted().offset >= end)
    }

    fn pieces<'a>(
        &self,
        start: u64,
        end: u64,
        job: &Job,
        stop: &'a Stop<'a>,
    ) -> impl Iterator<Item = Result<LogItem, LogError>> + Send + use<'a> {
        self.log
            .batches(start, end, job.sizes)
            .take_while(|_| !stop())
    }

    /// Forgets what is counted.
    pub fn count_again(&self) {
        self.counted().start_again(Part::Tokens, &self.rules());
    }

    /// Forgets everything that was read, and reads it again by `rules`.
    pub fn read_again(&self, rules: &Rules) {
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = *rules;
        self.forget();
    }

    fn forget(&self) {
        self.seen().start_again(Part::Timing, &self.rules());
        self.count_again();
    }

    /// Forgets the log itself, after it was written anew.
    pub fn start_again(&self) {
        self.log.reset();
        self.forget();
    }

    /// Returns true if all that was read is counted.
    pub fn is_counted(&self) -> bool {
        let end = self.seen().offset;
        self.counted().offset >= end
    }

    /// Looks at the record of what was read, and at that of what is counted.
    pub fn look<T>(&self, at: impl FnOnce(&Aggregator, &Aggregator) -> T) -> T {
        let seen = self.seen();
        let counted = self.counted();
        at(&seen.aggregator, &counted.aggregator)
    }

    /// The length of the log that was read, in bytes.
    pub fn read_bytes(&self) -> u64 {
        self.seen().offset
    }

    /// The length of the log that is counted, in bytes.
    pub fn counted_bytes(&self) -> u64 {
        self.counted().offset
    }

    /// Returns true if the log was read up to its `session.ended`.
    pub fn ended(&self) -> bool {
        self.seen().aggregator.ended()
    }

    /// Closes the record; whoever still reads or counts does so in vain.
    pub fn finish(&self, rules: &Rules, map: Option<SampleMap>) -> RunResult {
        let timing = self.seen().start_again(Part::Timing, &self.rules());
        let tokens = self.counted().start_again(Part::Tokens, &self.rules());
        Aggregator::join(timing, tokens)
            .with_rules(rules)
            .finish(map, None)
    }

    fn rules(&self) -> Rules {
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, Share> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counted(&self) -> MutexGuard<'_, Share> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns true if all pieces were recorded that there were.
fn came_to_an_end(ended: Result<ControlFlow<Break>, OrderedError>) -> Result<bool, PipelineError> {
    match ended {
        Ok(ControlFlow::Continue(())) => Ok(true),
        Ok(ControlFlow::Break(Break::Superseded)) => Ok(false),
        Ok(ControlFlow::Break(Break::Failed(error))) => Err(error),
        Err(error) => Err(PipelineError::Panicked(error)),
    }
}

impl Share {
    fn new(part: Part, rules: &Rules) -> Self {
        Self {
            aggregator: Aggregator::new(part, rules),
            offset: 0,
            holder: 0,
        }
    }

    /// The offset of the next line, and the number of the owner that may record it.
    fn take_up(&mut self) -> (u64, u64) {
        self.holder += 1;
        (self.offset, self.holder)
    }

    /// Records a batch.
    fn take(
        &mut self,
        holder: u64,
        job: &Job,
        outcome: Result<BatchOutcome, PipelineError>,
    ) -> ControlFlow<Break> {
        if holder != self.holder {
            return ControlFlow::Break(Break::Superseded);
        }
        let batch = match outcome {
            Ok(batch) => batch,
            Err(error) => return ControlFlow::Break(Break::Failed(error)),
        };
        let bytes = batch.bytes;
        job.take(&mut self.aggregator, batch, None)
            .map_break(Break::Failed)?;
        self.offset += bytes;
        ControlFlow::Continue(())
    }

    /// Back to the start; returns what there was.
    fn start_again(&mut self, part: Part, rules: &Rules) -> Aggregator {
        self.holder += 1;
        self.offset = 0;
        mem::replace(&mut self.aggregator, Aggregator::new(part, rules))
    }
}
