//! System calls that are refused, each time they are made: what some filesystems and containers do.

use std::process::Command;

use super::{Expected, Process, leftovers, row, skip};
use crate::support::Run;

const ARGS: [&str; 5] = [
    "run",
    "--tokenizer",
    "none",
    "--write",
    "summary,report,snapshot",
];

/// Whether `strace` is here and may trace.
fn can_trace() -> bool {
    let traced = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .status();
    traced.is_ok_and(|status| status.success())
}

#[test]
fn calls_that_a_filesystem_refuses_are_done_without_or_are_an_error() {
    if !can_trace() {
        return skip("strace, which refuses the calls, is not here or may not trace");
    }
    let expected = Expected::with(&["--write", "summary,report,snapshot"]);
    let check = |calls: &str, error: &str, code: i32| {
        let run = Run::text();
        let before = run.files();
        let inject = format!("inject={calls}:error={error}:when=1+");
        let options = [
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "signal=none",
            "-e",
            &inject,
        ];
        let process = Process::under("strace", &options, &run, &ARGS);
        let outcome = process.finish();
        let at = format!("{calls} refused with {error}");
        assert_eq!(outcome.code, Some(code), "{at}: {outcome:?}");
        let state = expected.check_whole(&run, &at);
        assert_eq!(state == "new", code == 0, "{at}");
        assert!(leftovers(run.around()).is_empty(), "{at}");
        let original = run.path(super::ORIGINAL);
        let unchanged = run
            .files()
            .into_iter()
            .filter(|(path, _)| *path != original);
        assert_eq!(unchanged.eq(before), code != 0, "{at}");
        row(&at, &outcome, &format!("{state} summary"));
    };
    for error in ["EINVAL", "ENOSYS", "EOPNOTSUPP"] {
        check("fsync", error, 0);
    }
    check("fsync", "EIO", 2);
    check("flock", "ENOLCK", 0);
    check("flock", "EBADF", 0);
    check("renameat2", "EINVAL", 0);
    check("renameat2,link,linkat", "EPERM", 0);
    check("rename,renameat", "EPERM", 2);
    check("rename,renameat", "EXDEV", 2);
    check("fchown", "EPERM", 0);
    check("fstatfs", "ENOSYS", 0);
    check("madvise", "EINVAL", 0);
    check("sched_setaffinity", "EPERM", 0);
}
