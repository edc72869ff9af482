//! The duration that a plateau must have to be reported as found.

use serde::Serialize;

use super::arithmetic::{coefficient_of_variation, median, percentile, sorted};
use super::collector::{SuperPass, seconds};
use super::plateau::MIN_LEN;
use super::{c_math::pow, pooled};

/// The least duration of any plateau.
const FLOOR_S: f64 = 600.0;

/// The relative error that the mean of a plateau may have, at 95 % confidence.
const PRECISION: f64 = 0.05;

/// Latencies that the system needs to forget its state.
const RELAXATION_LATENCIES: f64 = 5.0;

/// The duration of a plateau and the one that it needs.
#[derive(Clone, Debug, Serialize)]
pub struct ShortWindow {
    /// It is shorter than it must be.
    pub is_short: bool,
    /// From the first issue to the last.
    pub window_duration_s: f64,
    /// The greatest of the three below.
    pub min_duration_s: f64,
    /// The name of the greatest: `precision`, `relaxation` or `floor`.
    pub dominant: &'static str,
    /// The time that gives enough super-passes for a precise mean.
    pub t_precision_s: f64,
    /// The time in which the system forgets its state.
    pub t_relaxation_s: f64,
    /// The least time of any plateau.
    pub t_floor_s: f64,
    /// The number of super-passes for a precise mean.
    pub kstar: u64,
    /// The coefficient of variation of the super-passes' median TPOT.
    pub cov_b: f64,
    /// The median duration of a super-pass.
    pub tau_sp_s: f64,
    /// The 90th percentile of the latency.
    pub l_p90_s: f64,
}

impl ShortWindow {
    pub(super) fn of(plateau: &[SuperPass], tpot_p50: &[f64]) -> Self {
        let cov_b = coefficient_of_variation(tpot_p50);
        let durations: Vec<f64> = plateau.iter().filter_map(issue_duration_s).collect();
        let tau_sp_s = if durations.is_empty() {
            0.0
        } else {
            median(&durations)
        };
        let latencies = sorted(pooled(plateau, |super_pass| &super_pass.latency));
        let l_p90_s = if latencies.is_empty() {
            0.0
        } else {
            percentile(&latencies, 0.9) / 1e9
        };

        let kstar = super_passes_for_precision(cov_b);
        let t_precision_s = if kstar > MIN_LEN as u64 {
            kstar as f64 * tau_sp_s
        } else {
            0.0
        };
        let t_relaxation_s = RELAXATION_LATENCIES * l_p90_s;
        let min_duration_s = t_precision_s.max(t_relaxation_s).max(FLOOR_S);
        let dominant = [(t_precision_s, "precision"), (t_relaxation_s, "relaxation")]
            .into_iter()
            .find_map(|(time, name)| (time >= min_duration_s).then_some(name))
            .unwrap_or("floor");
        let window_duration_s = span_s(plateau);
        Self {
            is_short: window_duration_s < min_duration_s,
            window_duration_s,
            min_duration_s,
            dominant,
            t_precision_s,
            t_relaxation_s,
            t_floor_s: FLOOR_S,
            kstar,
            cov_b,
            tau_sp_s,
            l_p90_s,
        }
    }
}

/// The number of super-passes whose mean has the precision that is asked for.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a square is not negative, and a plateau's variation is small"
)]
fn super_passes_for_precision(cov: f64) -> u64 {
    let needed = pow(1.96 * cov / PRECISION, 2.0).ceil() as u64;
    needed.max(MIN_LEN as u64)
}

/// The time from the first to the last issue of a super-pass; `None` if it is not positive.
pub(super) fn issue_duration_s(super_pass: &SuperPass) -> Option<f64> {
    let (first, last) = (super_pass.first_issue_ns, super_pass.last_issue_ns);
    (last > first).then(|| seconds(first, last))
}

/// The time from the first to the last issue of several super-passes, which are not sorted by time.
pub(super) fn span_s(super_passes: &[SuperPass]) -> f64 {
    let first = super_passes.iter().map(|it| it.first_issue_ns).min();
    let last = super_passes.iter().map(|it| it.last_issue_ns).max();
    seconds(first.unwrap_or(0), last.unwrap_or(0))
}
