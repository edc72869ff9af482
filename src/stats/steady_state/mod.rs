//! The steady state of a run: from when on it neither warms up nor drifts, and what it measured there.
//!
//! Samples are grouped in the order of their issue into super-passes, one pass over the data set each. A plateau is
//! the longest stretch of super-passes whose TPOT shows no trend and varies little; the first one that lasts long
//! enough is the steady state.
//!
//! Every double equals the client's bit for bit, so sums, roots and powers follow CPython 3.12 and the C library.
//!
//! Source: the client's `steady_state_diagnostics.py` (September 2026).

mod arithmetic;
mod c_math;
mod collector;
mod distribution;
mod duration;
mod metric;
mod plateau;
mod points;
mod throughput;
mod trend;
mod verdict;

#[cfg(test)]
mod cases;

use std::ops::Range;

pub use collector::{Collector, SuperPassId};
pub use distribution::{Distribution, HistogramBin};
pub use duration::ShortWindow;
pub use points::{SuperPassPoint, points};
pub use throughput::Throughput;
pub use trend::{Pettitt, Trend};
pub use verdict::{Anomaly, CovBasis, Passes, Table, Variation, Verdict, Window};

use super::FloatSeries;
use arithmetic::{mean, sorted};
use collector::SuperPass;
use metric::{GLOBAL_TREND_LEN, METRICS, TPOT_P50, Trajectories};
use throughput::tpot_mean_of;
use trend::{pettitt, trend};

/// The relative change of TPOT that makes a later plateau an anomaly.
const MIN_LEVEL_SHIFT: f64 = 0.05;

/// The verdict on the values that were collected; `None` if the size of a super-pass is not known, or there are too
/// many of them.
pub fn analyze(collector: &Collector) -> Option<Verdict> {
    let superpass_size = collector.size()?;
    if collector.is_over_limit() {
        return None;
    }
    let all = collector.super_passes();
    let trajectories = Trajectories::of(all);
    let warmup = plateau::warm_up(&trajectories.over(TPOT_P50, 0..all.len()));
    let run = SteadyRun {
        super_passes: all.get(warmup..).unwrap_or_default(),
        trajectories: trajectories.without_first(warmup),
    };
    let plateaus = plateau::plateaus(&run.trajectories, run.super_passes.len());
    let choice = run.choose(&plateaus);
    let start = choice
        .as_ref()
        .map_or(0, |choice| plateaus[choice.index].start);
    let global_trend = run.global_trend(start);
    let rising = global_trend
        .0
        .iter()
        .filter(|(_, trend)| *trend == Trend::Up);
    let verdict = Verdict {
        found: false,
        reason: None,
        superpass_size,
        n_super_passes: all.len(),
        warmup,
        window: None,
        ttft: None,
        tpot: None,
        osl: None,
        latency: None,
        tps: None,
        cov: Table(Vec::new()),
        cov_basis: None,
        anomaly: Anomaly::default(),
        short_window: None,
        drifting_up: rising.map(|(name, _)| *name).collect(),
        global_trend,
    };
    Some(match choice {
        Some(choice) => run.with_plateau(verdict, &plateaus, choice),
        None => run.without_plateau(verdict),
    })
}

/// The super-passes after the warm-up.
struct SteadyRun<'a> {
    super_passes: &'a [SuperPass],
    trajectories: Trajectories,
}

/// The plateau that is reported.
struct Choice {
    index: usize,
    duration: ShortWindow,
    skipped_short: usize,
}

