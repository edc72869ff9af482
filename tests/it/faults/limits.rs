//! Limits on memory, files and processes.

use std::fs;
use std::io::{BufWriter, Write};
use std::time::Duration;

use super::{ALONE, Expected, Outcome, Process, check_refused, is_root, recount, row, say, skip};
use crate::support::{Run, read};

fn counting(run: &Run, before: &str, args: &[&str]) -> Process {
    let tokenizer = run.tokenizer();
    let all = [&["run", "--tokenizer", tokenizer.to_str().unwrap()], args].concat();
    Process::shell(run, before, &all)
}

fn counted(run: &Run, before: &str, args: &[&str]) -> Outcome {
    counting(run, before, args).finish()
}

/// So many open files at most, besides those that whoever started the tests has left open.
fn open_files(most: u32) -> String {
    format!(
        "n=0 left={most}; while [ $left -gt 0 ]; do \
         [ $n -gt 2 ] && [ -e /proc/$$/fd/$n ] || left=$((left - 1)); n=$((n + 1)); done; ulimit -n $n"
    )
}

#[test]
fn a_few_open_files_are_enough() {
    let run = Run::text();
    let all = ["--write", "summary,report,snapshot", "--threads", "9"];
    let outcome = counted(&run, &open_files(16), &all);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(run.bytes(super::SUMMARY) == read("run_expected/result_summary.json"));
    row("16 open files at most", &outcome, "new summary");
    let run = Run::text();
    let more = ["--samples", "rows.csv", "--html", "page.html"];
    let outcome = counted(&run, &open_files(20), &[&all[..], &more].concat());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    row(
        "20 open files at most, with rows and a page",
        &outcome,
        "new summary",
    );
    let run = Run::text();
    let process = counting(&run, &open_files(5), &all);
    check_refused("5 open files at most", &run, process, "Too many open files");
}

/// Whatever the limit on address space (`-v`) or on writable memory (`-d`): the whole report, or an error with exit
/// code 2, or, where the program does not even start, what the loader says; and a run that is changed as a whole or not
/// at all.
#[test]
fn memory_that_cannot_be_had_is_an_error() {
    for which in ["-v", "-d"] {
        let starts = |kib: u32| {
            let limit = format!("ulimit {which} {kib}");
            let outcome = Process::shell(&Run::text(), &limit, &["--version"]).finish();
            outcome.code == Some(0)
        };
        let least_kib = (1..100)
            .map(|mib| mib << 10)
            .find(|&kib| starts(kib))
            .expect("a limit under which the program starts");
        let mut ends: Vec<(String, u32, u32, &str)> = Vec::new();
        let mut done = 0;
        let below = (0..least_kib).step_by(2 << 10).skip(1);
        let above = (least_kib..).step_by(900);
        for kib in below.chain(above) {
            let (outcome, state) = within(&format!("ulimit {which} {kib}"), kib >= least_kib);
            done += u32::from(outcome.code == Some(0));
            match ends.last_mut() {
                Some(last) if last.0 == outcome.ended => last.2 = kib,
                _ => ends.push((outcome.ended, kib, kib, state)),
            }
            if done == 8 {
                break;
            }
        }
        for (ended, from, to, state) in ends {
            let what = format!("ulimit {which}, from {from} to {to} KiB");
            say(&what, &ended, state);
        }
    }
}

/// One run within a limit: how it ended, and what the run's files are then.
fn within(limit: &str, starts: bool) -> (Outcome, &'static str) {
    let run = Run::text();
    let before = run.files();
    let outcome = counted(&run, limit, &[]);
    if outcome.code == Some(0) {
        assert!(run.bytes(super::SUMMARY) == read("run_expected/result_summary.json"));
        return (outcome, "exact");
    }
    assert_eq!(run.files(), before, "{limit}: {outcome:?}");
    if starts {
        assert_eq!(outcome.code, Some(2), "{limit}: {outcome:?}");
        assert!(outcome.stderr.contains("error: "), "{limit}: {outcome:?}");
    }
    (outcome, "left alone")
}

