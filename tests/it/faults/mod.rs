//! Everything that a machine can do to a rewrite, done to the binary. `cargo test --test it faults -- --nocapture
//! --test-threads 1` does only this and prints a table of what was tried and what came of it.
//!
//! Faults at a named point (`src/fault.rs`) exist in builds with debug assertions only, and so does all of this.

#![allow(clippy::print_stdout, reason = "the table")]

mod crash;
mod disk;
mod limits;
mod links;
mod map;
mod pools;
mod refused;
mod together;

use std::fs;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::Run;

pub const SUMMARY: &str = "performance/result_summary.json";
pub const ORIGINAL: &str = "performance/result_summary.orig.json";

const BINARY: &str = env!("CARGO_BIN_EXE_tok-recompute");

/// Nothing here may take longer, on a busy machine; what does hangs.
const LONGEST: Duration = Duration::from_secs(60);

/// An account that owns nothing, for what root may do all the same.
pub const NOBODY: u32 = 65534;

/// An account that runs nothing else.
pub const ALONE: u32 = 64_321;

/// Whether this process may mount, and take another account.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Says why a test did not do its work.
pub fn skip(why: &str) {
    println!("skipped: {why}");
}

/// One line of the table.
pub fn row(fault: &str, outcome: &Outcome, state: &str) {
    say(fault, &outcome.ended, state);
}

/// The same, of many runs.
pub fn say(fault: &str, ended: &str, state: &str) {
    println!("| {fault} | {ended} | {state} |");
}

/// One run of the binary, to be started.
pub struct Trial {
    command: Command,
}

/// How it ended.
#[derive(Debug)]
pub struct Outcome {
    pub ended: String,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the binary on `run` with token ids counted only, which is quick.
pub fn trial(run: &Run, args: &[&str]) -> Trial {
    Trial::shell(run, "", &[&["run", "--tokenizer", "none"], args].concat())
}

impl Trial {
    /// `tok-recompute ARGS` around the run, after the shell commands `before` (limits) in the same process.
    pub fn shell(run: &Run, before: &str, args: &[&str]) -> Self {
        if before.is_empty() {
            return Self::new(Command::new(BINARY), run, args);
        }
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{before} && exec \"$0\" \"$@\""), BINARY]);
        Self::new(shell, run, args)
    }

    /// `tok-recompute ARGS` around the run, started by another program.
    pub fn under(program: &str, options: &[&str], run: &Run, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(options).arg(BINARY);
        Self::new(command, run, args)
    }

    fn new(mut command: Command, run: &Run, args: &[&str]) -> Self {
        command
            .args(args)
            .current_dir(run.around())
            .env_remove("TOK_RECOMPUTE_FAULT")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self { command }
    }

    /// `WHAT` happens the `nth` time that a point is reached whose name starts with `point`.
    pub fn fault(mut self, point: &str, nth: usize, what: &str) -> Self {
        let fault = format!("{point}:{nth}:{what}");
        self.command.env("TOK_RECOMPUTE_FAULT", fault);
        self
    }

    pub fn user(mut self, user: u32) -> Self {
        self.command.uid(user).gid(user);
        self
    }

    pub fn stdin(mut self, from: impl Into<Stdio>) -> Self {
        self.command.stdin(from);
        self
    }

    pub fn stdout(mut self, to: impl Into<Stdio>) -> Self {
        self.command.stdout(to);
        self
    }

    pub fn start(mut self) -> Started {
        Started(self.command.spawn().unwrap())
    }

    pub fn finish(self) -> Outcome {
        self.start().finish()
    }

    /// `None` where the binary cannot be started as asked.
    pub fn finish_if_started(mut self) -> Option<Outcome> {
        let outcome = Started(self.command.spawn().ok()?).finish();
        (!matches!(outcome.code, Some(126 | 127))).then_some(outcome)
    }
}

/// A run of the binary, under way.
pub struct Started(Child);

