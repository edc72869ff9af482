//! The run over time, in bins that double their width when the run outgrows them.

use std::collections::VecDeque;

use hdrhistogram::Histogram;

use super::Sample;
use super::histogram::MAX_VALUE;

/// Bins are merged in pairs when there would be more.
const MAX_BINS: i64 = 320;
/// The initial width of a bin.
const MIN_WIDTH_NS: i64 = 1 << 20;
/// Significant decimal digits of a TTFT that are kept.
const DIGITS: u8 = 2;
/// Points in time are clamped to this, nearly 150 years, so that the width of bins does not overflow.
const MAX_TIME_NS: i64 = i64::MAX >> 1;

/// A run's bins. Bin `i` lies between `i` and `i + 1` times the width on the log's clock.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    width_ns: i64,
    first: i64,
    bins: VecDeque<Bin>,
    start_ns: i64,
    end_ns: i64,
    has_tokens: bool,
}

#[derive(Clone, Debug, Default)]
struct Bin {
    completed: u64,
    /// The time in flight of all samples that complete.
    in_flight_ns: f64,
    /// Samples issued in the bin that never complete, and the sum of their distances from the bin's start.
    lost: u64,
    lost_offset_ns: f64,
    tokens: f64,
    ttft_ns: Option<Box<Histogram<u32>>>,
}

/// The figures of one bin. Its ends are relative to the run's start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TimeBin {
    pub start_ns: f64,
    pub end_ns: f64,
    /// Samples completed in the bin.
    pub completed: u64,
    pub samples_per_s: f64,
    /// Output tokens.
    pub tokens_per_s: Option<f64>,
    /// The mean number of samples in flight.
    pub in_flight: f64,
    /// The values of the samples issued in the bin.
    pub ttft_p50_ns: Option<f64>,
    pub ttft_p99_ns: Option<f64>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self {
            width_ns: MIN_WIDTH_NS,
            first: 0,
            bins: VecDeque::new(),
            start_ns: i64::MAX,
            end_ns: i64::MIN,
            has_tokens: false,
        }
    }
}

impl Timeline {
    /// Adds the next sample in log order.
    pub fn add(&mut self, sample: &Sample) {
        let clamped = |ns: i64| ns.clamp(-MAX_TIME_NS, MAX_TIME_NS);
        let issued_ns = clamped(sample.issued_ns);
        let complete_ns = sample.complete_ns.map(|ns| clamped(ns).max(issued_ns));
        let last_ns = complete_ns.unwrap_or(issued_ns);
        self.cover(issued_ns, last_ns);
        if let Some(ttft_ns) = sample.ttft_ns {
            self.bin(issued_ns).record_ttft(ttft_ns);
        }
        let Some(complete_ns) = complete_ns else {
            let offset_ns = issued_ns.rem_euclid(self.width_ns);
            let bin = self.bin(issued_ns);
            bin.lost += 1;
            bin.lost_offset_ns += offset_ns as f64;
            return;
        };
        self.bin(complete_ns).completed += 1;
        self.distribute(issued_ns, complete_ns, |bin, overlap_ns, _| {
            bin.in_flight_ns += overlap_ns;
        });
        if let Some(osl) = sample.osl {
            self.has_tokens = true;
            let first_ns = sample.first_ns.map_or(issued_ns, clamped);
            let from_ns = first_ns.clamp(issued_ns, complete_ns);
            self.distribute(from_ns, complete_ns, |bin, _, share| {
                bin.tokens += osl as f64 * share;
            });
        }
    }

    /// Extends the bins to a range of time, and widens them if there would be too many.
    fn cover(&mut self, from_ns: i64, to_ns: i64) {
        self.start_ns = self.start_ns.min(from_ns);
        self.end_ns = self.end_ns.max(to_ns);
        let (mut first, mut last) = self.bin_range();
        while last - first >= MAX_BINS {
            self.double_width();
            (first, last) = self.bin_range();
        }
        if self.bins.is_empty() {
            self.first = first;
        }
        while self.first > first {
            self.bins.push_front(Bin::default());
            self.first -= 1;
        }
        while self.first + self.bins.len().cast_signed() as i64 <= last {
            self.bins.push_back(Bin::default());
        }
    }

    /// Returns the numbers of the bins that hold the run's start and end.
    fn bin_range(&self) -> (i64, i64) {
        let number = |ns: i64| ns.div_euclid(self.width_ns);
        (number(self.start_ns), number(self.end_ns))
    }

    /// Merges bins in pairs.
    fn double_width(&mut self) {
        let first = self.first.div_euclid(2);
        let mut wide: VecDeque<Bin> = VecDeque::new();
        for (i, bin) in (self.first..).zip(self.bins.drain(..)) {
            if wide.len().cast_signed() as i64 == i.div_euclid(2) - first {
                wide.push_back(Bin::default());
            }
            if let Some(whole) = wide.back_mut() {
                whole.add(bin, i.rem_euclid(2) as f64 * self.width_ns as f64);
            }
        }
        self.first = first;
        self.bins = wide;
        self.width_ns *= 2;
    }

