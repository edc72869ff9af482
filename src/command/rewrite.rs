//! Rewrites the files of a run together: all are prepared before the first is put in its place.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use crate::files::atomic::{RenamedFile, StagedFile, WriteError, stage, stage_backup};
use crate::plan::{self, PlanError, RunPlan};

/// The contents of a report's files.
pub(super) struct Files {
    pub summary: Vec<u8>,
    pub report: String,
    pub snapshot: Vec<u8>,
}

/// Writes the report and the `extras`, the summary last: when it is new, everything else is. Returns the error of a file
/// that is in its place but could not be made durable.
pub(super) fn write(
    run: &RunPlan,
    files: &Files,
    provenance: &[u8],
    extras: impl IntoIterator<Item = StagedFile>,
) -> anyhow::Result<Option<WriteError>> {
    let outputs = &run.outputs;
    let (mut seen, mut original) = (None, None);
    if let (Some(summary), Some(copy)) = (&outputs.summary, &outputs.original) {
        let previous = run.previous.as_deref();
        seen = Some(SeenSummary::new(summary, previous)?);
        if previous.is_some_and(|previous| previous != files.summary) {
            original = stage_backup(summary, copy)?;
        }
    }
    // The summary is prepared first, so that an error names the file that was asked for. It is put in its place last.
    let ready = |path: &Option<PathBuf>, bytes: &[u8]| match path {
        Some(path) => stage(path, bytes),
        None => Ok(None),
    };
    let summary = ready(&outputs.summary, &files.summary)?;
    let mut prepared = Vec::from_iter(extras);
    prepared.extend(ready(&outputs.report, files.report.as_bytes())?);
    prepared.extend(ready(&outputs.snapshot, &files.snapshot)?);
    prepared.extend(ready(&outputs.provenance, provenance)?);
    prepared.extend(summary);
    // Preparing takes time; nothing is in its place yet.
    seen.map_or(Ok(()), |summary| summary.check_unchanged())?;
    // The copy is durable before the original is replaced.
    if let Some(original) = original {
        original.rename()?.sync()?;
    }
    let placed = put(prepared)?;
    Ok(placed.into_iter().find_map(|placed| placed.sync().err()))
}

/// Renames all files, one right after the other.
fn put(prepared: Vec<StagedFile>) -> anyhow::Result<Vec<RenamedFile>> {
    let (mut placed, mut names) = (Vec::new(), Vec::new());
    for file in prepared {
        let name = file.path().display().to_string();
        placed.push(file.rename().with_context(|| match names.as_slice() {
            [] => "nothing was replaced".to_owned(),
            names => format!("{} in place already; run it again", names.join(", ")),
        })?);
        names.push(name);
    }
    Ok(placed)
}

/// The existing summary as it was last seen.
struct SeenSummary<'a> {
    path: &'a Path,
    state: Option<FileState>,
}

/// Device, inode, length, and the times of the last changes.
type FileState = [i64; 7];

impl<'a> SeenSummary<'a> {
    /// Checks that the summary is the one that the new one was made from: another process may have written it while the
    /// log was read.
    fn new(path: &'a Path, previous: Option<&[u8]>) -> anyhow::Result<Self> {
        let state = file_state(path)?;
        let now = match plan::read_small(path) {
            Ok(bytes) => Some(bytes),
            Err(PlanError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        let seen = Self { path, state };
        if now.as_deref() == previous {
            Ok(seen)
        } else {
            Err(seen.changed(now.is_some()))
        }
    }

    /// Checks that it is still the same file.
    fn check_unchanged(&self) -> anyhow::Result<()> {
        let now = file_state(self.path)?;
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

/// Returns the state of a file; `None` if there is none.
fn file_state(path: &Path) -> anyhow::Result<Option<FileState>> {
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
