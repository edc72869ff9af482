//! One metric of several runs: a line for each run, from its median to its 99th percentile.

use super::axis::Axis;
use super::plot::{Plot, RUN_COLORS};
use crate::number::DisplayUnit;

/// The height of a run's row, in pixels.
const ROW_HEIGHT: u32 = 15;

/// Draws the median and the 99th percentile of each run that has them, in the metric's own unit. Rows are labelled with
/// the number of the run, from 1.
pub(crate) fn ranges(
    runs: &[Option<(f64, f64)>],
    unit: DisplayUnit,
    width: u32,
    label: &str,
) -> String {
    let medians = runs.iter().flatten().map(|(median, _)| *median);
    let low = medians.fold(f64::INFINITY, f64::min);
    let p99s = runs.iter().flatten().map(|(_, p99)| *p99);
    let high = p99s.fold(0.0, f64::max);
    let x = Axis::of_values(low.clamp(0.0, high), high, low, 5, unit).padded();
    let y = Axis::between(0.0, runs.len() as f64, 1, DisplayUnit::TOKENS);
    let rows = u32::try_from(runs.len()).unwrap_or(u32::MAX);
    let size = (width, ROW_HEIGHT.saturating_mul(rows).saturating_add(28));
    let mut plot = Plot::new(size, 8.0, label, (&x, &y));
    let color = RUN_COLORS[0].strong;
    for (row, range) in runs.iter().enumerate() {
        let at = 1.0 - (row as f64 + 0.5) / runs.len() as f64;
        plot.left_label(at, &(row + 1).to_string());
        plot.grid_line(at);
        if let Some((median, p99)) = range {
            let (median, p99) = (x.position(*median), x.position(*p99));
            plot.line([(median, at), (p99, at)], color);
            plot.dots([(median, at)], color);
        }
    }
    plot.x_axis();
    plot.finish()
}
