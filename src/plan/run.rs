//! One run, resolved: its log, its settings, its outputs.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::client::{Client, Traces};
use super::config::RunConfig;
use super::defaults::Defaults;
use super::files::{RunFiles, SummaryFile};
use super::find::{FoundRun, Log};
use super::log_shape::LogShape;
use super::outputs::RunOutputs;
use super::{PlanError, RunDate};
use crate::cli::{self, Cli, QpsWindow, Switch};
use crate::report::ClientVersion;

/// The tokenizer asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TokenizerName {
    /// `--tokenizer none`: only token ids are counted.
    None,
    /// A directory, a file or a repo id.
    Named {
        name: String,
        /// True if config.yaml names it, false if the command line does.
        from_config: bool,
    },
    /// Neither config.yaml nor the command line names one.
    Unknown,
}

/// The flags that resolving a run depends on. Only this module reads them.
#[derive(Clone, Debug)]
pub(crate) struct RunOptions {
    counting: cli::CountingArgs,
    overrides: cli::Overrides,
    pub(super) writing: cli::Writing,
    pub(super) live_snapshot: Option<PathBuf>,
}

impl RunOptions {
    pub(super) fn new(cli: &Cli) -> Self {
        let mut writing = cli.writing.clone();
        writing.dry_run |= cli.checking.check;
        Self {
            counting: cli.counting.clone(),
            overrides: cli.overrides.clone(),
            writing,
            live_snapshot: cli.following.live_snapshot.clone(),
        }
    }

    /// Returns the same options for a baseline: nothing is written, and `--summary` means the run, not the baseline.
    pub(super) fn for_baseline(&self) -> Self {
        let mut options = self.clone();
        options.writing.dry_run = true;
        options.writing.samples = None;
        options.writing.summary = None;
        options
    }

    fn tokenizer(&self, config: &RunConfig) -> TokenizerName {
        let named = |name: &str, from_config| TokenizerName::Named {
            name: name.to_owned(),
            from_config,
        };
        match (self.counting.tokenizer.as_deref(), config.tokenizer()) {
            (Some("none"), _) => TokenizerName::None,
            (Some(name), _) => named(name, false),
            (None, Some(name)) => named(name, true),
            (None, None) => TokenizerName::Unknown,
        }
    }
}

/// One run, resolved.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one setting of the run"
)]
pub(crate) struct RunPlan {
    /// The run as the command line names it.
    pub name: String,
    pub log: Log,
    /// The run directory, if there is one.
    pub dir: Option<PathBuf>,
    /// The run's configuration, empty if there is none.
    pub config: RunConfig,
    /// The existing summary's bytes.
    pub previous: Option<Vec<u8>>,
    pub tokenizer: TokenizerName,
    /// True if responses were streamed; `None`: the log decides.
    pub streaming: Option<bool>,
    /// True if early-stopping estimates are reported.
    pub early_stopping: bool,
    /// True if QPS and TPS use LoadGen's window.
    pub legacy_window: bool,
    /// The client version whose formats and rules the report follows.
    pub client: Client,
    /// True if prompts are counted.
    pub isl: bool,
    /// True if the steady state is looked for.
    pub steady_state: bool,
    /// The samples of a super-pass, for logs that do not announce it.
    pub superpass: Option<u64>,
    /// The date that chat templates see.
    pub date: RunDate,
    pub outputs: RunOutputs,
    /// Files that exist but could not be used; one line each.
    pub warnings: Vec<String>,
    /// Settings that had to be assumed; one line each.
    pub assumed: Vec<String>,
}

impl RunPlan {
    /// Resolves a run. Without a summary of its own, settings are taken from the summary `described_by`.
    pub(super) fn new(
        found: FoundRun,
        options: &RunOptions,
        described_by: Option<&Value>,
    ) -> Result<Self, PlanError> {
        let FoundRun {
            name,
            log,
            dir,
            modified,
        } = found;
        let overrides = &options.overrides;
        let files = RunFiles::read(dir.as_deref(), options.writing.summary.as_deref())?;
        let client = recognize(
            &log,
            dir.as_deref(),
            &files,
            described_by,
            overrides.client.0,
        )?;
        let RunFiles {
            config,
            summary,
            snapshot: _,
            mut warnings,
        } = files;
        warnings.extend(client.warning());
        let outputs = RunOutputs::new(dir.as_deref(), summary.as_ref(), options, client.version)?;
        let own = summary.as_ref().map(|summary| &summary.value);
        let mut defaults = Defaults {
            config: &config,
            summary: own.or(described_by).unwrap_or(&Value::Null),
            assumed: Vec::new(),
        };
        Ok(Self {
            name,
            log,
            date: RunDate::resolve(options.counting.date, modified),
            tokenizer: options.tokenizer(&config),
            streaming: (overrides.streaming.map(Switch::is_on)).or_else(|| defaults.streaming()),
            early_stopping: (overrides.early_stopping)
                .map_or_else(|| defaults.early_stopping(), Switch::is_on),
            legacy_window: (overrides.qps_window)
                .map_or_else(|| defaults.legacy_window(), QpsWindow::is_legacy),
            isl: config.metrics_isl(),
            steady_state: (overrides.steady_state.chosen())
                .unwrap_or_else(|| config.steady_state()),
            superpass: overrides.superpass.map(NonZeroU64::get),
            assumed: (defaults.assumed.into_iter())
                .chain(client.assumption())
                .collect(),
            client,
            outputs,
            warnings,
            previous: summary.map(|summary| summary.bytes),
            config,
            dir,
        })
    }
}

/// Recognizes the client version of a run.
fn recognize(
    log: &Log,
    dir: Option<&Path>,
    files: &RunFiles,
    described_by: Option<&Value>,
    forced: Option<ClientVersion>,
) -> Result<Client, PlanError> {
    let summary = files.summary.as_ref();
    let is_proved = summary.is_some() || described_by.is_some() || files.snapshot.is_some();
    let shape = match log {
        Log::Path(path) if path.is_file() => {
            Some(LogShape::read(path, if is_proved { 1 } else { u64::MAX }))
        }
        Log::Path(_) | Log::Stdin => None,
    };
    if let (Some(shape), Log::Path(path)) = (&shape, log)
        && shape.is_before_april
    {
        return Err(PlanError::BeforeApril(path.clone()));
    }
    let in_folder = |summary: &SummaryFile| {
        let folder = summary.path.parent().and_then(Path::file_name);
        folder.is_some_and(|name| name == "performance")
    };
    let has_folder = dir.is_some_and(|dir| dir.join("performance").is_dir());
    let has_performance_folder = match summary {
        Some(summary) => Some(in_folder(summary)),
        None => has_folder.then_some(true),
    };
    let traces = Traces {
        summary: (summary.map(|summary| &summary.value)).or(described_by),
        snapshot: files.snapshot.as_ref(),
        config: &files.config,
        has_performance_folder,
        log: shape.as_ref().filter(|_| !is_proved),
    };
    Ok(Client::recognize(&traces, forced))
}
