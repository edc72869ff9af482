//! Tokens per second over a plateau.

use serde::Serialize;

use super::arithmetic::{confidence_half_width, mean};
use super::collector::SuperPass;
use super::duration::{issue_duration_s, span_s};
use super::pooled;

/// Tokens per second, each with its 95 % confidence interval from the means of the super-passes.
#[derive(Clone, Debug, Serialize)]
pub struct Throughput {
    /// The inverse of the mean TPOT.
    pub per_user: f64,
    /// Its confidence interval.
    pub per_user_ci: [f64; 2],
    /// All tokens over the duration of the plateau.
    pub system: f64,
    /// Its confidence interval.
    pub system_ci: [f64; 2],
}

impl Throughput {
    pub(super) fn of(plateau: &[SuperPass]) -> Self {
        let tpot: Vec<f64> = pooled(plateau, |super_pass| &super_pass.tpot).collect();
        let tpot_mean = mean(&tpot);
        let batches: Vec<f64> = plateau.iter().filter_map(tpot_mean_of).collect();
        let [lower, upper] = interval(&batches).unwrap_or([tpot_mean; 2]);

        let tokens: u64 = plateau.iter().map(|super_pass| super_pass.tokens).sum();
        let span_s = span_s(plateau);
        let system = if span_s > 0.0 {
            tokens as f64 / span_s
        } else {
            0.0
        };
        let rate =
            |super_pass: &SuperPass| Some(super_pass.tokens as f64 / issue_duration_s(super_pass)?);
        let rates: Vec<f64> = plateau.iter().filter_map(rate).collect();
        let system_ci = interval(&rates).map_or([system; 2], |[lower, upper]| {
            // The client takes the half width from the edges, which rounds it.
            let half = (upper - lower) / 2.0;
            [system - half, system + half]
        });
        Self {
            per_user: tokens_per_second(tpot_mean),
            per_user_ci: [tokens_per_second(upper), tokens_per_second(lower)],
            system,
            system_ci,
        }
    }
}

/// The mean TPOT of one super-pass; `None` without values.
pub(super) fn tpot_mean_of(super_pass: &SuperPass) -> Option<f64> {
    let tpot: Vec<f64> = super_pass.tpot.iter().collect();
    (!tpot.is_empty()).then(|| mean(&tpot))
}

/// The 95 % confidence interval of the mean of `batches`; `None` for less than two.
fn interval(batches: &[f64]) -> Option<[f64; 2]> {
    (batches.len() > 1).then(|| {
        let (mean, half) = (mean(batches), confidence_half_width(batches));
        [mean - half, mean + half]
    })
}

fn tokens_per_second(tpot_ns: f64) -> f64 {
    if tpot_ns > 0.0 { 1e9 / tpot_ns } else { 0.0 }
}
