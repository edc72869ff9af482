//! What the figures need of a run's samples, gathered one by one in log order, in memory that does not grow with them.

mod osl_latency;
mod histogram;
mod timeline;

pub(super) use histogram::Spread;
pub(super) use osl_latency::{LengthClass, Pairs};
pub(super) use timeline::{Moment, Timeline};

use super::figures::Metric;
use crate::sample::Row;

/// One sample, as far as the page shows it. Times are those of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// When it was issued.
    pub issued_ns: i64,
    /// When its first chunk came.
    pub first_ns: Option<i64>,
    /// When it completed.
    pub complete_ns: Option<i64>,
    /// Time to first token.
    pub ttft_ns: Option<i64>,
    /// From issue to completion.
    pub latency_ns: Option<i64>,
    /// Tokens of the prompt.
    pub isl: Option<u64>,
    /// Tokens of the output.
    pub osl: Option<u64>,
    /// Time per output token.
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

/// What is gathered.
#[derive(Clone, Debug, Default)]
pub struct Gather {
    spreads: [Spread; Metric::ALL.len()],
    pub(super) timeline: Timeline,
    pub(super) pairs: Pairs,
}

impl Gather {
    /// Takes the next sample in log order.
    pub fn take(&mut self, sample: &Sample) {
        let int = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let values = [
            sample.ttft_ns,
            sample.tpot_ns.map(round),
            sample.latency_ns,
            sample.isl.map(int),
            sample.osl.map(int),
        ];
        for (spread, value) in self.spreads.iter_mut().zip(values) {
            if let Some(value) = value {
                spread.record(value);
            }
        }
        self.timeline.take(sample);
        if let (Some(osl), Some(latency_ns)) = (sample.osl, sample.latency_ns) {
            self.pairs.take(osl, latency_ns);
        }
    }

    /// How the values of `metric` are spread.
    pub(super) fn spread(&self, metric: Metric) -> &Spread {
        &self.spreads[metric as usize]
    }
}

/// To the nearest whole nanosecond; not a number counts as 0, infinity as the most there is.
#[expect(clippy::cast_possible_truncation, reason = "such casts saturate")]
fn round(value: f64) -> i64 {
    value.round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_goes_where_it_has_values() {
        let mut gather = Gather::default();
        gather.take(&Sample::default());
        assert!(
            Metric::ALL
                .iter()
                .all(|metric| gather.spread(*metric).count() == 0)
        );
        let sample = Sample {
            issued_ns: 5,
            ttft_ns: Some(10),
            tpot_ns: Some(2.6),
            osl: Some(7),
            isl: Some(u64::MAX),
            ..Sample::default()
        };
        gather.take(&sample);
        let counts = Metric::ALL.map(|metric| gather.spread(metric).count());
        assert_eq!(counts, [1, 1, 0, 1, 1]);
        assert_eq!(
            gather.spread(Metric::Tpot).cells().next(),
            Some((3.0, 4.0, 1))
        );
        assert_eq!(gather.pairs.count(), 0);
    }

    #[test]
    fn what_is_no_number_has_its_place() {
        assert_eq!(
            [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, 0.5, -0.4].map(round),
            [0, i64::MAX, i64::MIN, i64::MAX, 1, 0]
        );
    }
}
