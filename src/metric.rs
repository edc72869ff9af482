//! The metrics of a run, in one table: every file that names, orders or labels them reads it here.

use std::array;
use std::ops::{Index, IndexMut};

/// A series of values that a run is measured by. The order of the variants is that of the client's snapshot
/// (`metrics_table.py`), and of [`PerMetric`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metric {
    /// Time from issue to completion.
    Latency,
    /// Input tokens of a sample.
    Isl,
    /// Output tokens of a sample.
    Osl,
    /// Time from issue to the first chunk.
    Ttft,
    /// Time between two chunks, which a summary does not report.
    ChunkDelta,
    /// Time per output token after the first chunk.
    Tpot,
}

/// The unit of a metric's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds.
    Nanoseconds,
    /// Tokens.
    Tokens,
}

/// One row of the table.
struct MetricRow {
    series: &'static str,
    summary_key: Option<&'static str>,
    label: &'static str,
    meaning: &'static str,
    unit: Unit,
    /// Exists only where responses are streamed.
    streaming_only: bool,
    /// Has early-stopping estimates.
    early_stopping: bool,
}

impl MetricRow {
    const fn time(
        series: &'static str,
        summary_key: Option<&'static str>,
        label: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self {
            series,
            summary_key,
            label,
            meaning,
            unit: Unit::Nanoseconds,
            streaming_only: true,
            early_stopping: true,
        }
    }

    const fn tokens(
        series: &'static str,
        summary_key: &'static str,
        label: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self {
            series,
            summary_key: Some(summary_key),
            label,
            meaning,
            unit: Unit::Tokens,
            streaming_only: false,
            early_stopping: false,
        }
    }
}

impl Metric {
    /// Every metric, in the snapshot's order.
    pub const ALL: [Self; 6] = [
        Self::Latency,
        Self::Isl,
        Self::Osl,
        Self::Ttft,
        Self::ChunkDelta,
        Self::Tpot,
    ];

    /// The metrics that a summary reports, in the order in which people read them.
    pub const REPORTED: [Self; 5] = [Self::Ttft, Self::Tpot, Self::Latency, Self::Isl, Self::Osl];

    const fn row(self) -> MetricRow {
        match self {
            Self::Latency => MetricRow {
                streaming_only: false,
                ..MetricRow::time(
                    "sample_latency_ns",
                    Some("latency"),
                    "latency",
                    "from issue to completion",
                )
            },
            Self::Isl => MetricRow::tokens(
                "isl",
                "input_sequence_lengths",
                "ISL",
                "input tokens of a sample",
            ),
            Self::Osl => MetricRow::tokens(
                "osl",
                "output_sequence_lengths",
                "OSL",
                "output tokens of a sample",
            ),
            Self::Ttft => MetricRow::time("ttft_ns", Some("ttft"), "TTFT", "time to first token"),
            Self::ChunkDelta => MetricRow {
                early_stopping: false,
                ..MetricRow::time(
                    "chunk_delta_ns",
                    None,
                    "inter-chunk time",
                    "between two chunks",
                )
            },
            Self::Tpot => MetricRow::time("tpot_ns", Some("tpot"), "TPOT", "time per output token"),
        }
    }

    /// The name of its series in a snapshot.
    pub const fn series(self) -> &'static str {
        self.row().series
    }

    /// Its key in a summary; `None` where summaries leave it out.
    pub fn summary_key(self) -> Option<&'static str> {
        self.row().summary_key
    }

    /// Its name in tables and messages.
    pub fn label(self) -> &'static str {
        self.row().label
    }

    /// Its name in a few words.
    pub fn meaning(self) -> &'static str {
        self.row().meaning
    }

    /// The unit of its values in summaries, snapshots and rows.
    pub fn unit(self) -> Unit {
        self.row().unit
    }

    /// Returns true if its values are times.
    pub fn is_time(self) -> bool {
        self.unit() == Unit::Nanoseconds
    }

    /// Returns true if it exists only where responses are streamed.
    pub fn is_streaming_only(self) -> bool {
        self.row().streaming_only
    }

    /// Returns true if the client estimates its percentiles for early stopping.
    pub fn has_early_stopping(self) -> bool {
        self.row().early_stopping
    }

    /// The metric whose key in a summary is `key`.
    pub fn from_summary_key(key: &str) -> Option<Self> {
        (Self::ALL.into_iter()).find(|metric| metric.summary_key() == Some(key))
    }
}

/// One value for each metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerMetric<T>([T; Metric::ALL.len()]);

impl<T> PerMetric<T> {
    /// Makes each metric's value.
    pub fn from_fn(make: impl FnMut(Metric) -> T) -> Self {
        Self(Metric::ALL.map(make))
    }

    /// The metrics with their values, in the snapshot's order.
    pub fn iter(&self) -> impl Iterator<Item = (Metric, &T)> {
        Metric::ALL.into_iter().zip(&self.0)
    }

    /// Makes each metric's value from the one here.
    pub fn map<U>(self, mut make: impl FnMut(Metric, T) -> U) -> PerMetric<U> {
        let mut values = self.0.into_iter();
        PerMetric(array::from_fn(|i| {
            let value = values.next().expect("one value for each metric");
            make(Metric::ALL[i], value)
        }))
    }
}

impl<T> Index<Metric> for PerMetric<T> {
    type Output = T;

    fn index(&self, metric: Metric) -> &T {
        &self.0[metric as usize]
    }
}

impl<T> IndexMut<Metric> for PerMetric<T> {
    fn index_mut(&mut self, metric: Metric) -> &mut T {
        &mut self.0[metric as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_at_their_metrics() {
        let names = PerMetric::from_fn(Metric::series);
        for (i, (metric, name)) in names.iter().enumerate() {
            assert_eq!(metric as usize, i);
            assert_eq!(names[metric], *name);
        }
        let lengths = names.map(|metric, name| (metric, name.len()));
        assert_eq!(lengths[Metric::Osl], (Metric::Osl, 3));
    }

    #[test]
    fn summary_keys_lead_back_to_their_metrics() {
        for metric in Metric::REPORTED {
            let key = metric.summary_key().unwrap();
            assert_eq!(Metric::from_summary_key(key), Some(metric));
        }
        assert_eq!(Metric::from_summary_key("chunk_delta"), None);
    }
}
