//! The statistics that every display of a live run shows, and their collection from the counted log.

use std::collections::VecDeque;

use serde::{Serialize, Serializer};

use crate::metric::{Metric, PerMetric};
use crate::pipeline::{Following, Values};
use crate::report::State;
use crate::stats::{Live, Number, Stat};

/// The time that recent rates are measured over.
const RECENT_NS: u64 = 10_000_000_000;
/// The shortest time of a rate; over less it is noise.
const MIN_RATE_NS: u64 = 500_000_000;

/// Statistics of one metric, in its unit. Percentiles have 3 significant digits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct LiveDistribution {
    pub count: u64,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
}

/// Samples and output tokens per second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Rate {
    pub qps: f64,
    /// `None` until an output is counted.
    pub tps: Option<f64>,
}

/// The statistics of a live run at one moment. `--format json` prints these fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct LiveStats {
    pub phase: State,
    /// The run time, from the log's timestamps.
    pub elapsed_ns: u64,
    pub issued: u64,
    pub completed: u64,
    pub failed: u64,
    pub in_flight: u64,
    /// Texts that are counted.
    pub counted: u64,
    /// Texts that were read and are not counted yet.
    pub pending: u64,
    /// Bytes of the log that are not read yet.
    pub behind_bytes: u64,
    #[serde(flatten, serialize_with = "by_series")]
    pub metrics: PerMetric<Option<LiveDistribution>>,
    /// Over the last 10 s of the run.
    pub recent: Option<Rate>,
    /// Over the run so far.
    pub whole: Option<Rate>,
}

/// Writes the metrics that tables show, under the names that scripts know them by.
fn by_series<S: Serializer>(
    metrics: &PerMetric<Option<LiveDistribution>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(Metric::REPORTED.map(|metric| {
        let name = match metric {
            Metric::Latency => "latency_ns",
            metric => metric.series(),
        };
        (name, metrics[metric])
    }))
}

/// Collects [`LiveStats`]. It keeps what the next collection builds on.
#[derive(Default)]
pub(super) struct LiveStatsCollector {
    metrics: PerMetric<Live>,
    completed: RateWindow,
    tokens: RateWindow,
}

/// A growing total at points of the run's time, over the last [`RECENT_NS`].
#[derive(Default)]
struct RateWindow(VecDeque<(u64, f64)>);

impl LiveStatsCollector {
    /// Collects the statistics of this moment.
    pub fn collect(&mut self, following: &Following, phase: State) -> LiveStats {
        let (read_bytes, log_bytes) = (following.read_bytes(), following.log().len_bytes());
        let mut stats = following.look(|seen, counted| {
            for metric in Metric::ALL {
                let live = &mut self.metrics[metric];
                match (seen.values(metric)).or_else(|| counted.values(metric)) {
                    Some(Values::Ints(values)) => live.catch_up(values),
                    Some(Values::Floats(values)) => live.catch_up(values),
                    None => {}
                }
            }
            let counters = seen.counters();
            let at = counted.counters();
            let elapsed_ns = nonnegative(counters.total_duration_ns);
            self.completed
                .push(elapsed_ns, counters.tracked_samples_completed as f64);
            self.tokens.push(
                nonnegative(at.total_duration_ns),
                self.metrics[Metric::Osl].total(),
            );
            LiveStats {
                elapsed_ns,
                issued: counters.tracked_samples_issued,
                completed: counters.tracked_samples_completed,
                failed: counters.tracked_samples_failed,
                in_flight: seen.in_flight(),
                counted: counted.tally().texts,
                pending: seen.tally().texts.saturating_sub(counted.tally().texts),
                whole: self.run_rate(
                    counters.tracked_samples_completed,
                    nonnegative(counters.tracked_duration_ns),
                    nonnegative(at.tracked_duration_ns),
                ),
                ..LiveStats::default()
            }
        });
        stats.phase = phase;
        stats.behind_bytes = log_bytes.saturating_sub(read_bytes);
        stats.metrics = PerMetric::from_fn(|metric| distribution(&self.metrics[metric]));
        stats.recent = self.completed.rate().map(|qps| Rate {
            qps,
            tps: self
                .tokens
                .rate()
                .filter(|_| self.metrics[Metric::Osl].count() > 0),
        });
        stats
    }

