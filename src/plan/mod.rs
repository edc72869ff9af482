//! What a person typed, together with what lies in the run, resolved into what will be done:
//! where the log, the configuration and the summary are, what the report depends on, and what
//! is written where. Nothing is counted and nothing is written here.

mod baseline;
mod conflicts;
pub mod config;
mod date;
mod containment;
mod live;
mod page;

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustix::fs::{Mode, OFlags};
use serde_json::Value;

use crate::cli::{Artifact, Cli, QpsWindow};
pub use baseline::Against;
use config::RunConfig;
pub use date::RunDate;
pub use live::Live;
pub use page::PageTarget;

/// Names a log can have in a run directory, the preferred first.
const LOG_NAMES: [&str; 3] = ["events.jsonl", "events.jsonl.zst", "events.jsonl.gz"];
/// config.yaml, summaries and the like are small; a larger file is not what it claims to be.
const MAX_SMALL_FILE_BYTES: u64 = 64 << 20;

/// Why a run cannot be recomputed as asked.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum PlanError {
    #[error("no such run: {0} (expected a run directory or an events.jsonl)")]
    NoSuchRun(PathBuf),
    #[error("no event log in {0}: expected events.jsonl, events.jsonl.zst or events.jsonl.gz")]
    NoLog(PathBuf),
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} is larger than {} MiB", MAX_SMALL_FILE_BYTES >> 20)]
    TooLarge { path: PathBuf },
    #[error(
        "{path} is not a summary: {reason}; name another with --summary, or move it away to build a new one"
    )]
    NotASummary { path: PathBuf, reason: String },
    #[error("a log from stdin has no run to write into: give --output, --summary or --dry-run")]
    NowhereToWrite,
    #[error("no summary at {0}: --summary names the existing summary to rewrite")]
    NoSummary(PathBuf),
    #[error(
        "{path} leads out of the run, to {leads_to}, and is not written through: name a summary with --summary, or \
         write elsewhere with --output"
    )]
    LeavesTheRun { path: PathBuf, leads_to: PathBuf },
    #[error("{0} names one file, but there are several RUNs: give one RUN, or leave it out")]
    OneFileForSeveralRuns(&'static str),
    #[error("no such summary or run: {0} (given by --against)")]
    NoSuchBaseline(PathBuf),
    #[error("--follow takes one RUN, there are {0}")]
    SeveralToFollow(usize),
    #[error(
        "--follow reads a file that grows; a pipe is read to its end anyway: leave --follow out"
    )]
    FollowsStdin,
    #[error(
        "{0} is removed when the run ends, and a report in it: name the run directory instead of the log, say where to \
         write with --output, or write nothing with --dry-run"
    )]
    Vanishes(PathBuf),
    #[error("{0} is read, and would be overwritten: write elsewhere")]
    ReadAndWritten(PathBuf),
    #[error("{0} would be written twice: give each file its own name")]
    WrittenTwice(PathBuf),
    #[error("{0} has neither a summary nor an event log to compare with (given by --against)")]
    EmptyBaseline(PathBuf),
}

/// A RUN that cannot be recomputed as asked.
#[derive(Debug)]
pub struct Unresolved {
    /// As the person named it.
    pub run: String,
    /// Why.
    pub error: PlanError,
}

/// Where the log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Log {
    /// A file.
    Path(PathBuf),
    /// Standard input.
    Stdin,
}

impl Log {
    /// Whether it can be read a second time: a pipe cannot.
    pub fn is_file(&self) -> bool {
        matches!(self, Self::Path(path) if path.is_file())
    }

    /// The path as the reader takes it: `-` is standard input.
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

/// The tokenizer asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenizerName {
    /// `--tokenizer none`: only token ids are counted.
    None,
    /// A directory, a file or a repo id; `from_config` when the run's config.yaml names it.
    Named {
        /// As given.
        name: String,
        /// Whether config.yaml gave it, not the command line.
        from_config: bool,
    },
    /// Nobody named one.
    Unknown,
}

/// The files that a recompute writes; `None` where it should not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// result_summary.json
    pub summary: Option<PathBuf>,
    /// report.txt
    pub report: Option<PathBuf>,
    /// final_snapshot.json
    pub snapshot: Option<PathBuf>,
    /// recompute.json, the record of what was done
    pub record: Option<PathBuf>,
    /// result_summary.orig.json, where the original summary is kept
    pub original: Option<PathBuf>,
}

impl Targets {
    /// Every file that may be written.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let Self {
            summary,
            report,
            snapshot,
            record,
            original,
        } = self;
        [summary, report, snapshot, record, original]
            .into_iter()
            .filter_map(Option::as_deref)
    }
}

