//! Recounts of the fixture runs. The reference's own code wrote the expected files: `report.txt` in `run_expected` is the
//! one to read.

use std::fs;
use std::io::Write;

use serde_json::{Value, json};

use crate::support::{Outcome, Run, fixture, read};

const SUMMARY: &str = "performance/result_summary.json";
const ORIGINAL: &str = "performance/result_summary.orig.json";

#[track_caller]
fn check_files(run: &Run, expected: &str) {
    for (name, file) in [
        (SUMMARY, "result_summary.json"),
        ("report.txt", "report.txt"),
    ] {
        let (got, want) = (run.bytes(name), read(&format!("{expected}/{file}")));
        assert_eq!(
            String::from_utf8(got).unwrap(),
            String::from_utf8(want).unwrap(),
            "{name}"
        );
    }
    let snapshot = |bytes: &[u8]| {
        let mut value: Value = serde_json::from_slice(bytes).unwrap();
        // The reference's emit counter and its clock at that moment: not in the log.
        for key in ["counter", "timestamp_ns"] {
            value.as_object_mut().unwrap().remove(key).unwrap();
        }
        value
    };
    let want = read(&format!("{expected}/final_snapshot.json"));
    assert_eq!(
        snapshot(&run.bytes("metrics/final_snapshot.json")),
        snapshot(&want)
    );
}

#[test]
fn a_timed_out_run_is_rescued_and_its_original_kept() {
    for (run, expected) in [
        (Run::text(), "run_expected"),
        (Run::chat(), "run_chat_expected"),
    ] {
        let original = run.bytes(SUMMARY);
        let outcome = run.recompute(&["--write", "summary,report,snapshot"]);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        check_files(&run, expected);
        assert_eq!(run.bytes(ORIGINAL), original);

        let first = run.files();
        let outcome = run.recompute(&["--write", "summary,report,snapshot"]);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        let changed: Vec<_> = run
            .files()
            .into_iter()
            .filter(|file| !first.contains(file))
            .collect();
        let names: Vec<_> = changed
            .iter()
            .filter_map(|(path, _)| path.file_name())
            .collect();
        assert_eq!(names, ["recompute.json"], "only the record carries times");
    }
}

#[test]
fn a_clean_run_stays_as_it_is() {
    let run = Run::text();
    run.write(SUMMARY, read("run_expected/result_summary.json"));
    assert_eq!(run.recompute(&[]).code, 0);
    assert_eq!(run.bytes(SUMMARY), read("run_expected/result_summary.json"));
    assert!(
        !run.path(ORIGINAL).exists(),
        "nothing was replaced, so there is no original to keep"
    );
}

#[test]
fn every_reader_engine_and_thread_count_gives_the_same_bytes() {
    let run = Run::text();
    let log = run.bytes("events.jsonl");
    run.write(
        "events.jsonl.zst",
        zstd::encode_all(log.as_slice(), 1).unwrap(),
    );
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&log).unwrap();
    run.write("events.jsonl.gz", gz.finish().unwrap());
    let tokenizer = fixture("tokenizers/llama3");
    let summary = run.path(SUMMARY);
    let summary = summary.to_str().unwrap();
    let variants: [(&str, &[&str]); 8] = [
        ("run", &[]),
        ("run/events.jsonl", &[]),
        ("run/events.jsonl.zst", &[]),
        ("run/events.jsonl.gz", &[]),
        ("run", &["--threads", "1"]),
        ("run", &["--threads", "5", "--block-size", "2"]),
        ("run", &["--engine", "fast"]),
        ("run", &["--engine", "tokenizers"]),
    ];
    for (input, args) in variants {
        let mut all = vec![
            input,
            "--tokenizer",
            tokenizer.to_str().unwrap(),
            "--output",
            "out.json",
        ];
        all.extend_from_slice(args);
        let outcome = run.command(&all, b"");
        assert_eq!(outcome.code, 0, "{input} {args:?}: {outcome:?}");
        let got = fs::read(run.path("../out.json")).unwrap();
        assert!(
            got == read("run_expected/result_summary.json"),
            "{input} {args:?}"
        );
        fs::remove_file(run.path("../out.json")).unwrap();
    }
    let from_stdin = [
        "-",
        "--tokenizer",
        tokenizer.to_str().unwrap(),
        "--summary",
        summary,
        "--output",
        "out.json",
        "--early-stopping",
        "on",
    ];
    assert_eq!(run.command(&from_stdin, &log).code, 0);
    assert!(fs::read(run.path("../out.json")).unwrap() == read("run_expected/result_summary.json"));
}

