//! Text that a run says again is not counted again.
//!
//! Prompts share system prompts and examples, a dataset is issued several times over, an agent's next turn repeats the
//! ones before, outputs quote their prompts. So a text is cut into segments of whole lines, and a table remembers, by
//! hash, how many tokens a segment has. Segments have a least length, so two texts that share lines may cut them
//! differently at first; they agree from the first cut that falls on the same line.
//!
//! The table is of fixed size, shared by all threads and without locks: a slot is one word. A segment is taken for
//! another where their slots and another 48 bits of their 128-bit hashes are the same; the hash is seeded anew in every
//! process. For the ten million new segments of a million samples that is one process in thirty million.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::split_points::Seams;

/// No segment but a text's last is shorter, in bytes: looking it up has to cost less than counting it.
const SEGMENT_BYTES: usize = 64;
/// Segments looked up at once.
const AT_ONCE: usize = 16;
/// Slots at most: 32 MiB of them.
const MAX_SLOTS: usize = 1 << 22;
/// Text for which there is a slot, in bytes; about a segment's length.
const BYTES_PER_SLOT: u64 = 128;
/// Low bits of a slot that hold the count; the others are hash.
const COUNT_BITS: u32 = 16;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// What segments counted so far.
pub(super) struct Repeats {
    slots: Box<[AtomicU64]>,
    /// Differs from process to process: no log can be made whose segments collide.
    seed: u64,
}

impl Repeats {
    /// Room for the segments of about so much text.
    pub(super) fn new(expected_text_bytes: u64) -> Self {
        let wanted = usize::try_from(expected_text_bytes / BYTES_PER_SLOT).unwrap_or(MAX_SLOTS);
        let slots = wanted.clamp(1, MAX_SLOTS).next_power_of_two();
        Self {
            slots: (0..slots).map(|_| AtomicU64::default()).collect(),
            seed: RandomState::new().hash_one(slots),
        }
    }