/// One run, resolved.
#[derive(Clone, Debug)]
pub struct RunPlan {
    /// As the person named it.
    pub name: String,
    /// Where the events are.
    pub log: Log,
    /// The run directory, if there is one.
    pub dir: Option<PathBuf>,
    /// The run's configuration, empty if there is none.
    pub config: RunConfig,
    /// The existing summary's bytes.
    pub previous: Option<Vec<u8>>,
    /// The tokenizer asked for.
    pub tokenizer: TokenizerName,
    /// Whether responses were streamed; `None`: let the log tell.
    pub streaming: Option<bool>,
    /// Whether early-stopping estimates are reported.
    pub early_stopping: bool,
    /// Whether QPS and TPS use LoadGen's window.
    pub legacy_window: bool,
    /// What chat templates take for the date.
    pub date: RunDate,
    /// What is written where.
    pub targets: Targets,
    /// Folders that nobody else may rewrite meanwhile; none when the run is left alone.
    pub folders: Vec<PathBuf>,
    /// What it is compared with instead of its own summary.
    pub against: Option<Arc<Against>>,
    /// Where its page goes, if there is to be one.
    pub page: Option<PageTarget>,
    /// What could not be read though it is there; one line each.
    pub warnings: Vec<String>,
    /// What had to be assumed; one line each.
    pub assumed: Vec<String>,
}

/// A log, and the run around it.
struct Found {
    name: String,
    log: Log,
    dir: Option<PathBuf>,
    /// When the log was last written.
    modified: Option<SystemTime>,
}

/// Resolves every RUN of the command line, each on its own.
pub fn resolve(cli: &Cli) -> Result<Vec<Result<RunPlan, Unresolved>>, PlanError> {
    let runs = named_once(cli.runs.iter().flat_map(|run| expand(run)));
    if runs.len() > 1 {
        for (flag, path) in [
            ("--summary", &cli.writing.summary),
            ("--output", &cli.writing.output),
            ("--samples", &cli.writing.samples),
        ] {
            if path.is_some() {
                return Err(PlanError::OneFileForSeveralRuns(flag));
            }
        }
    }
    let against = Against::resolve(cli)?.map(Arc::new);
    let page = |number: usize, run: &Path| {
        let html = cli.writing.html.as_deref()?;
        Some(match runs.len() {
            1 => PageTarget::alone(html),
            _ => PageTarget::of_several(html, number, run),
        })
    };
    let resolve = |(number, run): (usize, &PathBuf)| {
        let plan = RunPlan::resolve(run, cli, against.clone()).map_err(|error| Unresolved {
            run: run.display().to_string(),
            error,
        })?;
        Ok(RunPlan {
            page: page(number, run),
            ..plan
        })
    };
    let plans: Vec<Result<RunPlan, Unresolved>> = (1..).zip(&runs).map(resolve).collect();
    let places: Vec<_> = (runs.iter().chain(&cli.checking.against))
        .filter_map(|run| find_log(run).ok())
        .collect();
    let targets: Vec<_> = plans.iter().flatten().map(|plan| &plan.targets).collect();
    conflicts::keep_apart(cli, &places, &targets)?;
    Ok(plans)
}

/// Each run once, where it is named first: a pattern may name one that is named besides.
fn named_once(runs: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut seen = HashSet::new();
    runs.filter(|run| match find_log(run) {
        Ok((Log::Path(log), _)) => log.canonicalize().map_or(true, |log| seen.insert(log)),
        Ok((Log::Stdin, _)) => seen.insert(run.clone()),
        Err(_) => true,
    })
    .collect()
}

/// The runs that a pattern names, in alphabetical order; what is there, or matches nothing, is taken as it is.
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
    let mut found: Vec<PathBuf> = paths
        .filter_map(Result::ok)
        .filter(|path| is_run(path))
        .collect();
    if found.is_empty() {
        found.push(run.to_owned());
    }
    found
}

/// Whether a path that a pattern matches is meant: a folder, even one whose log is missing, or a log.
fn is_run(path: &Path) -> bool {
    path.is_dir() || is_log(path)
}

/// Whether a file is a log by its name.
fn is_log(path: &Path) -> bool {
    LOG_NAMES.iter().any(|name| path.ends_with(name))
}

impl RunPlan {
    fn resolve(run: &Path, cli: &Cli, against: Option<Arc<Against>>) -> Result<Self, PlanError> {
        let (log, dir) = find_log(run)?;
        let name = run.display().to_string();
        let modified = match &log {
            Log::Path(path) => fs::metadata(path).and_then(|file| file.modified()).ok(),
            Log::Stdin => None,
        };
        Self::of(
            Found {
                name,
                log,
                dir,
                modified,
            },
            cli,
            against,
        )
    }

