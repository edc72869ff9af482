//! The tracked samples of a run, and the values that each event emits.
//!
//! This is the part of the reference's aggregator that needs the log's order
//! (`metrics_aggregator/aggregator.py`, `metrics_table.py`): membership in a tracking window,
//! the rows in flight, and the counters. Everything that needs no order (decoding, counting
//! tokens) has been done before, event by event, and arrives here as an [`Observation`].

mod anomalies;
mod counters;
mod id;
mod row;
mod rows;
mod table;
mod window;

pub use anomalies::{Anomalies, Occurrences};
pub use counters::{Counters, FinishReason};
pub use id::SampleId;
pub use row::{ChunkDeltas, Labels, Length, Row};
pub use rows::Rows;
pub use table::{Emissions, Form, Observation, Payload, Table, TokenCount, Tokens};
pub use window::{LoadgenWindow, TrackingWindow};
