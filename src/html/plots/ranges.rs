//! One metric of several runs: from the median to the 99th percentile, a line a run.

use super::axis::Axis;
use super::canvas::Ink;
use super::frame::{Drawing, Frame};
use crate::html::number::Unit;

/// Pixels of one run.
const ROW: u32 = 15;

/// The median and the 99th percentile of each run that has them, in the metric's own unit. Runs are called by their
/// number, from 1.
pub fn ranges(runs: &[Option<(f64, f64)>], unit: Unit, width: u32, says: &str) -> Drawing<String> {
    let known = || runs.iter().flatten();
    let low = known()
        .map(|(median, _)| *median)
        .fold(f64::INFINITY, f64::min);
    let high = known().map(|(_, p99)| *p99).fold(0.0, f64::max);
    let x = Axis::of_values(low.clamp(0.0, high), high, low, 5, unit).roomy();
    let y = Axis::between(0.0, runs.len() as f64, 1, Unit::TOKENS);
    let rows = u32::try_from(runs.len()).unwrap_or(u32::MAX);
    let mut svg = String::new();
    let size = (width, ROW.saturating_mul(rows).saturating_add(28));
    let frame = Frame::new(&mut svg, size, 8, says, (&x, &y));
    for (row, range) in runs.iter().enumerate() {
        let at = 1.0 - (row as f64 + 0.5) / runs.len() as f64;
        frame.left_label(at, &(row + 1).to_string())?;
        frame.across(at, Ink::Grid)?;
        if let Some((median, p99)) = range {
            let (median, p99) = (x.place(*median), x.place(*p99));
            frame.line(vec![(median, at), (p99, at)], Ink::Run)?;
            frame.dots([(median, at)], Ink::Run)?;
        }
    }
    frame.x_axis()?;
    frame.finish()?;
    Ok(svg)
}
