//! Everything that a machine can do to a rewrite, done to the binary. `cargo test --test it faults -- --nocapture
//! --test-threads 1 | grep -o '| .*'` prints a table of what was tried, how it ended and what became of the run.
//!
//! Faults at a named point (`src/fault.rs`) exist in builds with debug assertions only, and so does all of this.

#![allow(clippy::print_stdout, reason = "the table")]

mod crash;
mod disk;
mod limits;
mod links;
mod map;
mod pools;
mod refused;
mod together;

use std::fs;
use std::path::{Path, PathBuf};

pub use crate::process::{Outcome, Process};
use crate::support::Run;

pub const SUMMARY: &str = "performance/result_summary.json";
pub const ORIGINAL: &str = "performance/result_summary.orig.json";

/// An account that owns nothing, for what root may do all the same.
pub const NOBODY: u32 = 65534;

/// An account that runs nothing else.
pub const ALONE: u32 = 64_321;

/// Whether this process may mount, and take another account.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Says why a test did not do its work.
pub fn skip(why: &str) {
    println!("skipped: {why}");
}

/// One line of the table.
pub fn row(fault: &str, outcome: &Outcome, state: &str) {
    say(fault, &outcome.ended, state);
}

/// The same, of many runs.
pub fn say(fault: &str, ended: &str, state: &str) {
    println!("| {fault} | {ended} | {state} |");
}

/// Runs the binary on `run` with token ids counted only, which is quick.
pub fn recount(run: &Run, args: &[&str]) -> Process {
    Process::shell(run, "", &[&["run", "--tokenizer", "none"], args].concat())
}

/// The run is refused: exit code 2, a message, and every file as it was.
#[track_caller]
pub fn check_refused(fault: &str, run: &Run, process: Process, said: &str) {
    let before = run.files();
    let outcome = process.finish();
    assert_eq!(outcome.code, Some(2), "{fault}: {outcome:?}");
    assert!(outcome.stderr.contains(said), "{fault}: {outcome:?}");
    assert!(run.files() == before, "{fault}");
    row(fault, &outcome, "left alone");
}

/// Names of temporary files anywhere below `folder`.
pub fn leftovers(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(Result::unwrap)
    {
        let path = entry.path();
        if path.is_dir() {
            found.extend(leftovers(&path));
        } else if entry
            .file_name()
            .to_string_lossy()
            .contains(".tok-recompute-")
        {
            found.push(path);
        }
    }
    found
}

/// The summaries before and after a rewrite that nothing disturbs.
pub struct Expected {
    pub old: Vec<u8>,
    pub new: Vec<u8>,
}

impl Expected {
    pub fn with(args: &[&str]) -> Self {
        let run = Run::text();
        let old = run.bytes(SUMMARY);
        let outcome = recount(&run, args).finish();
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        let new = run.bytes(SUMMARY);
        assert_ne!(old, new);
        Self { old, new }
    }

    /// The summary is whole, the original is kept if it had to be; says which it is.
    #[track_caller]
    pub fn check_whole(&self, run: &Run, at: &str) -> &'static str {
        let summary = run.bytes(SUMMARY);
        let is_new = summary == self.new;
        assert!(is_new || summary == self.old, "torn: {at}");
        match fs::read(run.path(ORIGINAL)) {
            Ok(original) => assert!(original == self.old, "{at}"),
            Err(_) => assert!(!is_new, "no original: {at}"),
        }
        for name in [
            "report.txt",
            "metrics/final_snapshot.json",
            "performance/recompute.json",
        ] {
            if let Ok(bytes) = fs::read(run.path(name)) {
                assert!(
                    bytes.ends_with(b"\n") || bytes.ends_with(b"}"),
                    "{name} is torn: {at}"
                );
            }
        }
        if is_new { "new" } else { "old" }
    }

    /// An undisturbed run afterwards mends everything and leaves nothing behind.
    #[track_caller]
    pub fn check_mended(&self, run: &Run, args: &[&str], at: &str) {
        let outcome = recount(run, args).finish();
        assert_eq!(outcome.code, Some(0), "{at}: {outcome:?}");
        assert!(run.bytes(SUMMARY) == self.new, "{at}");
        assert!(run.bytes(ORIGINAL) == self.old, "{at}");
        assert_eq!(leftovers(run.around()), Vec::<PathBuf>::new(), "{at}");
    }
}
