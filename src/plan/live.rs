//! Where a run is that goes on: the client writes the log of a run into a folder in memory, and copies it into the run
//! directory when the run ends.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::conflicts::keep_apart;
use super::{Found, LOG_NAMES, Log, PlanError, RunPlan, folder_of};
use crate::cli::Cli;

/// Where the client makes such a folder where it can; otherwise in the temporary directory.
const SHARED_MEMORY: &str = "/dev/shm";
/// The start of its name, and the folder in it that has the log (`commands/benchmark/execute.py`).
const PREFIX: &str = "benchmark_";
const INNER: &str = "events";

/// A run that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// As the person named it; the log if they did not.
    name: String,
    log: PathBuf,
    dir: Option<PathBuf>,
    /// Whether the log was found, not named.
    pub found: bool,
}

impl Live {
    /// The run that the command line means, if its log is there already.
    pub fn find(cli: &Cli) -> Result<Option<Self>, PlanError> {
        Self::find_in(&cli.runs, &[Path::new(SHARED_MEMORY), &env::temp_dir()])
    }

    fn find_in(runs: &[PathBuf], bases: &[&Path]) -> Result<Option<Self>, PlanError> {
        match runs {
            [] => Ok(newest(bases).map(|log| Self {
                name: log.display().to_string(),
                dir: Some(folder_of(&log).to_owned()),
                log,
                found: true,
            })),
            [run] if run == Path::new("-") => Err(PlanError::FollowsStdin),
            [run] if run.is_dir() => Ok(Self::of_directory(run, bases)),
            [run] => Ok(run.exists().then(|| Self {
                name: run.display().to_string(),
                log: run.clone(),
                dir: Some(folder_of(run).to_owned()),
                found: false,
            })),
            several => Err(PlanError::SeveralToFollow(several.len())),
        }
    }

    /// Its own log, else the first live one that was begun after the client wrote the run's configuration.
    fn of_directory(dir: &Path, bases: &[&Path]) -> Option<Self> {
        let own = LOG_NAMES.map(|name| dir.join(name));
        let own = own.into_iter().find(|path| path.is_file());
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

    /// Where the log is.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Resolves the run as it is now; its log was last written at `modified`.
    pub fn plan(&self, cli: &Cli, modified: Option<SystemTime>) -> Result<RunPlan, PlanError> {
        let found = Found {
            name: self.name.clone(),
            log: Log::Path(self.log.clone()),
            dir: self.dir.clone(),
            modified,
        };
        let place = (found.log.clone(), found.dir.clone());
        let plan = RunPlan::of(found, cli, None)?;
        keep_apart(cli, &[place], &[&plan.targets])?;
        let real = |path: &Path| folder_of(path).canonicalize().ok();
        match self.vanishing() {
            Some(folder)
                if (plan.targets.paths().filter_map(real))
                    .any(|path| path.starts_with(&folder)) =>
            {
                Err(PlanError::Vanishes(folder))
            }
            _ => Ok(plan),
        }
    }

    /// The folder that the client removes when the run ends, if the log is in one.
    pub fn vanishing(&self) -> Option<PathBuf> {
        let log = self.log.canonicalize();
        let log = log.as_deref().unwrap_or(&self.log);
        let events = log.parent().filter(|folder| folder.ends_with(INNER))?;
        let folder = events.parent()?;
        let name = folder.file_name()?.to_str()?;
        name.starts_with(PREFIX).then(|| folder.to_owned())
    }
}

/// Live logs, in no order.
fn logs(bases: &[&Path]) -> impl Iterator<Item = PathBuf> {
    let mut logs: Vec<PathBuf> = Vec::new();
    for base in bases {
        let entries = fs::read_dir(base).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| {
            let name = entry.file_name();
            name.as_encoded_bytes().starts_with(PREFIX.as_bytes())
        });
        logs.extend(folders.map(|entry| entry.path().join(INNER).join(LOG_NAMES[0])));
    }
    logs.into_iter().filter(|log| log.is_file())
}

/// The one that was written last.
fn newest(bases: &[&Path]) -> Option<PathBuf> {
    logs(bases).max_by_key(|log| modified(log))
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|file| file.modified()).ok()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;

    /// Files with the seconds of their times, and those of their folders.
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
            let runs: Vec<PathBuf> = run.into_iter().map(at).collect();
            let live = Live::find_in(&runs, &[&at("shm"), &at("tmp")]).unwrap();
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
        assert_eq!(Live::find_in(&[], &[&at("nowhere")]).unwrap(), None);
        for runs in [&["-"][..], &["a", "b"]] {
            let runs: Vec<PathBuf> = runs.iter().map(PathBuf::from).collect();
            Live::find_in(&runs, &[]).unwrap_err();
        }
    }

    #[test]
    fn the_client_s_own_folder_vanishes() {
        let check = |log: &str, expected: Option<&str>| {
            let live = Live {
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