    /// Tokens of `text`, with `count` for the segments that are new.
    pub(super) fn count<E>(
        &self,
        text: &str,
        seams: &Seams,
        mut count: impl FnMut(&str) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let (mut start, mut tokens) = (0, 0);
        while start < text.len() {
            // The slots of several segments are read at once: each is most likely in no cache.
            let mut segments = [(0, 0); AT_ONCE];
            let mut found = 0;
            let mut end = start;
            while found < AT_ONCE && end < text.len() {
                let from = end;
                end = segment_end(text, from, seams);
                let hash = xxh3_128_with_seed(&text.as_bytes()[from..end], self.seed);
                segments[found] = (end, hash);
                found += 1;
            }
            let segments = &segments[..found];
            let mut known = [None; AT_ONCE];
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
        let (slot, tag) = self.place(hash);
        let entry = slot.load(Relaxed);
        // A slot never written holds zeros, as no segment's does: none has no tokens.
        let same = entry & !COUNT_MASK == tag && entry != 0;
        same.then_some(usize::try_from(entry & COUNT_MASK).ok()?)
    }

    fn put(&self, hash: u128, count: usize) {
        let count = count as u64;
        if count <= COUNT_MASK {
            let (slot, tag) = self.place(hash);
            slot.store(tag | count, Relaxed);
        }
    }

    /// A hash's slot, and what of the hash stands in it.
    #[allow(clippy::cast_possible_truncation)]
    fn place(&self, hash: u128) -> (&AtomicU64, u64) {
        let (upper, lower) = ((hash >> 64) as u64, hash as usize);
        let slot = &self.slots[lower & (self.slots.len() - 1)];
        (slot, upper & !COUNT_MASK)
    }
}

/// Where the segment that starts at `start` ends: at the first seam after a newline that leaves it long enough.
fn segment_end(text: &str, start: usize, seams: &Seams) -> usize {
    let Some(rest) = text.as_bytes().get(start + SEGMENT_BYTES..) else {
        return text.len();
    };
    memchr::memchr_iter(b'\n', rest)
        .map(|newline| start + SEGMENT_BYTES + newline + 1)
        .find(|&at| seams.holds(text, at))
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;
    use serde_json::json;

    use super::super::spec::Shape;
    use super::super::spec::tests::split_by_patterns;
    use super::*;

    fn seams() -> Seams {
        let json = json!({"pre_tokenizer": split_by_patterns()[0].1, "model": {"type": "BPE"}});
        Seams::new(&Shape::read(json.to_string().as_bytes()).unwrap()).unwrap()
    }

    /// Counts `text` by its bytes; the total, and the bytes that were new.
    fn counted(repeats: &Repeats, text: &str) -> (usize, usize) {
        let mut new = 0;
        let count = |segment: &str| -> Result<usize, Infallible> {
            new += segment.len();
            Ok(segment.len())
        };
        let total = repeats.count(text, &seams(), count).unwrap();
        (total, new)
    }

    fn lines(from: usize, to: usize) -> String {
        (from..to).fold(String::new(), |lines, n| {
            let more = " or so".repeat(n * 7 % 11);
            lines + &format!("{n} is the number of a line{more}\n")
        })
    }

    #[test]
    fn what_was_said_before_is_not_counted_again() {
        let check = |first: &str, second: &str, new_at_most: usize| {
            let repeats = Repeats::new(u64::MAX);
            assert_eq!(counted(&repeats, first), (first.len(), first.len()));
            let (total, new) = counted(&repeats, second);
            assert_eq!(total, second.len());
            assert!(new <= new_at_most, "{new} bytes are new in {second:?}");
        };
        check("", "", 0);
        check("a", "a", 0);
        check("a\n", "b\n", 2);
        let text = lines(0, 400);
        check(&text, &text, 0);
        // Whatever stands before and after, the lines in between make the same segments.
        check(&text, &text[777..], 800);
        check(&text, &format!("before it {text}"), 800);
        check(&text, &format!("{text}behind it"), 800);
        check(&text[..5000], &text, text.len() - 5000 + 800);
    }

    #[test]
    fn other_text_is_new() {
        let repeats = Repeats::new(u64::MAX);
        counted(&repeats, &lines(0, 400));
        let other = lines(1000, 1400);
        assert_eq!(counted(&repeats, &other), (other.len(), other.len()));
    }

    #[test]
    fn counts_that_do_not_fit_a_slot_are_not_kept() {
        let repeats = Repeats::new(0);
        for counts in [1 << COUNT_BITS, (1 << COUNT_BITS) - 1] {
            let count = |_: &str| Ok::<_, Infallible>(counts);
            assert_eq!(repeats.count("text", &seams(), count), Ok(counts));
        }
        let kept = repeats.count("text", &seams(), |_| Err(()));
        assert_eq!(kept, Ok((1 << COUNT_BITS) - 1));
    }

    #[test]
    fn threads_that_fight_over_slots_count_right() {
        let repeats = Repeats::new(0);
        assert_eq!(repeats.slots.len(), 1);
        std::thread::scope(|scope| {
            for from in 0..4 {
                let repeats = &repeats;
                scope.spawn(move || {
                    for at in 0..200 {
                        let text = lines(from * 10 + at % 3, from * 10 + 20);
                        assert_eq!(counted(repeats, &text).0, text.len());
                    }
                });
            }
        });
    }

    proptest! {
        #[test]
        fn segments_are_cut_at_seams_and_add_up(text in "[a-c \n.é中]{0,200}") {
            let (seams, mut start) = (seams(), 0);
            while start < text.len() {
                let end = segment_end(&text, start, &seams);
                prop_assert!(end > start && (end == text.len() || seams.holds(&text, end)));
                start = end;
            }
            let repeats = Repeats::new(0);
            prop_assert_eq!(counted(&repeats, &text).0, text.len());
            prop_assert_eq!(counted(&repeats, &text).0, text.len());
        }
    }
}
