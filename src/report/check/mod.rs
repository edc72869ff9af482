//! The rules of a check: comparing two summaries field by field, tolerances, expectations, and the kind of a difference.
//!
//! A field is named by its dotted path in the summary, `tpot.percentiles.99.0`; `isl` and `osl` are short for
//! `input_sequence_lengths` and `output_sequence_lengths`. Each distribution also has the field `count`, the number
//! of its values, which a summary reports only through the histogram.

mod amount;
mod classify;
mod compare;
mod expect;
mod field_path;
mod flat_summary;
mod pattern;
mod tolerance;

pub(crate) use classify::DifferenceKind;
pub(crate) use compare::{Comparison, Difference, compare};
pub(crate) use expect::ExpectationResult;
pub use expect::Expectations;
pub(crate) use field_path::is_time;
pub(crate) use flat_summary::FlatSummary;
pub use tolerance::Tolerances;
