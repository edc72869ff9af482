//! Where bytes come from, and whole lines out.
//!
//! A log may be a file, a compressed file or a pipe, and larger than memory. Whatever it is, it
//! comes as [`Piece`]s of whole lines with their byte offsets in the uncompressed log, in order,
//! in memory that does not grow with it. What is in a line is nobody's business here.

use std::io;
use std::path::PathBuf;

mod batch;
mod sigbus;
mod tailed;
mod mapped;
mod sizes;
mod source;
mod streamed;
#[cfg(test)]
mod tests;
mod decompress;

pub use batch::{Batch, Line, Lines, Piece};
pub use sizes::{BatchSizes, LINE_BYTES};
pub use source::{Batches, Format, Log};
pub use tailed::{Extent, Growing, Name, Pieces};

/// What stops a log from being read, at all or to its end.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// It cannot be opened or looked at.
    #[error("cannot open {}", path.display())]
    Open {
        /// As given.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is a directory, a device or a socket.
    #[error("{} is a {found}; expected a file, a pipe, or - for standard input", path.display())]
    NotALog {
        /// As given.
        path: PathBuf,
        /// `directory`, `device` or `socket`.
        found: &'static str,
    },
    /// A file that is nearly all hole: it takes no room, and hours to read.
    #[error("{} has more than 500 times the size of what it holds, which no log has: the rest was never written", path.display())]
    Hollow {
        /// As given.
        path: PathBuf,
    },
    /// Reading failed after `after_bytes` of the (uncompressed) log.
    #[error("cannot read {} past byte {after_bytes}", path.display())]
    Read {
        /// As given.
        path: PathBuf,
        /// Uncompressed bytes that were read and delivered before.
        after_bytes: u64,
        /// Why.
        source: io::Error,
    },
    /// The compressed stream ends in the middle: the file was cut.
    #[error("{} ends inside its {format} stream, after {after_bytes} bytes of log; it was cut", path.display())]
    Truncated {
        /// As given.
        path: PathBuf,
        /// How it is compressed.
        format: Format,
        /// Uncompressed bytes that were read and delivered before.
        after_bytes: u64,
    },
    /// The file was written to while it was read. Growth alone means that a run is still going on.
    #[error("{} changed while it was read, from {was_bytes} to {is_bytes} bytes; wait until the run has ended", path.display())]
    Changed {
        /// As given.
        path: PathBuf,
        /// Size when it was opened; no more than this was delivered.
        was_bytes: u64,
        /// Size now.
        is_bytes: u64,
    },
    /// It cannot be followed: it is a pipe, a directory, or compressed, and so does not grow line by line.
    #[error("cannot follow {}, a {found}; expected a plain file that grows; without --follow it is read to its end", path.display())]
    NotGrowing {
        /// As given.
        path: PathBuf,
        /// `pipe`, `gzip file` and the like.
        found: &'static str,
    },
    /// A file that was only to grow was cut or written anew.
    #[error("{} was cut or written anew while it was followed", path.display())]
    Rewritten {
        /// As given.
        path: PathBuf,
    },
    /// A part of the mapped file was not there when it was looked at, though the file is as long as it was.
    #[error("cannot read {} at byte {offset}: that part was gone while it was mapped: the file was cut meanwhile, or its disk is failing", path.display())]
    Gone {
        /// As given.
        path: PathBuf,
        /// Where, to the page.
        offset: u64,
    },
}
