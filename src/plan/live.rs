//! Finds live runs: the client writes the log of a run into a folder in memory, and copies it into the run directory when
//! the run ends.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::conflicts::{self, Protected};
use super::find::{FoundRun, LOG_NAMES, Log, folder_of, log_in, modified};
use super::{FollowPlan, PlanError, RunPlan, SharedOutputs};

/// The place of these folders; without it the client uses the temporary directory.
const SHARED_MEMORY: &str = "/dev/shm";
/// The start of a folder's name, and the folder in it that holds the log (`commands/benchmark/execute.py`).
const FOLDER_PREFIX: &str = "benchmark_";
const LOG_FOLDER: &str = "events";

/// A live run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LiveRun {
    /// The run as the command line names it, else its log.
    name: String,
    log: PathBuf,
    dir: Option<PathBuf>,
    /// True if the log was found, not named.
    pub found: bool,
}

impl LiveRun {
    /// Finds the run to follow, if its log exists already.
    pub fn find(follow: &FollowPlan) -> Option<Self> {
        let bases = [Path::new(SHARED_MEMORY), &env::temp_dir()];
        Self::find_in(follow.run.as_deref(), &bases)
    }

    fn find_in(run: Option<&Path>, bases: &[&Path]) -> Option<Self> {
        match run {
            None => newest(bases).map(|log| Self {
                name: log.display().to_string(),
                dir: Some(folder_of(&log).to_owned()),
                log,
                found: true,
            }),
            Some(run) if run.is_dir() => Self::of_directory(run, bases),
            Some(run) => run.exists().then(|| Self {
                name: run.display().to_string(),
                log: run.to_owned(),
                dir: Some(folder_of(run).to_owned()),
                found: false,
            }),
        }
    }

    /// Returns the log in the run directory, else the first live log that was begun after the client wrote config.yaml.
    fn of_directory(dir: &Path, bases: &[&Path]) -> Option<Self> {
        let own = log_in(dir);
        let found = own.is_none();
        let log = own.or_else(|| {
            let configured = modified(&dir.join("config.yaml"))?;
            let begun = |log: &PathBuf| modified(folder_of(log));
            let later = logs(bases).filter(|log| begun(log) >= Some(configured));
            later.min_by_key(begun)
        })?;
        Some(Self {
            name: dir.display().to_string(),
            log,
            dir: Some(dir.to_owned()),
            found,
        })
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Resolves the run as it is now; its log was last written at `modified`.
    pub fn plan(
        &self,
        follow: &FollowPlan,
        modified: Option<SystemTime>,
    ) -> Result<RunPlan, PlanError> {
        let found = FoundRun {
            name: self.name.clone(),
            log: Log::Path(self.log.clone()),
            dir: self.dir.clone(),
            modified,
        };
        let options = &follow.options;
        let mut protected = Protected::default();
        protected.add_run(&found, options.writing.summary.as_deref());
        let plan = RunPlan::new(found, options, None)?;
        conflicts::check(&protected, [&plan.outputs], &SharedOutputs::default())?;
        if let Some(folder) = self.vanishing() {
            let folders = plan.outputs.report_files().map(folder_of);
            let mut folders = folders.filter_map(|folder| folder.canonicalize().ok());
            if folders.any(|written| written.starts_with(&folder)) {
                return Err(PlanError::Vanishes(folder));
            }
        }
        Ok(plan)
    }

    /// Returns the folder around the log that the client removes when the run ends, if there is one.
    pub fn vanishing(&self) -> Option<PathBuf> {
        let log = self.log.canonicalize();
        let log = log.as_deref().unwrap_or(&self.log);
        let events = log.parent().filter(|folder| folder.ends_with(LOG_FOLDER))?;
        let folder = events.parent()?;
        let name = folder.file_name()?.to_str()?;
        name.starts_with(FOLDER_PREFIX).then(|| folder.to_owned())
    }
}

/// Returns live logs, in any order.
fn logs(bases: &[&Path]) -> impl Iterator<Item = PathBuf> {
    let mut logs: Vec<PathBuf> = Vec::new();
    for base in bases {
        let entries = fs::read_dir(base).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| {
            let name = entry.file_name();
            name.as_encoded_bytes()
                .starts_with(FOLDER_PREFIX.as_bytes())
        });
        logs.extend(folders.map(|entry| entry.path().join(LOG_FOLDER).join(LOG_NAMES[0])));
    }
    logs.into_iter().filter(|log| log.is_file())
}

/// Returns the log that was written last.
fn newest(bases: &[&Path]) -> Option<PathBuf> {
    logs(bases).max_by_key(|log| modified(log))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;

    /// Creates files; they and their folders are modified at these seconds.
    fn tree(files: &[(&str, u64)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, seconds) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(*seconds);
            File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_modified(time)
                .unwrap();
            File::open(path.parent().unwrap())
                .unwrap()
                .set_modified(time)
                .unwrap();
        }
        root
    }

    #[test]
    fn the_log_is_the_named_one_or_the_newest_live_one() {
        let root = tree(&[
            ("shm/benchmark_a/events/events.jsonl", 10),
            ("shm/benchmark_b/events/events.jsonl", 30),
            ("shm/benchmark_c/events/other.jsonl", 90),
            ("shm/other_d/events/events.jsonl", 90),
            ("tmp/benchmark_e/events/events.jsonl", 20),
            ("run_before/config.yaml", 5),
            ("run_between/config.yaml", 15),
            ("run_after/config.yaml", 95),
            ("run_done/config.yaml", 5),
            ("run_done/events.jsonl", 6),
            ("run_packed/events.jsonl.gz", 6),
            ("no_run/file", 1),
        ]);
        let at = |name: &str| root.path().join(name);
        let check = |run: Option<&str>, log: Option<&str>, found: bool| {
            let bases = [&*at("shm"), &*at("tmp")];
            let live = LiveRun::find_in(run.map(at).as_deref(), &bases);
            let got = live.as_ref().map(|live| (live.log.clone(), live.found));
            assert_eq!(got, log.map(|log| (at(log), found)), "{run:?}");
        };
        check(None, Some("shm/benchmark_b/events/events.jsonl"), true);
        let given = "shm/benchmark_a/events/events.jsonl";
        check(Some(given), Some(given), false);
        check(Some("nothing"), None, false);
        check(Some("no_run"), None, false);
        check(
            Some("run_before"),
            Some("shm/benchmark_a/events/events.jsonl"),
            true,
        );
        check(
            Some("run_between"),
            Some("tmp/benchmark_e/events/events.jsonl"),
            true,
        );
        check(Some("run_after"), None, false);
        check(Some("run_done"), Some("run_done/events.jsonl"), false);
        check(
            Some("run_packed"),
            Some("run_packed/events.jsonl.gz"),
            false,
        );
        assert_eq!(LiveRun::find_in(None, &[&at("nowhere")]), None);
    }

    #[test]
    fn the_client_s_own_folder_vanishes() {
        let check = |log: &str, expected: Option<&str>| {
            let live = LiveRun {
                name: String::new(),
                log: log.into(),
                dir: None,
                found: false,
            };
            assert_eq!(live.vanishing(), expected.map(PathBuf::from), "{log}");
        };
        let folder = "/dev/shm/benchmark_x";
        check("/dev/shm/benchmark_x/events/events.jsonl", Some(folder));
        check("benchmark_x/events/e", Some("benchmark_x"));
        check("/dev/shm/benchmark_x/events.jsonl", None);
        check("/dev/shm/run/events/events.jsonl", None);
        check("events.jsonl", None);
        check("/", None);
    }
}
