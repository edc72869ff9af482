//! Resolves the command line and the runs' own files into one [`Plan`]: the runs, their settings, their outputs. Below
//! this module the flags do not exist.
//!
//! Nothing is counted and nothing is written here.

mod baseline;
mod client;
mod config;
mod conflicts;
mod containment;
mod date;
mod defaults;
mod error;
mod files;
mod find;
mod live;
mod log_shape;
mod outputs;
mod page;
mod run;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::{self, Cli};
use crate::cpu::{CoreRequest, CpuList};

pub(crate) use crate::cli::{Color, EngineChoice, Format, TokenizerRules};
pub(crate) use baseline::BaselinePlan;
pub(crate) use client::Client;
use conflicts::Protected;
pub(crate) use date::RunDate;
pub(crate) use error::PlanError;
pub(crate) use files::read_small;
use find::{FoundRun, expand_all};
pub(crate) use live::LiveRun;
pub(crate) use outputs::{RunOutputs, SharedOutputs};
pub(crate) use page::PageTarget;
pub(crate) use run::{RunOptions, RunPlan, TokenizerName};

/// Everything that is decided before work begins.
#[derive(Debug)]
pub(crate) struct Plan {
    pub mode: Mode,
    /// The runs, each resolved on its own; none when a live run is followed.
    pub runs: Vec<Result<RunPlan, Unresolved>>,
    /// The baseline that `--against` names.
    pub baseline: Option<BaselinePlan>,
    pub counting: Counting,
    pub cores: CoreRequest,
    /// The memory that the process may use, in bytes.
    pub max_memory_bytes: Option<u64>,
    pub outputs: SharedOutputs,
    pub display: Display,
}

/// The work to do.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one mode a process")]
pub(crate) enum Mode {
    /// Rewrites the reports of runs.
    Recompute,
    /// Compares runs with their summaries, or with a baseline.
    Check(CheckPlan),
    /// Follows a live run, and writes its report when it ends.
    Follow(FollowPlan),
    /// Prints a completion script.
    Completions(clap_complete::Shell),
}

/// The options of `--check`.
#[derive(Debug)]
pub(crate) struct CheckPlan {
    /// `--tolerance`, as typed.
    pub tolerances: Vec<String>,
    /// `--expect`
    pub expectations: Option<PathBuf>,
    /// `--try`
    pub try_tokenizers: Vec<String>,
}

/// The options of `--follow`.
#[derive(Debug)]
pub(crate) struct FollowPlan {
    /// The run; `None`: the newest live one.
    pub run: Option<PathBuf>,
    /// The options for resolving the run again when its files have changed.
    pub options: RunOptions,
    pub wait: Duration,
    pub live_threads: usize,
    pub interval: Duration,
    pub drain_timeout: Duration,
    pub idle_timeout: Duration,
}

/// The options for finding and loading tokenizers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counting {
    pub download: bool,
    pub engine: EngineChoice,
    pub tokenizer_rules: TokenizerRules,
}

/// The options of the output on the terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Display {
    /// The format of the results on stdout.
    pub format: Format,
    pub verbosity: Verbosity,
    pub color: Color,
}

/// The amount of messages on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    Quiet,
    Normal,
    Verbose,
}

/// A run that cannot be recomputed as asked.
#[derive(Debug)]
pub(crate) struct Unresolved {
    /// The run as the command line names it.
    pub run: String,
    pub error: PlanError,
}

/// Resolves the command line.
pub(crate) fn resolve(cli: &Cli) -> Result<Plan, PlanError> {
    let mode = Mode::resolve(cli)?;
    let named = match mode {
        Mode::Recompute | Mode::Check(_) => expand_all(&cli.runs),
        Mode::Follow(_) | Mode::Completions(_) => Vec::new(),
    };
    refuse_one_file_for_several(&named, cli)?;
    let options = RunOptions::new(cli);
    let against = cli.checking.against.as_deref();
    let baseline = against.map(|path| BaselinePlan::resolve(path, &options));
    let baseline = baseline.transpose()?;
    let runs = resolve_runs(&named, &options, baseline.as_ref(), cli);
    let outputs = SharedOutputs::new(cli, named.len());
    check_outputs(&named, &runs, &outputs, cli)?;
    let cpus = cli.cores.cpus.as_deref().map(str::parse::<CpuList>);
    Ok(Plan {
        mode,
        runs,
        baseline,
        counting: Counting {
            download: cli.counting.download,
            engine: cli.counting.engine,
            tokenizer_rules: cli.counting.tokenizer_rules,
        },
        cores: CoreRequest {
            cpus: cpus.transpose()?,
            threads: cli.cores.threads.map(usize::from),
            block_size: cli.cores.block_size.get(),
        },
        max_memory_bytes: cli.cores.max_memory,
        outputs,
        display: Display::new(&cli.display),
    })
}

