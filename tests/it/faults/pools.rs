//! Panics and refusals where the work is done, and no waiting for ever.

use std::io::Write;

use super::SUMMARY;
use super::{Process, check_refused, recount, row};
use crate::support::Run;
use crate::support::read;

fn counted<'a>(tokenizer: &'a str, engine: &'a str) -> [&'a str; 5] {
    ["run", "--tokenizer", tokenizer, "--engine", engine]
}

#[test]
fn a_panic_on_a_text_names_its_sample_or_is_made_good_by_tokenizers() {
    for nth in [1, 2, 60, 117] {
        let run = Run::text();
        let tokenizer = run.tokenizer();
        let tokenizer = tokenizer.to_str().unwrap();
        let before = run.files();
        let outcome = Process::shell(&run, "", &counted(tokenizer, "tokenizers"))
            .fault("count.text", nth, "panic")
            .finish();
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        let said = outcome.stderr.lines().last().unwrap();
        let place = said
            .strip_prefix("error: counting failed for sample ")
            .unwrap();
        let (sample, rest) = place.split_once(" in the line at byte ").unwrap();
        let (offset, rest) = rest.split_once(": ").unwrap();
        assert_eq!(rest, "internal error: a fault at count.text");
        let log = run.bytes("events.jsonl");
        let line = &log[offset.parse::<usize>().unwrap()..];
        let line = line.split(|&byte| byte == b'\n').next().unwrap();
        assert!(
            String::from_utf8_lossy(line).contains(&format!("\"{sample}\"")),
            "{said}"
        );
        assert_eq!(run.files(), before);
        row(
            &format!("a panic on text {nth}, tokenizers counting"),
            &outcome,
            "left alone",
        );

        let outcome = Process::shell(&run, "", &counted(tokenizer, "auto"))
            .fault("count.text", nth, "panic")
            .finish();
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        assert!(
            outcome
                .stderr
                .contains("recounting everything with tokenizers"),
            "{outcome:?}"
        );
        assert!(run.bytes(SUMMARY) == read("run_expected/result_summary.json"));
        row(
            &format!("a panic on text {nth}"),
            &outcome,
            "recounted, exact",
        );
    }
}

/// A pipe cannot be read again, so a panic is final there.
#[test]
fn a_panic_on_a_text_from_a_pipe_is_an_error() {
    let run = Run::text();
    let tokenizer = run.tokenizer();
    let args = ["-", "--tokenizer", tokenizer.to_str().unwrap(), "--dry-run"];
    let log = std::fs::File::open(run.path("events.jsonl")).unwrap();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let feeding = std::thread::spawn(move || {
        let _ = std::io::copy(&mut &log, &mut writer);
    });
    let process = Process::shell(&run, "", &args).fault("count.text", 3, "panic");
    let outcome = process.stdin(reader).finish();
    feeding.join().unwrap();
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(
        outcome.stderr.contains("counting failed for sample"),
        "{outcome:?}"
    );
    row(
        "a panic on a text from a pipe",
        &outcome,
        "nothing to write",
    );
}

/// The watchdog: `finish` fails on a process that does not end.
#[test]
fn a_panic_anywhere_in_the_pools_ends_the_work() {
    for point in ["pipeline.batch", "pipeline.record"] {
        for threads in ["1", "2", "7"] {
            for nth in [1, 2] {
                let run = Run::text();
                let process = recount(&run, &["--threads", threads, "--block-size", "2"]);
                let process = process.fault(point, nth, "panic");
                let fault = format!("a panic at {point} {nth}, {threads} threads");
                check_refused(&fault, &run, process, "internal error at batch");
            }
        }
    }
}

#[test]
fn threads_that_cannot_be_had_are_done_without() {
    let check = |threads: &str, nth: usize, code: i32, said: &str| {
        let run = Run::text();
        let process = recount(&run, &["--threads", threads, "--block-size", "1", "-v"]);
        let outcome = process.fault("cpu.spawn", nth, "11").finish();
        assert_eq!(outcome.code, Some(code), "{outcome:?}");
        assert!(outcome.stderr.contains(said), "{said:?} in {outcome:?}");
        row(
            &format!("thread {nth} of {threads} refused"),
            &outcome,
            said,
        );
    };
    check("1", 1, 2, "the system refuses even one thread");
    check("9", 2, 0, "the system refuses threads, so fewer count");
    check("9", 9, 0, "the system refuses threads, so fewer count");
}

#[test]
fn a_standard_input_that_is_not_there_is_an_end() {
    let run = Run::text();
    let args = ["-", "--tokenizer", "none", "--dry-run"];
    let outcome = Process::shell(&run, "exec <&-", &args).finish();
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    row("stdin is closed", &outcome, "nothing to write");

    let log = run.bytes("events.jsonl");
    for cut in [0, 1, log.len() / 2] {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let started = Process::shell(&run, "", &args).stdin(reader).start();
        writer.write_all(&log[..cut]).unwrap();
        drop(writer);
        let outcome = started.finish();
        let code = if cut > 1 { 3 } else { 2 };
        assert_eq!(outcome.code, Some(code), "{cut}: {outcome:?}");
        row(
            &format!("stdin ends after {cut} bytes"),
            &outcome,
            "nothing to write",
        );
    }
}

#[test]
fn streams_that_are_closed_do_not_matter_to_the_run() {
    for closed in ["exec >&-", "exec 2>&-", "exec >&- 2>&- <&-"] {
        let run = Run::text();
        let outcome = Process::shell(&run, closed, &["run", "--tokenizer", "none"]).finish();
        assert_eq!(outcome.code, Some(0), "{closed}: {outcome:?}");
        row(closed, &outcome, "new summary");
    }
    let run = Run::text();
    assert_eq!(recount(&run, &["--dry-run"]).finish().code, Some(0));
}
