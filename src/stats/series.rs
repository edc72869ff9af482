//! The values of a series, in chunks that are never moved: growing costs no copy.

use std::cmp::Ordering;

use super::stat::{Number, Rollups, Stat};
use crate::python::exact::SquareSum;

/// Values in a chunk, which takes 512 KiB.
const CHUNK_LEN: usize = 1 << 16;

/// The values of one series in the order they were recorded, 8 bytes each.
#[derive(Clone, Debug)]
pub struct Series<T> {
    /// All chunks are full except the last.
    chunks: Vec<Vec<T>>,
}

/// A series of integers: nanoseconds or tokens.
pub type IntSeries = Series<i64>;

/// A series of doubles. None of them may be NaN.
pub type FloatSeries = Series<f64>;

impl<T> Default for Series<T> {
    fn default() -> Self {
        Self { chunks: Vec::new() }
    }
}

impl<T: Copy> Series<T> {
    /// An empty series.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `value`.
    pub fn push(&mut self, value: T) {
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK_LEN => chunk.push(value),
            Some(_) => {
                let mut chunk = Vec::with_capacity(CHUNK_LEN);
                chunk.push(value);
                self.chunks.push(chunk);
            }
            // The first chunk grows as a vector does, because most series of a test or a page stay short.
            None => self.chunks.push(vec![value]),
        }
    }

    /// The number of values recorded.
    pub fn len(&self) -> usize {
        self.chunks
            .last()
            .map_or(0, |last| (self.chunks.len() - 1) * CHUNK_LEN + last.len())
    }

    /// Tells whether the series is empty.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The values in the order they were recorded.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        self.chunks.iter().flatten().copied()
    }

    /// The values that were recorded after the first `count`, in their order.
    pub fn iter_from(&self, count: usize) -> impl Iterator<Item = T> + '_ {
        let chunks = self.chunks.iter().skip(count / CHUNK_LEN);
        chunks.flatten().skip(count % CHUNK_LEN).copied()
    }

    /// Returns all values in one sorted vector. Each chunk is freed as soon as it is copied.
    fn into_sorted(self, order: impl Fn(&T, &T) -> Ordering) -> Vec<T> {
        let mut sorted = Vec::with_capacity(self.len());
        for chunk in self.chunks {
            sorted.extend_from_slice(&chunk);
        }
        sorted.sort_unstable_by(order);
        sorted
    }
}

impl<T: Copy> Extend<T> for Series<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        values.into_iter().for_each(|value| self.push(value));
    }
}

impl<T: Copy> FromIterator<T> for Series<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut series = Self::new();
        series.extend(values);
        series
    }
}

impl IntSeries {
    /// Returns the statistics of all values, with the early-stopping estimates if `early_stopping` is set.
    pub fn finish(self, early_stopping: bool) -> Stat {
        let sorted = self.into_sorted(Ord::cmp);
        let (Some(&min), Some(&max)) = (sorted.first(), sorted.last()) else {
            return Stat::empty(Number::Int(0), early_stopping);
        };
        let mut total = 0;
        let mut sum_sq = SquareSum::default();
        for &value in &sorted {
            total += i128::from(value);
            sum_sq.add(value);
        }
        let rollups = Rollups {
            total: Number::Int(total),
            min: Number::Int(min.into()),
            max: Number::Int(max.into()),
            sum_sq: sum_sq.to_f64(),
        };
        Stat::of(&sorted, |value| value as f64, rollups, early_stopping)
    }
}

impl FloatSeries {
    /// Returns the statistics of all values, with the early-stopping estimates if `early_stopping` is set.
    ///
    /// Sums are taken in the order of recording, from 0.0: addition of doubles does not commute.
    pub fn finish(self, early_stopping: bool) -> Stat {
        if self.is_empty() {
            return Stat::empty(Number::Float(0.0), early_stopping);
        }
        let (mut total, mut sum_sq) = (0.0, 0.0);
        let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in self.iter() {
            total += value;
            sum_sq += value * value;
            // The first of 0.0 and -0.0 stays, which f64::min does not promise.
            min = if value < min { value } else { min };
            max = if value > max { value } else { max };
        }
        let rollups = Rollups {
            total: Number::Float(total),
            min: Number::Float(min),
            max: Number::Float(max),
            sum_sq,
        };
        let sorted = self.into_sorted(f64::total_cmp);
        Stat::of(&sorted, |value| value, rollups, early_stopping)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_keep_their_order_across_chunks() {
        let len = CHUNK_LEN * 2 + 1;
        let n = i64::try_from(len).unwrap();
        let series: IntSeries = (0..n).rev().collect();
        assert_eq!(series.len(), len);
        assert!(series.iter().eq((0..n).rev()));
        let stat = series.finish(false);
        assert_eq!(
            (stat.count, stat.total),
            (len as u64, Number::Int(i128::from(n * (n - 1) / 2)))
        );
    }

    #[test]
    fn a_float_total_depends_on_the_order_of_recording() {
        let total = |values: [f64; 3]| FloatSeries::from_iter(values).finish(false).total;
        assert_eq!(total([1e16, 1.0, -1e16]), Number::Float(0.0));
        assert_eq!(total([1e16, -1e16, 1.0]), Number::Float(1.0));
    }

    proptest! {
        #[test]
        fn every_value_is_in_a_bucket(values in prop::collection::vec(any::<i64>(), 1..200)) {
            let n = values.len() as u64;
            let stat = IntSeries::from_iter(values).finish(true);
            prop_assert_eq!(stat.histogram.iter().map(|bucket| bucket.count).sum::<u64>(), n);
            prop_assert!(stat.histogram.windows(2).all(|pair| pair[0].high.to_bits() == pair[1].low.to_bits() && pair[0].low < pair[0].high));
        }

        #[test]
        fn an_estimate_is_never_below_its_percentile(values in prop::collection::vec(any::<i32>(), 1..1500)) {
            let stat = values.into_iter().map(i64::from).collect::<IntSeries>().finish(true);
            for (estimate, percentile) in stat.early_stopping.unwrap().into_iter().zip(stat.percentiles) {
                prop_assert!(estimate.is_none_or(|estimate| estimate >= percentile));
            }
        }
    }
}
