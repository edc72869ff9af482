//! A run's log → its figures: every command starts with this.

use std::time::Instant;

use anyhow::bail;

use super::Session;
use super::budget::Resources;
use super::provenance::Seconds;
use super::tokenizer::{LoadedTokenizer, TokenizerCache};
use crate::cpu::Pools;
use crate::log::Log;
use crate::pipeline::{self, Finished, Job, PipelineError, RowSink};
use crate::plan::RunPlan;
use crate::process::error_chain;
use crate::report::{self, RunFacts};

/// Counts runs, one after the other.
pub(super) struct Counter<'a> {
    pub session: Session<'a>,
    pools: &'a Pools,
    tokenizers: TokenizerCache,
}

/// The figures of a run, and the tokenizer that they were counted with.
pub(super) struct CountedRun {
    pub finished: Finished,
    pub loaded: Option<LoadedTokenizer>,
    /// The reason why the counts of `fastokens` were discarded.
    pub recounted_because: Option<String>,
    /// Why counting stopped before the end of the log.
    pub stopped: Option<String>,
    pub seconds: Seconds,
}

impl<'a> Counter<'a> {
    pub fn new(session: Session<'a>, pools: &'a Pools) -> Self {
        Self {
            session,
            pools,
            tokenizers: TokenizerCache::default(),
        }
    }

    /// Counts a run with the tokenizer that its plan names; a sink receives the rows.
    pub fn count(
        &mut self,
        run: &RunPlan,
        rows: Option<&mut dyn RowSink>,
    ) -> anyhow::Result<CountedRun> {
        let Session { plan, messages } = self.session;
        self.session.show_assumptions(run);
        let log = open(run)?;
        messages.detail(format!("reading {}: {}", run.log, log.describe()));
        let text_bytes = log.len_bytes().unwrap_or(u64::MAX);
        let started = Instant::now();
        let loaded = self
            .tokenizers
            .get(run, plan.counting, text_bytes, messages)?;
        let load_tokenizer = started.elapsed().as_secs_f64();
        let mut counted = self.count_or_recount(run, log, loaded, rows)?;
        counted.seconds.load_tokenizer = load_tokenizer;
        Ok(counted)
    }

    /// Counts a run with another tokenizer.
    pub fn count_with(
        &mut self,
        run: &RunPlan,
        loaded: LoadedTokenizer,
    ) -> anyhow::Result<CountedRun> {
        self.count_or_recount(run, open(run)?, Some(loaded), None)
    }

    /// Counts a run, and counts it again with `tokenizers` when the engines disagree.
    fn count_or_recount(
        &mut self,
        run: &RunPlan,
        log: Log,
        loaded: Option<LoadedTokenizer>,
        mut rows: Option<&mut dyn RowSink>,
    ) -> anyhow::Result<CountedRun> {
        let resources = Resources::new(self.session, self.pools)?;
        let started = Instant::now();
        let first_rows = rows.as_mut().map(|rows| &mut **rows as &mut dyn RowSink);
        let first = self.pass(run, log, loaded.as_ref(), &resources, first_rows);
        let (finished, loaded, recounted_because) = match (first, loaded) {
            (Err(error @ PipelineError::Count { .. }), Some(first))
                if !first.counts_with_tokenizers() && run.log.is_file() =>
            {
                let why = error_chain(&error);
                self.session
                    .messages
                    .warn(format!("recounting everything with tokenizers: {why}"));
                let again = self.tokenizers.switch_to_tokenizers(&first)?;
                let finished = self.pass(run, open(run)?, Some(&again), &resources, rows)?;
                (finished, Some(again), Some(why))
            }
            (finished, loaded) => (finished?, loaded, None),
        };
        refuse_empty(run, &finished)?;
        Ok(CountedRun {
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
        run: &RunPlan,
        log: Log,
        loaded: Option<&LoadedTokenizer>,
        resources: &Resources,
        rows: Option<&mut dyn RowSink>,
    ) -> Result<Finished, PipelineError> {
        let job = Job {
            pools: resources.fewer_pools.as_ref().unwrap_or(self.pools),
            tokenizer: loaded.map(|loaded| &*loaded.tokenizer),
            streaming: run.streaming,
            early_stopping: run.early_stopping,
            sizes: resources.sizes,
            max_bytes: self.session.plan.max_memory_bytes,
            watched: true,
        };
        let progress = self.session.messages.progress(log.len_bytes());
        let advance = |bytes, tokens| progress.advance(bytes, tokens);
        pipeline::run_with_rows(log, &job, advance, rows)
    }
}

/// Renders the summary of a run's figures. What only `previous` says is kept.
pub(super) fn summary(
    run: &RunPlan,
    previous: Option<&[u8]>,
    finished: &Finished,
) -> anyhow::Result<Vec<u8>> {
    let facts = RunFacts {
        run_config: run.config.summary_run_config(),
        use_legacy_window: run.legacy_window,
    };
    Ok(report::render(previous, &facts, &finished.snapshot)?)
}

fn open(run: &RunPlan) -> anyhow::Result<Log> {
    Ok(Log::open(run.log.path())?)
}

/// Refuses a log without events: it is empty, or another kind of file.
pub(super) fn refuse_empty(run: &RunPlan, finished: &Finished) -> anyhow::Result<()> {
    match (finished.events, &finished.cut) {
        (0, Some(cut)) => bail!("{cut}"),
        (0, None) if finished.lines == 0 => {
            bail!("{} is empty: there is nothing to recompute", run.log)
        }
        (0, None) => bail!(
            "{} is not an event log: none of its {} lines is an event",
            run.log,
            finished.lines
        ),
        _ => Ok(()),
    }
}