    fn of(found: Found, cli: &Cli, against: Option<Arc<Against>>) -> Result<Self, PlanError> {
        let Found {
            name,
            log,
            dir,
            modified,
        } = found;
        let (mut warnings, mut assumed) = (Vec::new(), Vec::new());
        let config = read_config(dir.as_deref(), &mut warnings)?;
        let existing = existing_summary(dir.as_deref(), cli)?;
        let previous = existing.as_deref().map(read_small).transpose()?;
        let facts = match (&existing, &previous) {
            (Some(path), Some(bytes)) => summary_facts(path, bytes)?,
            // Another run's page has no say in what is written.
            _ => against
                .as_ref()
                .filter(|_| cli.checking.check)
                .map_or(Value::Null, |against| against.facts()),
        };
        let targets = targets(dir.as_deref(), existing, cli)?;
        let folders = folders(dir.as_deref(), &targets, cli);
        match (&cli.writing.output, &cli.writing.summary, &dir) {
            (Some(_), ..) | (None, None, None) => {}
            (None, Some(named), _) => {
                // What was named on the command line may be anywhere; what lies beside it may not lead on.
                let root = folder_of(named);
                let others = targets.paths().filter(|path| path != named);
                containment::stay_inside(&[root, dir.as_deref().unwrap_or(root)], others)?;
            }
            (None, None, Some(dir)) => containment::stay_inside(&[dir], targets.paths())?,
        }
        let tokenizer = match &cli.counting.tokenizer {
            Some(name) if name == "none" => TokenizerName::None,
            Some(name) => TokenizerName::Named {
                name: name.clone(),
                from_config: false,
            },
            None => match config.tokenizer() {
                Some(name) => TokenizerName::Named {
                    name: name.to_owned(),
                    from_config: true,
                },
                None => TokenizerName::Unknown,
            },
        };
        Ok(Self {
            name,
            date: RunDate::resolve(cli.counting.date, modified),
            page: None,
            log,
            streaming: streaming(cli, &config, &facts, &mut assumed),
            early_stopping: early_stopping(cli, &config, &facts, &mut assumed),
            legacy_window: legacy_window(cli, &config, &facts, &mut assumed),
            dir,
            config,
            previous,
            tokenizer,
            targets,
            folders,
            against,
            warnings,
            assumed,
        })
    }
}

/// The log that `run` means, and the run directory around it.
fn find_log(run: &Path) -> Result<(Log, Option<PathBuf>), PlanError> {
    if run == Path::new("-") {
        return Ok((Log::Stdin, None));
    }
    let metadata = fs::metadata(run).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => PlanError::NoSuchRun(run.to_owned()),
        _ => PlanError::Read {
            path: run.to_owned(),
            source,
        },
    })?;
    if !metadata.is_dir() {
        return Ok((Log::Path(run.to_owned()), Some(folder_of(run).to_owned())));
    }
    let mut candidates = LOG_NAMES.iter().map(|name| run.join(name));
    let log = candidates
        .find(|path| path.is_file())
        .ok_or_else(|| PlanError::NoLog(run.to_owned()))?;
    Ok((Log::Path(log), Some(run.to_owned())))
}

/// The folder that holds `path`.
fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// A small file's bytes; a pipe's, if somebody writes into it.
pub fn read_small(path: &Path) -> Result<Vec<u8>, PlanError> {
    let read = || -> io::Result<Vec<u8>> {
        // Opening a pipe that nobody writes into would wait for ever. So opened, it is empty. Some of the kernel's own
        // files, which look regular, are waited for too.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = fs::File::from(rustix::fs::open(path, flags, Mode::empty())?);
        let kind = file.metadata()?.file_type();
        if kind.is_fifo() {
            rustix::fs::fcntl_setfl(&file, OFlags::empty())?;
        } else if !kind.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut bytes = Vec::new();
        file.take(MAX_SMALL_FILE_BYTES + 1)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|source| PlanError::Read {
        path: path.to_owned(),
        source,
    })?;
    if bytes.len() as u64 > MAX_SMALL_FILE_BYTES {
        return Err(PlanError::TooLarge {
            path: path.to_owned(),
        });
    }
    Ok(bytes)
}

