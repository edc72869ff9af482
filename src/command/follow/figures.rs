//! What a follow knows at one moment: the figures that every display of a live run shows.

use serde::Serialize;

/// Where a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Phase {
    /// Nothing was issued yet.
    #[default]
    Initialize,
    /// Samples are issued.
    Live,
    /// The session has ended; texts are left to count.
    Draining,
    /// Everything is counted.
    Complete,
    /// Stopped before the end.
    Interrupted,
}

/// Live values of one metric, in its unit; percentiles within 3 significant digits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Distribution {
    pub count: u64,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
}

/// Samples and output tokens a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Rate {
    pub qps: f64,
    /// `None` until an output is counted.
    pub tps: Option<f64>,
}

/// Everything that is shown of a live run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Figures {
    pub phase: Phase,
    /// Run time, from the log's timestamps.
    pub elapsed_ns: u64,
    pub issued: u64,
    pub completed: u64,
    pub failed: u64,
    pub in_flight: u64,
    /// Texts that are counted.
    pub counted: u64,
    /// Texts seen and not counted yet.
    pub pending: u64,
    /// Log that is written and not read yet.
    pub behind_bytes: u64,
    pub ttft_ns: Option<Distribution>,
    pub tpot_ns: Option<Distribution>,
    pub latency_ns: Option<Distribution>,
    pub isl: Option<Distribution>,
    pub osl: Option<Distribution>,
    /// Over the last 10 s of the run.
    pub recent: Option<Rate>,
    /// Over the run so far.
    pub whole: Option<Rate>,
}