fn resolve_runs(
    named: &[PathBuf],
    options: &RunOptions,
    baseline: Option<&BaselinePlan>,
    cli: &Cli,
) -> Vec<Result<RunPlan, Unresolved>> {
    // A baseline that a page only shows beside the run does not decide what is written.
    let described_by = baseline.filter(|_| cli.checking.check);
    let described_by = described_by.map(BaselinePlan::summary_value);
    let html = cli.writing.html.as_deref();
    let page = |number: usize, run: &Path| match named.len() {
        1 => html.map(PageTarget::alone),
        _ => html.map(|html| PageTarget::of_several(html, number, run)),
    };
    let resolve = |(number, run): (usize, &PathBuf)| {
        let found = FoundRun::find(run);
        let plan = found.and_then(|found| RunPlan::new(found, options, described_by.as_ref()));
        let mut plan = plan.map_err(|error| Unresolved {
            run: run.display().to_string(),
            error,
        })?;
        plan.outputs.page = page(number, run);
        Ok(plan)
    };
    (1..).zip(named).map(resolve).collect()
}

fn check_outputs(
    named: &[PathBuf],
    runs: &[Result<RunPlan, Unresolved>],
    shared: &SharedOutputs,
    cli: &Cli,
) -> Result<(), PlanError> {
    let mut protected = Protected::default();
    // A run that cannot be resolved has files too.
    for run in named.iter().chain(&cli.checking.against) {
        if let Ok(found) = FoundRun::find(run) {
            protected.add_run(&found, cli.writing.summary.as_deref());
        }
    }
    if let Some(expectations) = &cli.checking.expect {
        protected.add_input(expectations);
    }
    let outputs = runs.iter().flatten().map(|run| &run.outputs);
    conflicts::check(&protected, outputs, shared)
}

fn refuse_one_file_for_several(runs: &[PathBuf], cli: &Cli) -> Result<(), PlanError> {
    let one_file = [
        ("--summary", &cli.writing.summary),
        ("--output", &cli.writing.output),
        ("--samples", &cli.writing.samples),
    ];
    match one_file.iter().find(|(_, path)| path.is_some()) {
        Some((flag, _)) if runs.len() > 1 => Err(PlanError::OneFileForSeveralRuns(flag)),
        _ => Ok(()),
    }
}

impl Mode {
    fn resolve(cli: &Cli) -> Result<Self, PlanError> {
        if let Some(shell) = cli.completions {
            return Ok(Self::Completions(shell));
        }
        if cli.following.follow {
            return FollowPlan::new(cli).map(Self::Follow);
        }
        if !cli.checking.check {
            return Ok(Self::Recompute);
        }
        Ok(Self::Check(CheckPlan {
            tolerances: cli.checking.tolerance.clone(),
            expectations: cli.checking.expect.clone(),
            try_tokenizers: cli.checking.try_tokenizers.clone(),
        }))
    }
}

impl FollowPlan {
    fn new(cli: &Cli) -> Result<Self, PlanError> {
        let run = match &*cli.runs {
            [] => None,
            [run] if run == Path::new("-") => return Err(PlanError::FollowsStdin),
            [run] => Some(run.clone()),
            several => return Err(PlanError::SeveralToFollow(several.len())),
        };
        let following = &cli.following;
        Ok(Self {
            run,
            options: RunOptions::new(cli),
            wait: following.wait,
            live_threads: following.live_threads,
            interval: following.interval,
            drain_timeout: following.drain_timeout,
            idle_timeout: following.idle_timeout,
        })
    }
}

impl Display {
    pub fn new(flags: &cli::DisplayArgs) -> Self {
        Self {
            format: flags.format,
            verbosity: match (flags.quiet, flags.verbose) {
                (true, _) => Verbosity::Quiet,
                (_, true) => Verbosity::Verbose,
                _ => Verbosity::Normal,
            },
            color: flags.color,
        }
    }
}
