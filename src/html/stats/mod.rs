//! Statistics of a run's samples that the figures need, collected in log order in bounded memory.

mod histogram;
mod osl_latency;
mod timeline;

pub(super) use histogram::Histogram;
pub(super) use osl_latency::{LengthClass, OslLatency, SLOWEST};
pub(super) use timeline::{TimeBin, Timeline};

use crate::metric::{Metric, PerMetric};
use crate::sample::Row;

/// The values of a sample that a page shows. Points in time are on the log's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sample {
    pub issued_ns: i64,
    /// The time of the first chunk.
    pub first_ns: Option<i64>,
    pub complete_ns: Option<i64>,
    pub ttft_ns: Option<i64>,
    pub latency_ns: Option<i64>,
    pub isl: Option<u64>,
    pub osl: Option<u64>,
    pub tpot_ns: Option<f64>,
}

impl From<&Row> for Sample {
    fn from(row: &Row) -> Self {
        Self {
            issued_ns: row.issued_ns,
            first_ns: row.first_ns,
            complete_ns: row.complete_ns,
            ttft_ns: row.ttft_ns,
            latency_ns: row.latency_ns,
            isl: row.isl.tokens(),
            osl: row.osl.tokens(),
            tpot_ns: row.tpot_ns,
        }
    }
}

/// The statistics of one run's samples.
#[derive(Clone, Debug, Default)]
pub(crate) struct PageStats {
    histograms: PerMetric<Histogram>,
    pub(super) timeline: Timeline,
    pub(super) osl_latency: OslLatency,
}

impl PageStats {
    /// Adds the next sample in log order.
    pub fn add(&mut self, sample: &Sample) {
        let tokens = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let values = [
            (Metric::Ttft, sample.ttft_ns),
            (Metric::Tpot, sample.tpot_ns.map(round)),
            (Metric::Latency, sample.latency_ns),
            (Metric::Isl, sample.isl.map(tokens)),
            (Metric::Osl, sample.osl.map(tokens)),
        ];
        for (metric, value) in values {
            if let Some(value) = value {
                self.histograms[metric].record(value);
            }
        }
        self.timeline.add(sample);
        if let (Some(osl), Some(latency_ns)) = (sample.osl, sample.latency_ns) {
            self.osl_latency.add(osl, latency_ns);
        }
    }

    pub(super) fn histogram(&self, metric: Metric) -> &Histogram {
        &self.histograms[metric]
    }
}

/// Rounds to whole nanoseconds; NaN becomes 0, infinities become the ends of the range.
#[expect(clippy::cast_possible_truncation, reason = "such casts saturate")]
fn round(value: f64) -> i64 {
    value.round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_counts_where_it_has_values() {
        let mut stats = PageStats::default();
        stats.add(&Sample::default());
        assert!(
            Metric::REPORTED
                .iter()
                .all(|metric| stats.histogram(*metric).count() == 0)
        );
        let sample = Sample {
            issued_ns: 5,
            ttft_ns: Some(10),
            tpot_ns: Some(2.6),
            osl: Some(7),
            isl: Some(u64::MAX),
            ..Sample::default()
        };
        stats.add(&sample);
        let counts = Metric::REPORTED.map(|metric| stats.histogram(metric).count());
        assert_eq!(counts, [1, 1, 0, 1, 1]);
        assert_eq!(
            stats.histogram(Metric::Tpot).cells().next(),
            Some((3.0, 4.0, 1))
        );
        assert_eq!(stats.osl_latency.count(), 0);
    }

    #[test]
    fn rounding_saturates() {
        assert_eq!(
            [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, 0.5, -0.4].map(round),
            [0, i64::MAX, i64::MIN, i64::MAX, 1, 0]
        );
    }
}
