//! How the values of one metric are spread, to about one part in a thousand, exact below 2048.

use hdrhistogram::Histogram;

/// Digits of a value that are kept.
const DIGITS: u8 = 3;
/// Values are taken for no more than this, which is over a hundred years of ns.
const MOST: u64 = 1 << 62;

/// Counts of values by size.
#[derive(Clone, Debug)]
pub struct Spread {
    values: Histogram<u64>,
    negative: u64,
}

impl Default for Spread {
    fn default() -> Self {
        #[expect(
            clippy::expect_used,
            reason = "the number of digits is one that it takes"
        )]
        let values = Histogram::new(DIGITS).expect("three digits");
        Self {
            values,
            negative: 0,
        }
    }
}

impl Spread {
    /// Counts a value; a negative one as 0.
    pub fn record(&mut self, value: i64) {
        self.negative += u64::from(value < 0);
        let value = u64::try_from(value).unwrap_or(0).min(MOST);
        // It grows until it holds the value.
        _ = self.values.record(value);
    }

    pub fn count(&self) -> u64 {
        self.values.len()
    }

    /// How many values were negative.
    pub fn negative(&self) -> u64 {
        self.negative
    }

    /// What values were there, in ascending order: from, to (exclusive), how many.
    pub fn cells(&self) -> impl Iterator<Item = (f64, f64, u64)> + '_ {
        self.values.iter_recorded().map(|cell| {
            let value = cell.value_iterated_to();
            let (low, high) = (
                self.values.lowest_equivalent(value),
                self.values.next_non_equivalent(value),
            );
            (low as f64, high as f64, cell.count_at_value())
        })
    }

    /// How many values are in each of the bins between `edges`; those outside are in the first and the last.
    pub fn binned(&self, edges: &[f64]) -> Vec<u64> {
        let bins = edges.len().saturating_sub(1);
        let mut counts = vec![0; bins];
        for (low, high, count) in self.cells() {
            // The middle of what may have been the value: the value itself where there is only one.
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

    fn spread(values: &[i64]) -> Spread {
        let mut spread = Spread::default();
        for value in values {
            spread.record(*value);
        }
        spread
    }

    #[test]
    fn small_values_are_exact() {
        let spread = spread(&[7, 0, 2047, 7]);
        let cells: Vec<_> = spread.cells().collect();
        assert_eq!(cells, [(0.0, 1.0, 1), (7.0, 8.0, 2), (2047.0, 2048.0, 1)]);
        assert_eq!((spread.count(), spread.negative()), (4, 0));
    }

    #[test]
    fn great_values_are_close() {
        let spread = spread(&[123_456_789, i64::MAX, i64::MIN]);
        let cells: Vec<_> = spread.cells().collect();
        assert_eq!(cells[0], (0.0, 1.0, 1));
        let (low, high, _) = cells[1];
        assert!(low <= 123_456_789.0 && 123_456_789.0 < high && high - low < 123_457.0);
        assert!(cells[2].0 > 4e18);
        assert_eq!((cells.len(), spread.negative()), (3, 1));
    }

    #[test]
    fn every_value_is_in_a_bin() {
        let check = |values: &[i64], edges: &[f64], expected: &[u64]| {
            assert_eq!(
                spread(values).binned(edges),
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
