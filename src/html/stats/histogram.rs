//! A histogram of a metric's values, exact below 2048 and to one part in a thousand above.

use hdrhistogram::Histogram as HdrHistogram;

/// Significant decimal digits of a value that are kept.
const DIGITS: u8 = 3;
/// Greater values, over a hundred years in ns, are recorded as this.
pub(super) const MAX_VALUE: u64 = 1 << 62;

/// Counts of values.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    values: HdrHistogram<u64>,
    negative: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "up to five digits are valid")]
        let values = HdrHistogram::new(DIGITS).expect("three digits");
        Self {
            values,
            negative: 0,
        }
    }
}

impl Histogram {
    /// Counts a value; a negative one as 0.
    pub fn record(&mut self, value: i64) {
        self.negative += u64::from(value < 0);
        let value = u64::try_from(value).unwrap_or(0).min(MAX_VALUE);
        // An error is impossible: the histogram grows until it holds the value.
        _ = self.values.record(value);
    }

    pub fn count(&self) -> u64 {
        self.values.len()
    }

    /// Returns the number of negative values.
    pub fn negative(&self) -> u64 {
        self.negative
    }

    /// Returns the least and the greatest value, if there is any.
    pub fn range(&self) -> Option<(f64, f64)> {
        let mut cells = self.cells();
        let first = cells.next()?;
        let last = cells.last().unwrap_or(first);
        Some((first.0, last.1 - 1.0))
    }

    /// Returns the least value that at least `share` of the values do not exceed; 0 if there are no values.
    pub fn quantile(&self, share: f64) -> f64 {
        let value = self.values.value_at_quantile(share);
        self.values.median_equivalent(value) as f64
    }

    /// Returns the distinguishable ranges that hold values, in ascending order: low end, exclusive high end, count.
    pub fn cells(&self) -> impl Iterator<Item = (f64, f64, u64)> + '_ {
        self.values.iter_recorded().map(|cell| {
            let value = cell.value_iterated_to();
            let low = self.values.lowest_equivalent(value);
            let high = self.values.next_non_equivalent(value);
            (low as f64, high as f64, cell.count_at_value())
        })
    }

    /// Counts the values in each of the bins between `edges`. The first and the last bin take the values outside.
    pub fn binned(&self, edges: &[f64]) -> Vec<u64> {
        let bins = edges.len().saturating_sub(1);
        let mut counts = vec![0; bins];
        for (low, high, count) in self.cells() {
            // The middle of the values of a cell: the value itself if there is one.
            let middle = f64::midpoint(low, high - 1.0);
            let at = edges.partition_point(|edge| *edge <= middle);
            if let Some(bin) = counts.get_mut(at.clamp(1, bins.max(1)) - 1) {
                *bin += count;
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(values: &[i64]) -> Histogram {
        let mut histogram = Histogram::default();
        for value in values {
            histogram.record(*value);
        }
        histogram
    }

    #[test]
    fn small_values_are_exact() {
        let histogram = histogram(&[7, 0, 2047, 7]);
        let cells: Vec<_> = histogram.cells().collect();
        assert_eq!(cells, [(0.0, 1.0, 1), (7.0, 8.0, 2), (2047.0, 2048.0, 1)]);
        assert_eq!((histogram.count(), histogram.negative()), (4, 0));
        assert_eq!(histogram.range(), Some((0.0, 2047.0)));
        let quantiles: Vec<f64> = [0.25, 0.26, 0.75, 0.99]
            .map(|share| histogram.quantile(share))
            .into();
        assert_eq!(quantiles, [0.0, 7.0, 7.0, 2047.0]);
    }

    #[test]
    fn large_values_are_close() {
        let histogram = histogram(&[123_456_789, i64::MAX, i64::MIN]);
        let cells: Vec<_> = histogram.cells().collect();
        assert_eq!(cells[0], (0.0, 1.0, 1));
        let (low, high, _) = cells[1];
        assert!(low <= 123_456_789.0 && 123_456_789.0 < high && high - low < 123_457.0);
        assert!(cells[2].0 > 4e18);
        assert_eq!((cells.len(), histogram.negative()), (3, 1));
    }

    #[test]
    fn every_value_is_in_a_bin() {
        let check = |values: &[i64], edges: &[f64], expected: &[u64]| {
            assert_eq!(
                histogram(values).binned(edges),
                expected,
                "{values:?} {edges:?}"
            );
        };
        check(&[], &[0.0, 1.0], &[0]);
        check(&[1, 2, 3], &[], &[]);
        check(&[1, 2, 3], &[1.0], &[]);
        check(&[1, 2, 2, 3, 9], &[1.0, 2.0, 3.0, 4.0], &[1, 2, 2]);
        check(&[0, 1], &[5.0, 6.0, 7.0], &[2, 0]);
        check(&[10_000_000, 20_000_000], &[0.0, 1.5e7, 3e7], &[1, 1]);
    }
}
