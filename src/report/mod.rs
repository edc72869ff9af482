//! Statistics in, files out: the summary's exact bytes, the report text, the snapshot.
//!
//! A run's files have two writers in the reference, and they write doubles differently: the summary is the work of
//! its JSON library, the snapshot that of Python itself. Both are reproduced to the byte, so that a run recounted
//! without need does not change. What the run's own summary says and we do not compute is kept as it stands.

mod attachments;
pub mod check;
mod compare;
mod object;
mod snapshot;
mod summary;
mod text;

pub use compare::{Figures, Headline, headline};
pub use snapshot::{Counters, Snapshot, State};
pub use summary::{RunFacts, SummaryError, render};
pub use text::{Attachments, render_text};

#[cfg(test)]
mod cases;
