//! Runs of every client version: what recognizes them, what is written for them, and the recorded ones in
//! `fixtures/clients`.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Outcome, Run, fixture, read};

const SUMMARY: &str = "performance/result_summary.json";
const SNAPSHOT: &str = "metrics/final_snapshot.json";
const LABELS: [&str; 9] = [
    "v0.5",
    "2026-06-23",
    "2026-07-09",
    "2026-07-14",
    "v6.1",
    "2026-07-20",
    "2026-08-13",
    "2026-08-21",
    "2026-09-24",
];
/// The first client with early-stopping estimates.
const FIRST_WITH_ESTIMATES: &str = "v6.1";

/// Returns true if the client `label` is at least as new as `other`.
fn since(label: &str, other: &str) -> bool {
    let place = |label: &str| LABELS.iter().position(|have| *have == label).unwrap();
    place(label) >= place(other)
}

/// Where the client `label` writes the summary.
fn summary_at(label: &str) -> &'static str {
    if since(label, "2026-07-14") {
        SUMMARY
    } else {
        "result_summary.json"
    }
}

/// The keys that every client writes.
const HEAD: [&str; 13] = [
    "version",
    "git_sha",
    "test_started_at",
    "n_samples_issued",
    "n_samples_completed",
    "n_samples_failed",
    "duration_ns",
    "state",
    "complete",
    "ttft",
    "tpot",
    "latency",
    "output_sequence_lengths",
];
const METRICS: [&str; 5] = [
    "ttft",
    "tpot",
    "latency",
    "output_sequence_lengths",
    "input_sequence_lengths",
];

/// The keys of a summary of the client `label`, in its order.
fn keys_of(label: &str) -> Vec<&'static str> {
    let tail: &[&str] = match label {
        "v0.5" => &[],
        "2026-06-23" => &["qps", "tps", "seeds"],
        "2026-07-09" | "2026-07-14" | "v6.1" => &[
            "legacy_loadgen_window_duration_ns",
            "qps",
            "tps",
            "run_config",
        ],
        "2026-07-20" => &[
            "legacy_loadgen_window_duration_ns",
            "qps",
            "tps",
            "finish_reason_counts",
            "run_config",
        ],
        "2026-08-13" | "2026-08-21" => &[
            "input_sequence_lengths",
            "legacy_loadgen_window_duration_ns",
            "qps",
            "tps",
            "finish_reason_counts",
            "run_config",
        ],
        "2026-09-24" => &[
            "input_sequence_lengths",
            "legacy_loadgen_window_duration_ns",
            "qps",
            "tps",
            "e2e_avg_interactivity",
            "finish_reason_counts",
            "run_config",
            "output_sequence_lengths_full_run",
            "steady_state",
            "n_samples_succeeded",
            "n_samples_dropped",
        ],
        _ => panic!("{label}"),
    };
    [&HEAD, tail].concat()
}

fn keys(summary: &Value) -> Vec<&str> {
    let object = summary.as_object().unwrap();
    object.keys().map(String::as_str).collect()
}

/// The fixture run without the files that show its client; its log stays.
fn bare_run() -> Run {
    let run = Run::text();
    fs::remove_dir_all(run.path("performance")).unwrap();
    fs::remove_dir_all(run.path("metrics")).unwrap();
    run.remove("config.yaml");
    run
}

/// Recounts `run` into another folder; returns the new summary.
#[track_caller]
fn recounted(run: &Run, args: &[&str]) -> (Value, Outcome) {
    let outcome = run.recompute(&[&["--output", "new.json"][..], args].concat());
    assert!(matches!(outcome.code, 0 | 3), "{outcome:?}");
    let summary = fs::read(run.path("../new.json")).unwrap();
    (serde_json::from_slice(&summary).unwrap(), outcome)
}

/// Checks the version by the keys of the new summary, and the versions that a note names besides.
#[track_caller]
fn check_recognized(run: &Run, label: &str, not_told_from: &[&str]) {
    let (summary, outcome) = recounted(run, &[]);
    assert_eq!(keys(&summary), keys_of(label), "{label}: {outcome:?}");
    let note = format!("assuming that the client is {label}; the run does not tell it from");
    assert_eq!(
        outcome.stderr.contains("assuming that the client is"),
        !not_told_from.is_empty(),
        "{label}: {outcome:?}"
    );
    if !not_told_from.is_empty() {
        let note = format!("{note} {} (--client VERSION)", not_told_from.join(", "));
        assert!(outcome.stderr.contains(&note), "{note:?} in {outcome:?}");
    }
}

