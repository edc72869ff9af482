//! Untrusted runs, configurations and tokenizers: the program ends soon, reports the problem in one line, and leaves a
//! run that it refuses unchanged.
//!
//! `cargo test --test it untrusted_input -- --include-ignored --nocapture | grep -o '| .*'` also runs the long tests, and
//! prints a table: the input, the limit that it meets, the message, the result.

#![allow(clippy::print_stdout, reason = "the table")]

mod compressed;
mod config;
mod log;
mod place;
mod template;
mod tokenizer;

use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};

use crate::process::{LONGEST, Process};
use crate::support::{Run, fixture};

/// Seconds until the watchdog of a build with debug assertions ends the process, for inputs that need it.
const WATCHDOG_TIMEOUT_S: &str = "1";
/// The message of the watchdog.
const ENDLESS: &str = "does not end";

/// A part of a message, and the limit that the message is about. An input without one is refused or counted at any size.
const LIMITS: [(&str, &str); 22] = [
    ("line too long", "64 MiB a line"),
    ("nested too deeply", "1,024 levels"),
    ("64-bit signed integer", "64 bits"),
    ("a number beyond 64 bits", "64 bits"),
    ("did not fit 64 bits", "64 bits"),
    ("500 times the size", "500 times, from 256 MiB on"),
    ("500 times its size", "500 times, from 256 MiB on"),
    ("too much memory for decoding", "a window of 128 MiB"),
    ("budget breached: Nodes", "250,000 nodes"),
    ("budget breached: MergeKeys", "10,000 merge keys"),
    ("budget breached: Depth", "64 levels"),
    ("is larger than 64 MiB", "64 MiB a file"),
    ("summary: recursion limit exceeded", "127 levels"),
    ("RecursionError", "1,300 levels"),
    ("recursion limit exceeded", "256 levels in one line"),
    ("summary: number out of range", "doubles"),
    ("that a file of its kind may have", "512 MiB a tokenizer"),
    ("parse depth limit over", "4,096 groups"),
    ("retry-limit-in-match over", "ten million steps back"),
    ("has no split point", "8 MiB in one piece"),
    (ENDLESS, "25 s"),
    (
        "could not be counted",
        "10 million steps, 64 MiB, 1,300 levels",
    ),
];

static CHAT: LazyLock<String> =
    LazyLock::new(|| fixture("tokenizers/chat").to_str().unwrap().to_owned());

/// Counts the run with the chat tokenizer; see [`check_args`].
#[track_caller]
fn check(name: &str, run: &Run, code: i32, says: &str) -> Value {
    check_args(name, run, &["run", "--tokenizer", &CHAT], code, says)
}

/// Runs the binary with `args` around the run. It must end soon with `code`, and stderr must contain `says` and only
/// readable messages. Returns the summary, if there is one.
#[track_caller]
fn check_args(name: &str, run: &Run, args: &[&str], code: i32, says: &str) -> Value {
    check_within(LONGEST, name, run, args, code, says)
}

/// The same with another time limit, for inputs that take long in a debug build.
#[track_caller]
fn check_within(
    longest: Duration,
    name: &str,
    run: &Run,
    args: &[&str],
    code: i32,
    says: &str,
) -> Value {
    let before = run.files();
    let mut process = Process::shell(run, "", args).env("RUST_BACKTRACE", "1");
    if says.contains(ENDLESS) {
        process = process.env("TOK_RECOMPUTE_TIMEOUT", WATCHDOG_TIMEOUT_S);
    }
    let outcome = process.start().finish_within(longest);
    let stderr = &outcome.stderr;
    let shown: String = stderr.chars().take(2000).collect();
    assert_eq!(outcome.code, Some(code), "{name}: {shown}");
    assert!(stderr.contains(says), "{name}: {says:?} in {shown}");
    let problem = message_problem(stderr, code);
    assert_eq!(problem, None, "{name}: {shown}");
    if code == 2 {
        let same = run.files() == before;
        assert!(same, "{name}: the run is not as it was");
    }
    row(name, code, stderr, says);
    if code == 2 {
        return Value::Null;
    }
    ["performance/result_summary.json", "result_summary.json"]
        .iter()
        .map(|name| run.path(name))
        .filter(|path| path.is_file())
        .find_map(|path| serde_json::from_slice(&std::fs::read(path).ok()?).ok())
        .unwrap_or_default()
}

/// Checks that messages are our own sentences of bounded length, with one error exactly if the exit code says so.
fn message_problem(stderr: &str, code: i32) -> Option<&'static str> {
    let inner = [
        "panicked at",
        "RUST_BACKTRACE",
        "src/",
        ".rs:",
        "overflowed its stack",
    ];
    if inner.iter().any(|sign| stderr.contains(sign)) {
        return Some("it shows internals");
    }
    let errors: Vec<_> = stderr
        .lines()
        .filter_map(|line| line.strip_prefix("error: "))
        .collect();
    if errors.len() != usize::from(code == 2) {
        return Some("the number of errors");
    }
    errors.iter().find_map(|error| {
        if error.trim_end().ends_with('.') || error.starts_with(char::is_uppercase) {
            Some("the form of the error")
        } else {
            (error.len() >= 1500).then_some("the length of the error")
        }
    })
}

/// Prints one line of the table: the input, the limit that it meets, the message, the result.
fn row(name: &str, code: i32, stderr: &str, says: &str) {
    let told = ["error: ", "warning: ", "note: "];
    let said = stderr
        .lines()
        .filter(|line| line.contains(says) && !line.contains("assuming that"))
        .find_map(|line| told.iter().find_map(|sign| line.strip_prefix(sign)))
        .unwrap_or_default();
    let limit = LIMITS.iter().find(|(sign, _)| said.contains(sign));
    let limit = limit.map_or("none", |(_, limit)| limit);
    let said: String = said.chars().take(160).collect();
    let result = match code {
        0 => "exit 0: counted",
        2 => "exit 2: left as it was",
        _ => "exit 3: counted, incomplete",
    };
    println!("| {name} | {limit} | {said} | {result} |");
}

/// A line of the log.
fn event(kind: &str, timestamp_ns: i64, sample: &str, data: &Value) -> String {
    json!({"event_type": kind, "timestamp_ns": timestamp_ns, "sample_uuid": sample, "data": data})
        .to_string()
}

/// A line of the log with a payload that is already JSON.
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

/// A run with only this log.
fn bare(log: impl AsRef<[u8]>) -> Run {
    let run = Run::empty();
    run.write("events.jsonl", log);
    run
}

/// The arguments to count a run with the tokenizer of [`add_tokenizer`].
const TOK: [&str; 3] = ["run", "--tokenizer", "./tok"];

fn add_tokenizer(run: &Run, json: impl AsRef<[u8]>, config: &Value) {
    run.make_folder("../tok");
    run.write("../tok/tokenizer.json", json);
    let mut config = config.clone();
    config["tokenizer_class"] = json!("PreTrainedTokenizerFast");
    run.write("../tok/tokenizer_config.json", config.to_string());
}
