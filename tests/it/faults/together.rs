//! Others at the same run: a second process, a reader, a writer.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{
    Expected, NOBODY, Process, SUMMARY, check_refused, is_root, leftovers, recount, row, skip,
};
use crate::support::{Run, copy_folder, fixture, read};

#[test]
fn a_second_process_is_refused_until_the_first_has_ended() {
    let expected = Expected::with(&[]);
    let run = Run::text();
    let mut first = recount(&run, &[])
        .fault("pipeline.batch", 1, "stop")
        .start();
    first.wait_until_stopped();
    let before = run.files();
    for input in ["run", "run/events.jsonl"] {
        let second = Process::shell(&run, "", &[input, "--tokenizer", "none"]).finish();
        assert_eq!(second.code, Some(2), "{second:?}");
        let said = "another tok-recompute is rewriting";
        assert!(second.stderr.contains(said), "{second:?}");
        row(
            &format!("two processes on one run ({input})"),
            &second,
            "left alone",
        );
    }
    // Looking, and writing elsewhere, disturbs nobody.
    for args in [&["--dry-run"][..], &["--output", "elsewhere.json"]] {
        assert_eq!(recount(&run, args).finish().code, Some(0), "{args:?}");
    }
    assert_eq!(run.files(), before);
    first.go_on();
    let first = first.finish();
    assert_eq!(first.code, Some(0), "{first:?}");
    expected.check_mended(&run, &[], "after the first");
}

#[test]
fn a_lock_ends_with_its_process() {
    let expected = Expected::with(&[]);
    let run = Run::text();
    let killed = recount(&run, &[]).fault("write.sync", 1, "kill").finish();
    assert_eq!(killed.ended, "signal 9");
    expected.check_mended(&run, &[], "after a kill");
}

#[test]
fn a_signal_ends_it_with_its_code_and_a_whole_summary() {
    use rustix::process::Signal;
    let expected = Expected::with(&[]);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        for point in ["pipeline.batch", "write.synced", "write.rename"] {
            let run = Run::text();
            let mut process = recount(&run, &[]).fault(point, 1, "stop").start();
            process.wait_until_stopped();
            process.signal(signal);
            process.go_on();
            let outcome = process.finish();
            assert_eq!(outcome.code, Some(code), "{outcome:?}");
            // Another thread takes the signal, so the one that writes may come a step further.
            let state = format!("{} summary", expected.check_whole(&run, point));
            row(&format!("{signal:?} at {point}"), &outcome, &state);
            expected.check_mended(&run, &[], point);
        }
    }
}

#[test]
fn a_summary_that_somebody_writes_meanwhile_is_left_as_it_is() {
    let check = |change: &dyn Fn(&Run), said: &str| {
        let run = Run::text();
        let mut process = recount(&run, &[])
            .fault("pipeline.batch", 1, "stop")
            .start();
        process.wait_until_stopped();
        change(&run);
        let changed = run.files();
        process.go_on();
        let outcome = process.finish();
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(outcome.stderr.contains(said), "{outcome:?}");
        assert_eq!(run.files(), changed);
        row(&format!("the summary {said}"), &outcome, "left as it is");
    };
    check(
        &|run| run.write(SUMMARY, "{\"version\": \"new\"}"),
        "was written while",
    );
    check(&|run| run.remove(SUMMARY), "was removed while");
    let gone = |run: &Run| fs::remove_dir_all(run.path("performance")).unwrap();
    check(&gone, "was removed while");
}

#[test]
fn a_reader_never_sees_a_torn_file() {
    let run = Run::text();
    let variants = [["--streaming", "on"], ["--streaming", "off"]];
    let mut whole = vec![run.bytes(SUMMARY)];
    for args in variants {
        whole.push(Expected::with(&args).new);
    }
    let path = run.path(SUMMARY);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut reads, mut seen) = (0_u64, vec![false; whole.len()]);
            while !done.load(Ordering::SeqCst) {
                let bytes = fs::read(&path).unwrap();
                let which = whole.iter().position(|whole| *whole == bytes);
                seen[which.expect("a torn summary")] = true;
                reads += 1;
            }
            (reads, seen)
        });
        for args in variants.iter().cycle().take(10) {
            assert_eq!(recount(&run, args).finish().code, Some(0));
        }
        done.store(true, Ordering::SeqCst);
        let (reads, seen) = reader.join().unwrap();
        println!("| a reader in a loop, 10 rewrites | {reads} reads | all whole |");
        assert!(
            reads > 10 && seen.iter().all(|seen| *seen),
            "{reads} {seen:?}"
        );
    });
}

type Removal = fn(&Run) -> std::io::Result<()>;

#[test]
fn a_folder_that_is_removed_meanwhile_is_an_error_and_stays_away() {
    let removals: [(&str, Removal); 4] = [
        ("the summary's folder is removed", |run| {
            fs::remove_dir_all(run.path("performance"))
        }),
        ("the run is removed", |run| fs::remove_dir_all(run.dir())),
        ("the run is moved away", |run| {
            fs::rename(run.dir(), run.around().join("moved"))
        }),
        ("another run takes its place", |run| {
            fs::rename(run.dir(), run.around().join("moved"))?;
            copy_folder(&fixture("run_chat"), &run.dir());
            Ok(())
        }),
    ];
    for (what, remove) in removals {
        for point in ["pipeline.record", "write"] {
            let run = Run::text();
            let mut process = recount(&run, &[]).fault(point, 1, "stop").start();
            process.wait_until_stopped();
            remove(&run).unwrap();
            let folders =
                |run: &Run| ["performance", "../moved", "."].map(|name| run.path(name).is_dir());
            let left = (folders(&run), leftovers(run.around()));
            process.go_on();
            let outcome = process.finish();
            let at = format!("{what}, at {point}");
            assert_eq!(outcome.code, Some(2), "{at}: {outcome:?}");
            assert!(outcome.stderr.contains("error: "), "{at}: {outcome:?}");
            assert_eq!((folders(&run), leftovers(run.around())), left, "{at}");
            for name in [SUMMARY, "../moved/performance/result_summary.json"] {
                if let Ok(summary) = fs::read(run.path(name)) {
                    let of = ["run", "run_chat"].map(|run| read(&format!("{run}/{SUMMARY}")));
                    assert!(of.contains(&summary), "{at}");
                }
            }
            row(&at, &outcome, "left alone");
        }
    }
}

#[test]
fn a_run_of_somebody_else_is_left_alone() {
    if !is_root() {
        return skip("root takes another account for this");
    }
    let run = Run::text();
    let open = |path: &std::path::Path| {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    open(run.around());
    let Some(outcome) = recount(&run, &["--dry-run"])
        .user(NOBODY)
        .finish_if_started()
    else {
        return skip("the other account may not run the binary");
    };
    if outcome.code != Some(0) {
        return skip("the other account cannot read the run");
    }
    let process = recount(&run, &[]).user(NOBODY);
    check_refused(
        "a read-only folder",
        &run,
        process,
        "make its folder writable",
    );
}