    /// Returns the bin that holds `at_ns`, which is covered.
    fn bin(&mut self, at_ns: i64) -> &mut Bin {
        let at = at_ns.div_euclid(self.width_ns) - self.first;
        let last = self.bins.len() - 1;
        &mut self.bins[usize::try_from(at).unwrap_or(0).min(last)]
    }

    /// Calls `add` for every bin in a range of time with its part of the range, in ns and as a share.
    fn distribute(&mut self, from_ns: i64, to_ns: i64, add: impl Fn(&mut Bin, f64, f64)) {
        if from_ns >= to_ns {
            add(self.bin(to_ns), 0.0, 1.0);
            return;
        }
        let whole_ns = (to_ns - from_ns) as f64;
        let mut at_ns = from_ns;
        while at_ns < to_ns {
            let end_ns = ((at_ns.div_euclid(self.width_ns) + 1) * self.width_ns).min(to_ns);
            let overlap_ns = (end_ns - at_ns) as f64;
            add(self.bin(at_ns), overlap_ns, overlap_ns / whole_ns);
            at_ns = end_ns;
        }
    }

    /// Returns the time from the first issue to the last event.
    pub fn duration_ns(&self) -> f64 {
        if self.bins.is_empty() {
            0.0
        } else {
            (self.end_ns - self.start_ns) as f64
        }
    }

    /// Returns the figures over time, in at most `max_bins` bins.
    pub fn bins(&self, max_bins: usize) -> Vec<TimeBin> {
        let mut coarse = self.clone();
        while coarse.bins.len() > max_bins.max(1) {
            coarse.double_width();
        }
        let mut lost = 0;
        let mut bins = Vec::with_capacity(coarse.bins.len());
        for (i, bin) in (coarse.first..).zip(&coarse.bins) {
            bins.push(coarse.time_bin(i, bin, lost));
            lost += bin.lost;
        }
        bins
    }

    /// `lost`: samples issued before the bin that never complete.
    fn time_bin(&self, i: i64, bin: &Bin, lost: u64) -> TimeBin {
        let start_ns = (i * self.width_ns).max(self.start_ns);
        let end_ns = ((i + 1) * self.width_ns).min(self.end_ns);
        // The run covers only a part of the first and the last bin.
        let covered_ns = ((end_ns - start_ns) as f64).max(1.0);
        let until_end_ns = (end_ns - i * self.width_ns) as f64;
        let lost_ns =
            lost as f64 * covered_ns + bin.lost as f64 * until_end_ns - bin.lost_offset_ns;
        let percentile = |p: f64| {
            let seen = bin.ttft_ns.as_ref()?;
            Some(seen.median_equivalent(seen.value_at_percentile(p)) as f64)
        };
        TimeBin {
            start_ns: (start_ns - self.start_ns) as f64,
            end_ns: (end_ns - self.start_ns) as f64,
            completed: bin.completed,
            samples_per_s: bin.completed as f64 / covered_ns * 1e9,
            tokens_per_s: self.has_tokens.then(|| bin.tokens / covered_ns * 1e9),
            in_flight: (bin.in_flight_ns + lost_ns) / covered_ns,
            ttft_p50_ns: percentile(50.0),
            ttft_p99_ns: percentile(99.0),
        }
    }
}

impl Bin {
    fn record_ttft(&mut self, ttft_ns: i64) {
        let seen = self.ttft_ns.get_or_insert_with(|| {
            #[expect(clippy::expect_used, reason = "up to five digits are valid")]
            Box::new(Histogram::new(DIGITS).expect("two digits"))
        });
        // An error is impossible: the histogram grows until it holds the value.
        _ = seen.record(u64::try_from(ttft_ns).unwrap_or(0).min(MAX_VALUE));
    }

