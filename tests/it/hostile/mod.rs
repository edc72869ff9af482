//! Whatever a run, its configuration or its tokenizer may hold, written by whoever: the program ends soon, says in a line
//! what it made of it, and a run that it refuses is as it was.
//!
//! `cargo test --test it hostile -- --include-ignored --nocapture` tries also what takes long, and prints a table.

#![allow(clippy::print_stdout, reason = "the table")]

mod compressed;
mod config;
mod log;
mod place;
mod template;
mod tokenizer;

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Run, fixture};

/// Nothing takes longer, however hostile.
const LONGEST: Duration = Duration::from_secs(60);
/// Seconds until a build with debug assertions gives up on work that does not end, where it does not.
const PATIENCE: &str = "1";
/// What it says then.
const ENDLESS: &str = "does not end";

/// An input, and what must come of it.
struct Case<'a> {
    name: &'a str,
    run: &'a Run,
    /// What is typed, apart from the tokenizer.
    args: &'a [&'a str],
    /// The tokenizer; `None` for the one that the run names.
    tokenizer: Option<&'a str>,
    code: i32,
    /// What stderr says, among other things.
    says: &'a str,
}

impl Case<'_> {
    /// Runs it; what the summary holds then, if there is one.
    #[track_caller]
    fn check(&self) -> Value {
        let before = self.run.files();
        let mut args = self.args.to_vec();
        args.extend(self.tokenizer.iter().flat_map(|it| ["--tokenizer", it]));
        let (code, stderr) = self.finish(&args);
        let shown: String = stderr.chars().take(2000).collect();
        let name = self.name;
        assert_eq!(code, Some(self.code), "{name}: {shown}");
        assert!(
            stderr.contains(self.says),
            "{name}: {:?} in {shown}",
            self.says
        );
        for sign in [
            "panicked at",
            "RUST_BACKTRACE",
            "src/",
            ".rs:",
            "overflowed its stack",
        ] {
            assert!(!stderr.contains(sign), "{name}: {shown}");
        }
        let errors: Vec<_> = stderr
            .lines()
            .filter_map(|line| line.strip_prefix("error: "))
            .collect();
        assert_eq!(errors.len(), usize::from(self.code == 2), "{name}: {shown}");
        for error in &errors {
            let last = error.trim_end().chars().last();
            assert!(
                last != Some('.') && !error.starts_with(char::is_uppercase),
                "{name}: {shown}"
            );
            assert!(
                error.len() < 1500,
                "{name}: {} bytes of message",
                error.len()
            );
        }
        if self.code == 2 {
            assert!(
                self.run.files() == before,
                "{name}: the run is not as it was"
            );
        }
        let said = stderr
            .lines()
            .find(|line| line.contains(self.says) && !line.contains("assuming that"))
            .unwrap_or_default();
        let said: String = said.chars().take(160).collect();
        println!("| {name} | exit {} | {said} |", self.code);
        ["performance/result_summary.json", "result_summary.json"]
            .iter()
            .find_map(|name| serde_json::from_slice(&std::fs::read(self.run.path(name)).ok()?).ok())
            .unwrap_or_default()
    }

    fn finish(&self, args: &[&str]) -> (Option<i32>, String) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tok-recompute"))
            .args(args)
            .current_dir(self.run.around())
            .envs(
                self.says
                    .contains(ENDLESS)
                    .then_some(("TOK_RECOMPUTE_PATIENCE", PATIENCE)),
            )
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stderr.take().unwrap();
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).map(|_| bytes)
        });
        let started = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > LONGEST {
                child.kill().unwrap();
                panic!("{} still ran after {LONGEST:?}", self.name);
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let bytes = reader.join().unwrap().unwrap();
        (status.code(), String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// A line of the log.
fn event(kind: &str, timestamp_ns: i64, sample: &str, data: &Value) -> String {
    json!({"event_type": kind, "timestamp_ns": timestamp_ns, "sample_uuid": sample, "data": data})
        .to_string()
}

/// The line of an event whose payload is written as it is.
fn raw(kind: &str, sample: &str, data: &str) -> String {
    format!(r#"{{"event_type":"{kind}","timestamp_ns":50,"sample_uuid":"{sample}","data":{data}}}"#)
}

fn prompt(sample: &str, text: &str) -> String {
    event("sample.issued", 10, sample, &json!(["PromptData", text]))
}

/// A whole session around `lines`.
fn session(lines: &[String]) -> String {
    let around = |kind, at| event(kind, at, "", &Value::Null);
    let mut all = vec![
        around("session.started", 1),
        around("session.start_performance_tracking", 2),
    ];
    all.extend_from_slice(lines);
    all.push(around("session.ended", 1_000_000));
    all.join("\n") + "\n"
}

/// A run with this log and nothing else.
fn bare(log: impl AsRef<[u8]>) -> Run {
    let run = Run::empty();
    run.write("events.jsonl", log);
    run
}

fn chat() -> String {
    fixture("tokenizers/chat").to_str().unwrap().to_owned()
}
