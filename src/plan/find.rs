//! Finds the runs that the command line names: directories, logs, patterns.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::PlanError;

/// The names of a log in a run directory, the preferred first.
pub(super) const LOG_NAMES: [&str; 3] = ["events.jsonl", "events.jsonl.zst", "events.jsonl.gz"];

/// The place of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Log {
    /// A file.
    Path(PathBuf),
    /// Standard input.
    Stdin,
}

impl Log {
    /// Returns true if it can be read a second time: a pipe cannot.
    pub fn is_file(&self) -> bool {
        matches!(self, Self::Path(path) if path.is_file())
    }

    /// Returns the path as the reader takes it: `-` is standard input.
    pub fn path(&self) -> &Path {
        match self {
            Self::Path(path) => path,
            Self::Stdin => Path::new("-"),
        }
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path().display().fmt(f)
    }
}

/// A log, and the run directory around it.
#[derive(Clone, Debug)]
pub(super) struct FoundRun {
    /// The run as the command line names it.
    pub name: String,
    pub log: Log,
    pub dir: Option<PathBuf>,
    /// The time of the log's last write.
    pub modified: Option<SystemTime>,
}

impl FoundRun {
    /// Finds the log that `run` means.
    pub fn find(run: &Path) -> Result<Self, PlanError> {
        let found = |log, dir, modified| Self {
            name: run.display().to_string(),
            log,
            dir,
            modified,
        };
        if run == Path::new("-") {
            return Ok(found(Log::Stdin, None, None));
        }
        let metadata = fs::metadata(run).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => PlanError::NoSuchRun(run.to_owned()),
            _ => PlanError::Read {
                path: run.to_owned(),
                source,
            },
        })?;
        let (log, dir) = if metadata.is_dir() {
            let log = log_in(run).ok_or_else(|| PlanError::NoLog(run.to_owned()))?;
            (log, run)
        } else {
            (run.to_owned(), folder_of(run))
        };
        let modified = modified(&log);
        Ok(found(Log::Path(log), Some(dir.to_owned()), modified))
    }
}

/// Returns the time of a file's last write.
pub(super) fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|file| file.modified()).ok()
}

/// Returns the log in a run directory.
pub(super) fn log_in(dir: &Path) -> Option<PathBuf> {
    let mut candidates = LOG_NAMES.iter().map(|name| dir.join(name));
    candidates.find(|path| path.is_file())
}

/// Returns true if a file is a log by its name.
pub(super) fn is_log(path: &Path) -> bool {
    LOG_NAMES.iter().any(|name| path.ends_with(name))
}

/// Returns the folder that holds `path`.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Returns all runs that the command line names, patterns expanded, each log once.
pub(super) fn expand_all(runs: &[PathBuf]) -> Vec<PathBuf> {
    let mut seen = HashSet::new();
    let mut is_new = |run: &PathBuf| match FoundRun::find(run).map(|found| found.log) {
        Ok(Log::Path(log)) => log.canonicalize().map_or(true, |log| seen.insert(log)),
        Ok(Log::Stdin) => seen.insert(run.clone()),
        Err(_) => true,
    };
    let runs = runs.iter().flat_map(|run| expand(run));
    runs.filter(|run| is_new(run)).collect()
}

/// Returns the runs that a pattern names, in alphabetical order. A path that exists, or a pattern that matches nothing,
/// is returned as it is.
fn expand(run: &Path) -> Vec<PathBuf> {
    let is_pattern = |text: &&str| text.contains(['*', '?', '[']) && !run.exists();
    let options = glob::MatchOptions {
        require_literal_leading_dot: true,
        ..glob::MatchOptions::new()
    };
    let pattern = run.to_str().filter(is_pattern);
    let Some(Ok(paths)) = pattern.map(|pattern| glob::glob_with(pattern, options)) else {
        return vec![run.to_owned()];
    };
    // A folder without a log is kept: the error names it.
    let mut found: Vec<PathBuf> = paths
        .filter_map(Result::ok)
        .filter(|path| path.is_dir() || is_log(path))
        .collect();
    if found.is_empty() {
        found.push(run.to_owned());
    }
    found
}
