//! The files of a run, rewritten together: all are ready before the first is put in its place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::plan::RunPlan;
use crate::report::atomic::{Prepared, prepare, prepare_original};

/// The files of a report, in full.
pub(super) struct Files {
    pub summary: Vec<u8>,
    pub report: String,
    pub snapshot: Vec<u8>,
}

/// What will be written of the report, for the record.
pub(super) fn names(plan: &RunPlan) -> Vec<String> {
    let targets = &plan.targets;
    [&targets.report, &targets.snapshot, &targets.summary]
        .into_iter()
        .flatten()
        .map(|path| path.display().to_string())
        .collect()
}

/// Writes what the plan wants, the summary last: when it is new, everything else is.
pub(super) fn write(plan: &RunPlan, files: &Files, record: &[u8]) -> anyhow::Result<()> {
    let targets = &plan.targets;
    let mut prepared: Vec<Prepared> = Vec::new();
    if let (Some(summary), Some(original)) = (&targets.summary, &targets.original) {
        let previous = plan.previous.as_deref();
        unchanged(summary, previous)?;
        if previous.is_some_and(|previous| previous != files.summary) {
            prepared.extend(prepare_original(summary, original)?);
        }
    }
    let contents: [(&Option<PathBuf>, &[u8]); 4] = [
        (&targets.report, files.report.as_bytes()),
        (&targets.snapshot, &files.snapshot),
        (&targets.record, record),
        (&targets.summary, &files.summary),
    ];
    for (path, bytes) in contents {
        if let Some(path) = path {
            prepared.extend(prepare(path, bytes)?);
        }
    }
    let mut done = Vec::new();
    for file in prepared {
        let name = file.path().display().to_string();
        file.put().with_context(|| match done.as_slice() {
            [] => "nothing was replaced".to_owned(),
            done => format!("{} in place already; run it again", done.join(", ")),
        })?;
        done.push(name);
    }
    Ok(())
}

/// That the summary is what the new one was made from: somebody may have written it while the log was read.
fn unchanged(summary: &Path, previous: Option<&[u8]>) -> anyhow::Result<()> {
    let now = match fs::read(summary) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", summary.display()));
        }
    };
    if now.as_deref() != previous {
        bail!(
            "{} was {} while the log was read, and is left as it is now; run it again",
            summary.display(),
            if now.is_some() { "written" } else { "removed" }
        );
    }
    Ok(())
}
