//! Reasons why a run cannot be recomputed as asked.

use std::io;
use std::path::PathBuf;

use super::files::MAX_SMALL_FILE_BYTES;
use crate::cpu::CpuListError;

/// Why a plan cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error(
        "{0} is the log of a client from before April 2026: it has no prompts, so its tokens cannot be counted"
    )]
    BeforeApril(PathBuf),
    #[error("no such run: {0} (expected a run directory or an events.jsonl)")]
    NoSuchRun(PathBuf),
    #[error("no event log in {0}: expected events.jsonl, events.jsonl.zst or events.jsonl.gz")]
    NoLog(PathBuf),
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} is larger than {} MiB", MAX_SMALL_FILE_BYTES >> 20)]
    TooLarge { path: PathBuf },
    #[error(
        "{path} is not a summary: {reason}; name another with --summary, or move it away to build a new one"
    )]
    NotASummary { path: PathBuf, reason: String },
    #[error("a log from stdin has no run to write into: give --output, --summary or --dry-run")]
    NowhereToWrite,
    #[error("no summary at {0}: --summary names the existing summary to rewrite")]
    NoSummary(PathBuf),
    #[error(
        "{path} leads out of the run, to {leads_to}, and is not written through: name a summary with --summary, or \
         write elsewhere with --output"
    )]
    LeavesTheRun { path: PathBuf, leads_to: PathBuf },
    #[error("{0} names one file, but there are several RUNs: give one RUN, or leave it out")]
    OneFileForSeveralRuns(&'static str),
    #[error("no such summary or run: {0} (given by --against)")]
    NoSuchBaseline(PathBuf),
    #[error("{0} has neither a summary nor an event log to compare with (given by --against)")]
    EmptyBaseline(PathBuf),
    #[error("--follow takes one RUN, but {0} are given")]
    SeveralToFollow(usize),
    #[error(
        "--follow reads a file that grows; stdin is read to its end anyway: leave --follow out"
    )]
    FollowsStdin,
    #[error(
        "{0} is removed when the run ends, and a report in it is lost: name the run directory instead of the log, \
         write elsewhere with --output, or write nothing with --dry-run"
    )]
    Vanishes(PathBuf),
    #[error("{0} is read, and would be overwritten: write elsewhere")]
    ReadAndWritten(PathBuf),
    #[error("{0} would be written twice: give each file its own name")]
    WrittenTwice(PathBuf),
    #[error(transparent)]
    Cpus(#[from] CpuListError),
}
