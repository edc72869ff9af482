//! A log that is cut or overwritten under the process that has it mapped.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;

use super::{Expected, recount, row};
use crate::support::Run;

type Change = fn(&File);

const LOG: &str = "events.jsonl";

#[test]
fn a_log_that_changes_while_it_is_mapped_is_an_error_and_the_run_stays() {
    // The batch is cut and not looked at yet, or everything is looked at and nothing recorded.
    let changes: [(&str, Change); 6] = [
        ("emptied", |log| log.set_len(0).unwrap()),
        ("cut to a page", |log| log.set_len(4096).unwrap()),
        ("cut in a page", |log| log.set_len(5000).unwrap()),
        ("cut by a byte", |log| {
            log.set_len(log.metadata().unwrap().len() - 1).unwrap();
        }),
        ("overwritten", |log| log.write_all_at(b"{}", 9).unwrap()),
        ("cut and made as long again", |log| {
            let len = log.metadata().unwrap().len();
            log.set_len(0).unwrap();
            log.set_len(len).unwrap();
        }),
    ];
    for point in ["pipeline.batch", "pipeline.record"] {
        for (what, change) in changes {
            let run = Run::text();
            let mut process = recount(&run, &["--threads", "1"])
                .fault(point, 1, "stop")
                .start();
            process.wait_until_stopped();
            change(&File::options().write(true).open(run.path(LOG)).unwrap());
            let before = run.files();
            process.go_on();
            let outcome = process.finish();
            assert_eq!(outcome.code, Some(2), "{what} at {point}: {outcome:?}");
            assert!(
                outcome.stderr.contains("changed while it was read"),
                "{what}: {outcome:?}"
            );
            assert_eq!(outcome.stderr.lines().count(), 1, "{what}: {outcome:?}");
            assert_eq!(run.files(), before, "{what}");
            row(
                &format!("the log is {what} at {point}"),
                &outcome,
                "left alone",
            );
        }
    }
}

#[test]
fn a_log_that_grows_or_is_replaced_is_refused() {
    let grow = |run: &Run| {
        let mut log = File::options().append(true).open(run.path(LOG)).unwrap();
        log.write_all(b"{}\n").unwrap();
    };
    let run = Run::text();
    let mut first = recount(&run, &[])
        .fault("pipeline.batch", 1, "stop")
        .start();
    first.wait_until_stopped();
    grow(&run);
    first.go_on();
    let outcome = first.finish();
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(
        outcome.stderr.contains("wait until the run has ended"),
        "{outcome:?}"
    );
    row("the log grows", &outcome, "left alone");

    let expected = Expected::with(&[]);
    let run = Run::text();
    let mut second = recount(&run, &[])
        .fault("pipeline.batch", 1, "stop")
        .start();
    second.wait_until_stopped();
    run.write("other.jsonl", "{}\n");
    // The file that is open has one name less, which its times show; that is refused too, on the safe side.
    std::fs::rename(run.path("other.jsonl"), run.path(LOG)).unwrap();
    second.go_on();
    let outcome = second.finish();
    expected.check_whole(&run, "the log is replaced");
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    row("the log is replaced by another", &outcome, "left alone");
}

#[test]
fn the_runs_after_one_whose_log_was_cut_are_done() {
    let (run, other) = (Run::text(), Run::text());
    let expected = Expected::with(&[]);
    let args = [other.dir().to_str().unwrap().to_owned(), "-v".to_owned()];
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut process = recount(&run, &args)
        .fault("pipeline.batch", 1, "stop")
        .start();
    process.wait_until_stopped();
    File::options()
        .write(true)
        .open(run.path(LOG))
        .unwrap()
        .set_len(0)
        .unwrap();
    process.go_on();
    let outcome = process.finish();
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(
        outcome.stderr.contains("events.jsonl: mapped"),
        "{outcome:?}"
    );
    assert_eq!(expected.check_whole(&run, "the cut one"), "old");
    assert_eq!(expected.check_whole(&other, "the one after it"), "new");
    row(
        "the log of the first of two runs is cut",
        &outcome,
        "left alone; the second is done",
    );
}
