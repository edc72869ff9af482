//! The parts of a page, from top to bottom.

mod check;
mod distributions;
mod head;
mod headline;
mod lengths;
mod over_time;
mod percentiles;

pub(super) use check::check;
pub(super) use distributions::{SMALL, distributions};
pub(super) use head::{facts, head};
pub(super) use headline::headline;
pub(super) use over_time::over_time;
pub(super) use percentiles::percentiles;

use super::figures::Metric;
use super::number::Unit;

/// Decimals that a metric's values are written with in `unit`.
fn decimals(metric: Metric, unit: Unit) -> usize {
    match (metric.is_time(), unit.name) {
        (false, _) | (true, "ns") => 0,
        (true, "s") => 3,
        _ => 2,
    }
}

/// What runs are called in keys and column heads: short, as both names may be long.
const THIS: &str = "this run";
const OTHER: &str = "baseline";
