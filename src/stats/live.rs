//! The statistics of a series that still grows: exact sums and extremes, percentiles to three significant digits.

use hdrhistogram::Histogram;

use super::histogram::histogram_of_counts;
use super::series::Series;
use super::stat::{Number, PERCENTILES, Stat, lower_index};

/// The largest value that the histogram tells apart: an hour in nanoseconds (`aggregator.py`, `_NS_HDR_HIGH`).
const MAX_VALUE: u64 = 3_600_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// The statistics of a series so far.
#[derive(Clone, Debug)]
pub struct Live {
    histogram: Histogram<u64>,
    len: usize,
    /// `None` before the first value.
    sums: Option<Sums>,
}

#[derive(Clone, Copy, Debug)]
struct Sums {
    total: Number,
    min: Number,
    max: Number,
    squares: f64,
}

impl Default for Live {
    #[allow(clippy::expect_used, reason = "the bounds are constants")]
    fn default() -> Self {
        Self {
            histogram: Histogram::new_with_bounds(1, MAX_VALUE, SIGNIFICANT_DIGITS)
                .expect("the bounds are in order"),
            len: 0,
            sums: None,
        }
    }
}

impl Live {
    /// Adds the values recorded since the last call. A series that is shorter than before has started again.
    pub fn catch_up<T: Copy + Into<Number>>(&mut self, series: &Series<T>) {
        if series.len() < self.len {
            *self = Self::default();
        }
        for value in series.iter_from(self.len) {
            self.record(value.into());
        }
        self.len = series.len();
    }

    fn record(&mut self, value: Number) {
        let double = value.to_f64();
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it saturates"
        )]
        self.histogram.saturating_record((double as u64).max(1));
        let square = double * double;
        self.sums = Some(match self.sums {
            None => Sums {
                total: value,
                min: value,
                max: value,
                squares: square,
            },
            Some(sums) => Sums {
                total: match (sums.total, value) {
                    (Number::Int(total), Number::Int(value)) => Number::Int(total + value),
                    (total, _) => Number::Float(total.to_f64() + double),
                },
                min: if double < sums.min.to_f64() {
                    value
                } else {
                    sums.min
                },
                max: if double > sums.max.to_f64() {
                    value
                } else {
                    sums.max
                },
                squares: sums.squares + square,
            },
        });
    }

    /// The number of values so far.
    pub fn count(&self) -> u64 {
        self.len as u64
    }

    /// The sum of the values.
    pub fn total(&self) -> f64 {
        self.sums.map_or(0.0, |sums| sums.total.to_f64())
    }

    /// The mean of the values; 0 if there are none.
    pub fn mean(&self) -> f64 {
        self.total() / self.count().max(1) as f64
    }

    /// An approximation of the value that the report takes for percentile `percent` (0 to 100).
    pub fn percentile(&self, percent: f64) -> f64 {
        // The histogram rounds the rank up. Half a rank keeps a rounding error from changing it.
        let rank = lower_index(self.len, percent) as f64 + 0.5;
        let quantile = rank / self.len.max(1) as f64;
        let value = self.histogram.value_at_quantile(quantile) as f64;
        // A bucket's end may exceed the largest value, and values below 1 are recorded as 1.
        self.sums.map_or(0.0, |sums| {
            value.min(sums.max.to_f64()).max(sums.min.to_f64())
        })
    }

    /// Returns the statistics for a snapshot; the sums of an empty series are `zero`. The reference makes early-stopping
    /// estimates only at the end (`registry.py`, `_hdr_stat`).
    pub fn stat(&self, zero: Number) -> Stat {
        let Some(sums) = self.sums else {
            return Stat::empty(zero, false);
        };
        let recorded = self.histogram.iter_recorded();
        let values = recorded.map(|at| (at.value_iterated_to() as f64, at.count_at_value()));
        Stat {
            count: self.count(),
            total: sums.total,
            min: sums.min,
            max: sums.max,
            sum_sq: Number::Float(sums.squares),
            percentiles: PERCENTILES.map(|(_, percent)| self.percentile(percent)),
            early_stopping: None,
            histogram: histogram_of_counts(values, sums.min.to_f64(), sums.max.to_f64()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_near_and_the_mean_is_exact() {
        let mut live = Live::default();
        let mut series = Series::<i64>::new();
        for n in 0..200_000_i64 {
            series.push(n * 1000);
            if n % 70_001 == 0 {
                live.catch_up(&series);
            }
        }
        live.catch_up(&series);
        assert_eq!(live.count(), 200_000);
        assert!((live.mean() - 99_999_500.0).abs() < 1e-3, "{}", live.mean());
        for percent in [1.0, 50.0, 90.0, 99.9] {
            let exact = percent / 100.0 * 200_000_000.0;
            let got = live.percentile(percent);
            assert!((got / exact - 1.0).abs() < 2e-3, "p{percent}: {got}");
        }
    }

    #[test]
    fn a_live_stat_is_near_the_final_one() {
        let mut live = Live::default();
        let empty = live.stat(Number::Float(0.0));
        assert_eq!(empty, Series::<f64>::new().finish(false));
        let series: Series<i64> = (-3..5000).map(|n| n * n * n / 1000).collect();
        live.catch_up(&series);
        let (got, exact) = (live.stat(Number::Int(0)), series.finish(false));
        assert_eq!(
            (got.count, got.total, got.min, got.max),
            (exact.count, exact.total, exact.min, exact.max)
        );
        assert_eq!(got.histogram.len(), exact.histogram.len());
        let counts = |stat: &Stat| {
            stat.histogram
                .iter()
                .map(|bucket| bucket.count)
                .sum::<u64>()
        };
        assert_eq!(counts(&got), counts(&exact));
        for (got, exact) in got.percentiles.iter().zip(exact.percentiles) {
            assert!(
                (got - exact).abs() <= 2.0 + exact.abs() * 2e-3,
                "{got} {exact}"
            );
        }
    }

    /// Holds for few values that lie far apart, too.
    #[test]
    fn a_live_percentile_approximates_the_value_in_the_report() {
        let mut live = Live::default();
        let mut series = Series::<i64>::new();
        for n in 1..400_i64 {
            series.push(1 << (n * 7919 % 41));
            live.catch_up(&series);
            let exact = series.clone().finish(false).percentiles;
            for ((name, percent), exact) in PERCENTILES.into_iter().zip(exact) {
                let got = live.percentile(percent);
                let near = (got / exact - 1.0).abs() < 1e-3;
                assert!(near, "p{name} of {n}: {got}, not {exact}");
            }
        }
    }

    #[test]
    fn odd_values_and_restarted_series_are_recorded() {
        let mut live = Live::default();
        let check = |live: &mut Live, values: &[f64], count, mean: f64| {
            let series: Series<f64> = values.iter().copied().collect();
            live.catch_up(&series);
            assert_eq!(live.count(), count);
            assert!((live.mean() - mean).abs() < 1e-9, "{}", live.mean());
        };
        check(&mut live, &[], 0, 0.0);
        check(&mut live, &[-5.0, 0.0, 1e30], 3, (1e30 - 5.0) / 3.0);
        check(&mut live, &[2.0], 1, 2.0);
        assert!((live.percentile(50.0) - 2.0).abs() < 1e-9);
    }
}