/// Changes every line of the log.
fn change_log(run: &Run, change: impl Fn(&mut Value)) {
    let log = String::from_utf8(run.bytes("events.jsonl")).unwrap();
    let mut changed = String::new();
    for line in log.lines() {
        let mut event: Value = serde_json::from_str(line).unwrap();
        change(&mut event);
        changed += &(event.to_string() + "\n");
    }
    run.write("events.jsonl", changed);
}

/// Puts a session event before the first event of the kind `before`.
fn insert_event(run: &Run, before: &str, kind: &str, data: &Value) {
    let log = String::from_utf8(run.bytes("events.jsonl")).unwrap();
    let line = |line: &&str| line.starts_with(&format!("{{\"event_type\":\"{before}\""));
    let next = log.lines().find(line).unwrap();
    let timestamp_ns = serde_json::from_str::<Value>(next).unwrap()["timestamp_ns"].clone();
    let event = json!({
        "event_type": kind, "timestamp_ns": timestamp_ns, "sample_uuid": "",
        "conversation_id": "", "turn": null, "data": data,
    });
    run.write(
        "events.jsonl",
        log.replacen(next, &format!("{event}\n{next}"), 1),
    );
}

fn insert_phase(run: &Run) {
    let data = json!(["PhaseData", "performance", true, 60, 0]);
    let before = "session.start_performance_tracking";
    insert_event(run, before, "session.phase_start", &data);
}

/// The log as clients before 2026-08-13 write it.
fn shorten_prompts(event: &mut Value) {
    if event["data"][0] == "PromptData" {
        event["data"].as_array_mut().unwrap().truncate(3);
    }
}

fn drop_finish_reasons(event: &mut Value) {
    let event = event.as_object_mut().unwrap();
    event.shift_remove("finish_reason");
    event.shift_remove("worker_id");
}

#[test]
fn a_log_of_today_s_client_is_complete() {
    for (run, expected) in [
        (Run::text(), "run_expected"),
        (Run::chat(), "run_chat_expected"),
    ] {
        insert_phase(&run);
        let outcome = run.recompute(&[]);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        assert!(!outcome.stderr.contains("damaged"), "{outcome:?}");
        let expected = read(&format!("{expected}/result_summary.json"));
        assert!(run.bytes(SUMMARY) == expected, "{outcome:?}");

        fs::remove_dir_all(run.path("performance")).unwrap();
        fs::remove_dir_all(run.path("metrics")).unwrap();
        let outcome = run.recompute(&["--write", "summary,report,snapshot"]);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        let summary: Value = serde_json::from_slice(&run.bytes(SUMMARY)).unwrap();
        assert_eq!(keys(&summary), keys_of("2026-09-24"));
        assert_eq!(summary["complete"], true);
        assert_eq!(summary["steady_state"], Value::Null);
        assert_eq!(summary["n_samples_dropped"], 0);
        let report = String::from_utf8(run.bytes("report.txt")).unwrap();
        assert!(report.contains("Total samples dropped: 0\n"), "{report}");
        let snapshot: Value = serde_json::from_slice(&run.bytes(SNAPSHOT)).unwrap();
        assert_eq!(keys(&snapshot).last(), Some(&"steady_state"));
    }
}

