//! `--check` on pairs of runs that are made from the fixtures.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Outcome, Run, copy_folder, fixture, read};

const SUMMARY: &str = "performance/result_summary.json";

/// A run whose summary is right, beside a copy of it called `base`.
fn finished(run: Run, expected: &str) -> Run {
    run.write(SUMMARY, read(&format!("{expected}/result_summary.json")));
    copy_folder(&run.dir(), &run.path("../base"));
    run
}

fn text() -> Run {
    finished(Run::text(), "run_expected")
}

/// Rewrites the log by its events; one that becomes `None` is left out.
fn edit(run: &Run, change: impl Fn(Value) -> Option<Value>) {
    let log = String::from_utf8(run.bytes("events.jsonl")).unwrap();
    let events = log.lines().map(|line| serde_json::from_str(line).unwrap());
    let lines = events
        .filter_map(change)
        .map(|event| event.to_string() + "\n");
    run.write("events.jsonl", lines.collect::<String>());
}

/// The document on stdout of a check with `args`.
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

/// Exit code and kinds of a check, and that it wrote nothing.
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

/// The name of a tracked sample that completed.
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
fn another_tokenizer_is_told_by_counts_alone() {
    let run = text();
    let qwen = fixture("tokenizers/qwen");
    let args = ["run", "--check", "--tokenizer", qwen.to_str().unwrap()];
    for against in [&[][..], &AGAINST] {
        let outcome = run.command(&[&args[..], against].concat(), b"");
        assert_eq!(outcome.code, 1, "{outcome:?}");
        assert!(
            outcome
                .stdout
                .contains("run: different (tokenizer): 53 of 158 fields"),
            "{outcome:?}"
        );
    }
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

    // Its completion alone: the recount is whole as far as it goes, and names the sample.
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
fn other_times_are_timing() {
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

/// Where two values differ, found by walking both.
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
        // The numbers of values are ours, not the summary's.
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
    // Not even when what it is compared with is cut alike.
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
fn a_summary_that_is_incomplete_is_told_as_such() {
    // The drain of the fixture timed out.
    let run = Run::text();
    let checked = check(&run, &[], 1, &["incomplete", "population"]);
    assert_eq!(checked["diagnosis"], Value::Null);
    let outcome = run.recompute(&["--check"]);
    assert!(
        outcome
            .stdout
            .contains("its own summary says that it is incomplete"),
        "{outcome:?}"
    );
    // As what others are compared with, a run like that is recounted.
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
fn a_log_from_stdin_is_compared_with_what_is_given() {
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
        outcome.stderr.contains("can be read once only"),
        "{outcome:?}"
    );
}

#[test]
fn tolerances_say_what_may_differ() {
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

    // With a baseline both are judged; alone, only what is expected is.
    let run = Run::text();
    fs::write(run.path("../checks.toml"), "complete = true\n").unwrap();
    let expect = ["--expect", "checks.toml"];
    check(&run, &expect, 0, &[]);
    let outcome = run.recompute(&["--check", "--expect", "checks.toml"]);
    assert!(
        outcome
            .stderr
            .contains("--expect alone does not judge that"),
        "{outcome:?}"
    );
    assert_eq!(outcome.stdout, "run: 1 of 1 expectation met\n");
    check(
        &run,
        &[&expect[..], &["--tolerance", "*=0"]].concat(),
        1,
        &["incomplete", "population"],
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

/// What cannot be compared: exit 2, and words on stderr.
#[track_caller]
fn refused(prepare: impl Fn(&Run), args: &[&str], said: &str) {
    let run = text();
    prepare(&run);
    let outcome = run.recompute(&[&["--check"], args].concat());
    assert_eq!(outcome.code, 2, "{args:?}: {outcome:?}");
    assert!(outcome.stderr.contains(said), "{said:?} in {outcome:?}");
    assert_eq!(outcome.stdout, "", "{args:?}");
}

#[test]
fn what_cannot_be_compared_is_exit_two() {
    let nothing = |_: &Run| {};
    let toml =
        |text: &'static str| move |run: &Run| fs::write(run.path("../a.toml"), text).unwrap();
    refused(
        |run| run.remove(SUMMARY),
        &[],
        "nothing to compare run with",
    );
    refused(
        nothing,
        &["--against", "nowhere"],
        "no such summary or run: nowhere",
    );
    refused(
        nothing,
        &["--against", "run/config.yaml"],
        "is not a summary",
    );
    refused(
        |run| {
            fs::remove_dir_all(run.path("../base"))
                .and_then(|()| fs::create_dir(run.path("../base")))
                .unwrap();
        },
        &AGAINST,
        "neither a summary nor an event log",
    );
    refused(
        nothing,
        &["--tolerance", "tpot.avg=5x"],
        "`5x` is not an amount",
    );
    refused(
        nothing,
        &["--tolerance", "tpott.*=5%"],
        "no metric is called `tpott.*`",
    );
    refused(nothing, &["--expect", "a.toml"], "cannot read a.toml");
    refused(
        toml("a = "),
        &["--expect", "a.toml"],
        "cannot use a.toml: it is not TOML",
    );
    refused(
        toml("ttft.p99 = 1"),
        &["--expect", "a.toml"],
        "no metric is called `ttft.p99`",
    );
    refused(nothing, &["--output", "x.json"], "cannot be used with");
    refused(
        nothing,
        &["--junit", "/proc/nowhere/junit.xml"],
        "/proc/nowhere/junit.xml",
    );
}

/// The cause that a check finds, and what it tried.
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

    // Without its config.json transformers takes DeepSeek's tokenizer for a Llama.
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
    let outcome = run.recompute(&["--check", "--try", "nowhere"]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.stderr.contains("cannot try nowhere"), "{outcome:?}");
    assert!(
        outcome.stdout.contains("diagnosis: none found; tried"),
        "{outcome:?}"
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
    diagnosed(&run, &[], Some("chat without its chat templates"), 1);
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
    let outcome = run.command(&[&["results/x*"], &args[..]].concat(), b"");
    assert_eq!(outcome.code, 2, "{outcome:?}");
    assert!(
        outcome.stderr.contains("no such run: results/x*"),
        "{outcome:?}"
    );
}

#[test]
fn github_gets_annotations_and_a_summary() {
    let run = Run::text();
    let summary = run.path("../summary.md");
    fs::write(&summary, "before\n").unwrap();
    let at_github = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tok-recompute"));
        command
            .args(["run", "--check", "--tokenizer"])
            .arg(fixture("tokenizers/llama3"))
            .args(args);
        command
            .current_dir(run.path(".."))
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_STEP_SUMMARY", &summary);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        (
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (stdout, _) = at_github(&[]);
    let annotation = stdout
        .lines()
        .find(|line| line.starts_with("::error "))
        .unwrap();
    assert!(
        annotation.starts_with(
            "::error title=tok-recompute%3A run::different (incomplete, population): 65 of 158"
        ),
        "{annotation}"
    );
    assert!(
        annotation.contains("%0Acomplete: false → true (incomplete)%0A")
            && annotation.contains(" %25 (population)"),
        "{annotation}"
    );
    let written = fs::read_to_string(&summary).unwrap();
    assert!(
        written
            .starts_with("before\n### tok-recompute --check\n\n- ❌ <code>run</code>: different"),
        "{written}"
    );
    assert!(
        written.contains("| <code>run</code> | complete | false | true |  | incomplete |"),
        "{written}"
    );
    let (stdout, stderr) = at_github(&["--format", "json"]);
    serde_json::from_str::<Value>(&stdout).unwrap();
    assert!(stderr.contains("::error title="), "{stderr}");
    assert_eq!(
        fs::read_to_string(&summary)
            .unwrap()
            .matches("### tok-recompute")
            .count(),
        2
    );
}
