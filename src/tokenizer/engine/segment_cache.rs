//! A cache of counts by text segment.
//!
//! Prompts share system prompts and examples, a dataset is issued several times, each turn of a conversation repeats
//! the turns before, and outputs quote their prompts. So a text is split into segments of whole lines, and the cache
//! maps a segment's hash to its number of tokens. Segments have a minimum length, so two texts that share lines may
//! split them differently at first; they agree from the first end that falls on the same line.
//!
//! The cache has a fixed size and no locks: a slot is one word. Two segments are confused if they share a slot and
//! another 48 bits of their 128-bit hashes, which are seeded anew in every process. For the ten million new segments of
//! a million samples, this happens in one process of thirty million.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::shared_text::floor_char_boundary;
use super::split_points::SplitPoints;

/// The minimum length of a segment that is not a text's last, in bytes. A shorter one costs more to look up than to count.
const MIN_SEGMENT_BYTES: usize = 64;
/// The length from which a segment may end within a line, in bytes.
const MAX_LINE_BYTES: usize = 4096;
/// Number of segments that are looked up at once.
const BATCH: usize = 16;
/// The maximum number of slots, which take 32 MiB.
const MAX_SLOTS: usize = 1 << 22;
/// Bytes of text for each slot: about the length of a segment.
const BYTES_PER_SLOT: u64 = 128;
/// The low bits of a slot hold the count, the others a part of the hash.
const COUNT_BITS: u32 = 16;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// The counts of the segments so far.
pub(super) struct SegmentCache {
    slots: Box<[AtomicU64]>,
    /// Differs between processes, so that a log cannot be made to have colliding segments.
    seed: u64,
}

impl SegmentCache {
    /// Allocates slots for the segments of about `expected_text_bytes` of text.
    pub(super) fn new(expected_text_bytes: u64) -> Self {
        let slots = usize::try_from(expected_text_bytes / BYTES_PER_SLOT).unwrap_or(MAX_SLOTS);
        let slots = slots.clamp(1, MAX_SLOTS).next_power_of_two();
        Self {
            slots: (0..slots).map(|_| AtomicU64::default()).collect(),
            seed: RandomState::new().hash_one(slots),
        }
    }

    /// Counts the tokens of `text`; `count` counts the segments that are not in the cache.
    pub(super) fn count<E>(
        &self,
        text: &str,
        split_points: &SplitPoints,
        mut count: impl FnMut(&str) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let (mut start, mut tokens) = (0, 0);
        while start < text.len() {
            // Reading several slots at once overlaps their memory latency.
            let mut segments = [(0, 0); BATCH];
            let mut found = 0;
            let mut end = start;
            while found < BATCH && end < text.len() {
                let from = end;
                end = segment_end(text, from, split_points);
                let hash = xxh3_128_with_seed(&text.as_bytes()[from..end], self.seed);
                segments[found] = (end, hash);
                found += 1;
            }
            let segments = &segments[..found];
            let mut known = [None; BATCH];
            for ((_, hash), known) in segments.iter().zip(&mut known) {
                *known = self.get(*hash);
            }
            for ((end, hash), known) in segments.iter().zip(known) {
                tokens += if let Some(known) = known {
                    known
                } else {
                    let counted = count(&text[start..*end])?;
                    self.put(*hash, counted);
                    counted
                };
                start = *end;
            }
        }
        Ok(tokens)
    }

    fn get(&self, hash: u128) -> Option<usize> {
        let (slot, tag) = self.slot(hash);
        let entry = slot.load(Relaxed);
        // An unused slot holds zero. A used one does not, since every segment has a token.
        let same = entry & !COUNT_MASK == tag && entry != 0;
        same.then_some(usize::try_from(entry & COUNT_MASK).ok()?)
    }

    fn put(&self, hash: u128, count: usize) {
        let count = count as u64;
        if count <= COUNT_MASK {
            let (slot, tag) = self.slot(hash);
            slot.store(tag | count, Relaxed);
        }
    }

    /// The slot of a hash, and the part of the hash that the slot holds.
    #[allow(clippy::cast_possible_truncation)]
    fn slot(&self, hash: u128) -> (&AtomicU64, u64) {
        let (upper, lower) = ((hash >> 64) as u64, hash as usize);
        let slot = &self.slots[lower & (self.slots.len() - 1)];
        (slot, upper & !COUNT_MASK)
    }
}

