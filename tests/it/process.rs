//! The binary as a process: it runs under limits, is stopped, meets faults, and is waited for.

#![cfg_attr(
    not(debug_assertions),
    allow(dead_code, reason = "faults exist with debug assertions only")
)]

use std::fs;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::Run;

const BINARY: &str = env!("CARGO_BIN_EXE_tok-recompute");

/// The longest time that a process may take on a busy machine, whatever its input. A longer one hangs.
pub const LONGEST: Duration = Duration::from_secs(60);

/// A process that is not started yet.
pub struct Process {
    command: Command,
}

/// The result of a process.
#[derive(Debug)]
pub struct Outcome {
    pub ended: String,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Process {
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

    /// Lets `what` happen the `nth` time that the process reaches a failpoint whose name starts with `point`.
    pub fn fault(mut self, point: &str, nth: usize, what: &str) -> Self {
        let fault = format!("{point}:{nth}:{what}");
        self.command.env("TOK_RECOMPUTE_FAULT", fault);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
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

/// A process that runs.
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
                Some('Z') => panic!("the process ended before its fault"),
                _ => thread::sleep(Duration::from_millis(2)),
            }
        }
        panic!("the process did not reach its fault");
    }

    pub fn go_on(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.0.id()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the end; panics after `LONGEST`.
    pub fn finish(self) -> Outcome {
        self.finish_within(LONGEST)
    }

    /// The same, for work that takes long in a debug build.
    pub fn finish_within(mut self, longest: Duration) -> Outcome {
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
        let status = self.wait(longest);
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

    fn wait(&mut self, longest: Duration) -> ExitStatus {
        let until = Instant::now() + longest;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            if Instant::now() > until {
                self.0.kill().unwrap();
                panic!("the process still runs after {longest:?}");
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
