//! The snapshot of a run: its counters and the statistics of its series, and `metrics/final_snapshot.json`, which holds them.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::full_run::FullRunOsl;
use super::schema::ClientVersion;
use crate::metric::{Metric, PerMetric};
use crate::python::msgspec::{FloatStyle, compact, indented};
use crate::sample::Counters;
use crate::stats::steady_state::Verdict;
use crate::stats::{Bucket, Number, PERCENTILES, Stat};

/// The state of a run. Source: `metrics_aggregator/snapshot.py`, `SessionState`.
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

/// Everything that the summary, the report text and the snapshot file are made from.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The client version whose files are written.
    pub client: ClientVersion,
    /// The state of the run.
    pub state: State,
    /// Texts whose tokens are not counted yet, or never will be: each damaged line may have held one, so counting
    /// damaged lines here makes the snapshot incomplete for whoever reads the file, as the summary is.
    pub n_pending_tasks: u64,
    /// Number of snapshots of the run so far, this one included.
    pub counter: u64,
    /// The time of the snapshot, on the clock of the log.
    pub timestamp_ns: i64,
    /// All counters.
    pub counters: Counters,
    /// The statistics of each series that the run records; a series without values is there too.
    pub series: PerMetric<Option<Stat>>,
    /// The output lengths of every completed turn of the run, where its sample map names them.
    pub full_run_osl: Option<FullRunOsl>,
    /// The steady-state verdict, where the run asks for one.
    pub steady_state: Option<Verdict>,
}

impl Snapshot {
    /// Returns true if the run ended and every text was counted, and, for a client that accounts for its samples, if
    /// every issued sample completed. Source: `metrics/report.py`, `Report.from_snapshot`.
    pub fn is_complete(&self) -> bool {
        let accounted = |counters: &Counters| {
            counters.tracked_samples_failed <= counters.tracked_samples_completed
                && counters.tracked_samples_completed == counters.tracked_samples_issued
        };
        self.state == State::Complete
            && self.n_pending_tasks == 0
            && (!self.client.accounts_for_samples() || accounted(&self.counters))
    }

    /// The statistics of `metric`, unless its series is empty or does not exist.
    pub fn filled(&self, metric: Metric) -> Option<&Stat> {
        self.series[metric].as_ref().filter(|stat| stat.count > 0)
    }

    /// The bytes of `metrics/final_snapshot.json`. Source: `snapshot.py`, `snapshot_to_dict`, and `publisher.py`.
    pub fn render(&self) -> Vec<u8> {
        let counters = self.counters.entries();
        let counters = counters
            .filter(|(name, _)| self.client.has_counter(name))
            .map(|(name, value)| Entry::Counter { name, value });
        let series = self.series.iter();
        let series = series.filter_map(|(metric, stat)| Some(Entry::of(metric, stat.as_ref()?)));
        let file = SnapshotFile {
            counter: self.counter,
            timestamp_ns: self.timestamp_ns,
            state: self.state,
            n_pending_tasks: self.n_pending_tasks,
            metrics: counters.chain(series).collect(),
            steady_state: (self.client.snapshot_has_steady_state()).then_some(&self.steady_state),
        };
        indented(&compact(&file, FloatStyle::Python))
    }
}

/// The file's shape.
#[derive(Serialize)]
struct SnapshotFile<'a> {
    counter: u64,
    timestamp_ns: i64,
    state: State,
    n_pending_tasks: u64,
    metrics: Vec<Entry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    steady_state: Option<&'a Option<Verdict>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Entry<'a> {
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
        percentiles: PercentileMap<&'a [f64]>,
        #[serde(skip_serializing_if = "Option::is_none")]
        early_stopping_percentiles: Option<PercentileMap<&'a [Option<f64>]>>,
        histogram: Vec<((f64, f64), u64)>,
    },
}

impl<'a> Entry<'a> {
    fn of(metric: Metric, stat: &'a Stat) -> Self {
        Self::Series {
            name: metric.series(),
            count: stat.count,
            total: stat.total,
            min: stat.min,
            max: stat.max,
            sum_sq: stat.sum_sq,
            percentiles: PercentileMap(&stat.percentiles),
            early_stopping_percentiles: stat
                .early_stopping
                .as_ref()
                .map(|map| PercentileMap(map.as_slice())),
            histogram: stat
                .histogram
                .iter()
                .map(|&Bucket { low, high, count }| ((low, high), count))
                .collect(),
        }
    }
}

/// An object with the names of the percentiles for keys.
pub(super) struct PercentileMap<T>(pub(super) T);

impl<T: Serialize> Serialize for PercentileMap<&[T]> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for ((name, _), value) in PERCENTILES.iter().zip(self.0) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