#[test]
fn the_stack_that_the_system_gives_does_not_matter() {
    let run = Run::text();
    let outcome = counted(&run, "ulimit -s 256", &[]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(run.bytes(super::SUMMARY) == read("run_expected/result_summary.json"));
    row("256 KiB of stack", &outcome, "new summary");
}

#[test]
fn as_many_threads_count_as_the_system_gives() {
    if !is_root() {
        return skip("root takes an account that runs nothing else for this");
    }
    let run = Run::text();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(run.around(), open).unwrap();
    let args = ["-c", "ulimit -u \"$0\" && exec \"$@\""];
    for (most, code) in [("1", 2), ("2", 2), ("3", 0), ("5", 0)] {
        let options = [args[0], args[1], most];
        let wanted = [
            "run",
            "--tokenizer",
            "none",
            "--dry-run",
            "--threads",
            "9",
            "-v",
        ];
        let process = Process::under("bash", &options, &run, &wanted).user(ALONE);
        let Some(outcome) = process.finish_if_started() else {
            return skip("bash is not here, or the other account may not run the binary");
        };
        assert_eq!(outcome.code, Some(code), "{outcome:?}");
        assert!(outcome.stderr.contains("the system refuses"), "{outcome:?}");
        row(
            &format!("ulimit -u {most}, 9 threads wanted"),
            &outcome,
            "done without",
        );
    }
}

#[test]
fn a_memory_limit_is_kept_or_refused() {
    let check = |args: &[&str], code: i32, said: &str| {
        let run = Run::text();
        let before = run.files();
        let outcome = counted(&run, "", args);
        assert_eq!(outcome.code, Some(code), "{args:?}: {outcome:?}");
        assert!(outcome.stderr.contains(said), "{said:?} in {outcome:?}");
        if code == 0 {
            assert!(run.bytes(super::SUMMARY) == read("run_expected/result_summary.json"));
        } else {
            assert_eq!(run.files(), before);
        }
        row(&args.join(" "), &outcome, said);
    };
    check(&["--max-memory", "4GiB"], 0, "");
    check(
        &["--max-memory", "400M", "--threads", "9", "-v"],
        0,
        "to stay within --max-memory: ",
    );
    check(
        &["--max-memory", "1M"],
        2,
        "loading the tokenizer alone took",
    );
    check(&["--max-memory", "lots"], 2, "expected a number and a unit");
}

/// Written and counted once without a limit and twice within one: the reports are the same.
#[test]
#[ignore = "millions of lines take minutes in a debug build"]
fn a_million_samples_fit_a_gigabyte() {
    let run = Run::text();
    let mut log = BufWriter::new(fs::File::create(run.path("events.jsonl")).unwrap());
    let mut write = |kind: &str, at_ns: u64, sample: &str, data: &str| {
        let line = format!(
            r#"{{"event_type":"{kind}","timestamp_ns":{at_ns},"sample_uuid":"{sample}","data":{data}}}"#
        );
        writeln!(log, "{line}").unwrap();
    };
    write("session.started", 1, "", "null");
    write("session.start_performance_tracking", 2, "", "null");
    for sample in 0..1_000_000 {
        let (name, at_ns) = (format!("{sample:032x}"), 10 + sample * 1000);
        let prompt = format!(r#"["PromptData","tell me of {sample}"]"#);
        write("sample.issued", at_ns, &name, &prompt);
        let output = format!(r#"["TextModelOutput",["one","two {sample}","three"]]"#);
        write("sample.complete", at_ns + 500, &name, &output);
    }
    write("session.ended", 2_000_000_000, "", "null");
    drop(log);
    let old = run.bytes(super::SUMMARY);
    let counted = |limit: &str, args: &[&str]| {
        run.write(super::SUMMARY, &old);
        let process = counting(&run, limit, args);
        let outcome = process.start().finish_within(Duration::from_secs(1200));
        assert_eq!(outcome.code, Some(0), "{limit} {args:?}: {outcome:?}");
        let what = format!("a million samples {limit} {}", args.join(" "));
        row(&what, &outcome, "exact");
        run.bytes(super::SUMMARY)
    };
    let expected = counted("", &[]);
    assert!(counted("ulimit -Sv 1000000", &[]) == expected);
    assert!(counted("", &["--max-memory", "400M"]) == expected);
}

#[test]
fn a_line_that_may_not_fit_the_memory_limit_is_an_error_and_not_damage() {
    let run = Run::text();
    let mut log = run.bytes("events.jsonl");
    log.truncate(log.len() - 1);
    let last = log.iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
    let ended = log.split_off(last);
    let filler = "x".repeat(3 << 20);
    log.extend(ended.strip_suffix(b"}").unwrap());
    log.extend(format!(",\"filler\":\"{filler}\"}}\n").bytes());
    run.write("events.jsonl", &log);
    let expected = Expected::with(&[]);
    let outcome = recount(&run, &["--max-memory", "128M"]).finish();
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(
        outcome
            .stderr
            .contains("has 4 MiB, which may need more memory"),
        "{outcome:?}"
    );
    assert_eq!(expected.check_whole(&run, "a long line"), "old");
    row("a line of 3 MiB within 128 MiB", &outcome, "left alone");
    let outcome = recount(&run, &["--max-memory", "2G"]).finish();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(expected.check_whole(&run, "a long line"), "new");
    assert!(fs::metadata(run.path("events.jsonl")).unwrap().len() > 3 << 20);
}
