//! What `--against` names: a summary, or a run with a summary, a log, or both.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{PlanError, RunPlan, find_log, is_log, read_small, summary_facts, summary_in};
use crate::cli::Cli;

/// What runs are compared with instead of their own summaries. It has a summary, or a run, or both.
#[derive(Clone, Debug)]
pub struct Against {
    /// As the person named it.
    pub name: String,
    /// Its summary's bytes.
    pub summary: Option<Vec<u8>>,
    /// The run, if it is one that has a log.
    pub run: Option<Box<RunPlan>>,
}

impl Against {
    /// Resolves `--against`; a folder and a log mean their run.
    pub(super) fn resolve(cli: &Cli) -> Result<Option<Self>, PlanError> {
        let Some(path) = &cli.checking.against else {
            return Ok(None);
        };
        if !path.exists() {
            return Err(PlanError::NoSuchBaseline(path.clone()));
        }
        let (summary, run) = if path.is_dir() || is_log(path) {
            of_run(path, cli)?
        } else {
            (Some(summary(path)?), None)
        };
        Ok(Some(Self {
            name: path.display().to_string(),
            summary,
            run,
        }))
    }

    /// What its summary says, for runs that say it nowhere themselves.
    pub(super) fn facts(&self) -> Value {
        let summary = self.summary.as_deref();
        summary
            .and_then(|bytes| serde_json::from_slice(bytes).ok())
            .unwrap_or_default()
    }
}

type SummaryAndRun = (Option<Vec<u8>>, Option<Box<RunPlan>>);

fn of_run(path: &Path, cli: &Cli) -> Result<SummaryAndRun, PlanError> {
    let dir: PathBuf = match find_log(path) {
        Ok((_, dir)) => dir.unwrap_or_default(),
        Err(PlanError::NoLog(dir)) => {
            let own = summary_in(&dir).ok_or(PlanError::EmptyBaseline(dir))?;
            return Ok((Some(summary(&own)?), None));
        }
        Err(error) => return Err(error),
    };
    let own = summary_in(&dir).map(|path| summary(&path)).transpose()?;
    let mut run = RunPlan::resolve(path, cli, None)?;
    // --summary is about the RUN, not about what it is compared with.
    run.previous.clone_from(&own);
    Ok((own, Some(Box::new(run))))
}

fn summary(path: &Path) -> Result<Vec<u8>, PlanError> {
    let bytes = read_small(path)?;
    summary_facts(path, &bytes)?;
    Ok(bytes)
}