impl Started {
    /// Waits until the process has stopped itself at its fault.
    pub fn wait_until_stopped(&mut self) {
        let stat = format!("/proc/{}/stat", self.0.id());
        let until = Instant::now() + LONGEST;
        while Instant::now() < until {
            let stat = fs::read_to_string(&stat).unwrap();
            match stat.rsplit(") ").next().unwrap().chars().next() {
                Some('T') => return,
                Some('Z') => panic!("it ended before its fault"),
                _ => thread::sleep(Duration::from_millis(2)),
            }
        }
        panic!("it never came to its fault");
    }

    pub fn go_on(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.0.id()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for its end, and fails if that does not come.
    pub fn finish(mut self) -> Outcome {
        let stdout = self
            .0
            .stdout
            .take()
            .map(|pipe| thread::spawn(|| drain(pipe)));
        let stderr = self
            .0
            .stderr
            .take()
            .map(|pipe| thread::spawn(|| drain(pipe)));
        let status = self.wait();
        let text = |reader: Option<thread::JoinHandle<String>>| {
            reader
                .map(|reader| reader.join().unwrap())
                .unwrap_or_default()
        };
        Outcome {
            ended: match (status.code(), status.signal()) {
                (Some(code), _) => format!("exit {code}"),
                (_, signal) => format!("signal {}", signal.unwrap_or_default()),
            },
            code: status.code(),
            stdout: text(stdout),
            stderr: text(stderr),
        }
    }

    fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + LONGEST;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            if Instant::now() > until {
                self.0.kill().unwrap();
                panic!("it still ran after {LONGEST:?}");
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

fn drain(mut pipe: impl Read) -> String {
    let mut bytes = Vec::new();
    pipe.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Names of temporary files anywhere below `folder`.
pub fn leftovers(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(Result::unwrap)
    {
        let path = entry.path();
        if path.is_dir() {
            found.extend(leftovers(&path));
        } else if entry
            .file_name()
            .to_string_lossy()
            .contains(".tok-recompute-")
        {
            found.push(path);
        }
    }
    found
}

/// The summaries before and after a rewrite that nothing disturbs.
pub struct Expected {
    pub old: Vec<u8>,
    pub new: Vec<u8>,
}

impl Expected {
    pub fn with(args: &[&str]) -> Self {
        let run = Run::text();
        let old = run.bytes(SUMMARY);
        let outcome = trial(&run, args).finish();
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        let new = run.bytes(SUMMARY);
        assert_ne!(old, new);
        Self { old, new }
    }

    /// The summary is whole, the original is kept if it had to be; says which it is.
    #[track_caller]
    pub fn check_whole(&self, run: &Run, at: &str) -> &'static str {
        let summary = run.bytes(SUMMARY);
        let is_new = summary == self.new;
        assert!(is_new || summary == self.old, "torn: {at}");
        match fs::read(run.path(ORIGINAL)) {
            Ok(original) => assert!(original == self.old, "{at}"),
            Err(_) => assert!(!is_new, "no original: {at}"),
        }
        for name in [
            "report.txt",
            "metrics/final_snapshot.json",
            "performance/recompute.json",
        ] {
            if let Ok(bytes) = fs::read(run.path(name)) {
                assert!(
                    bytes.ends_with(b"\n") || bytes.ends_with(b"}"),
                    "{name} is torn: {at}"
                );
            }
        }
        if is_new { "new" } else { "old" }
    }

    /// An undisturbed run afterwards mends everything and leaves nothing behind.
    #[track_caller]
    pub fn check_mended(&self, run: &Run, args: &[&str], at: &str) {
        let outcome = trial(run, args).finish();
        assert_eq!(outcome.code, Some(0), "{at}: {outcome:?}");
        assert!(run.bytes(SUMMARY) == self.new, "{at}");
        assert!(run.bytes(ORIGINAL) == self.old, "{at}");
        assert_eq!(leftovers(run.around()), Vec::<PathBuf>::new(), "{at}");
    }
}
