//! Statistics in, files out: the summary's exact bytes, the report text, the snapshot.
//!
//! A run's files have two writers in the reference, and they write doubles differently: the summary is the work of
//! its JSON library, the snapshot that of Python itself. Both are reproduced to the byte, so that a run recounted
//! without need does not change. What the run's own summary says and we do not compute is kept as it stands.

mod attachments;
pub mod check;
mod compare;
mod full_run;
mod object;
pub mod schema;
mod snapshot;
mod summary;
mod text;

pub use compare::{Headline, MetricHeadline, SteadyHeadline, headline};
pub use full_run::{FullRunOsl, TurnTally};
pub use schema::ClientVersion;
pub use snapshot::{Snapshot, State};
pub use summary::{Report, RunFacts, SummaryError, unknown_keys};
pub use text::Attachments;

#[cfg(test)]
mod cases;
