//! The command line and the runs' own files, resolved into one [`Plan`]: which runs, how they are counted, what is
//! written where. Below this module the flags do not exist.
//!
//! Nothing is counted and nothing is written here.

mod baseline;
mod config;
mod conflicts;
mod containment;
mod date;
mod defaults;
mod error;
mod files;
mod find;
mod live;
mod outputs;
mod page;
mod run;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::{self, Cli};
use crate::cpu::{CoreRequest, CpuList};

pub(crate) use crate::cli::{Color, EngineChoice, Format, TokenizerRules};
pub(crate) use baseline::BaselinePlan;
use conflicts::Protected;
pub(crate) use date::RunDate;
pub(crate) use error::PlanError;
pub(crate) use files::read_small;
use find::{FoundRun, expand_all};
pub(crate) use live::Live;
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
    /// For resolving the run, which goes on changing.
    pub options: RunOptions,
    pub wait: Duration,
    pub live_threads: usize,
    pub interval: Duration,
    pub drain_timeout: Duration,
    pub idle_timeout: Duration,
}

/// How tokenizers are found and loaded.
#[derive(Debug)]
pub(crate) struct Counting {
    pub download: bool,
    pub engine: EngineChoice,
    pub tokenizer_rules: TokenizerRules,
}

/// What is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Display {
    /// The form of the results on stdout.
    pub format: Format,
    pub verbosity: Verbosity,
    pub color: Color,
}

/// How much is said on stderr.
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
    let counting = &cli.counting;
    let mut plan = Plan {
        mode,
        runs: Vec::new(),
        baseline: None,
        counting: Counting {
            download: counting.download,
            engine: counting.engine,
            tokenizer_rules: counting.tokenizer_rules,
        },
        cores: CoreRequest::default(),
        max_memory_bytes: cli.cores.max_memory,
        outputs: SharedOutputs::default(),
        display: Display::new(&cli.display),
    };
    if matches!(plan.mode, Mode::Recompute | Mode::Check(_)) {
        plan.resolve_runs(cli)?;
    }
    let cpus = cli.cores.cpus.as_deref().map(str::parse::<CpuList>);
    plan.cores = CoreRequest {
        cpus: cpus.transpose()?,
        threads: cli.cores.threads.map(usize::from),
        block_size: cli.cores.block_size.get(),
    };
    Ok(plan)
}

impl Plan {
    fn resolve_runs(&mut self, cli: &Cli) -> Result<(), PlanError> {
        let runs = expand_all(&cli.runs);
        refuse_one_file_for_several(&runs, cli)?;
        let options = RunOptions::new(cli);
        let against = cli.checking.against.as_deref();
        self.baseline = against
            .map(|path| BaselinePlan::resolve(path, &options))
            .transpose()?;
        // A baseline that is only shown beside the run does not decide what is written.
        let described_by = (self.baseline.as_ref())
            .filter(|_| cli.checking.check)
            .map(BaselinePlan::summary_value);
        let html = cli.writing.html.as_deref();
        let resolve = |(number, run): (usize, &PathBuf)| {
            let mut plan = RunPlan::resolve(run, &options, described_by.as_ref())?;
            plan.outputs.page = html.map(|html| match runs.len() {
                1 => PageTarget::alone(html),
                _ => PageTarget::of_several(html, number, run),
            });
            Ok(plan)
        };
        let named = |run: &PathBuf| run.display().to_string();
        self.runs = (1..)
            .zip(&runs)
            .map(|(number, run)| {
                let run_plan = resolve((number, run));
                run_plan.map_err(|error| Unresolved {
                    run: named(run),
                    error,
                })
            })
            .collect();
        self.outputs = SharedOutputs::new(cli, runs.len());
        let mut protected = Protected::default();
        for run in runs.iter().map(PathBuf::as_path).chain(against) {
            if let Ok(found) = FoundRun::find(run) {
                protected.add_run(&found, cli.writing.summary.as_deref());
            }
        }
        if let Some(expectations) = &cli.checking.expect {
            protected.add_input(expectations);
        }
        let outputs = self.runs.iter().flatten().map(|run| &run.outputs);
        conflicts::check(&protected, outputs, &self.outputs)
    }
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
    pub fn new(flags: &cli::Display) -> Self {
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
