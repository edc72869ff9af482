//! The ten figures of a super-pass whose course over the run is judged.

use std::ops::Range;

use super::arithmetic::{percentile, sorted};
use super::collector::SuperPass;
use crate::stats::FloatSeries;

/// A percentile of one kind of value.
pub(super) struct SteadyMetric {
    pub(super) name: &'static str,
    kind: Kind,
    percentile: f64,
    /// A plateau must be steady in it.
    pub(super) gated: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Ttft,
    Tpot,
    Latency,
    TtftWarm,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Ttft, Self::Tpot, Self::Latency, Self::TtftWarm];

    fn values(self, super_pass: &SuperPass) -> &FloatSeries {
        match self {
            Self::Ttft => &super_pass.ttft,
            Self::Tpot => &super_pass.tpot,
            Self::Latency => &super_pass.latency,
            Self::TtftWarm => &super_pass.ttft_warm,
        }
    }
}

const fn metric(name: &'static str, kind: Kind, percentile: f64) -> SteadyMetric {
    SteadyMetric {
        name,
        kind,
        percentile,
        gated: false,
    }
}

const fn gated(name: &'static str, kind: Kind, percentile: f64) -> SteadyMetric {
    SteadyMetric {
        gated: true,
        ..metric(name, kind, percentile)
    }
}

/// All metrics, in the order in which a verdict lists them.
pub(super) const METRICS: [SteadyMetric; 10] = [
    metric("ttft_p50", Kind::Ttft, 0.50),
    metric("ttft_p90", Kind::Ttft, 0.90),
    gated("tpot_p50", Kind::Tpot, 0.50),
    gated("tpot_p90", Kind::Tpot, 0.90),
    metric("ttft_p99", Kind::Ttft, 0.99),
    metric("tpot_p99", Kind::Tpot, 0.99),
    metric("latency_p50", Kind::Latency, 0.50),
    metric("latency_p90", Kind::Latency, 0.90),
    metric("ttft_warm_p50", Kind::TtftWarm, 0.50),
    metric("ttft_warm_p90", Kind::TtftWarm, 0.90),
];

/// The place of `tpot_p50` in [`METRICS`].
pub(super) const TPOT_P50: usize = 2;

/// The first metrics, whose trend over the rest of the run is reported.
pub(super) const GLOBAL_TREND_LEN: usize = 4;

/// The places of the gated metrics in [`METRICS`].
pub(super) fn gated_metrics() -> impl Iterator<Item = usize> {
    (0..METRICS.len()).filter(|&metric| METRICS[metric].gated)
}

/// Every metric of every super-pass; `None` where a super-pass has no such values.
pub(super) struct Trajectories([Vec<Option<f64>>; METRICS.len()]);

impl Trajectories {
    pub(super) fn of(super_passes: &[SuperPass]) -> Self {
        let mut trajectories: [Vec<_>; METRICS.len()] = Default::default();
        for super_pass in super_passes {
            for kind in Kind::ALL {
                let sorted = sorted(kind.values(super_pass).iter());
                for (trajectory, metric) in trajectories.iter_mut().zip(&METRICS) {
                    if metric.kind == kind {
                        let value =
                            (!sorted.is_empty()).then(|| percentile(&sorted, metric.percentile));
                        trajectory.push(value);
                    }
                }
            }
        }
        Self(trajectories)
    }

    /// The values of one metric over a range of super-passes, without those that have none.
    pub(super) fn over(&self, metric: usize, range: Range<usize>) -> Vec<f64> {
        self.0[metric][range].iter().flatten().copied().collect()
    }

    /// The same without the first `count` super-passes.
    pub(super) fn without_first(mut self, count: usize) -> Self {
        for trajectory in &mut self.0 {
            trajectory.drain(..count.min(trajectory.len()));
        }
        self
    }
}