#[test]
fn output_and_dry_run_leave_the_run_unchanged() {
    let run = Run::text();
    let before = run.files();
    let outcome = run.recompute(&["--dry-run", "--write", "summary,report,snapshot"]);
    assert_eq!(
        (outcome.code, run.files()),
        (0, before.clone()),
        "{outcome:?}"
    );
    assert!(outcome.stdout.contains("nothing written"), "{outcome:?}");
    let outcome = run.recompute(&["--output", "new.json", "--write", "summary,report,snapshot"]);
    assert_eq!((outcome.code, run.files()), (0, before), "{outcome:?}");
    for name in [
        "new.json",
        "report.txt",
        "final_snapshot.json",
        "recompute.json",
    ] {
        assert!(run.path("..").join(name).is_file(), "{name}");
    }
}

#[test]
fn a_run_without_a_summary_gets_one_from_its_configuration() {
    let run = Run::text();
    run.remove(SUMMARY);
    assert_eq!(run.recompute(&[]).code, 0);
    let got: Value = serde_json::from_slice(&run.bytes(SUMMARY)).unwrap();
    let mut want: Value =
        serde_json::from_slice(&read("run_expected/result_summary.json")).unwrap();
    want["version"] = "unknown".into();
    want["git_sha"] = Value::Null;
    assert_eq!(got, want);
    let keys = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(&got), keys(&want));
}

