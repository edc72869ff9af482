//! The verdict on a run, with the keys of the summary's `steady_state` in their order.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::arithmetic::coefficient_of_variation;
use super::distribution::Distribution;
use super::duration::ShortWindow;
use super::metric::METRICS;
use super::plateau::MAX_COV;
use super::throughput::Throughput;
use super::trend::{Pettitt, Trend};

/// The steady state of a run and the measurements in it. Super-passes are numbered from the end of the warm-up.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Verdict {
    /// There is a plateau that lasts long enough.
    pub found: bool,
    /// The reason if there is none.
    pub reason: Option<String>,
    /// Samples in a super-pass.
    pub superpass_size: u64,
    /// All super-passes of the run.
    pub n_super_passes: usize,
    /// Super-passes of the warm-up.
    pub warmup: usize,
    /// The plateau that is reported: the longest if all are too short.
    pub window: Option<Window>,
    /// Its times to first token, in nanoseconds.
    pub ttft: Option<Distribution>,
    /// Its times per output token, in nanoseconds.
    pub tpot: Option<Distribution>,
    /// Its tokens after the first chunk.
    pub osl: Option<Distribution>,
    /// Its latencies, in nanoseconds.
    pub latency: Option<Distribution>,
    /// Its tokens per second.
    pub tps: Option<Throughput>,
    /// The variation of each metric over the plateau, or over all super-passes if they vary too much for a plateau.
    pub cov: Table<Variation>,
    /// The super-passes that `cov` covers if there is no plateau.
    pub cov_basis: Option<CovBasis>,
    /// A later plateau on another level.
    pub anomaly: Anomaly,
    /// Its duration and the one that it needs.
    pub short_window: Option<ShortWindow>,
    /// The trends from its start to the end of the run.
    pub global_trend: Table<Trend>,
    /// The metrics that rise from its start to the end of the run.
    pub drifting_up: Vec<&'static str>,
}

/// The position of the reported plateau.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Window {
    /// Its first super-pass.
    pub sp_lo: usize,
    /// The one after its last.
    pub sp_hi: usize,
    /// The number of its super-passes.
    pub n_super_passes: usize,
    /// The number of its samples that had a first chunk.
    pub n_samples: usize,
    /// The first issue of its first super-pass.
    pub start_ns: i64,
    /// The last issue of its last super-pass.
    pub end_ns: i64,
    /// Its place among the plateaus.
    pub plateau_index: usize,
    /// The number of plateaus.
    pub n_plateaus: usize,
    /// Plateaus before it that are too short.
    pub skipped_short: usize,
}

/// Values by metric, in the metrics' order.
#[derive(Clone, Debug)]
pub struct Table<T>(pub(super) Vec<(&'static str, T)>);

impl<T: serde::Serialize> Serialize for Table<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// The variation of a metric from super-pass to super-pass.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Variation {
    /// A plateau must vary little in it.
    pub gated: bool,
    /// The number of super-passes that have it.
    pub n: usize,
    /// The coefficient of variation; `None` for less than two of them.
    pub cov: Option<f64>,
    /// The thresholds that it keeps.
    pub passes: Passes,
}

/// Thresholds of the coefficient of variation.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Passes {
    /// At most 3 %.
    #[serde(rename = "0.03")]
    pub strict: Option<bool>,
    /// At most 5 %.
    #[serde(rename = "0.05")]
    pub medium: Option<bool>,
    /// At most 8 %, which a plateau must keep in the gated metrics.
    #[serde(rename = "0.08")]
    pub gate: Option<bool>,
}

impl Table<Variation> {
    /// The variation of each metric; `values` gives one metric's.
    pub(super) fn of_variation(values: impl Fn(usize) -> Vec<f64>) -> Self {
        let rows = METRICS.iter().enumerate().map(|(i, metric)| {
            let values = values(i);
            let cov = (values.len() > 1).then(|| coefficient_of_variation(&values));
            let within = |threshold| cov.map(|cov| cov <= threshold);
            let variation = Variation {
                gated: metric.gated,
                n: values.len(),
                cov,
                passes: Passes {
                    strict: within(0.03),
                    medium: within(0.05),
                    gate: within(MAX_COV),
                },
            };
            (metric.name, variation)
        });
        Self(rows.collect())
    }
}

/// The super-passes that a variation covers.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct CovBasis {
    /// The first.
    pub sp_lo: usize,
    /// The one after the last.
    pub sp_hi: usize,
    /// Their number.
    pub n_super_passes: usize,
}

/// A change of level after the reported plateau.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Anomaly {
    /// There is one that is significant.
    pub detected: bool,
    /// The super-pass that it begins with.
    pub change_point_sp: Option<usize>,
    /// The change of the mean TPOT, in percent.
    pub delta_pct: f64,
    /// The test, if there is a later plateau.
    pub pettitt: Option<Pettitt>,
    /// First and one past the last super-pass of each plateau.
    pub plateaus: Vec<[usize; 2]>,
}
