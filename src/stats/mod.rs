//! The statistics of one series of numbers, and the steady state of a run.
//!
//! A series keeps its raw values, 8 bytes each, and computes everything at the end from one sort. Every figure
//! equals that of the reference's `SeriesSampler` in its exact, final snapshot
//! (`metrics_aggregator/registry.py`), down to the last bit of each double: the same order of summation, the
//! same roundings, the same order statistics. This module does not know the report's metrics.

mod beta;
mod early_stopping;
mod histogram;
mod live;
mod series;
mod stat;
pub mod steady_state;

pub use histogram::Bucket;
pub use live::Live;
pub use series::{FloatSeries, IntSeries, Series};
pub use stat::{EARLY_STOPPING_LEN, Number, PERCENTILES, Stat};
