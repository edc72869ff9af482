//! A run's log → its figures: every command starts with this.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::bail;

use super::Session;
use super::budget::Resources;
use super::provenance::Seconds;
use super::tokenizer::{LoadedTokenizer, TokenizerCache};
use crate::cpu::Pools;
use crate::log::Log;
use crate::pipeline::{self, Job, PipelineError, RowSink, Rules, RunResult, SampleMap};
use crate::plan::{RunPlan, TokenizerName};
use crate::process::error_chain;
use crate::report::schema::SummaryKey;
use crate::report::{Report, RunFacts};

/// Counts runs, one after the other.
pub(super) struct Counter<'a> {
    pub session: Session<'a>,
    pools: &'a Pools,
    tokenizers: TokenizerCache,
}

/// The figures of a run, and the tokenizer that they were counted with.
pub(super) struct CountedRun {
    pub result: RunResult,
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
        let (result, loaded, recounted_because) = match (first, loaded) {
            (Err(error @ PipelineError::Count { .. }), Some(first))
                if !first.counts_with_tokenizers() && run.log.is_file() =>
            {
                let why = error_chain(&error);
                self.session
                    .messages
                    .warn(format!("recounting everything with tokenizers: {why}"));
                let again = self.tokenizers.switch_to_tokenizers(&first)?;
                let result = self.pass(run, open(run)?, Some(&again), &resources, rows)?;
                (result, Some(again), Some(why))
            }
            (result, loaded) => (result?, loaded, None),
        };
        refuse_empty(run, &result)?;
        Ok(CountedRun {
            result,
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
    ) -> Result<RunResult, PipelineError> {
        let sample_map = sample_map(run);
        let job = Job {
            pools: resources.fewer_pools.as_ref().unwrap_or(self.pools),
            tokenizer: loaded.map(|loaded| &*loaded.tokenizer),
            rules: rules(run),
            sample_map: sample_map.as_deref(),
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
    result: &RunResult,
) -> anyhow::Result<Vec<u8>> {
    Ok(report(run, previous, result)?.summary().to_owned())
}

/// The report of a run's figures. What only `previous` says is kept.
pub(super) fn report(
    run: &RunPlan,
    previous: Option<&[u8]>,
    result: &RunResult,
) -> anyhow::Result<Report> {
    let facts = RunFacts {
        run_config: run.config.summary_run_config(),
        seeds: run.config.summary_seeds(),
        use_legacy_window: run.legacy_window,
    };
    Ok(Report::new(previous, &facts, &result.snapshot)?)
}

/// The rules by which a run is counted.
pub(super) fn rules(run: &RunPlan) -> Rules {
    let client = run.client.version;
    Rules {
        client,
        streaming: run.streaming,
        early_stopping: run.early_stopping,
        isl: run.isl,
        steady_state: run.steady_state,
        superpass: run.superpass,
        full_run: client.has(SummaryKey::FullRunOsl) && run.tokenizer != TokenizerName::None,
    }
}

/// Reads the samples of a run that has ended.
pub(super) fn read_sample_map(run: &RunPlan) -> anyhow::Result<Option<SampleMap>> {
    match sample_map(run) {
        Some(path) if rules(run).full_run => Ok(SampleMap::read(&path)?),
        _ => Ok(None),
    }
}

/// The file that names the samples of a run.
fn sample_map(run: &RunPlan) -> Option<PathBuf> {
    run.dir.as_ref().map(|dir| dir.join("sample_idx_map.json"))
}

fn open(run: &RunPlan) -> anyhow::Result<Log> {
    Ok(Log::open(run.log.path())?)
}

/// Refuses a log without events: it is empty, or another kind of file.
pub(super) fn refuse_empty(run: &RunPlan, result: &RunResult) -> anyhow::Result<()> {
    match (result.tally.events, &result.cut) {
        (0, Some(cut)) => bail!("{cut}"),
        (0, None) if result.tally.lines == 0 => {
            bail!("{} is empty: there is nothing to recompute", run.log)
        }
        (0, None) => bail!(
            "{} is not an event log: none of its {} lines is an event",
            run.log,
            result.tally.lines
        ),
        _ => Ok(()),
    }
}
