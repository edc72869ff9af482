//! The steady stretches of a run: its warm-up, and the windows whose TPOT neither trends nor scatters.

use std::ops::Range;

use super::arithmetic::{coefficient_of_variation, mean, nonzero_median};
use super::metric::{TPOT_P50, Trajectories, gated_metrics};
use super::trend::is_trending;

/// The least number of super-passes in a plateau.
pub(super) const MIN_LEN: usize = 4;

/// The greatest coefficient of variation of a gated metric over a plateau.
pub(super) const MAX_COV: f64 = 0.08;

/// A super-pass further than this from the level of the second half belongs to the warm-up.
const WARM_UP_TOLERANCE: f64 = 0.05;

/// The number of super-passes at the start that are left out: one at least, half of them at most.
pub(super) fn warm_up(tpot_p50: &[f64]) -> usize {
    let n = tpot_p50.len();
    if n < MIN_LEN {
        return 1;
    }
    let level = nonzero_median(&tpot_p50[n / 2..]);
    let is_off = |value: &&f64| ((*value - level) / level).abs() > WARM_UP_TOLERANCE;
    let off = tpot_p50[..n / 2].iter().take_while(is_off).count();
    off.max(1)
}

/// The greatest windows of `len` super-passes that pass the gate, from left to right, without overlap.
pub(super) fn plateaus(trajectories: &Trajectories, len: usize) -> Vec<Range<usize>> {
    let mut plateaus = Vec::new();
    let mut start = 0;
    while start + MIN_LEN <= len {
        let ends = start + MIN_LEN..=len;
        let passing = ends.take_while(|&end| passes(trajectories, start..end));
        if let Some(end) = passing.last() {
            plateaus.push(start..end);
            start = end;
        } else {
            start += 1;
        }
    }
    plateaus
}

/// Tells whether a window passes the gate: every gated metric is there, is free of a trend and varies little.
fn passes(trajectories: &Trajectories, window: Range<usize>) -> bool {
    gated_metrics().all(|metric| {
        let values = trajectories.over(metric, window.clone());
        values.len() == window.len() && varies_little(&values) && !is_trending(&values)
    })
}

/// Tells whether the coefficient of variation is within [`MAX_COV`].
fn varies_little(values: &[f64]) -> bool {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let approximate = (squares / values.len() as f64).sqrt() / mean.abs();
    // Exact arithmetic is slow, and decides only near the limit.
    if approximate.is_finite() && (approximate - MAX_COV).abs() > 1e-6 {
        approximate < MAX_COV
    } else {
        coefficient_of_variation(values) <= MAX_COV
    }
}

/// The gated metrics that trend over all `len` super-passes; `None` if a plateau was never possible, for lack of values.
pub(super) fn trending_metrics(trajectories: &Trajectories, len: usize) -> Option<Vec<usize>> {
    let is_judged = len >= MIN_LEN && trajectories.over(TPOT_P50, 0..len).len() == len;
    is_judged.then(|| {
        gated_metrics()
            .filter(|&metric| is_trending(&trajectories.over(metric, 0..len)))
            .collect()
    })
}
