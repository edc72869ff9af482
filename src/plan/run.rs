//! One run, resolved: its log, its settings, its outputs.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::civil::DateTime;
use serde_json::Value;

use super::config::RunConfig;
use super::defaults::Defaults;
use super::files::RunFiles;
use super::find::{FoundRun, Log};
use super::outputs::{OutputOptions, RunOutputs};
use super::{PlanError, RunDate};
use crate::cli::{Cli, QpsWindow, Switch};

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

/// The flags that resolving a run depends on.
#[derive(Clone, Debug)]
pub(crate) struct RunOptions {
    tokenizer: Option<String>,
    date: Option<DateTime>,
    streaming: Option<bool>,
    early_stopping: Option<bool>,
    legacy_window: Option<bool>,
    pub(super) outputs: OutputOptions,
}

impl RunOptions {
    pub(super) fn new(cli: &Cli) -> Self {
        let overrides = &cli.overrides;
        Self {
            tokenizer: cli.counting.tokenizer.clone(),
            date: cli.counting.date,
            streaming: overrides.streaming.map(Switch::is_on),
            early_stopping: overrides.early_stopping.map(Switch::is_on),
            legacy_window: overrides
                .qps_window
                .map(|window| window == QpsWindow::Legacy),
            outputs: OutputOptions::new(cli),
        }
    }

    /// Returns the same options for a run into which nothing is written.
    pub(super) fn read_only(&self) -> Self {
        Self {
            outputs: OutputOptions::read_only(),
            ..self.clone()
        }
    }

    fn tokenizer(&self, config: &RunConfig) -> TokenizerName {
        let named = |name: &str, from_config| TokenizerName::Named {
            name: name.to_owned(),
            from_config,
        };
        match (self.tokenizer.as_deref(), config.tokenizer()) {
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
    /// Whether responses were streamed; `None`: the log decides.
    pub streaming: Option<bool>,
    /// Whether early-stopping estimates are reported.
    pub early_stopping: bool,
    /// Whether QPS and TPS use LoadGen's window.
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
    /// Resolves the run that `run` names. A run without a summary takes the settings that a summary tells from
    /// `described_by`.
    pub(super) fn resolve(
        run: &Path,
        options: &RunOptions,
        described_by: Option<&Value>,
    ) -> Result<Self, PlanError> {
        let found = FoundRun::find(run)?;
        let modified = found.modified();
        Self::new(found, modified, options, described_by)
    }

    /// Resolves a run whose log was last written at `modified`.
    pub(super) fn new(
        found: FoundRun,
        modified: Option<SystemTime>,
        options: &RunOptions,
        described_by: Option<&Value>,
    ) -> Result<Self, PlanError> {
        let FoundRun { name, log, dir } = found;
        let RunFiles {
            config,
            summary,
            warnings,
        } = RunFiles::read(dir.as_deref(), options.outputs.summary.as_deref())?;
        let outputs = RunOutputs::new(dir.as_deref(), summary.as_ref(), &options.outputs)?;
        let own = summary.as_ref().map(|summary| &summary.value);
        let mut defaults = Defaults {
            config: &config,
            summary: own.or(described_by).unwrap_or(&Value::Null),
            assumed: Vec::new(),
        };
        Ok(Self {
            name,
            log,
            date: RunDate::resolve(options.date, modified),
            tokenizer: options.tokenizer(&config),
            streaming: options.streaming.or_else(|| defaults.streaming()),
            early_stopping: (options.early_stopping).unwrap_or_else(|| defaults.early_stopping()),
            legacy_window: (options.legacy_window).unwrap_or_else(|| defaults.legacy_window()),
            assumed: defaults.assumed,
            outputs,
            warnings,
            previous: summary.map(|summary| summary.bytes),
            config,
            dir,
        })
    }
}
