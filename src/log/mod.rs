//! The source of bytes: a file, a growing file, a stream, standard input. Whole lines come out.
//!
//! A log is a file, a compressed file or a pipe, and may be larger than memory. It comes as [`LogItem`]s of whole lines
//! with their byte offsets in the uncompressed log, in order, in memory that does not grow with it.

use std::io;
use std::path::PathBuf;

mod batch;
mod decompress;
mod mapped;
mod opened;
mod sigbus;
mod sizes;
mod source;
mod streamed;
mod tailed;
#[cfg(test)]
mod tests;

pub use batch::{Batch, Line, Lines, LogItem};
pub use sizes::BatchSizes;
pub(crate) use sizes::MAX_LINE_BYTES;
pub use source::{Batches, Format, Log};
pub(crate) use tailed::PathState;
pub use tailed::{LogLength, TailedFile};

/// Why a log cannot be read, or not to its end.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum LogError {
    /// It cannot be opened or examined.
    #[error("cannot open {}", path.display())]
    Open { path: PathBuf, source: io::Error },
    /// It is a directory, a device or a socket.
    #[error("{} is a {found}; expected a file, a pipe, or - for standard input", path.display())]
    NotALog { path: PathBuf, found: &'static str },
    /// A file that is nearly all hole: it takes no room, and hours to read.
    #[error("{} is a sparse file of more than 500 times the size of its data, which a log is not", path.display())]
    Sparse { path: PathBuf },
    /// Reading failed after `after_bytes` of the (uncompressed) log were delivered.
    #[error("cannot read {} past byte {after_bytes}", path.display())]
    Read {
        path: PathBuf,
        after_bytes: u64,
        source: io::Error,
    },
    /// The compressed stream ends in the middle.
    #[error("{} ends inside its {format} stream, after {after_bytes} bytes of log; it was truncated", path.display())]
    Truncated {
        path: PathBuf,
        format: Format,
        after_bytes: u64,
    },
    /// The file was written to while it was read. If it only grew, its run is still going on.
    #[error("{} changed while it was read, from {was_bytes} to {is_bytes} bytes; wait until the run has ended", path.display())]
    Changed {
        path: PathBuf,
        was_bytes: u64,
        is_bytes: u64,
    },
    /// A part of the mapped file could not be read, though the file is as long as it was.
    #[error("cannot read {} at byte {offset}: the file was truncated for a while, or its disk is failing", path.display())]
    LostPage { path: PathBuf, offset: u64 },
    /// It cannot be followed: it is a pipe, a directory, or compressed, and so does not grow line by line.
    #[error("cannot follow {}, a {found}; expected a plain file that grows; without --follow it is read to its end", path.display())]
    NotTailable { path: PathBuf, found: &'static str },
    /// A file that may only grow was truncated or overwritten.
    #[error("{} was truncated or overwritten while it was followed", path.display())]
    Rewritten { path: PathBuf },
}
