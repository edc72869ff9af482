//! From the records of a followed log to the figures that are shown of it.

use std::collections::VecDeque;

use super::figures::{Distribution, Figures, Phase, Rate};
use crate::pipeline::Following;
use crate::stats::{Live, Number, Stat};

/// The time that recent rates are measured over.
const RECENT_NS: u64 = 10_000_000_000;
/// Rates over less are noise.
const MIN_NS: u64 = 500_000_000;

/// What is remembered from one look to the next.
#[derive(Default)]
pub(super) struct Gather {
    ttft_ns: Live,
    tpot_ns: Live,
    latency_ns: Live,
    chunk_delta_ns: Live,
    isl: Live,
    osl: Live,
    completed: Rising,
    tokens: Rising,
}

/// A total over the run's time, at every look of the last while.
#[derive(Default)]
struct Rising(VecDeque<(u64, f64)>);

impl Gather {
    /// Looks how it stands.
    pub fn look(&mut self, following: &Following, phase: Phase) -> Figures {
        let (read_bytes, log_bytes) = (following.read_bytes(), following.log().bytes());
        let mut figures = following.look(|seen, counted| {
            let series = seen.series();
            self.ttft_ns.catch_up(series.ttft_ns);
            self.latency_ns.catch_up(series.latency_ns);
            self.chunk_delta_ns.catch_up(series.chunk_delta_ns);
            let series = counted.series();
            self.tpot_ns.catch_up(series.tpot_ns);
            self.isl.catch_up(series.isl);
            self.osl.catch_up(series.osl);
            let counters = seen.counters();
            let at = counted.counters();
            let elapsed_ns = whole(counters.total_duration_ns);
            self.completed
                .note(elapsed_ns, counters.tracked_samples_completed as f64);
            self.tokens
                .note(whole(at.total_duration_ns), self.osl.total());
            Figures {
                elapsed_ns,
                issued: counters.tracked_samples_issued,
                completed: counters.tracked_samples_completed,
                failed: counters.tracked_samples_failed,
                in_flight: seen.in_flight(),
                counted: counted.texts(),
                pending: seen.texts().saturating_sub(counted.texts()),
                whole: self.over_the_run(
                    counters.tracked_samples_completed,
                    whole(counters.tracked_duration_ns),
                    whole(at.tracked_duration_ns),
                ),
                ..Figures::default()
            }
        });
        figures.phase = phase;
        figures.behind_bytes = log_bytes.saturating_sub(read_bytes);
        figures.ttft_ns = distribution(&self.ttft_ns);
        figures.tpot_ns = distribution(&self.tpot_ns);
        figures.latency_ns = distribution(&self.latency_ns);
        figures.isl = distribution(&self.isl);
        figures.osl = distribution(&self.osl);
        figures.recent = self.completed.rate().map(|qps| Rate {
            qps,
            tps: self.tokens.rate().filter(|_| self.osl.count() > 0),
        });
        figures
    }

    /// The series as a live snapshot has them, as of the last look; `streaming` decides which there are.
    pub fn series(&self, streaming: Option<bool>) -> Vec<(&'static str, Stat)> {
        let integers = Number::Int(0);
        let mut series = vec![
            ("sample_latency_ns", self.latency_ns.stat(integers)),
            ("isl", self.isl.stat(integers)),
            ("osl", self.osl.stat(integers)),
        ];
        if streaming.unwrap_or(self.ttft_ns.count() > 0) {
            series.push(("ttft_ns", self.ttft_ns.stat(integers)));
            series.push(("chunk_delta_ns", self.chunk_delta_ns.stat(integers)));
            series.push(("tpot_ns", self.tpot_ns.stat(Number::Float(0.0))));
        }
        series
    }

    /// Texts are counted later than they are seen, so tokens have a time of their own.
    fn over_the_run(&self, completed: u64, seen_ns: u64, counted_ns: u64) -> Option<Rate> {
        let qps = per_second(completed as f64, seen_ns)?;
        let tps = per_second(self.osl.total(), counted_ns).filter(|_| self.osl.count() > 0);
        Some(Rate { qps, tps })
    }
}

impl Rising {
    fn note(&mut self, at_ns: u64, total: f64) {
        let goes_back = |&(last_ns, last): &(u64, f64)| at_ns < last_ns || total < last;
        if self.0.back().is_some_and(goes_back) {
            self.0.clear();
        }
        if self.0.back().is_none_or(|&(last_ns, _)| last_ns < at_ns) {
            self.0.push_back((at_ns, total));
        }
        // One that is old enough stays.
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
        per_second(to - from, to_ns - from_ns).filter(|_| to_ns - from_ns >= MIN_NS)
    }
}

fn per_second(amount: f64, time_ns: u64) -> Option<f64> {
    (time_ns > 0).then(|| amount / (time_ns as f64 / 1e9))
}

fn whole(time_ns: i128) -> u64 {
    u64::try_from(time_ns.max(0)).unwrap_or(u64::MAX)
}

fn distribution(live: &Live) -> Option<Distribution> {
    (live.count() > 0).then(|| Distribution {
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
        let mut rising = Rising::default();
        assert_eq!(rising.rate(), None);
        // Ten a second for twenty seconds, then twenty a second.
        for tenth in 0..400_u64 {
            let total = if tenth < 200 { tenth } else { 2 * tenth - 200 };
            rising.note(tenth * SECOND / 10, total as f64);
            let rate = rising.rate();
            match tenth {
                0..5 => assert_eq!(rate, None),
                5..=200 => assert!((rate.unwrap() - 10.0).abs() < 1e-9),
                _ => assert!((10.0..=20.0001).contains(&rate.unwrap())),
            }
        }
        assert!((rising.rate().unwrap() - 20.0).abs() < 1e-9);
        assert!(rising.0.len() < 110, "{}", rising.0.len());
        // A log that starts again.
        rising.note(SECOND, 1.0);
        assert_eq!(rising.rate(), None);
    }
}