/// The end of the segment that starts at `start`: the first split point after a newline that leaves the segment long
/// enough or, if that is too far, the first one after [`MAX_LINE_BYTES`].
fn segment_end(text: &str, start: usize, split_points: &SplitPoints) -> usize {
    let Some(rest) = text.as_bytes().get(start + MIN_SEGMENT_BYTES..) else {
        return text.len();
    };
    let limit = floor_char_boundary(text, start + MAX_LINE_BYTES);
    memchr::memchr_iter(b'\n', &rest[..rest.len().min(MAX_LINE_BYTES)])
        .map(|newline| start + MIN_SEGMENT_BYTES + newline + 1)
        .find(|&end| split_points.contains(text, end))
        .or_else(|| split_points.first_from(text, limit))
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;
    use serde_json::json;

    use super::super::spec::TokenizerSpec;
    use super::super::spec::tests::split_by_patterns;
    use super::*;

    fn split_points() -> SplitPoints {
        let json = json!({"pre_tokenizer": split_by_patterns()[0].1, "model": {"type": "BPE"}});
        SplitPoints::new(&TokenizerSpec::read(json.to_string().as_bytes()).unwrap()).unwrap()
    }

    /// Counts `text` by its bytes. Returns the total and the bytes that were not in the cache.
    fn counted(cache: &SegmentCache, text: &str) -> (usize, usize) {
        let mut new = 0;
        let count = |segment: &str| -> Result<usize, Infallible> {
            new += segment.len();
            Ok(segment.len())
        };
        let total = cache.count(text, &split_points(), count).unwrap();
        (total, new)
    }

    fn lines(from: usize, to: usize) -> String {
        (from..to).fold(String::new(), |lines, n| {
            let more = " or so".repeat(n * 7 % 11);
            lines + &format!("{n} is the number of a line{more}\n")
        })
    }

    #[test]
    fn repeated_text_is_not_counted_again() {
        let check = |first: &str, second: &str, new_at_most: usize| {
            let cache = SegmentCache::new(u64::MAX);
            assert_eq!(counted(&cache, first), (first.len(), first.len()));
            let (total, new) = counted(&cache, second);
            assert_eq!(total, second.len());
            assert!(new <= new_at_most, "{new} bytes are new in {second:?}");
        };
        check("", "", 0);
        check("a", "a", 0);
        check("a\n", "b\n", 2);
        let text = lines(0, 400);
        check(&text, &text, 0);
        // Other text before and after leaves the segments in between the same.
        check(&text, &text[777..], 800);
        check(&text, &format!("before it {text}"), 800);
        check(&text, &format!("{text}behind it"), 800);
        check(&text[..5000], &text, text.len() - 5000 + 800);
    }

    #[test]
    fn a_turn_of_a_conversation_costs_about_its_new_text() {
        const TURNS: usize = 200;
        let check = |turn: &dyn Fn(usize) -> String| {
            let (cache, mut prompt, mut new, mut whole) =
                (SegmentCache::new(u64::MAX), String::new(), 0, 0);
            for n in 0..TURNS {
                prompt += &turn(n);
                new += counted(&cache, &prompt).1;
                whole += prompt.len();
            }
            assert!(
                new < prompt.len() + TURNS * 2 * MAX_LINE_BYTES,
                "{new} of {whole}"
            );
            assert!(new < whole / 10, "{new} of {whole}");
        };
        check(&|n| lines(n * 10, n * 10 + 10));
        check(&|n| format!("turn {n}: {}", "more of the same, ".repeat(100)));
    }

    #[test]
    fn other_text_is_new() {
        let cache = SegmentCache::new(u64::MAX);
        counted(&cache, &lines(0, 400));
        let other = lines(1000, 1400);
        assert_eq!(counted(&cache, &other), (other.len(), other.len()));
    }

    #[test]
    fn counts_that_do_not_fit_a_slot_are_not_kept() {
        let cache = SegmentCache::new(0);
        for counts in [1 << COUNT_BITS, (1 << COUNT_BITS) - 1] {
            let count = |_: &str| Ok::<_, Infallible>(counts);
            assert_eq!(cache.count("text", &split_points(), count), Ok(counts));
        }
        let kept = cache.count("text", &split_points(), |_| Err(()));
        assert_eq!(kept, Ok((1 << COUNT_BITS) - 1));
    }

    #[test]
    fn threads_that_share_a_slot_count_right() {
        let cache = SegmentCache::new(0);
        assert_eq!(cache.slots.len(), 1);
        std::thread::scope(|scope| {
            for from in 0..4 {
                let cache = &cache;
                scope.spawn(move || {
                    for at in 0..200 {
                        let text = lines(from * 10 + at % 3, from * 10 + 20);
                        assert_eq!(counted(cache, &text).0, text.len());
                    }
                });
            }
        });
    }

    proptest! {
        #[test]
        fn segments_end_at_split_points_and_add_up(text in "[a-c \n.é中]{0,200}") {
            let (split_points, mut start) = (split_points(), 0);
            while start < text.len() {
                let end = segment_end(&text, start, &split_points);
                prop_assert!(end > start && (end == text.len() || split_points.contains(&text, end)));
                start = end;
            }
            let cache = SegmentCache::new(0);
            prop_assert_eq!(counted(&cache, &text).0, text.len());
            prop_assert_eq!(counted(&cache, &text).0, text.len());
        }
    }
}
