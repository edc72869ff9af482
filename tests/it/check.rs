//! `--check` on runs that the tests change; `tests/cmd/check*.trycmd` has those that need no change.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use crate::support::{Outcome, Run, copy_folder, fixture, read};

const SUMMARY: &str = "performance/result_summary.json";

/// A run with a correct summary, beside a copy of it named `base`.
fn finished(run: Run, expected: &str) -> Run {
    run.write(SUMMARY, read(&format!("{expected}/result_summary.json")));
    copy_folder(&run.dir(), &run.path("../base"));
    run
}

fn text() -> Run {
    finished(Run::text(), "run_expected")
}

/// Rewrites the events of the log; `None` drops an event.
fn edit(run: &Run, change: impl Fn(Value) -> Option<Value>) {
    let log = String::from_utf8(run.bytes("events.jsonl")).unwrap();
    let events = log.lines().map(|line| serde_json::from_str(line).unwrap());
    let lines = events
        .filter_map(change)
        .map(|event| event.to_string() + "\n");
    run.write("events.jsonl", lines.collect::<String>());
}

/// Runs a check and parses its JSON output.
#[track_caller]
fn json(run: &Run, args: &[&str]) -> (Outcome, Value) {
    let mut all = vec!["--check", "--format", "json"];
    all.extend_from_slice(args);
    let outcome = if args.contains(&"--tokenizer") {
        run.command(&[&["run"], &all[..]].concat(), b"")
    } else {
        run.recompute(&all)
    };
    let document =
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|e| panic!("{e}: {outcome:?}"));
    (outcome, document)
}

/// Checks the exit code and the kinds, and that the check did not write into the run. Returns the run's result.
#[track_caller]
fn check(run: &Run, args: &[&str], code: i32, kinds: &[&str]) -> Value {
    let before = run.files();
    let (outcome, mut document) = json(run, args);
    let checked = document["runs"][0].take();
    assert_eq!(outcome.code, code, "{args:?}: {outcome:?}");
    assert_eq!(document["exit_code"], code);
    assert_eq!(checked["exit_code"], code);
    assert_eq!(checked["kinds"], json!(kinds), "{args:?}: {outcome:?}");
    assert_eq!(checked["kind"], json!(kinds.first()));
    assert!(run.files() == before, "a check changed the run");
    checked
}

fn later_by_three_percent(mut event: Value) -> Value {
    const START_NS: i64 = 8_214_300_117_042;
    let ns = event["timestamp_ns"].as_i64().unwrap() - START_NS;
    event["timestamp_ns"] = (START_NS + ns + (ns * 3 + 50) / 100).into();
    event
}

/// Returns the name of a tracked sample that completed.
fn some_sample(run: &Run) -> String {
    let log = String::from_utf8(run.bytes("events.jsonl")).unwrap();
    let complete = |line: &&str| line.contains("\"sample.complete\"") && line.contains("stop");
    let event: Value = serde_json::from_str(log.lines().rfind(complete).unwrap()).unwrap();
    event["sample_uuid"].as_str().unwrap().to_owned()
}

const AGAINST: [&str; 2] = ["--against", "base"];

#[test]
fn the_same_run_twice_is_the_same() {
    let run = text();
    for args in [
        &[][..],
        &AGAINST,
        &["--against", "base/events.jsonl"],
        &["--against", "base/performance/result_summary.json"],
    ] {
        let checked = check(&run, args, 0, &[]);
        assert_eq!(
            (&checked["result"], &checked["differences"]),
            (&json!("passed"), &json!([]))
        );
    }
    let outcome = run.recompute(&["--check"]);
    assert_eq!(
        outcome.stdout,
        "run: same as its own summary in all 158 fields\n"
    );
    let chat = finished(Run::chat(), "run_chat_expected");
    check(&chat, &AGAINST, 0, &[]);
}

