//! What a run's counters and series say at its end, and `metrics/final_snapshot.json`, which holds it.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::python::msgspec::{FloatStyle, compact, indented};
use crate::stats::{Bucket, Number, PERCENTILES, Stat};

/// How far the run came. Source: `metrics_aggregator/snapshot.py`, `SessionState`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// No session has started.
    #[default]
    Initialize,
    /// The session goes on.
    Live,
    /// The session has ended, tokens are still being counted.
    Draining,
    /// The session has ended and all that could be counted was.
    Complete,
    /// The session did not end.
    Interrupted,
}

impl State {
    /// The state's name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Initialize => "initialize",
            Self::Live => "live",
            Self::Draining => "draining",
            Self::Complete => "complete",
            Self::Interrupted => "interrupted",
        }
    }
}

/// The counters, in the snapshot's order. Source: `metrics_aggregator/aggregator.py`, `MetricCounterKey`.
///
/// `total_*` counters are about all samples, `tracked_*` about those issued in a tracking window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the reference's names say it")]
pub struct Counters {
    pub total_samples_issued: u64,
    pub total_samples_completed: u64,
    pub total_samples_failed: u64,
    pub tracked_samples_issued: u64,
    pub tracked_samples_completed: u64,
    pub tracked_samples_failed: u64,
    pub tracked_finish_reason_stop: u64,
    pub tracked_finish_reason_length: u64,
    pub tracked_finish_reason_tool_calls: u64,
    pub tracked_finish_reason_content_filter: u64,
    pub tracked_finish_reason_function_call: u64,
    pub tracked_finish_reason_other: u64,
    pub tracked_duration_ns: i128,
    pub legacy_loadgen_window_duration_ns: i128,
    pub total_duration_ns: i128,
}

impl Counters {
    /// Name and value of each counter.
    fn entries(&self) -> [(&'static str, i128); 15] {
        [
            ("total_samples_issued", self.total_samples_issued.into()),
            (
                "total_samples_completed",
                self.total_samples_completed.into(),
            ),
            ("total_samples_failed", self.total_samples_failed.into()),
            ("tracked_samples_issued", self.tracked_samples_issued.into()),
            (
                "tracked_samples_completed",
                self.tracked_samples_completed.into(),
            ),
            ("tracked_samples_failed", self.tracked_samples_failed.into()),
            (
                "tracked_finish_reason_stop",
                self.tracked_finish_reason_stop.into(),
            ),
            (
                "tracked_finish_reason_length",
                self.tracked_finish_reason_length.into(),
            ),
            (
                "tracked_finish_reason_tool_calls",
                self.tracked_finish_reason_tool_calls.into(),
            ),
            (
                "tracked_finish_reason_content_filter",
                self.tracked_finish_reason_content_filter.into(),
            ),
            (
                "tracked_finish_reason_function_call",
                self.tracked_finish_reason_function_call.into(),
            ),
            (
                "tracked_finish_reason_other",
                self.tracked_finish_reason_other.into(),
            ),
            ("tracked_duration_ns", self.tracked_duration_ns),
            (
                "legacy_loadgen_window_duration_ns",
                self.legacy_loadgen_window_duration_ns,
            ),
            ("total_duration_ns", self.total_duration_ns),
        ]
    }
}

/// Everything that the summary, the report text and the snapshot file are made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// How far the run came.
    pub state: State,
    /// Texts whose tokens are not counted yet, or never will be: each damaged line may have held one, so counting
    /// damaged lines here makes the snapshot incomplete for whoever reads the file, as the summary is.
    pub n_pending_tasks: u64,
    /// Number of snapshots of the run so far, this one included.
    pub counter: u64,
    /// When the snapshot was taken, on the clock of the log.
    pub timestamp_ns: i64,
    /// All counters.
    pub counters: Counters,
    /// Name and statistics of each series, in the order of the file: `sample_latency_ns`, `isl`, `osl` and,
    /// for a streaming run, `ttft_ns`, `chunk_delta_ns`, `tpot_ns`. A series without values is there too.
    pub series: Vec<(&'static str, Stat)>,
}

impl Snapshot {
    /// The statistics of the series called `name`.
    pub fn series(&self, name: &str) -> Option<&Stat> {
        self.series
            .iter()
            .find(|(have, _)| *have == name)
            .map(|(_, stat)| stat)
    }

    /// Whether the run ended and every text was counted.
    pub fn is_complete(&self) -> bool {
        self.state == State::Complete && self.n_pending_tasks == 0
    }

    /// The bytes of `metrics/final_snapshot.json`. Source: `snapshot.py`, `snapshot_to_dict`, and `publisher.py`.
    pub fn render(&self) -> Vec<u8> {
        let Self {
            state,
            n_pending_tasks,
            counter,
            timestamp_ns,
            counters,
            series,
        } = self;
        let counters = counters
            .entries()
            .map(|(name, value)| Metric::Counter { name, value });
        let metrics = counters
            .into_iter()
            .chain(series.iter().map(|(name, stat)| Metric::of(name, stat)))
            .collect();
        let file = File {
            counter: *counter,
            timestamp_ns: *timestamp_ns,
            state: *state,
            n_pending_tasks: *n_pending_tasks,
            metrics,
        };
        indented(&compact(&file, FloatStyle::Python))
    }
}

/// The file's shape.
#[derive(Serialize)]
struct File<'a> {
    counter: u64,
    timestamp_ns: i64,
    state: State,
    n_pending_tasks: u64,
    metrics: Vec<Metric<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Metric<'a> {
    Counter {
        name: &'a str,
        value: i128,
    },
    Series {
        name: &'a str,
        count: u64,
        total: Number,
        min: Number,
        max: Number,
        sum_sq: Number,
        percentiles: Grid<&'a [f64]>,
        #[serde(skip_serializing_if = "Option::is_none")]
        early_stopping_percentiles: Option<Grid<&'a [Option<f64>]>>,
        histogram: Vec<((f64, f64), u64)>,
    },
}

impl<'a> Metric<'a> {
    fn of(name: &'a str, stat: &'a Stat) -> Self {
        Self::Series {
            name,
            count: stat.count,
            total: stat.total,
            min: stat.min,
            max: stat.max,
            sum_sq: stat.sum_sq,
            percentiles: Grid(&stat.percentiles),
            early_stopping_percentiles: stat
                .early_stopping
                .as_ref()
                .map(|map| Grid(map.as_slice())),
            histogram: stat
                .histogram
                .iter()
                .map(|&Bucket { low, high, count }| ((low, high), count))
                .collect(),
        }
    }
}

/// An object with the names of the percentiles for keys.
pub(super) struct Grid<T>(pub(super) T);

impl<T: Serialize> Serialize for Grid<&[T]> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for ((name, _), value) in PERCENTILES.iter().zip(self.0) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