impl SteadyRun<'_> {
    /// Chooses the first plateau that is long enough, else the longest one.
    fn choose(&self, plateaus: &[Range<usize>]) -> Option<Choice> {
        let mut longest: Option<Choice> = None;
        for (index, plateau) in plateaus.iter().enumerate() {
            let tpot_p50 = self.trajectories.over(TPOT_P50, plateau.clone());
            let duration = ShortWindow::of(&self.super_passes[plateau.clone()], &tpot_p50);
            if !duration.is_short {
                return Some(Choice {
                    index,
                    duration,
                    skipped_short: index,
                });
            }
            let is_longer = longest.as_ref().is_none_or(|longest| {
                duration.window_duration_s > longest.duration.window_duration_s
            });
            if is_longer {
                longest = Some(Choice {
                    index,
                    duration,
                    skipped_short: index,
                });
            }
        }
        longest
    }

    fn with_plateau(&self, verdict: Verdict, plateaus: &[Range<usize>], choice: Choice) -> Verdict {
        let range = plateaus[choice.index].clone();
        let plateau = &self.super_passes[range.clone()];
        let distribution = |values: fn(&SuperPass) -> &FloatSeries| {
            Distribution::of(&sorted(pooled(plateau, values)))
        };
        let duration = &choice.duration;
        let reason = duration.is_short.then(|| {
            format!(
                "all {} admissible plateau(s) too short: longest {:.0}s < {:.0}s required ({}-dominated)",
                plateaus.len(),
                duration.window_duration_s,
                duration.min_duration_s,
                duration.dominant
            )
        });
        Verdict {
            found: reason.is_none(),
            reason,
            window: Some(Window {
                sp_lo: range.start,
                sp_hi: range.end,
                n_super_passes: range.len(),
                n_samples: plateau.iter().map(|it| it.ttft.len()).sum(),
                start_ns: plateau.first().map_or(0, |first| first.first_issue_ns),
                end_ns: plateau.last().map_or(0, |last| last.last_issue_ns),
                plateau_index: choice.index,
                n_plateaus: plateaus.len(),
                skipped_short: choice.skipped_short,
            }),
            ttft: distribution(|it| &it.ttft),
            tpot: distribution(|it| &it.tpot),
            osl: distribution(|it| &it.osl),
            latency: distribution(|it| &it.latency),
            tps: Some(Throughput::of(plateau)),
            cov: Table::of_variation(|metric| self.trajectories.over(metric, range.clone())),
            anomaly: self.anomaly(plateaus, choice.index),
            short_window: Some(choice.duration),
            ..verdict
        }
    }

    fn without_plateau(&self, verdict: Verdict) -> Verdict {
        let len = self.super_passes.len();
        let mut reason = "no admissible steady plateau".to_owned();
        let mut cov = Table(Vec::new());
        let mut cov_basis = None;
        if let Some(trending) = plateau::trending_metrics(&self.trajectories, len) {
            if trending.is_empty() {
                reason += &format!(
                    ": the run is trend-steady across all {len} super-passes, but its CoV exceeds {}",
                    plateau::MAX_COV
                );
                cov = Table::of_variation(|metric| self.trajectories.over(metric, 0..len));
                cov_basis = Some(CovBasis {
                    sp_lo: 0,
                    sp_hi: len,
                    n_super_passes: len,
                });
            } else {
                let names: Vec<&str> = trending.into_iter().map(|it| METRICS[it].name).collect();
                reason += &format!(": {} trends across the run", names.join(", "));
            }
        }
        Verdict {
            reason: Some(reason),
            cov,
            cov_basis,
            ..verdict
        }
    }

    /// Looks for a later plateau on another level than the reported one.
    fn anomaly(&self, plateaus: &[Range<usize>], reported: usize) -> Anomaly {
        let mut anomaly = Anomaly {
            plateaus: plateaus.iter().map(|it| [it.start, it.end]).collect(),
            ..Anomaly::default()
        };
        let level = |plateau: &Range<usize>| {
            let super_passes = &self.super_passes[plateau.clone()];
            let tpot: Vec<f64> = pooled(super_passes, |it| &it.tpot).collect();
            mean(&tpot)
        };
        let base = level(&plateaus[reported]);
        let later = &plateaus[reported + 1..];
        if later.is_empty() || base <= 0.0 {
            return anomaly;
        }
        let means = self
            .super_passes
            .iter()
            .map(|it| tpot_mean_of(it).unwrap_or(0.0));
        let test = pettitt(&means.collect::<Vec<f64>>());
        let shifts = later.iter().map(|plateau| (level(plateau) - base) / base);
        if let Some(shift) = shifts
            .into_iter()
            .find(|shift| shift.abs() > MIN_LEVEL_SHIFT)
            && test.significant
        {
            anomaly.detected = true;
            anomaly.change_point_sp = Some(test.change_point);
            anomaly.delta_pct = shift * 100.0;
        }
        anomaly.pettitt = Some(test);
        anomaly
    }

    /// The trends of the first metrics from super-pass `start` to the end of the run.
    fn global_trend(&self, start: usize) -> Table<Trend> {
        let rest = start..self.super_passes.len();
        let metrics = METRICS.iter().enumerate().take(GLOBAL_TREND_LEN);
        let rows = metrics
            .map(|(i, metric)| (metric.name, trend(&self.trajectories.over(i, rest.clone()))));
        Table(rows.collect())
    }
}

/// One kind of value of several super-passes, one after the other.
fn pooled<'a>(
    super_passes: &'a [SuperPass],
    values: impl Fn(&SuperPass) -> &FloatSeries + 'a,
) -> impl Iterator<Item = f64> + 'a {
    super_passes
        .iter()
        .flat_map(move |super_pass| values(super_pass).iter())
}