#[test]
fn a_missing_sample_is_another_population() {
    let run = text();
    let lost = some_sample(&run);
    edit(&run, |event| {
        (event["sample_uuid"] != *lost).then_some(event)
    });
    let checked = check(&run, &AGAINST, 1, &["population"]);
    check(&run, &[], 1, &["population"]);
    let issued = checked["differences"]
        .as_array()
        .unwrap()
        .iter()
        .find(|d| d["metric"] == "n_samples_issued");
    let issued = issued.unwrap();
    assert_eq!(
        (&issued["before"], &issued["after"], &issued["absolute"]),
        (&json!(60), &json!(59), &json!(-1.0))
    );

    // Without its completion only, the recount is complete and names the sample.
    let run = text();
    let never =
        |event: &Value| event["sample_uuid"] == *lost && event["event_type"] == "sample.complete";
    edit(&run, |event| (!never(&event)).then_some(event));
    let checked = check(&run, &[], 1, &["population"]);
    assert!(
        checked["verdict"]["reasons"][0]
            .as_str()
            .unwrap()
            .contains(&lost),
        "{checked}"
    );
}

#[test]
fn different_times_are_of_the_kind_timing() {
    let run = text();
    edit(&run, |event| Some(later_by_three_percent(event)));
    let checked = check(&run, &AGAINST, 1, &["timing"]);
    let metrics: Vec<_> = checked["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["metric"].as_str().unwrap())
        .collect();
    for metric in [
        "ttft.avg",
        "tpot.percentiles.99.0",
        "latency.max",
        "qps",
        "tps",
        "duration_ns",
        "latency.histogram.buckets",
    ] {
        assert!(metrics.contains(&metric), "{metric}: {metrics:?}");
    }
    assert_eq!(checked["diagnosis"], Value::Null);
}

type Differences = BTreeMap<String, (Value, Value)>;

/// Collects the paths at which two values differ.
fn walk(path: &str, before: &Value, after: &Value, differ: &mut Differences) {
    let (Value::Object(was), Value::Object(is)) = (before, after) else {
        if before != after {
            differ.insert(path[1..].to_owned(), (before.clone(), after.clone()));
        }
        return;
    };
    for key in was.keys().chain(is.keys()) {
        walk(&format!("{path}.{key}"), &before[key], &after[key], differ);
    }
}

#[test]
fn every_field_that_differs_is_listed_with_both_values() {
    let value = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    // The drain of the one timed out; of the other only the times differ.
    let later = text();
    edit(&later, |event| Some(later_by_three_percent(event)));
    for (run, kinds) in [
        (Run::text(), &["incomplete", "population"][..]),
        (later, &["timing"]),
    ] {
        let checked = check(&run, &[], 1, kinds);
        assert_eq!(run.recompute(&["--output", "new.json"]).code, 0);
        let after = value(&fs::read(run.path("../new.json")).unwrap());
        let mut expected = Differences::new();
        walk("", &value(&run.bytes(SUMMARY)), &after, &mut expected);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let listed = checked["differences"].as_array().unwrap().iter();
        let listed = listed.map(|d| {
            (
                text(&d["metric"]),
                (d["before"].clone(), d["after"].clone()),
            )
        });
        // The summary has no `count`; the check adds it.
        let is_ours = |metric: &str| metric.rsplit('.').next() == Some("count");
        let listed: Differences = listed.filter(|(metric, _)| !is_ours(metric)).collect();
        assert_eq!(listed, expected);
        let shown = run.recompute(&["--check", "-v"]).stdout;
        for metric in expected.keys() {
            assert!(
                shown.contains(&format!("\n {metric} ")),
                "{metric}: {shown}"
            );
        }
    }
}

#[test]
fn a_cut_log_never_passes() {
    let cut = |cut: &dyn Fn(&mut Vec<u8>)| {
        let run = text();
        let mut log = run.bytes("events.jsonl");
        cut(&mut log);
        run.write("events.jsonl", log);
        run
    };
    let half = cut(&|log| log.truncate(log.len() / 2));
    let last = cut(&|log| log.truncate(log.len() - 100));
    for (run, kinds) in [
        (&half, &["incomplete", "population"][..]),
        (&last, &["incomplete"]),
    ] {
        for args in [&[][..], &AGAINST, &["--tolerance", "*=any"]] {
            let kinds = if args == ["--tolerance", "*=any"] {
                &["incomplete"]
            } else {
                kinds
            };
            let checked = check(run, args, 1, kinds);
            assert!(
                checked["verdict"]["reasons"][0]
                    .as_str()
                    .unwrap()
                    .contains("no session.ended"),
                "{checked}"
            );
        }
    }
    // It does not pass even if the summary is marked incomplete too.
    let damaged = cut(&|log| log.extend(b"{}\n"));
    damaged.write(
        SUMMARY,
        String::from_utf8(damaged.bytes(SUMMARY))
            .unwrap()
            .replace("\"complete\": true", "\"complete\": false"),
    );
    check(&damaged, &[], 1, &["incomplete"]);
    let empty = cut(&Vec::clear);
    let outcome = empty.recompute(&["--check"]);
    assert_eq!(outcome.code, 2, "{outcome:?}");
    assert!(outcome.stderr.contains("is empty"), "{outcome:?}");
}

#[test]
fn an_incomplete_summary_is_reported() {
    // The drain of the fixture timed out.
    let run = Run::text();
    let checked = check(&run, &[], 1, &["incomplete", "population"]);
    assert_eq!(checked["diagnosis"], Value::Null);
    let outcome = run.recompute(&["--check"]);
    assert!(
        outcome
            .stdout
            .contains("its own summary is marked incomplete"),
        "{outcome:?}"
    );
    // As a baseline, such a run is recounted.
    copy_folder(&run.dir(), &run.path("../base"));
    run.write(SUMMARY, read("run_expected/result_summary.json"));
    let checked = check(&run, &AGAINST, 0, &[]);
    assert_eq!(checked["against"], "the recount of base");
    fs::remove_dir_all(run.path("../base/performance")).unwrap();
    check(&run, &AGAINST, 0, &[]);
    run.remove(SUMMARY);
    check(&run, &AGAINST, 0, &[]);
}

#[test]
fn a_log_from_stdin_is_compared_with_the_baseline() {
    let run = text();
    let log = run.bytes("events.jsonl");
    let from_stdin = |tokenizer: &str| {
        let tokenizer = fixture(tokenizer);
        let args = ["-", "--check", "--against", "base", "--tokenizer"];
        run.command(&[&args[..], &[tokenizer.to_str().unwrap()]].concat(), &log)
    };
    let outcome = from_stdin("tokenizers/llama3");
    assert_eq!(
        outcome.stdout, "-: same as base in all 158 fields\n",
        "{outcome:?}"
    );
    let outcome = from_stdin("tokenizers/qwen");
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(
        outcome.stderr.contains("can be read only once"),
        "{outcome:?}"
    );
}

#[test]
fn tolerances_allow_changes() {
    let run = text();
    edit(&run, |event| Some(later_by_three_percent(event)));
    let within = |tolerances: &[&str], code: i32, differ: usize| {
        let mut args = AGAINST.to_vec();
        for tolerance in tolerances {
            args.extend(["--tolerance", tolerance]);
        }
        let kinds: &[&str] = if code == 0 { &[] } else { &["timing"] };
        let checked = check(&run, &args, code, kinds);
        assert_eq!(
            checked["differences"].as_array().unwrap().len(),
            differ,
            "{tolerances:?}"
        );
        let all = differ + checked["allowed"].as_array().unwrap().len();
        assert_eq!(all, 70, "{tolerances:?}");
    };
    within(&["*=3.1%"], 0, 0);
    within(&["*=2.9%"], 1, 67);
    within(&["*=1%", "*=3.1%"], 1, 67);
    within(&["*=5%", "ttft.*=3ms"], 0, 0);
    within(&["*=5%,ttft=2ms"], 1, 1);
    within(&["tps>=-2%", "*=any"], 1, 1);
    within(&["tps>=-3%", "*=any"], 0, 0);
    within(&["tps<=0%", "*=5%"], 0, 0);
    within(&["ttft.max=1s"], 1, 69);
}

#[test]
fn expectations_need_no_baseline() {
    let run = text();
    run.remove(SUMMARY);
    let expect = |toml: &str, code: i32| {
        fs::write(run.path("../checks.toml"), toml).unwrap();
        let kinds: &[&str] = if code == 0 { &[] } else { &["expectation"] };
        let checked = check(&run, &["--expect", "checks.toml"], code, kinds);
        assert_eq!(checked["against"], Value::Null);
        checked["expectations"].clone()
    };
    expect(
        "output_sequence_lengths.avg = { min = 300, max = 520 }\ncomplete = true\nn_samples_failed = 1\nttft.percentiles.'99.0' = { max = '80ms' }",
        0,
    );
    let judged = expect("isl.count = 60\nosl.avg = { min = 425, max = 520 }", 1);
    let unmet: Vec<_> = judged
        .as_array()
        .unwrap()
        .iter()
        .filter(|j| j["met"] == false)
        .collect();
    assert_eq!(unmet.len(), 1);
    assert_eq!(
        (&unmet[0]["metric"], &unmet[0]["expected"]),
        (&json!("output_sequence_lengths.avg"), &json!("425 to 520"))
    );
}

#[test]
fn a_cut_log_does_not_pass_by_expectations() {
    let run = text();
    let log = run.bytes("events.jsonl");
    run.write("events.jsonl", &log[..log.len() / 2]);
    fs::write(
        run.path("../checks.toml"),
        "n_samples_issued = { min = 1 }\n",
    )
    .unwrap();
    check(&run, &["--expect", "checks.toml"], 1, &["incomplete"]);
}

/// Checks the cause that the diagnosis finds, and the number of tokenizers that it tries.
#[track_caller]
fn diagnosed(run: &Run, args: &[&str], cause: Option<&str>, tried: usize) {
    let checked = check(run, args, 1, &["tokenizer"]);
    let diagnosis = &checked["diagnosis"];
    let found = diagnosis["cause"].as_str();
    match (found, cause) {
        (Some(found), Some(cause)) => assert!(found.contains(cause), "{cause:?} in {found:?}"),
        (found, cause) => assert_eq!(found, cause),
    }
    assert_eq!(
        diagnosis["tried"].as_array().unwrap().len(),
        tried,
        "{diagnosis}"
    );
}

#[test]
fn the_tokenizer_that_reproduces_a_run_is_named() {
    let recount = |run: Run, tokenizer: &str, flags: &[&str]| {
        let args = ["run", "--tokenizer", tokenizer];
        let outcome = run.command(&[&args, flags].concat(), b"");
        assert_eq!(outcome.code, 0, "{outcome:?}");
        run
    };
    let path = |name: &str| fixture(name).to_str().unwrap().to_owned();
    let (llama, qwen, o200k) = (
        path("tokenizers/llama3"),
        path("tokenizers/qwen"),
        path("tokenizers/o200k"),
    );

    // Without config.json, transformers loads DeepSeek's tokenizer as a Llama tokenizer.
    let own = |run: Run| {
        copy_folder(&fixture("tokenizers/deepseek"), &run.path("../own"));
        fs::remove_file(run.path("../own/config.json")).unwrap();
        run
    };
    let with_own = ["--tokenizer", "own"];
    let run = recount(own(Run::text()), "own", &["--tokenizer-rules", "file"]);
    diagnosed(&run, &with_own, Some("own with --tokenizer-rules file"), 1);
    let run = recount(own(Run::text()), "own", &[]);
    let file = ["--tokenizer", "own", "--tokenizer-rules", "file"];
    diagnosed(
        &run,
        &file,
        Some("own with --tokenizer-rules transformers"),
        1,
    );
    let run = recount(own(Run::text()), "own", &["--tokenizer-rules", "file"]);
    diagnosed(
        &run,
        &["--tokenizer", &llama, "--try", "own"],
        Some("own with --tokenizer-rules file"),
        3,
    );

    let run = recount(Run::text(), &qwen, &[]);
    diagnosed(&run, &[], None, 1);
    diagnosed(
        &run,
        &["--try", &o200k, "--try", &qwen],
        Some("tokenizers/qwen"),
        3,
    );

    let run = Run::chat();
    copy_folder(&fixture("tokenizers/chat"), &run.path("../bare"));
    let config = run.path("../bare/tokenizer_config.json");
    let mut bare: Value = serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
    bare.as_object_mut()
        .unwrap()
        .shift_remove("chat_template")
        .unwrap();
    fs::write(&config, bare.to_string()).unwrap();
    let run = recount(run, "bare", &[]);
    // The log has reasoning, so the rules of two other clients are tried first.
    diagnosed(&run, &[], Some("chat without its chat templates"), 3);

    let july = ["--client", "2026-07-20"];
    let run = recount(Run::chat(), &path("tokenizers/chat"), &july);
    let august = ["--client", "2026-08-21"];
    diagnosed(&run, &august, Some("as the client of 2026-07-20 does"), 1);
}

#[test]
fn several_runs_make_one_table_and_one_junit_file() {
    let run = text();
    let results = run.path("../results");
    for name in ["a", "b", "c d"] {
        copy_folder(&run.dir(), &results.join(name));
    }
    copy_folder(&fixture("run"), &results.join("timed out"));
    fs::write(results.join("notes.txt"), "no run").unwrap();
    fs::create_dir(results.join(".cache")).unwrap();
    let tokenizer = fixture("tokenizers/llama3");
    let args = [
        "--check",
        "--tokenizer",
        tokenizer.to_str().unwrap(),
        "--junit",
        "check.xml",
    ];
    let outcome = run.command(&[&["results/*"], &args[..]].concat(), b"");
    assert_eq!(outcome.code, 1, "{outcome:?}");
    for said in [
        "results/a: same as",
        "results/c d: same as",
        "4 runs: 3 passed, 1 different, 0 could not be compared",
    ] {
        assert!(outcome.stdout.contains(said), "{said}: {outcome:?}");
    }
    let junit = |run: &Run| {
        let xml = fs::read_to_string(run.path("../check.xml")).unwrap();
        quick_junit::Report::deserialize_from_str(&xml).unwrap()
    };
    let report = junit(&run);
    let suites: Vec<_> = report
        .test_suites
        .iter()
        .map(|s| (s.name.as_str(), s.failures > 0, s.errors))
        .collect();
    let expected = [
        ("results/a", false, 0),
        ("results/b", false, 0),
        ("results/c d", false, 0),
        ("results/timed out", true, 0),
    ];
    assert_eq!(suites, expected);
    let cases = &report.test_suites[3].test_cases;
    let failed = |name: &str| {
        let case = cases
            .iter()
            .find(|case| case.name.as_str() == name)
            .unwrap();
        matches!(case.status, quick_junit::TestCaseStatus::NonSuccess { .. })
    };
    for (name, expected) in [
        ("log is complete", false),
        ("complete", true),
        ("ttft", false),
        ("tpot", true),
        ("qps", false),
        ("tps", true),
    ] {
        assert_eq!(failed(name), expected, "{name}");
    }

    let outcome = run.command(
        &[
            &["results/a", "results/nowhere", "results/[bc]*"],
            &args[..],
        ]
        .concat(),
        b"",
    );
    assert_eq!(outcome.code, 2, "{outcome:?}");
    let report = junit(&run);
    assert_eq!(
        (report.errors, report.failures, report.test_suites.len()),
        (1, 0, 4)
    );
}
