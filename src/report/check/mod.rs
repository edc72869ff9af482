//! What a check judges: two summaries field by field, what may differ, what is expected, and what kind of
//! difference it is.
//!
//! A metric is called by its dotted path in the summary, `tpot.percentiles.99.0`; `isl` and `osl` stand for
//! `input_sequence_lengths` and `output_sequence_lengths`. Each of the five distributions has a `count` besides,
//! the number of its values, which its histogram tells.

mod amount;
mod compare;
mod expect;
mod fields;
mod kind;
mod pattern;
mod tolerance;

pub use compare::{Comparison, Finding, compare};
pub use expect::{ExpectError, Expectations, Judgement};
pub use fields::{Fields, is_time};
pub use kind::Kind;
pub use pattern::NoSuchMetric;
pub use tolerance::{ToleranceError, Tolerances};