#[test]
fn defaults_for_a_bare_log_are_reported() {
    let run = Run::text();
    fs::remove_dir_all(run.path("performance")).unwrap();
    run.remove("config.yaml");
    let outcome = run.recompute(&[]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    for flag in ["--streaming", "--early-stopping", "--qps-window"] {
        assert!(outcome.stderr.contains(flag), "{flag}: {outcome:?}");
    }
    assert!(run.path("result_summary.json").is_file());
}

#[test]
fn unknown_keys_of_a_summary_are_kept() {
    let run = Run::text();
    let newer = String::from_utf8(run.bytes(SUMMARY)).unwrap().replacen(
        "{\n",
        "{\n  \"schema\": 7.0e0,\n  \"gpu\": {\n    \"watts\": 1e+2,\n    \"names\": [\n      \"é\"\n    ]\n  },\n",
        1,
    );
    run.write(SUMMARY, &newer);
    let outcome = run.recompute(&[]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let note = "they are kept, not recounted: schema, gpu";
    assert!(outcome.stderr.contains(note), "{outcome:?}");
    assert_eq!(run.record()["kept_keys"], json!(["schema", "gpu"]));
    let want = String::from_utf8(read("run_expected/result_summary.json")).unwrap();
    let head = newer.split("  \"version\"").next().unwrap();
    assert_eq!(
        String::from_utf8(run.bytes(SUMMARY)).unwrap(),
        want.replacen("{\n", head, 1)
    );
}

/// Recounts a log that `damage` changed; checks the exit code, `state` and `complete` of the summary, and stderr.
#[track_caller]
fn check_log(
    damage: impl Fn(&mut Vec<u8>),
    code: i32,
    state: &str,
    complete: bool,
    said: &str,
) -> (Run, Outcome) {
    let run = Run::text();
    let mut log = run.bytes("events.jsonl");
    damage(&mut log);
    run.write("events.jsonl", &log);
    let outcome = run.recompute(&[]);
    assert_eq!(outcome.code, code, "{outcome:?}");
    let summary: Value = serde_json::from_slice(&run.bytes(SUMMARY)).unwrap();
    assert_eq!(
        (summary["state"].as_str(), summary["complete"].as_bool()),
        (Some(state), Some(complete))
    );
    assert!(outcome.stderr.contains(said), "{said:?} in {outcome:?}");
    (run, outcome)
}

fn without_last_line(log: &mut Vec<u8>) {
    log.pop();
    let end = log.iter().rposition(|b| *b == b'\n').unwrap();
    log.truncate(end + 1);
}

#[test]
fn a_damaged_log_never_yields_a_clean_report() {
    check_log(|_| {}, 0, "complete", true, "");
    check_log(
        |log| log.extend(b"\n"),
        3,
        "complete",
        false,
        "1 damaged line",
    );
    check_log(
        without_last_line,
        3,
        "interrupted",
        false,
        "no session.ended",
    );
    let cut = |log: &mut Vec<u8>| log.truncate(log.len() - 3);
    let (run, _) = check_log(cut, 3, "interrupted", false, "1 damaged line");
    let tally = &run.record()["anomalies"]["damaged_lines"];
    assert_eq!(
        (&tally["count"], &tally["by_reason"]["malformed"]["count"]),
        (&1.into(), &1.into())
    );
    let (_, outcome) = check_log(
        |log| drop(log.splice(0..0, *b"{}\n")),
        3,
        "complete",
        false,
        "line 1, byte 0: missing required field `event_type`",
    );
    assert!(outcome.stdout.contains("incomplete"), "{outcome:?}");
}

#[test]
fn samples_that_never_completed_are_named() {
    let lost = |log: &mut Vec<u8>| {
        let text = String::from_utf8(log.clone()).unwrap();
        let complete =
            |line: &&str| line.contains("\"sample.complete\"") && line.contains("finish_reason");
        let last = text.lines().rfind(complete).unwrap().to_owned();
        *log = text.replace(&format!("{last}\n"), "").into_bytes();
    };
    let (run, outcome) = check_log(
        lost,
        0,
        "complete",
        true,
        "1 sample issued in a tracking window never completed",
    );
    let record = run.record();
    let name = record["anomalies"]["lost_samples"]["first"][0]
        .as_str()
        .unwrap();
    assert_eq!(record["anomalies"]["lost_samples"]["count"], 1);
    assert!(outcome.stderr.contains(name), "{outcome:?}");
}

#[test]
fn a_cut_compressed_log_is_incomplete() {
    let run = Run::text();
    let packed = zstd::encode_all(run.bytes("events.jsonl").repeat(3).as_slice(), 1).unwrap();
    run.remove("events.jsonl");
    run.write("events.jsonl.zst", &packed[..packed.len() - 8]);
    let outcome = run.recompute(&[]);
    assert_eq!(outcome.code, 3, "{outcome:?}");
    assert!(outcome.stderr.contains("it was truncated"), "{outcome:?}");
}

/// Checks that the run is refused: exit code 2, a message with `said`, no file changed.
#[track_caller]
fn check_refused(prepare: impl Fn(&Run), args: &[&str], said: &str) {
    let run = Run::text();
    prepare(&run);
    let before = run.files();
    let outcome = run.recompute(args);
    assert_eq!(outcome.code, 2, "{args:?}: {outcome:?}");
    assert!(outcome.stderr.contains(said), "{said:?} in {outcome:?}");
    assert_eq!(outcome.stdout, "");
    assert_eq!(run.files(), before, "{args:?}");
}

#[test]
fn a_refused_run_is_unchanged() {
    check_refused(|run| run.write("events.jsonl", ""), &[], "is empty");
    check_refused(
        |run| run.write("events.jsonl", "not\nevents\n"),
        &[],
        "none of its 2 lines is an event",
    );
    check_refused(|run| run.remove("events.jsonl"), &[], "no event log in run");
    check_refused(
        |run| run.write(SUMMARY, "{\"version\": "),
        &[],
        "is not a summary: EOF",
    );
    check_refused(
        |run| run.write(SUMMARY, "[]"),
        &[],
        "expected a JSON object",
    );
    check_refused(
        |_| {},
        &["--output", "/proc/nowhere/summary.json"],
        "cannot write /proc/nowhere/",
    );
}

#[test]
fn without_its_tokenizer_a_run_is_unchanged() {
    let check = |tokenizer: &str, prepare: &dyn Fn(&Run), said: &[&str]| {
        let run = Run::text();
        prepare(&run);
        let before = run.files();
        let outcome = run.command(&["run", "--tokenizer", tokenizer], b"");
        assert_eq!(outcome.code, 2, "{outcome:?}");
        for said in said {
            assert!(outcome.stderr.contains(said), "{said:?} in {outcome:?}");
        }
        assert_eq!(run.files(), before);
    };
    check(
        "nobody/nothing",
        &|_| {},
        &["models--nobody--nothing", "--download", "--tokenizer"],
    );
    let broken = |run: &Run| run.write("tokenizer.json", "{\"a\": 1}");
    check(
        "run/tokenizer.json",
        &broken,
        &["tokenizer.json", "missing field"],
    );
    check("run", &|_| {}, &["no tokenizer.json in run"]);
}

#[test]
fn an_invalid_configuration_is_ignored_with_a_warning() {
    let run = Run::text();
    run.write("config.yaml", "a: [");
    let outcome = run.recompute(&["-q"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(
        outcome
            .stderr
            .contains("config.yaml is not a configuration"),
        "{outcome:?}"
    );
}

#[test]
fn several_runs_are_all_done_and_the_worst_code_wins() {
    let run = Run::text();
    let tokenizer = fixture("tokenizers/llama3");
    let args = ["nowhere", "run", "--tokenizer", tokenizer.to_str().unwrap()];
    let outcome = run.command(&args, b"");
    assert_eq!(outcome.code, 2, "{outcome:?}");
    assert_eq!(run.bytes(SUMMARY), read("run_expected/result_summary.json"));
}

#[test]
fn a_run_that_is_named_twice_is_done_once() {
    let run = Run::text();
    let tokenizer = fixture("tokenizers/llama3");
    let named = ["run", "./run/", "run/events.jsonl", "ru*"];
    let options = [
        "--tokenizer",
        tokenizer.to_str().unwrap(),
        "--format",
        "json",
    ];
    let outcome = run.command(&[&named[..], &options].concat(), b"");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(outcome.stdout.lines().count(), 1, "{outcome:?}");
    assert_eq!(run.bytes(SUMMARY), read("run_expected/result_summary.json"));
}

#[test]
fn without_a_tokenizer_only_token_ids_are_counted() {
    let run = Run::text();
    let outcome = run.command(&["run", "--tokenizer", "none", "--format", "json"], b"");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let record: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(record["after"]["output_sequence_lengths"]["count"], 0);
    assert_eq!(record["tokenizer"], Value::Null);
}

#[test]
fn overrides_win_over_the_run_s_files() {
    let run = Run::text();
    let outcome = run.recompute(&[
        "--streaming",
        "off",
        "--early-stopping",
        "off",
        "--qps-window",
        "native",
    ]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let summary: Value = serde_json::from_slice(&run.bytes(SUMMARY)).unwrap();
    assert_eq!(summary["ttft"], serde_json::json!({}));
    assert_eq!(summary["latency"].get("early_stopping_percentiles"), None);
    assert_eq!(summary["legacy_loadgen_window_duration_ns"], Value::Null);
}