    /// Adds a bin that starts `later_ns` after this one.
    fn add(&mut self, other: Self, later_ns: f64) {
        self.completed += other.completed;
        self.in_flight_ns += other.in_flight_ns;
        self.lost += other.lost;
        self.lost_offset_ns += other.lost_offset_ns + other.lost as f64 * later_ns;
        self.tokens += other.tokens;
        match (&mut self.ttft_ns, other.ttft_ns) {
            (Some(seen), Some(more)) => {
                // An error is impossible: the histogram grows.
                _ = seen.add(*more);
            }
            (None, more) => self.ttft_ns = more,
            (Some(_), None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    fn sample(issued_ns: i64, complete_ns: Option<i64>) -> Sample {
        Sample {
            issued_ns,
            complete_ns,
            ..Sample::default()
        }
    }

    fn timeline(samples: &[Sample]) -> Timeline {
        let mut timeline = Timeline::default();
        for sample in samples {
            timeline.add(sample);
        }
        timeline
    }

    /// Returns sums that do not depend on the width of the bins.
    fn sums(bins: &[TimeBin]) -> (u64, f64, f64) {
        let seconds = |bin: &TimeBin| (bin.end_ns - bin.start_ns).max(1.0) / 1e9;
        let sum = |value: &dyn Fn(&TimeBin) -> f64| bins.iter().map(value).sum::<f64>();
        (
            bins.iter().map(|bin| bin.completed).sum(),
            sum(&|bin| bin.in_flight * seconds(bin)),
            sum(&|bin| bin.tokens_per_s.unwrap_or(0.0) * seconds(bin)),
        )
    }

    #[test]
    fn an_empty_run_has_no_bins() {
        let timeline = timeline(&[]);
        assert_eq!((timeline.bins(10).len(), timeline.duration_ns()), (0, 0.0));
    }

    #[test]
    fn an_instant_has_one_bin() {
        let timeline = timeline(&[sample(-7, Some(-7))]);
        let bins = timeline.bins(10);
        assert_eq!((bins.len(), bins[0].completed), (1, 1));
        assert_eq!((bins[0].start_ns, bins[0].end_ns), (0.0, 0.0));
        assert_eq!(bins[0].tokens_per_s, None);
    }

    #[test]
    fn sums_do_not_depend_on_the_width_of_bins() {
        let samples: Vec<Sample> = (0..997)
            .map(|i| Sample {
                issued_ns: i * 31_000_007,
                first_ns: Some(i * 31_000_007 + 5_000_000),
                complete_ns: (i % 50 > 0).then_some(i * 31_000_007 + (i % 13) * S / 3),
                osl: Some(100),
                ..Sample::default()
            })
            .collect();
        let timeline = timeline(&samples);
        let end_ns = samples.iter().filter_map(|s| s.complete_ns).max().unwrap();
        let in_flight_s: f64 = samples
            .iter()
            .map(|s| (s.complete_ns.unwrap_or(end_ns) - s.issued_ns) as f64 / 1e9)
            .sum();
        let completed = samples.iter().filter(|s| s.complete_ns.is_some()).count();
        for max in [1, 2, 7, 24, 160, 1000] {
            let bins = timeline.bins(max);
            assert!(bins.len() <= max && !bins.is_empty());
            let (count, flight, tokens) = sums(&bins);
            assert_eq!(count, completed as u64);
            assert!(
                (flight - in_flight_s).abs() < 1e-3 * in_flight_s,
                "{flight} {in_flight_s} {max}"
            );
            assert!(
                (tokens - completed as f64 * 100.0).abs() < 1e-3,
                "{tokens} {max}"
            );
        }
        let bins = timeline.bins(1000);
        assert!(
            bins.windows(2)
                .all(|pair| pair[0].end_ns.to_bits() == pair[1].start_ns.to_bits())
        );
    }

    #[test]
    fn order_does_not_matter() {
        let samples = [
            sample(5 * S, Some(9 * S)),
            sample(-3 * S, Some(S)),
            sample(0, None),
            sample(7 * S, Some(8 * S)),
        ];
        let mut turned = samples;
        turned.reverse();
        assert_eq!(timeline(&samples).bins(16), timeline(&turned).bins(16));
        assert!((timeline(&samples).duration_ns() - 12e9).abs() < 1.0);
    }

    #[test]
    fn times_may_be_anything() {
        let extremes = [i64::MIN, -1, 0, 1, i64::MAX];
        let mut timeline = Timeline::default();
        for issued_ns in extremes {
            for other_ns in extremes {
                timeline.add(&Sample {
                    issued_ns,
                    first_ns: Some(other_ns),
                    complete_ns: Some(other_ns),
                    ttft_ns: Some(other_ns),
                    osl: Some(u64::MAX),
                    ..Sample::default()
                });
                timeline.add(&sample(issued_ns, None));
            }
        }
        let bins = timeline.bins(100);
        assert_eq!(bins.iter().map(|bin| bin.completed).sum::<u64>(), 25);
        assert!(
            bins.iter()
                .all(|bin| bin.in_flight.is_finite() && bin.in_flight >= -1.0)
        );
    }

    #[test]
    fn ttft_belongs_to_the_time_of_issue() {
        let with = |issued_ns, ttft_ns| Sample {
            ttft_ns: Some(ttft_ns),
            ..sample(issued_ns, Some(issued_ns + S))
        };
        let timeline = timeline(&[
            with(0, 10_000),
            with(1000, 20_000),
            with(1000, 30_000),
            with(4 * S, 5000),
            with(4 * S, -5),
        ]);
        let bins = timeline.bins(1000);
        let close =
            |got: Option<f64>, expected: f64| (got.unwrap() - expected).abs() <= expected / 100.0;
        assert!(close(bins[0].ttft_p50_ns, 20_000.0) && close(bins[0].ttft_p99_ns, 30_000.0));
        let issued_last = bins
            .iter()
            .rev()
            .find(|bin| bin.ttft_p50_ns.is_some())
            .unwrap();
        assert!(close(issued_last.ttft_p99_ns, 5000.0));
        assert!(bins[1].ttft_p50_ns.is_none());
    }
}
