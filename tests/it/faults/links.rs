//! Links, modes, owners and names.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

use super::{Expected, NOBODY, ORIGINAL, SUMMARY, is_root, leftovers, recount, row, skip};
use crate::support::Run;

#[test]
fn a_link_that_stays_in_the_run_is_written_through() {
    let expected = Expected::with(&[]);
    let run = Run::text();
    fs::create_dir(run.path("store")).unwrap();
    fs::rename(run.path(SUMMARY), run.path("store/summary.json")).unwrap();
    symlink("../store/summary.json", run.path(SUMMARY)).unwrap();
    let outcome = recount(&run, &[]).finish();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(run.path(SUMMARY).is_symlink());
    assert!(run.bytes("store/summary.json") == expected.new);
    assert!(run.bytes(ORIGINAL) == expected.old && !run.path(ORIGINAL).is_symlink());
    row(
        "a linked summary in the run",
        &outcome,
        "new summary, still linked",
    );
}

#[test]
fn a_link_out_of_the_run_is_not_written_through() {
    for name in [
        SUMMARY,
        "performance/recompute.json",
        "report.txt",
        ORIGINAL,
    ] {
        let run = Run::text();
        let outside = run.around().join("precious");
        fs::copy(run.path(SUMMARY), &outside).unwrap();
        let _ = fs::remove_file(run.path(name));
        symlink("../precious", run.path("over")).unwrap();
        symlink(&outside, run.path(name)).unwrap();
        let before = (run.files(), fs::read(&outside).unwrap());
        let outcome = recount(&run, &["--write", "summary,report"]).finish();
        assert_eq!(outcome.code, Some(2), "{name}: {outcome:?}");
        assert!(
            outcome.stderr.contains("leads out of the run"),
            "{outcome:?}"
        );
        assert_eq!((run.files(), fs::read(&outside).unwrap()), before, "{name}");
        row(
            &format!("{name} links out of the run"),
            &outcome,
            "left alone",
        );
    }
    // Named on the command line it is the user's choice.
    let expected = Expected::with(&[]);
    let run = Run::text();
    let outside = run.around().join("precious");
    fs::rename(run.path(SUMMARY), &outside).unwrap();
    symlink(&outside, run.path(SUMMARY)).unwrap();
    let outcome = recount(&run, &["--summary", "run/performance/result_summary.json"]).finish();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(fs::read(&outside).unwrap() == expected.new && run.path(SUMMARY).is_symlink());
}

#[test]
fn other_names_of_a_summary_keep_what_it_was() {
    let expected = Expected::with(&[]);
    let run = Run::text();
    fs::hard_link(run.path(SUMMARY), run.path("also.json")).unwrap();
    let outcome = recount(&run, &[]).finish();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(run.bytes("also.json") == expected.old);
    assert_eq!(expected.check_whole(&run, "hard link"), "new");
    row(
        "a summary with a second hard link",
        &outcome,
        "new summary; the other name keeps the old",
    );
}

#[test]
fn odd_modes_and_owners_are_kept() {
    for mode in [0o600, 0o444, 0o000, 0o4755, 0o777] {
        if mode == 0 && !is_root() {
            continue;
        }
        let run = Run::text();
        let summary = run.path(SUMMARY);
        if is_root() {
            chown(&summary, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        fs::set_permissions(&summary, Permissions::from_mode(mode)).unwrap();
        let was = fs::metadata(&summary).unwrap();
        let outcome = recount(&run, &[]).finish();
        assert_eq!(outcome.code, Some(0), "{mode:o}: {outcome:?}");
        for name in [SUMMARY, ORIGINAL] {
            let is = fs::metadata(run.path(name)).unwrap();
            let same = |of: &fs::Metadata| (of.mode(), of.uid(), of.gid());
            assert_eq!(same(&is), same(&was), "{name} {mode:o}");
        }
        row(
            &format!("a summary of mode {mode:04o} and another owner"),
            &outcome,
            "kept",
        );
    }
}

#[test]
fn the_longest_name_can_be_written() {
    let run = Run::text();
    for name in [255, 254, 230, 229] {
        let name = "n".repeat(name);
        let outcome = recount(&run, &["--output", &name]).finish();
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        assert!(run.around().join(&name).is_file());
    }
    let outcome = recount(&run, &["--output", &"n".repeat(256)]).finish();
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("File name too long"), "{outcome:?}");
    assert!(leftovers(run.around()).is_empty());
    row(
        "an output name of 256 bytes",
        &outcome,
        "left alone; one of 255 is written",
    );
    if !is_root() {
        skip("other owners need root");
    }
}
