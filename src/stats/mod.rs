//! Values in, statistics out: what a report says about one series of numbers.
//!
//! A series keeps its raw values (8 bytes each, nothing else) and computes everything at the end, from one
//! sort. Every figure equals what the reference's `SeriesSampler` gives for its exact, final snapshot
//! (`metrics_aggregator/registry.py`), down to the last bit of each double: the same order of summation, the
//! same roundings, the same order statistics. This module knows no metric by name.

mod beta;
mod early_stopping;
mod histogram;
mod live;
mod stat;
pub mod steady_state;
mod values;

pub use histogram::Bucket;
pub use live::Live;
pub use stat::{EARLY_STOPPING_LEN, Number, PERCENTILES, Stat};
pub use values::{FloatSeries, IntSeries, Series};
