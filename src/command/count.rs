//! A run's log → its figures: what every command starts with.

use std::error::Error;
use std::num::NonZeroUsize;
use std::time::Instant;

use anyhow::bail;

use super::budget::Budget;
use super::provenance::Seconds;
use super::tokenizer::{Loaded, Tokenizers};
use crate::cli::Cli;
use crate::cpu::Pools;
use crate::log::{BatchSizes, Log};
use crate::pipeline::{self, Finished, Job, PipelineError, RowSink};
use crate::plan::RunPlan;
use crate::process::memory::Usage;
use crate::report::{self, RunFacts};
use crate::terminal::Messages;

/// Counts runs, one after the other.
pub(super) struct Counter<'a> {
    cli: &'a Cli,
    messages: Messages,
    pools: &'a Pools,
    tokenizers: Tokenizers,
}

/// The figures of a run, and what they were counted with.
pub(super) struct Counted {
    pub finished: Finished,
    pub loaded: Option<Loaded>,
    /// Why the fast engine's counts were thrown away.
    pub recounted_because: Option<String>,
    /// Why not everything was counted that could be, if so.
    pub stopped: Option<String>,
    pub seconds: Seconds,
}

/// What a log is counted with.
pub(super) struct Means {
    /// Instead of all the pools there are.
    pub fewer: Option<Pools>,
    pub sizes: BatchSizes,
}

impl<'a> Counter<'a> {
    pub fn new(cli: &'a Cli, messages: Messages, pools: &'a Pools) -> Self {
        Self {
            cli,
            messages,
            pools,
            tokenizers: Tokenizers::default(),
        }
    }

    /// Counts everything with the tokenizer that the plan asks for; if there is a sink, rows go into it.
    pub fn count(
        &mut self,
        plan: &RunPlan,
        rows: Option<&mut dyn RowSink>,
    ) -> anyhow::Result<Counted> {
        for warning in &plan.warnings {
            self.messages.warn(warning);
        }
        for assumed in &plan.assumed {
            self.messages.note(assumed);
        }
        let log = open(plan)?;
        self.messages
            .detail(format!("reading {}: {}", plan.log, log.how()));
        let text_bytes = log.len_bytes().unwrap_or(u64::MAX);
        let started = Instant::now();
        let loaded = self
            .tokenizers
            .get(plan, &self.cli.counting, text_bytes, self.messages)?;
        let load_tokenizer = started.elapsed().as_secs_f64();
        let mut counted = self.settle(plan, log, loaded, rows)?;
        counted.seconds.load_tokenizer = load_tokenizer;
        Ok(counted)
    }

    /// Counts everything with another tokenizer.
    pub fn count_with(&mut self, plan: &RunPlan, loaded: Loaded) -> anyhow::Result<Counted> {
        self.settle(plan, open(plan)?, Some(loaded), None)
    }

    /// Counts everything; once more with the referee when the engines disagree.
    fn settle(
        &mut self,
        plan: &RunPlan,
        log: Log,
        loaded: Option<Loaded>,
        mut rows: Option<&mut dyn RowSink>,
    ) -> anyhow::Result<Counted> {
        let means = means(self.cli, self.messages, self.pools)?;
        let started = Instant::now();
        let first_rows = rows.as_mut().map(|rows| &mut **rows as &mut dyn RowSink);
        let first = self.pass(plan, log, loaded.as_ref(), &means, first_rows);
        let (finished, loaded, recounted_because) = match (first, loaded) {
            (Err(error @ PipelineError::Count { .. }), Some(fast))
                if !fast.is_referee() && plan.log.is_file() =>
            {
                let why = chain(&error);
                self.messages
                    .warn(format!("recounting everything with the referee: {why}"));
                let referee = self.tokenizers.referee(&fast)?;
                let finished = self.pass(plan, open(plan)?, Some(&referee), &means, rows)?;
                (finished, Some(referee), Some(why))
            }
            (finished, loaded) => (finished?, loaded, None),
        };
        refuse_nothing(plan, &finished)?;
        Ok(Counted {
            finished,
            loaded,
            recounted_because,
            stopped: None,
            seconds: Seconds {
                count: started.elapsed().as_secs_f64(),
                ..Seconds::default()
            },
        })
    }

    fn pass(
        &self,
        plan: &RunPlan,
        log: Log,
        loaded: Option<&Loaded>,
        means: &Means,
        rows: Option<&mut dyn RowSink>,
    ) -> Result<Finished, PipelineError> {
        let job = Job {
            pools: means.fewer.as_ref().unwrap_or(self.pools),
            tokenizer: loaded.map(|loaded| &*loaded.tokenizer),
            streaming: plan.streaming,
            early_stopping: plan.early_stopping,
            sizes: means.sizes,
            max_bytes: self.cli.cores.max_memory,
            watched: true,
        };
        let progress = self.messages.progress(log.len_bytes());
        let advance = |bytes, tokens| progress.advance(bytes, tokens);
        pipeline::run_with_rows(log, &job, advance, rows)
    }
}

/// What counts, once the tokenizer is loaded: everything, or what `--max-memory` leaves.
pub(super) fn means(cli: &Cli, messages: Messages, pools: &Pools) -> anyhow::Result<Means> {
    let threads = pools.threads();
    let (Some(max_bytes), Some(usage)) = (cli.cores.max_memory, Usage::read()) else {
        let sizes = BatchSizes::new(threads);
        return Ok(Means { fewer: None, sizes });
    };
    let Budget {
        threads: left,
        sizes,
    } = Budget::new(max_bytes, usage, threads)?;
    if left == threads {
        return Ok(Means { fewer: None, sizes });
    }
    let fewer = super::pools(cli, NonZeroUsize::new(left))?;
    messages.detail(format!("to stay within --max-memory: {fewer}"));
    Ok(Means {
        fewer: Some(fewer),
        sizes,
    })
}

/// The summary that a run's figures make, with what `previous` says besides.
pub(super) fn summary(
    plan: &RunPlan,
    previous: Option<&[u8]>,
    finished: &Finished,
) -> anyhow::Result<Vec<u8>> {
    let facts = RunFacts {
        run_config: plan.config.summary_run_config(),
        use_legacy_window: plan.legacy_window,
    };
    Ok(report::render(previous, &facts, &finished.snapshot)?)
}

fn open(plan: &RunPlan) -> anyhow::Result<Log> {
    Ok(Log::open(plan.log.path())?)
}

/// A log without an event is none.
pub(super) fn refuse_nothing(plan: &RunPlan, finished: &Finished) -> anyhow::Result<()> {
    match (finished.events, &finished.cut) {
        (0, Some(cut)) => bail!("{cut}"),
        (0, None) if finished.lines == 0 => {
            bail!("{} is empty: there is nothing to recompute", plan.log)
        }
        (0, None) => bail!(
            "{} is no event log: none of its {} lines is an event",
            plan.log,
            finished.lines
        ),
        _ => Ok(()),
    }
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |&e| e.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
