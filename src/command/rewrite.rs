//! The files of a run, rewritten together: all are ready before the first is put in its place.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use crate::files::atomic::{Placed, Prepared, WriteError, prepare, prepare_original};
use crate::plan::{self, PlanError, RunPlan};

/// The files of a report, in full.
pub(super) struct Files {
    pub summary: Vec<u8>,
    pub report: String,
    pub snapshot: Vec<u8>,
}

/// What will be written of the report, the page and the `samples`, for the record.
pub(super) fn names(plan: &RunPlan, samples: Option<&Path>) -> Vec<String> {
    let targets = &plan.targets;
    let page = plan.page.as_ref().map(|target| &*target.path);
    [&targets.report, &targets.snapshot, &targets.summary]
        .into_iter()
        .filter_map(Option::as_deref)
        .chain(samples)
        .chain(page)
        .map(|path| path.display().to_string())
        .collect()
}

/// Writes what the plan wants, and what is written `besides`, the summary last: when it is new, everything else is.
/// Returns what is in its place but could not be made durable.
pub(super) fn write(
    plan: &RunPlan,
    files: &Files,
    record: &[u8],
    besides: impl IntoIterator<Item = Prepared>,
) -> anyhow::Result<Option<WriteError>> {
    let targets = &plan.targets;
    let (mut looked, mut original) = (None, None);
    if let (Some(summary), Some(backup)) = (&targets.summary, &targets.original) {
        let previous = plan.previous.as_deref();
        looked = Some(Looked::at(summary, previous)?);
        if previous.is_some_and(|previous| previous != files.summary) {
            original = prepare_original(summary, backup)?;
        }
    }
    // If something is wrong it is said of the file that was asked for; it is put in its place last.
    let ready = |path: &Option<PathBuf>, bytes: &[u8]| match path {
        Some(path) => prepare(path, bytes),
        None => Ok(None),
    };
    let summary = ready(&targets.summary, &files.summary)?;
    let mut prepared = Vec::from_iter(besides);
    prepared.extend(ready(&targets.report, files.report.as_bytes())?);
    prepared.extend(ready(&targets.snapshot, &files.snapshot)?);
    prepared.extend(ready(&targets.record, record)?);
    prepared.extend(summary);
    // Writing takes its time; nothing is in its place yet.
    looked.map_or(Ok(()), |summary| summary.is_unchanged())?;
    // Its copy is safe before the original goes.
    if let Some(original) = original {
        original.put()?.sync()?;
    }
    let placed = put(prepared)?;
    Ok(placed.into_iter().find_map(|placed| placed.sync().err()))
}

/// Renames all, one right after the other.
fn put(prepared: Vec<Prepared>) -> anyhow::Result<Vec<Placed>> {
    let (mut placed, mut names) = (Vec::new(), Vec::new());
    for file in prepared {
        let name = file.path().display().to_string();
        placed.push(file.put().with_context(|| match names.as_slice() {
            [] => "nothing was replaced".to_owned(),
            names => format!("{} in place already; run it again", names.join(", ")),
        })?);
        names.push(name);
    }
    Ok(placed)
}

/// The summary when it was last looked at.
struct Looked<'a> {
    path: &'a Path,
    /// Which file it was, how long, and when it was last changed.
    state: Option<[i64; 7]>,
}

impl<'a> Looked<'a> {
    /// Looks whether the summary is what the new one was made from: somebody may have written it while the log was read.
    fn at(path: &'a Path, previous: Option<&[u8]>) -> anyhow::Result<Self> {
        let state = state(path)?;
        let now = match plan::read_small(path) {
            Ok(bytes) => Some(bytes),
            Err(PlanError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        let looked = Self { path, state };
        if now.as_deref() == previous {
            Ok(looked)
        } else {
            Err(looked.changed(now.is_some()))
        }
    }

    /// That it is the same file still.
    fn is_unchanged(&self) -> anyhow::Result<()> {
        let now = state(self.path)?;
        if now == self.state {
            Ok(())
        } else {
            Err(self.changed(now.is_some()))
        }
    }

    fn changed(&self, is_there: bool) -> anyhow::Error {
        anyhow!(
            "{} was {} while the log was read, and is left as it is now; run it again",
            self.path.display(),
            if is_there { "written" } else { "removed" }
        )
    }
}

/// `None` where no file is.
fn state(path: &Path) -> anyhow::Result<Option<[i64; 7]>> {
    match fs::metadata(path) {
        Ok(of) => Ok(Some([
            of.dev().cast_signed(),
            of.ino().cast_signed(),
            of.size().cast_signed(),
            of.mtime(),
            of.mtime_nsec(),
            of.ctime(),
            of.ctime_nsec(),
        ])),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
