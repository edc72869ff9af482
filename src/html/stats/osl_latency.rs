//! OSL against latency: a bounded selection of samples to draw, and histograms by length of all of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::Histogram;

/// Samples that are drawn at most, evenly spaced over the run. A long run keeps at least half as many.
const MAX_DRAWN: usize = 2000;
/// The slowest samples, which are drawn in any case.
pub(crate) const SLOWEST: usize = 50;

/// OSL and latency of samples.
#[derive(Clone, Debug)]
pub(crate) struct OslLatency {
    /// One of so many samples is kept; a power of two.
    stride: u64,
    count: u64,
    kept: Vec<(u64, i64)>,
    slowest: BinaryHeap<Reverse<(i64, u64)>>,
    /// Latency by the bits of the OSL.
    classes: BTreeMap<u32, Histogram>,
}

/// The samples whose OSL is from `min` to `max` tokens, which is the next class's `min` less one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LengthClass<'a> {
    pub min: u64,
    pub max: u64,
    pub latency: &'a Histogram,
}

impl Default for OslLatency {
    fn default() -> Self {
        Self {
            stride: 1,
            count: 0,
            kept: Vec::new(),
            slowest: BinaryHeap::new(),
            classes: BTreeMap::new(),
        }
    }
}

impl OslLatency {
    /// Adds the next sample in log order.
    pub fn add(&mut self, osl: u64, latency_ns: i64) {
        if self.count.is_multiple_of(self.stride) {
            if self.kept.len() == MAX_DRAWN {
                let mut keep = [true, false].into_iter().cycle();
                self.kept.retain(|_| keep.next() == Some(true));
                self.stride *= 2;
            }
            // MAX_DRAWN is even, so this sample's number is a multiple of the new stride as well.
            self.kept.push((osl, latency_ns));
        }
        self.count += 1;
        self.slowest.push(Reverse((latency_ns, osl)));
        if self.slowest.len() > SLOWEST {
            self.slowest.pop();
        }
        let class = u64::BITS - osl.leading_zeros();
        self.classes.entry(class).or_default().record(latency_ns);
    }

    /// Returns the number of samples.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the number of samples of which one is drawn.
    pub fn stride(&self) -> u64 {
        self.stride
    }

    /// Returns OSL and latency of the samples to draw, in ascending order, without duplicates.
    pub fn drawn(&self) -> Vec<(u64, i64)> {
        let slowest = self
            .slowest
            .iter()
            .map(|Reverse((latency_ns, osl))| (*osl, *latency_ns));
        let mut drawn: Vec<_> = self.kept.iter().copied().chain(slowest).collect();
        drawn.sort_unstable();
        drawn.dedup();
        drawn
    }

    /// Returns all samples by length, the shortest first.
    pub fn classes(&self) -> impl Iterator<Item = LengthClass<'_>> {
        self.classes.iter().map(|(bits, latency)| {
            let max = u64::MAX.checked_shr(u64::BITS - bits).unwrap_or(0);
            let min = max - max / 2;
            LengthClass { min, max, latency }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(n: u64) -> OslLatency {
        let mut stats = OslLatency::default();
        for i in 0..n {
            stats.add(i, i64::try_from(i % 1000).unwrap());
        }
        stats
    }

    #[test]
    fn drawn_samples_are_bounded_and_evenly_spaced() {
        let check = |n: u64, stride: u64| {
            let stats = samples(n);
            assert_eq!((stats.count(), stats.stride()), (n, stride), "{n}");
            let expected: Vec<u64> = (0..n).step_by(usize::try_from(stride).unwrap()).collect();
            let kept: Vec<u64> = stats.kept.iter().map(|(osl, _)| *osl).collect();
            assert_eq!(kept, expected, "{n}");
            assert!(stats.drawn().len() <= MAX_DRAWN + SLOWEST);
        };
        check(0, 1);
        check(1, 1);
        check(2000, 1);
        check(2001, 2);
        check(4000, 2);
        check(4001, 4);
        check(100_000, 64);
    }

    #[test]
    fn the_slowest_are_always_drawn() {
        let mut stats = samples(10_001);
        stats.add(3, i64::MAX);
        stats.add(3, i64::MAX);
        assert_eq!(
            stats
                .drawn()
                .iter()
                .filter(|pair| **pair == (3, i64::MAX))
                .count(),
            1
        );
        assert_eq!(stats.slowest.len(), SLOWEST);
    }

    #[test]
    fn classes_double_and_count_every_sample() {
        let mut stats = OslLatency::default();
        for osl in [0, 1, 2, 3, 4, 7, 8, u64::MAX] {
            stats.add(osl, 10);
        }
        let classes: Vec<_> = stats
            .classes()
            .map(|class| (class.min, class.max, class.latency.count()))
            .collect();
        let expected = [
            (0, 0, 1),
            (1, 1, 1),
            (2, 3, 2),
            (4, 7, 2),
            (8, 15, 1),
            (1 << 63, u64::MAX, 1),
        ];
        assert_eq!(classes, expected);
    }
}
