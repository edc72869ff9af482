//! A series that still grows, at a glance: exact sums and extremes, percentiles within three significant digits.

use hdrhistogram::Histogram;

use super::histogram::histogram_of_counts;
use super::stat::{Number, PERCENTILES, Stat, lower_index};
use super::values::Series;

/// An hour in nanoseconds: the reference's bounds (`aggregator.py`, `_NS_HDR_HIGH`); what is beyond counts as that.
const MOST: u64 = 3_600_000_000_000;
const DIGITS: u8 = 3;

/// What is known of a series so far.
#[derive(Clone, Debug)]
pub struct Live {
    spread: Histogram<u64>,
    taken: usize,
    /// Nothing yet; then of the kind of the values.
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
            spread: Histogram::new_with_bounds(1, MOST, DIGITS).expect("the bounds are in order"),
            taken: 0,
            sums: None,
        }
    }
}

impl Live {
    /// Takes what was recorded since. A series that is shorter than it was has started again.
    pub fn catch_up<T: Copy + Into<Number>>(&mut self, series: &Series<T>) {
        if series.len() < self.taken {
            *self = Self::default();
        }
        for value in series.iter_from(self.taken) {
            self.take(value.into());
        }
        self.taken = series.len();
    }

    fn take(&mut self, value: Number) {
        let double = value.to_f64();
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it saturates"
        )]
        self.spread.saturating_record((double as u64).max(1));
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

    /// Values so far.
    pub fn count(&self) -> u64 {
        self.taken as u64
    }

    /// Their sum.
    pub fn total(&self) -> f64 {
        self.sums.map_or(0.0, |sums| sums.total.to_f64())
    }

    /// Their mean; 0 of none.
    pub fn mean(&self) -> f64 {
        self.total() / self.count().max(1) as f64
    }

    /// A percentile, from 0 to 100: of the value that the report will name.
    pub fn percentile(&self, percent: f64) -> f64 {
        // The histogram takes the value at the rank's ceiling: the middle is on the safe side of rounding.
        let rank = lower_index(self.taken, percent) as f64 + 0.5;
        let quantile = rank / self.taken.max(1) as f64;
        let value = self.spread.value_at_quantile(quantile) as f64;
        // The last bucket ends beyond the greatest value, and the first starts above those below 1.
        self.sums.map_or(0.0, |sums| {
            value.min(sums.max.to_f64()).max(sums.min.to_f64())
        })
    }

    /// What a snapshot says of it; sums of no values are `zero`. There are no early-stopping estimates yet: the
    /// reference makes them at the end (`registry.py`, `_hdr_stat`).
    pub fn stat(&self, zero: Number) -> Stat {
        let Some(sums) = self.sums else {
            return Stat::empty(zero, false);
        };
        let recorded = self.spread.iter_recorded();
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

    /// However few values there are, and however far apart: it is the same one of them.
    #[test]
    fn a_live_percentile_is_of_the_value_that_the_report_names() {
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
    fn odd_values_and_new_starts_are_taken() {
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
