//! The baseline that `--against` names: a summary, or a run with a summary, a log, or both.

use std::path::Path;

use serde_json::Value;

use super::files::{SummaryFile, summary_in};
use super::find::{FoundRun, is_log};
use super::{PlanError, RunOptions, RunPlan};

/// The summary or the run that runs are compared with instead of their own summaries.
#[derive(Clone, Debug)]
pub(crate) struct BaselinePlan {
    /// The baseline as the command line names it.
    pub name: String,
    /// Its summary's bytes; there is a summary, a run, or both.
    pub summary: Option<Vec<u8>>,
    /// The run, if it has a log.
    pub run: Option<RunPlan>,
}

impl BaselinePlan {
    /// Resolves `--against`; a directory and a log mean their run.
    pub(super) fn resolve(path: &Path, options: &RunOptions) -> Result<Self, PlanError> {
        if !path.exists() {
            return Err(PlanError::NoSuchBaseline(path.to_owned()));
        }
        let name = path.display().to_string();
        if !path.is_dir() && !is_log(path) {
            return Self::summary(name, path);
        }
        let options = options.for_baseline();
        match FoundRun::find(path).and_then(|run| RunPlan::new(run, &options, None)) {
            Ok(run) => Ok(Self {
                name,
                summary: run.previous.clone(),
                run: Some(run),
            }),
            Err(PlanError::NoLog(dir)) => match summary_in(&dir) {
                Some(summary) => Self::summary(name, &summary),
                None => Err(PlanError::EmptyBaseline(dir)),
            },
            Err(error) => Err(error),
        }
    }

    fn summary(name: String, path: &Path) -> Result<Self, PlanError> {
        Ok(Self {
            name,
            summary: Some(SummaryFile::read(path.to_owned())?.bytes),
            run: None,
        })
    }

    /// Returns its summary's value, for runs without a summary of their own.
    pub(super) fn summary_value(&self) -> Value {
        let summary = self.summary.as_deref();
        summary
            .and_then(|bytes| serde_json::from_slice(bytes).ok())
            .unwrap_or_default()
    }
}
