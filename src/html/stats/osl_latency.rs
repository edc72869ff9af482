//! OSL against latency: a bounded choice of samples to draw, and classes of length that count every one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::Spread;

/// Samples that are drawn: between half of this and all of it, evenly spaced over the run.
const MAX_DRAWN: usize = 2000;
/// The slowest are always drawn.
const SLOWEST: usize = 50;

/// OSL and latency of samples.
#[derive(Clone, Debug, Default)]
pub struct Pairs {
    /// Every so many were kept: 1, 2, 4, …
    every: u64,
    seen: u64,
    kept: Vec<(u64, i64)>,
    slowest: BinaryHeap<Reverse<(i64, u64)>>,
    classes: BTreeMap<u32, Spread>,
}

/// The samples whose OSL is from `shortest` to `longest` tokens, in classes that double.
#[derive(Clone, Copy, Debug)]
pub struct LengthClass<'a> {
    pub shortest: u64,
    pub longest: u64,
    pub latency: &'a Spread,
}

impl Pairs {
    /// Takes the next sample in log order.
    pub fn take(&mut self, osl: u64, latency_ns: i64) {
        let every = self.every.max(1);
        if self.seen.is_multiple_of(every) {
            if self.kept.len() == MAX_DRAWN {
                let mut keep = [true, false].into_iter().cycle();
                self.kept.retain(|_| keep.next() == Some(true));
                self.every = every * 2;
            }
            // The one before which half were dropped has an even number: it stays.
            self.kept.push((osl, latency_ns));
        }
        self.seen += 1;
        self.slowest.push(Reverse((latency_ns, osl)));
        if self.slowest.len() > SLOWEST {
            self.slowest.pop();
        }
        let class = u64::BITS - osl.leading_zeros();
        self.classes.entry(class).or_default().record(latency_ns);
    }

    /// How many samples there were.
    pub fn count(&self) -> u64 {
        self.seen
    }

    /// Every so many samples one is drawn.
    pub fn every(&self) -> u64 {
        self.every.max(1)
    }

    /// OSL and latency of the samples to draw, in ascending order, each once.
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

    /// All samples by length, the shortest first.
    pub fn classes(&self) -> impl Iterator<Item = LengthClass<'_>> {
        self.classes.iter().map(|(bits, latency)| LengthClass {
            shortest: if *bits == 0 { 0 } else { 1 << (bits - 1) },
            longest: if *bits == 0 {
                0
            } else {
                u64::MAX >> (u64::BITS - bits)
            },
            latency,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(n: u64) -> Pairs {
        let mut pairs = Pairs::default();
        for i in 0..n {
            pairs.take(i, i64::try_from(i % 1000).unwrap());
        }
        pairs
    }

    #[test]
    fn what_is_drawn_is_bounded_and_evenly_spaced() {
        let check = |n: u64, every: u64| {
            let pairs = pairs(n);
            assert_eq!((pairs.count(), pairs.every()), (n, every), "{n}");
            let expected: Vec<u64> = (0..n).step_by(usize::try_from(every).unwrap()).collect();
            let kept: Vec<u64> = pairs.kept.iter().map(|(osl, _)| *osl).collect();
            assert_eq!(kept, expected, "{n}");
            assert!(pairs.drawn().len() <= MAX_DRAWN + SLOWEST);
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
        let mut pairs = pairs(10_001);
        pairs.take(3, i64::MAX);
        pairs.take(3, i64::MAX);
        assert_eq!(
            pairs
                .drawn()
                .iter()
                .filter(|pair| **pair == (3, i64::MAX))
                .count(),
            1
        );
        assert_eq!(pairs.slowest.len(), SLOWEST);
    }

    #[test]
    fn classes_double_and_count_everything() {
        let mut pairs = Pairs::default();
        for osl in [0, 1, 2, 3, 4, 7, 8, u64::MAX] {
            pairs.take(osl, 10);
        }
        let classes: Vec<_> = pairs
            .classes()
            .map(|class| (class.shortest, class.longest, class.latency.count()))
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