    /// Returns the series of a live snapshot, as of the last collection. `streaming` decides whether TTFT and TPOT exist.
    pub fn series(&self, streaming: Option<bool>) -> PerMetric<Option<Stat>> {
        let streaming = streaming.unwrap_or(self.metrics[Metric::Ttft].count() > 0);
        PerMetric::from_fn(|metric| {
            let zero = match metric {
                Metric::Tpot => Number::Float(0.0),
                _ => Number::Int(0),
            };
            let exists = streaming || !metric.is_streaming_only();
            exists.then(|| self.metrics[metric].stat(zero))
        })
    }

    /// Returns the rates over the run so far. Texts are counted later than they are read, so tokens have their own time.
    fn run_rate(&self, completed: u64, seen_ns: u64, counted_ns: u64) -> Option<Rate> {
        let qps = per_second(completed as f64, seen_ns)?;
        let tps = per_second(self.metrics[Metric::Osl].total(), counted_ns)
            .filter(|_| self.metrics[Metric::Osl].count() > 0);
        Some(Rate { qps, tps })
    }
}

impl RateWindow {
    fn push(&mut self, at_ns: u64, total: f64) {
        let goes_back = |&(last_ns, last): &(u64, f64)| at_ns < last_ns || total < last;
        if self.0.back().is_some_and(goes_back) {
            self.0.clear();
        }
        if self.0.back().is_none_or(|&(last_ns, _)| last_ns < at_ns) {
            self.0.push_back((at_ns, total));
        }
        // The window starts at the last point that is old enough.
        while self
            .0
            .get(1)
            .is_some_and(|&(next_ns, _)| at_ns - next_ns >= RECENT_NS)
        {
            self.0.pop_front();
        }
    }

    fn rate(&self) -> Option<f64> {
        let (&(from_ns, from), &(to_ns, to)) = (self.0.front()?, self.0.back()?);
        per_second(to - from, to_ns - from_ns).filter(|_| to_ns - from_ns >= MIN_RATE_NS)
    }
}

fn per_second(amount: f64, time_ns: u64) -> Option<f64> {
    (time_ns > 0).then(|| amount / (time_ns as f64 / 1e9))
}

fn nonnegative(time_ns: i128) -> u64 {
    u64::try_from(time_ns.max(0)).unwrap_or(u64::MAX)
}

fn distribution(live: &Live) -> Option<LiveDistribution> {
    (live.count() > 0).then(|| LiveDistribution {
        count: live.count(),
        mean: live.mean(),
        p50: live.percentile(50.0),
        p90: live.percentile(90.0),
        p99: live.percentile(99.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_rates_are_those_of_the_last_ten_seconds() {
        const SECOND: u64 = 1_000_000_000;
        let mut window = RateWindow::default();
        assert_eq!(window.rate(), None);
        // 10 per second for 20 seconds, then 20 per second.
        for tenth in 0..400_u64 {
            let total = if tenth < 200 { tenth } else { 2 * tenth - 200 };
            window.push(tenth * SECOND / 10, total as f64);
            let rate = window.rate();
            match tenth {
                0..5 => assert_eq!(rate, None),
                5..=200 => assert!((rate.unwrap() - 10.0).abs() < 1e-9),
                _ => assert!((10.0..=20.0001).contains(&rate.unwrap())),
            }
        }
        assert!((window.rate().unwrap() - 20.0).abs() < 1e-9);
        assert!(window.0.len() < 110, "{}", window.0.len());
        // The log was rewritten, so time goes back.
        window.push(SECOND, 1.0);
        assert_eq!(window.rate(), None);
    }
}
