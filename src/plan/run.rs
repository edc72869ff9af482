//! One run, resolved: its log, its settings, its outputs.

use std::path::PathBuf;

use serde_json::Value;

use super::config::RunConfig;
use super::defaults::Defaults;
use super::files::RunFiles;
use super::find::{FoundRun, Log};
use super::outputs::RunOutputs;
use super::{PlanError, RunDate};
use crate::cli::{self, Cli, QpsWindow, Switch};

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
    counting: cli::Counting,
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
        let RunFiles {
            config,
            summary,
            warnings,
        } = RunFiles::read(dir.as_deref(), options.writing.summary.as_deref())?;
        let outputs = RunOutputs::new(dir.as_deref(), summary.as_ref(), options)?;
        let overrides = &options.overrides;
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
            early_stopping: (overrides.early_stopping.map(Switch::is_on))
                .unwrap_or_else(|| defaults.early_stopping()),
            legacy_window: (overrides.qps_window.map(QpsWindow::is_legacy))
                .unwrap_or_else(|| defaults.legacy_window()),
            assumed: defaults.assumed,
            outputs,
            warnings,
            previous: summary.map(|summary| summary.bytes),
            config,
            dir,
        })
    }
}