#[test]
fn samples_that_never_completed_make_a_run_of_today_s_client_incomplete() {
    let run = bare_run();
    insert_phase(&run);
    let log = String::from_utf8(run.bytes("events.jsonl")).unwrap();
    let complete =
        |line: &&str| line.contains("\"sample.complete\"") && line.contains("finish_reason");
    let last = log.lines().rfind(complete).unwrap();
    run.write("events.jsonl", log.replace(&format!("{last}\n"), ""));
    let (summary, outcome) = recounted(&run, &[]);
    assert_eq!(outcome.code, 3, "{outcome:?}");
    assert_eq!(summary["state"], "complete");
    assert_eq!(summary["complete"], false);
    assert_eq!(summary["n_samples_dropped"], 1);
    let (older, outcome) = recounted(&run, &["--client", "2026-08-21"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(older["complete"], true);
}

#[test]
fn unknown_session_events_do_not_matter() {
    let run = Run::text();
    let data = json!({"any": ["thing"]});
    insert_event(&run, "session.ended", "session.checkpoint", &data);
    let outcome = run.recompute(&[]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(run.bytes(SUMMARY) == read("run_expected/result_summary.json"));
    let note = "session events that are not known and change nothing";
    assert!(outcome.stderr.contains(note), "{outcome:?}");
    let last_line = "60 samples completed, client 2026-08-21";
    assert!(outcome.stdout.contains(last_line), "{outcome:?}");
    let record = run.record();
    let unknown = &record["anomalies"]["unknown_session_events"];
    assert_eq!(unknown["by_reason"]["session.checkpoint"]["count"], 1);
    assert_eq!(record["client"]["version"], "2026-08-21");
}

#[test]
fn an_interrupted_run_is_incomplete() {
    for with_summary in [true, false] {
        let run = if with_summary {
            Run::text()
        } else {
            bare_run()
        };
        if !with_summary {
            insert_phase(&run);
        }
        insert_event(&run, "session.ended", "session.interrupted", &Value::Null);
        let (summary, outcome) = recounted(&run, &["--write", "summary,report,snapshot"]);
        assert_eq!(outcome.code, 3, "{outcome:?}");
        assert_eq!(summary["state"], "interrupted");
        assert_eq!(summary["complete"], false);
        let label = if with_summary {
            "2026-08-21"
        } else {
            "2026-09-24"
        };
        assert_eq!(keys(&summary), keys_of(label));
        let report = fs::read_to_string(run.path("../report.txt")).unwrap();
        assert!(report.contains("WARNING: run was interrupted"), "{report}");
        // The counts are those of the whole log.
        let whole: Value =
            serde_json::from_slice(&read("run_expected/result_summary.json")).unwrap();
        let osl = "output_sequence_lengths";
        assert_eq!(summary[osl], whole[osl]);
    }
}

#[test]
fn the_keys_of_a_summary_show_its_client() {
    for label in LABELS {
        let run = bare_run();
        let value = |key: &str| match key {
            key if METRICS.contains(&key) => json!({}),
            "finish_reason_counts" => json!({}),
            _ => Value::Null,
        };
        let summary: Value = (keys_of(label).into_iter())
            .map(|key| (key.to_owned(), value(key)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        run.make_folder("performance");
        run.write(summary_at(label), summary.to_string());
        let (summary, outcome) = recounted(&run, &[]);
        assert_eq!(keys(&summary), keys_of(label), "{label}: {outcome:?}");
        assert_eq!(summary["complete"], true, "{label}: {outcome:?}");
    }
}

#[test]
fn a_snapshot_shows_its_client() {
    let check = |counters: &[&str], has_verdict: bool, label: &str, not_told_from: &[&str]| {
        let run = bare_run();
        run.make_folder("metrics");
        let counter = |name: &&str| json!({"type": "counter", "name": name, "value": 0});
        let metrics: Vec<Value> = counters.iter().map(counter).collect();
        let mut snapshot = json!({"state": "complete", "n_pending_tasks": 0, "metrics": metrics});
        if has_verdict {
            snapshot["steady_state"] = Value::Null;
        }
        run.write(SNAPSHOT, snapshot.to_string());
        check_recognized(&run, label, not_told_from);
    };
    let (legacy, reason) = (
        "legacy_loadgen_window_duration_ns",
        "tracked_finish_reason_stop",
    );
    check(&[], false, "2026-06-23", &["v0.5"]);
    check(&[legacy], false, "v6.1", &["2026-07-09", "2026-07-14"]);
    // 2026-08-13 differs from 2026-08-21 only in series without values.
    check(&[reason, legacy], false, "2026-08-21", &["2026-07-20"]);
    check(&[reason, legacy], true, "2026-09-24", &[]);
}

/// A configuration as a client writes it, with more settings.
fn config(settings: &str) -> String {
    format!(
        "type: online
model_params:
  name: model
  streaming: 'on'
settings:
  runtime:
    scheduler_random_seed: 1
    dataloader_random_seed: 2
  load_pattern:
    type: concurrency
    target_concurrency: 8
  client:
    transport:
      type: zmq
{settings}"
    )
}

#[test]
fn a_configuration_shows_its_client() {
    let check =
        |settings: &str, change: &dyn Fn(&mut Value), label: &str, not_told_from: &[&str]| {
            let run = bare_run();
            run.write("config.yaml", config(settings));
            change_log(&run, change);
            check_recognized(&run, label, not_told_from);
        };
    let old = |event: &mut Value| {
        shorten_prompts(event);
        drop_finish_reasons(event);
    };
    let july = "  service_ready_timeout_s: 30.0\n  profiling: {}\n";
    let v6_1 = format!("{july}  early_stopping:\n    enabled: true\n");
    let today = "  timeouts:\n    service_ready_timeout_s: 30.0\n  profiling: {}
  early_stopping:\n    enabled: true\n  steady_state:\n    enabled: false\n";
    check("", &old, "2026-06-23", &["v0.5"]);
    check(july, &old, "2026-07-14", &["2026-07-09"]);
    check(&v6_1, &old, "v6.1", &[]);
    check(&v6_1, &shorten_prompts, "2026-07-20", &[]);
    check(&v6_1, &|_| {}, "2026-08-21", &[]);
    check(today, &|_| {}, "2026-09-24", &[]);
}

#[test]
fn a_log_alone_shows_its_client() {
    let run = bare_run();
    check_recognized(&run, "2026-08-21", &[]);
    change_log(&run, shorten_prompts);
    check_recognized(&run, "2026-07-20", &[]);
    change_log(&run, drop_finish_reasons);
    check_recognized(
        &run,
        "v6.1",
        &["v0.5", "2026-06-23", "2026-07-09", "2026-07-14"],
    );
    let run = bare_run();
    insert_phase(&run);
    check_recognized(&run, "2026-09-24", &[]);
}

#[test]
fn a_log_from_stdin_is_taken_for_the_newest_client_s() {
    let run = bare_run();
    let tokenizer = run.tokenizer();
    let args = [
        "-",
        "--tokenizer",
        tokenizer.to_str().unwrap(),
        "--output",
        "new.json",
    ];
    let outcome = run.command(&args, &run.bytes("events.jsonl"));
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let said = "assuming that the client is 2026-09-24, the newest that is known";
    assert!(outcome.stderr.contains(said), "{outcome:?}");
    let summary: Value =
        serde_json::from_slice(&fs::read(run.path("../new.json")).unwrap()).unwrap();
    assert_eq!(keys(&summary), keys_of("2026-09-24"));
}

#[test]
fn a_forced_client_overrides_what_the_run_shows() {
    let run = Run::text();
    let original = String::from_utf8(run.bytes(SUMMARY)).unwrap();
    run.write(
        SUMMARY,
        original.replacen('{', "{\n  \"gpu\": \"H100\",", 1),
    );
    for label in ["v0.5", "2026-09-24", "2026-06-23", "2026-08-21"] {
        let outcome = run.recompute(&["--client", label]);
        assert_eq!(outcome.code, 0, "{label}: {outcome:?}");
        let warning = format!("--client {label} overrides ");
        assert!(outcome.stderr.contains(&warning), "{label}: {outcome:?}");
        let summary: Value = serde_json::from_slice(&run.bytes(SUMMARY)).unwrap();
        let have = keys(&summary);
        let expected = [&["gpu"], &keys_of(label)[..]].concat();
        assert_eq!(have, expected, "{label}");
        let estimates = summary["latency"].get("early_stopping_percentiles");
        assert_eq!(
            estimates.is_some(),
            since(label, FIRST_WITH_ESTIMATES),
            "{label}"
        );
    }
    let outcome = run.recompute(&["--client", "2026-08-21"]);
    assert!(!outcome.stderr.contains("overrides"), "{outcome:?}");
    let expected = String::from_utf8(read("run_expected/result_summary.json")).unwrap();
    let expected = expected.replacen('{', "{\n  \"gpu\": \"H100\",", 1);
    assert_eq!(String::from_utf8(run.bytes(SUMMARY)).unwrap(), expected);
}

#[test]
fn an_unknown_client_is_refused() {
    let run = Run::text();
    let before = run.files();
    let outcome = run.recompute(&["--client", "v7"]);
    assert_eq!(outcome.code, 2, "{outcome:?}");
    assert!(
        outcome.stderr.contains(&LABELS.join(", ")),
        "the versions in {outcome:?}"
    );
    assert_eq!(run.files(), before);
}

#[test]
fn a_log_from_before_april_is_refused() {
    let line = r#"{"sample_uuid":"0c5e","event_type":"request_sent","timestamp_ns":1,"value":null,"approx_datetime_str":"2026-03-03 10:00:00"}"#;
    for run in [Run::text(), bare_run()] {
        run.write("events.jsonl", format!("{line}\n").repeat(3));
        let before = run.files();
        let outcome = run.recompute(&[]);
        assert_eq!(outcome.code, 2, "{outcome:?}");
        let said = "is the log of a client from before April 2026: it has no prompts";
        assert!(outcome.stderr.contains(said), "{outcome:?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
        assert_eq!(run.files(), before);
    }
}

#[test]
fn a_killed_run_gets_its_summary_where_its_client_writes_it() {
    let check = |case: &str, summary: &str| {
        let run = Run::copy(&format!("clients/{case}/run"), "tokenizers/char");
        assert!(!run.path("performance").exists());
        let outcome = run.recompute(&[]);
        assert!(matches!(outcome.code, 0 | 3), "{case}: {outcome:?}");
        assert!(run.path(summary).is_file(), "{case}: {outcome:?}");
    };
    check("v0.5/killed_draining", "result_summary.json");
    check("2026-08-21/killed_running", SUMMARY);
}

/// The runs in `fixtures/clients`, as their clients left them. The clients' own code wrote the expected files.
#[test]
fn recorded_runs_of_every_client_are_recomputed() {
    let mut cases = 0;
    for label in LABELS {
        for entry in fs::read_dir(fixture("clients").join(label)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            check_case(label, &format!("clients/{label}/{name}"));
            cases += 1;
        }
    }
    assert_eq!(cases, 19);
}

fn check_case(label: &str, name: &str) {
    let case: Value = serde_json::from_slice(&read(&format!("{name}/case.json"))).unwrap();
    let tokenizer = match case["tokenizer"].as_str() {
        Some("char") => "tokenizers/char",
        Some("char_chat") => "tokenizers/char_chat",
        other => panic!("{name}: {other:?}"),
    };
    let run = Run::copy(&format!("{name}/run"), tokenizer);
    let summary_at = summary_at(label);
    let expected =
        String::from_utf8(read(&format!("{name}/expected/result_summary.json"))).unwrap();
    // Doing nothing must not pass.
    if run.path(summary_at).exists() && run.bytes(summary_at) == expected.as_bytes() {
        let wrong = expected.replace("\"complete\": true", "\"complete\": false");
        assert_ne!(wrong, expected, "{name}");
        run.write(summary_at, wrong);
    }
    let mut args = vec!["--write", "summary,report,snapshot"];
    if case["killed"] == true {
        args.extend(["--client", label]);
    }
    let outcome = run.recompute(&args);
    let complete = expected.contains("\"complete\": true");
    let code = if complete { 0 } else { 3 };
    assert_eq!(outcome.code, code, "{name}: {outcome:?}");
    let text = |file: &str| String::from_utf8(run.bytes(file)).unwrap();
    assert_eq!(text(summary_at), expected, "{name}: {outcome:?}");
    let report = read(&format!("{name}/expected/report.txt"));
    assert_eq!(
        text("report.txt"),
        String::from_utf8(report).unwrap(),
        "{name}"
    );
    // A client does not recount a damaged log.
    let snapshot = format!("{name}/expected/final_snapshot.json");
    if fixture(&snapshot).exists() {
        let snapshot = String::from_utf8(read(&snapshot)).unwrap();
        assert_eq!(of_the_log(&text(SNAPSHOT)), of_the_log(&snapshot), "{name}");
    }
}

/// A snapshot without the number of snapshots and the time of the last one, which are not in the log.
fn of_the_log(snapshot: &str) -> Vec<&str> {
    let other = |line: &&str| {
        !line.starts_with("  \"counter\":") && !line.starts_with("  \"timestamp_ns\":")
    };
    snapshot.lines().filter(other).collect()
}
