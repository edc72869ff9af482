//! The files of a run that its report depends on: its configuration and its summary.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::PlanError;
use super::config::RunConfig;
use crate::files;

/// The largest configuration or summary, in bytes: a larger file is something else.
pub(super) const MAX_SMALL_FILE_BYTES: u64 = 64 << 20;

/// The content of a run's own files.
#[derive(Debug, Default)]
pub(super) struct RunFiles {
    /// The configuration, empty without a config.yaml.
    pub config: RunConfig,
    pub summary: Option<SummaryFile>,
    /// `metrics/final_snapshot.json`, if it is JSON.
    pub snapshot: Option<Value>,
    /// Files that exist but could not be used; one line each.
    pub warnings: Vec<String>,
}

/// A summary that exists.
#[derive(Clone, Debug)]
pub(super) struct SummaryFile {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
    pub value: Value,
}

impl RunFiles {
    /// Reads the files of the run in `dir`; `named` is the summary that `--summary` names.
    pub fn read(dir: Option<&Path>, named: Option<&Path>) -> Result<Self, PlanError> {
        let mut warnings = Vec::new();
        let config = read_config(dir, &mut warnings)?;
        let summary = summary_path(dir, named)?;
        Ok(Self {
            config,
            snapshot: dir.and_then(read_snapshot),
            summary: summary.map(SummaryFile::read).transpose()?,
            warnings,
        })
    }
}

impl SummaryFile {
    pub fn read(path: PathBuf) -> Result<Self, PlanError> {
        let bytes = read_small(&path)?;
        let reason = match serde_json::from_slice::<Value>(&bytes) {
            Ok(value) if value.is_object() => return Ok(Self { path, bytes, value }),
            Ok(_) => "expected a JSON object".to_owned(),
            Err(error) => error.to_string(),
        };
        Err(PlanError::NotASummary { path, reason })
    }
}

/// Returns where the existing summary is.
pub(super) fn summary_path(
    dir: Option<&Path>,
    named: Option<&Path>,
) -> Result<Option<PathBuf>, PlanError> {
    match named {
        Some(path) if path.is_file() => Ok(Some(path.to_owned())),
        Some(path) => Err(PlanError::NoSummary(path.to_owned())),
        None => Ok(dir.and_then(summary_in)),
    }
}

/// Returns the summary in a run directory.
pub(super) fn summary_in(dir: &Path) -> Option<PathBuf> {
    let candidates = ["performance/result_summary.json", "result_summary.json"];
    let mut candidates = candidates.iter().map(|name| dir.join(name));
    candidates.find(|path| path.exists())
}

/// Reads config.yaml. A run without one is normal; YAML that cannot be used is a warning.
fn read_config(dir: Option<&Path>, warnings: &mut Vec<String>) -> Result<RunConfig, PlanError> {
    let path = dir.map(|dir| dir.join("config.yaml"));
    let Some(path) = path.filter(|path| path.is_file()) else {
        return Ok(RunConfig::default());
    };
    let bytes = read_small(&path)?;
    let parsed = std::str::from_utf8(&bytes)
        .map_err(|e| e.to_string())
        .and_then(RunConfig::parse);
    Ok(parsed.unwrap_or_else(|reason| {
        let first_line = reason.lines().next().unwrap_or_default();
        warnings.push(format!(
            "{} is not a configuration and was not used: {first_line}",
            path.display()
        ));
        RunConfig::default()
    }))
}

/// Reads the snapshot of a run; one that cannot be used is none, since it only helps to recognize the client.
fn read_snapshot(dir: &Path) -> Option<Value> {
    let path = dir.join("metrics/final_snapshot.json");
    let bytes = path.is_file().then(|| read_small(&path))?.ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Reads a small file, or a pipe that has a writer.
pub(crate) fn read_small(path: &Path) -> Result<Vec<u8>, PlanError> {
    files::read_bounded(path, MAX_SMALL_FILE_BYTES).map_err(|source| {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::FileTooLarge => PlanError::TooLarge { path },
            _ => PlanError::Read { path, source },
        }
    })
}
