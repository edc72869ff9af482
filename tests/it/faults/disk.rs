//! Disks that are full, limited or read-only, and a stdout that takes nothing.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Expected, Process, SUMMARY, check_refused, is_root, leftovers, recount, row, skip};
use crate::support::Run;

/// A filesystem in memory over a folder, until this is dropped.
struct Mount(PathBuf);

impl Mount {
    /// `None` where mounting is not allowed.
    fn over(folder: &Path, options: &str) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", options, "tok-recompute-test"])
            .arg(folder);
        let mounted = is_root() && mount.output().is_ok_and(|output| output.status.success());
        mounted.then(|| Self(folder.to_owned()))
    }

    fn read_only(&self) {
        let done = Command::new("mount")
            .args(["-o", "remount,ro"])
            .arg(&self.0)
            .status();
        assert!(done.unwrap().success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// The run with its `performance` folder on a filesystem of its own.
fn mounted(options: &str) -> Option<(Run, Mount)> {
    let run = Run::text();
    let summary = run.bytes(SUMMARY);
    let mount = Mount::over(&run.path("performance"), options)?;
    run.write(SUMMARY, summary);
    Some((run, mount))
}

#[test]
fn a_full_disk_changes_nothing() {
    // Room for the summary, and then for a part of what is written beside it.
    for pages in [6, 8, 10, 12, 14, 16] {
        let Some((run, _mount)) = mounted(&format!("size={}k", 4 * pages)) else {
            return skip("mounting a small filesystem needs root");
        };
        let before = run.files();
        let outcome = recount(&run, &[]).finish();
        if outcome.code == Some(0) {
            assert!(pages > 10, "that was room enough");
            continue;
        }
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(outcome.stderr.contains("make room"), "{outcome:?}");
        assert_eq!(run.files(), before);
        row(&format!("a disk of {pages} pages"), &outcome, "left alone");
    }
}

#[test]
fn a_read_only_filesystem_changes_nothing() {
    let Some((run, mount)) = mounted("size=1m") else {
        return skip("mounting a filesystem needs root");
    };
    mount.read_only();
    let said = "make its folder writable";
    check_refused("a read-only filesystem", &run, recount(&run, &[]), said);
}

#[test]
fn a_limit_on_file_sizes_is_an_error_and_not_the_end() {
    for blocks in [0, 1, 8, 32] {
        let run = Run::text();
        let limit = format!("ulimit -f {blocks}");
        let process = Process::shell(&run, &limit, &["run", "--tokenizer", "none"]);
        check_refused(&limit, &run, process, "raise the limit on file sizes");
    }
}

#[test]
fn a_stdout_that_takes_nothing_is_told_from_a_reader_that_left() {
    let expected = Expected::with(&[]);
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let run = Run::text();
    let outcome = recount(&run, &[]).stdout(full()).finish();
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(
        outcome
            .stderr
            .contains("cannot write the figures to stdout; written: "),
        "{outcome:?}"
    );
    assert_eq!(expected.check_whole(&run, "/dev/full"), "new");
    row("stdout is full", &outcome, "new summary, and it says so");

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let run = Run::text();
    let outcome = recount(&run, &["--format", "json"]).stdout(writer).finish();
    assert_eq!(
        (outcome.code, outcome.stderr.contains("error")),
        (Some(0), false),
        "{outcome:?}"
    );
    assert_eq!(expected.check_whole(&run, "a closed pipe"), "new");
    row("the reader of stdout has left", &outcome, "new summary");
}

#[test]
fn a_new_folder_is_not_left_where_nothing_comes_of_it() {
    let run = Run::text();
    fs::remove_dir_all(run.path("metrics")).unwrap();
    let limit = ["run", "--tokenizer", "none", "--write", "summary,snapshot"];
    let outcome = Process::shell(&run, "ulimit -f 20", &limit).finish();
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(!run.path("metrics").exists());
    assert!(leftovers(run.around()).is_empty());
}
