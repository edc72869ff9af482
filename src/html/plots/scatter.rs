//! OSL against latency: a dot for each sample.

use super::axis::Axis;
use super::plot::{Plot, RUN_COLORS};

/// Draws OSL and latency in ns of the samples of one run or two.
pub(crate) fn scatter(
    runs: &[Vec<(u64, i64)>],
    axes: (&Axis, &Axis),
    size: (u32, u32),
    label: &str,
) -> String {
    let mut plot = Plot::new(size, 8.0, label, axes);
    plot.axes();
    for (samples, colors) in runs.iter().zip(&RUN_COLORS).rev() {
        let positions = samples
            .iter()
            .map(|(osl, latency_ns)| plot.position(*osl as f64, *latency_ns as f64));
        let positions: Vec<_> = positions.collect();
        plot.cloud(&positions, colors);
    }
    plot.finish()
}
