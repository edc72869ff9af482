//! The only place that opens files of a run and writes files: reads do not block and are bounded, writes are atomic, and
//! one process at a time rewrites a run.

pub(crate) mod atomic;
pub(crate) mod lock;
mod read;

pub(crate) use read::{open, read_bounded, set_blocking};
