//! Whatever a run, its configuration or its tokenizer may hold, written by whoever: the program ends soon, says in a line
//! what it made of it, and a run that it refuses is as it was.
//!
//! `cargo test --test it hostile -- --include-ignored --nocapture | grep -o '| .*'` tries also what takes long, and prints
//! a table: the input, the limit that it meets, what was said, what came of it.

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

use crate::process::{LONGEST, Trial};
use crate::support::{Run, fixture};

/// Seconds until a build with debug assertions gives up on work that does not end, where it does not.
const TIMEOUT: &str = "1";
/// What it says then.
const ENDLESS: &str = "does not end";

/// What a message shows of a limit, and the limit. What shows none is refused, or counted, whatever its size.
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

/// Runs the binary with `args` around the run. It must end soon, with `code`, and stderr must hold `says` and nothing
/// that a person cannot read. What the summary holds then, if there is one.
#[track_caller]
fn check_args(name: &str, run: &Run, args: &[&str], code: i32, says: &str) -> Value {
    check_within(LONGEST, name, run, args, code, says)
}

/// The same, for what takes longer than it may in a debug build.
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
    let mut trial = Trial::shell(run, "", args).env("RUST_BACKTRACE", "1");
    if says.contains(ENDLESS) {
        trial = trial.env("TOK_RECOMPUTE_TIMEOUT", TIMEOUT);
    }
    let outcome = trial.start().finish_within(longest);
    let stderr = &outcome.stderr;
    let shown: String = stderr.chars().take(2000).collect();
    assert_eq!(outcome.code, Some(code), "{name}: {shown}");
    assert!(stderr.contains(says), "{name}: {says:?} in {shown}");
    let wrong = what_is_wrong_with(stderr, code);
    assert_eq!(wrong, None, "{name}: {shown}");
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

/// Messages are sentences of ours, of bounded length, and there is one error where, and only where, the code says so.
fn what_is_wrong_with(stderr: &str, code: i32) -> Option<&'static str> {
    let inner = [
        "panicked at",
        "RUST_BACKTRACE",
        "src/",
        ".rs:",
        "overflowed its stack",
    ];
    if inner.iter().any(|sign| stderr.contains(sign)) {
        return Some("it shows its insides");
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

/// One line of the table: the input, the limit that it meets, what was said, what came of it.
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

/// What counts a run with the tokenizer that [`add_tokenizer`] lays beside it.
const TOK: [&str; 3] = ["run", "--tokenizer", "./tok"];

fn add_tokenizer(run: &Run, json: impl AsRef<[u8]>, config: &Value) {
    run.make_folder("../tok");
    run.write("../tok/tokenizer.json", json);
    let mut config = config.clone();
    config["tokenizer_class"] = json!("PreTrainedTokenizerFast");
    run.write("../tok/tokenizer_config.json", config.to_string());
}
