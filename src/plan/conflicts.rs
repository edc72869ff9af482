//! Checks that no output replaces a file that is read, or another output: a mistyped flag must not cost the log.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::containment::resolve_links;
use super::files::summary_path;
use super::find::{FoundRun, Log};
use super::outputs::{OutputKind, original_of};
use super::{PlanError, RunOutputs, SharedOutputs};

/// The files of runs that outputs must not replace, links followed.
#[derive(Debug, Default)]
pub(super) struct Protected {
    /// Logs, configurations, expectations.
    inputs: HashSet<PathBuf>,
    summaries: HashSet<PathBuf>,
    /// The places of the copies of original summaries.
    originals: HashSet<PathBuf>,
}

impl Protected {
    /// Adds the files of a run; `summary` is the one that `--summary` names.
    pub fn add_run(&mut self, run: &FoundRun, summary: Option<&Path>) {
        if let Log::Path(log) = &run.log {
            self.add_input(log);
        }
        if let Some(dir) = &run.dir {
            self.add_input(&dir.join("config.yaml"));
        }
        if let Ok(Some(summary)) = summary_path(run.dir.as_deref(), summary) {
            let original = original_of(&summary);
            self.summaries.extend(resolve_links(&summary));
            self.originals.extend(resolve_links(&original));
        }
    }

    /// Adds a file that is only read.
    pub fn add_input(&mut self, path: &Path) {
        self.inputs.extend(resolve_links(path));
    }

    fn contains(&self, kind: OutputKind, path: &PathBuf) -> bool {
        let Self {
            inputs,
            summaries,
            originals,
        } = self;
        let protected: &[_] = match kind {
            OutputKind::Original => &[inputs],
            OutputKind::Report => &[inputs, originals],
            OutputKind::Extra => &[inputs, originals, summaries],
        };
        protected.iter().any(|paths| paths.contains(path))
    }
}

/// Checks that the outputs of each run, and those that all runs share, replace nothing that is `protected`, and that none
/// is written twice.
pub(super) fn check<'a>(
    protected: &Protected,
    runs: impl IntoIterator<Item = &'a RunOutputs>,
    shared: &SharedOutputs,
) -> Result<(), PlanError> {
    for run in runs {
        check_files(protected, run.all().chain(shared.all()))?;
    }
    check_files(protected, shared.all())
}

fn check_files<'a>(
    protected: &Protected,
    files: impl Iterator<Item = (OutputKind, &'a Path)>,
) -> Result<(), PlanError> {
    let mut written = HashSet::new();
    for (kind, path) in files {
        // A path that leads nowhere cannot be written either; writing it says why.
        let Ok(target) = resolve_links(path) else {
            continue;
        };
        if protected.contains(kind, &target) {
            return Err(PlanError::ReadAndWritten(path.to_owned()));
        }
        if !written.insert(target) {
            return Err(PlanError::WrittenTwice(path.to_owned()));
        }
    }
    Ok(())
}