/// config.yaml: absent is normal, unreadable YAML is worth a warning, not a stop.
fn read_config(dir: Option<&Path>, warnings: &mut Vec<String>) -> Result<RunConfig, PlanError> {
    let Some(path) = dir
        .map(|dir| dir.join("config.yaml"))
        .filter(|path| path.is_file())
    else {
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

/// The summary that exists already.
fn existing_summary(dir: Option<&Path>, cli: &Cli) -> Result<Option<PathBuf>, PlanError> {
    if let Some(path) = &cli.writing.summary {
        return if path.is_file() {
            Ok(Some(path.clone()))
        } else {
            Err(PlanError::NoSummary(path.clone()))
        };
    }
    Ok(dir.and_then(summary_in))
}

/// The summary in a run directory.
fn summary_in(dir: &Path) -> Option<PathBuf> {
    let candidates = [
        dir.join("performance/result_summary.json"),
        dir.join("result_summary.json"),
    ];
    candidates.into_iter().find(|path| path.exists())
}

fn summary_facts(path: &Path, bytes: &[u8]) -> Result<Value, PlanError> {
    let reason = match serde_json::from_slice::<Value>(bytes) {
        Ok(facts) if facts.is_object() => return Ok(facts),
        Ok(_) => "expected a JSON object".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(PlanError::NotASummary {
        path: path.to_owned(),
        reason,
    })
}

fn targets(dir: Option<&Path>, existing: Option<PathBuf>, cli: &Cli) -> Result<Targets, PlanError> {
    let writing = &cli.writing;
    if writing.dry_run || cli.checking.check {
        return Ok(Targets::default());
    }
    let wants = |artifact| writing.write.contains(&artifact);
    if let Some(output) = &writing.output {
        let beside = |name: &str| output.with_file_name(name);
        return Ok(Targets {
            summary: wants(Artifact::Summary).then(|| output.clone()),
            report: wants(Artifact::Report).then(|| beside("report.txt")),
            snapshot: wants(Artifact::Snapshot).then(|| beside("final_snapshot.json")),
            record: Some(beside("recompute.json")),
            original: None,
        });
    }
    let summary = existing
        .or_else(|| dir.map(new_summary))
        .ok_or(PlanError::NowhereToWrite)?;
    let root = dir.unwrap_or_else(|| summary.parent().unwrap_or(Path::new(".")));
    Ok(Targets {
        report: wants(Artifact::Report).then(|| root.join("report.txt")),
        snapshot: wants(Artifact::Snapshot).then(|| root.join("metrics/final_snapshot.json")),
        record: Some(summary.with_file_name("recompute.json")),
        original: wants(Artifact::Summary)
            .then(|| summary.with_file_name("result_summary.orig.json")),
        summary: wants(Artifact::Summary).then_some(summary),
    })
}

/// The folders that a rewrite has for itself: the run's, and that of its summary.
fn folders(dir: Option<&Path>, targets: &Targets, cli: &Cli) -> Vec<PathBuf> {
    if cli.writing.output.is_some() {
        return Vec::new();
    }
    let beside = targets.record.as_deref().map(folder_of);
    let all = dir.filter(|_| beside.is_some()).into_iter().chain(beside);
    all.map(Path::to_owned).collect()
}

/// Where the summary of a run without one belongs: a run directory has a performance folder, a
/// bare log has its summary beside it.
fn new_summary(dir: &Path) -> PathBuf {
    let is_run = dir.join("config.yaml").exists() || dir.join("performance").is_dir();
    dir.join(if is_run {
        "performance/result_summary.json"
    } else {
        "result_summary.json"
    })
}

fn streaming(
    cli: &Cli,
    config: &RunConfig,
    facts: &Value,
    assumed: &mut Vec<String>,
) -> Option<bool> {
    if let Some(switch) = cli.overrides.streaming {
        return Some(switch.is_on());
    }
    if let Some(streaming) = config.streaming() {
        return Some(streaming);
    }
    let ttft = facts
        .get("ttft")
        .and_then(Value::as_object)
        .filter(|ttft| !ttft.is_empty());
    if ttft.is_some() {
        return Some(true);
    }
    assumed.push(
        "assuming that responses were streamed if the log has first chunks (--streaming on|off)"
            .into(),
    );
    None
}

fn early_stopping(cli: &Cli, config: &RunConfig, facts: &Value, assumed: &mut Vec<String>) -> bool {
    if let Some(switch) = cli.overrides.early_stopping {
        return switch.is_on();
    }
    if let Some(enabled) = config.early_stopping() {
        return enabled;
    }
    let complete = facts.get("complete").and_then(Value::as_bool) == Some(true);
    let latency = facts.get("latency").and_then(Value::as_object);
    if complete && let Some(latency) = latency {
        return latency.contains_key("early_stopping_percentiles");
    }
    assumed
        .push("assuming that early-stopping estimates are wanted (--early-stopping on|off)".into());
    true
}

fn legacy_window(cli: &Cli, config: &RunConfig, facts: &Value, assumed: &mut Vec<String>) -> bool {
    if let Some(window) = cli.overrides.qps_window {
        return window == QpsWindow::Legacy;
    }
    let in_summary = facts
        .pointer("/run_config/load_pattern")
        .and_then(config::legacy_qps_window);
    if let Some(legacy) = config.legacy_qps_window().or(in_summary) {
        return legacy;
    }
    if facts
        .get("legacy_loadgen_window_duration_ns")
        .is_some_and(Value::is_number)
    {
        return true;
    }
    assumed.push(
        "assuming that QPS and TPS use the tracked duration (--qps-window native|legacy)".into(),
    );
    false
}
