//! What earlier turns of a conversation already counted.
//!
//! The prompt of turn t+1 starts with most of the prompt of turn t, so an agentic run repeats its text turn by turn. For
//! each conversation a few marks are kept: a length, a hash of the text up to there, its count. A mark holds for a later
//! prompt when the prompt's first `length` bytes have that hash and `length` is a seam of the prompt; then only what is
//! right of it is counted. The answers are those of counting the whole, in any order of calls: a mark that is missing
//! costs time only.

use std::collections::HashMap;
use std::sync::Mutex;

use sha2::{Digest, Sha256};

use super::split_points::Seams;

/// Conversations remembered at most; then all are forgotten. A mark takes 48 bytes, so they stay below 16 MiB.
const CONVERSATIONS: usize = 1 << 16;
/// Marks kept per conversation: one near the end, and some before for prompts that do not repeat the last bytes.
const BACK_BYTES: [usize; 4] = [0, 64, 1024, 8192];
/// Prompts shorter than this are counted at once, in bytes.
pub(super) const WORTH_BYTES: usize = 512;

/// The text up to `length` has hash `hash` and `count` tokens.
#[derive(Debug, Clone, Copy)]
struct Mark {
    length: usize,
    hash: [u8; 32],
    count: usize,
}

/// The marks of all conversations of a run.
#[derive(Debug, Default)]
pub(super) struct Conversations(Mutex<HashMap<u64, Vec<Mark>>>);

impl Conversations {
    /// Counts `text`, a prompt of `conversation`, with `count` for the parts that no mark covers.
    pub(super) fn count<E>(
        &self,
        conversation: u64,
        text: &str,
        seams: &Seams,
        mut count: impl FnMut(&str) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let mut known = self.marks(conversation);
        known.retain(|mark| seams.holds(text, mark.length));
        let mut wanted: Vec<usize> = BACK_BYTES
            .iter()
            .filter_map(|back| seams.last(text, floor(text, text.len().saturating_sub(*back))))
            .collect();
        wanted.sort_unstable();
        wanted.dedup();

        let hashes = hashes(
            text,
            known
                .iter()
                .map(|mark| mark.length)
                .chain(wanted.iter().copied()),
        );
        let hash_at = |length: usize| {
            hashes
                .iter()
                .find(|(at, _)| *at == length)
                .map(|(_, hash)| *hash)
        };
        let start = known
            .iter()
            .filter(|mark| hash_at(mark.length) == Some(mark.hash))
            .max_by_key(|mark| mark.length)
            .copied();

        let (mut done, mut total) = start.map_or((0, 0), |mark| (mark.length, mark.count));
        let mut marks: Vec<Mark> = start.into_iter().collect();
        for at in wanted
            .into_iter()
            .filter(|at| *at > done)
            .collect::<Vec<_>>()
        {
            total += count(&text[done..at])?;
            done = at;
            marks.extend(hash_at(at).map(|hash| Mark {
                length: at,
                hash,
                count: total,
            }));
        }
        total += count(&text[done..])?;
        self.keep(conversation, marks);
        Ok(total)
    }

    fn marks(&self, conversation: u64) -> Vec<Mark> {
        let table = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        table.get(&conversation).cloned().unwrap_or_default()
    }

    fn keep(&self, conversation: u64, marks: Vec<Mark>) {
        if marks.is_empty() {
            return;
        }
        let mut table = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if table.len() >= CONVERSATIONS && !table.contains_key(&conversation) {
            table.clear();
        }
        table.insert(conversation, marks);
    }
}

/// SHA-256 of `text` up to each of `lengths`, in one pass.
fn hashes(text: &str, lengths: impl Iterator<Item = usize>) -> Vec<(usize, [u8; 32])> {
    let mut lengths: Vec<usize> = lengths.collect();
    lengths.sort_unstable();
    lengths.dedup();
    let mut hasher = Sha256::new();
    let mut done = 0;
    lengths
        .into_iter()
        .map(|length| {
            hasher.update(&text.as_bytes()[done..length]);
            done = length;
            (length, hasher.clone().finalize().into())
        })
        .collect()
}

/// The last character boundary of `text` at or before byte `at`.
pub(super) fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at)
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use serde_json::json;

    use super::super::spec::Shape;
    use super::super::spec::tests::split_by_patterns;
    use super::*;

    fn seams() -> Seams {
        let json = json!({"pre_tokenizer": split_by_patterns()[0].1, "model": {"type": "BPE", "merges": []}});
        Seams::new(&Shape::read(json.to_string().as_bytes()).unwrap()).unwrap()
    }

    /// Prompts of so many turns, each the one before and about `turn_bytes` more.
    fn prompts(turns: usize, turn_bytes: usize) -> Vec<String> {
        let prompts = (0..turns).scan(String::new(), |prompt, turn| {
            *prompt += &format!("turn {turn}: ");
            *prompt += &"more of the same, ".repeat(turn_bytes / 18);
            Some(prompt.clone())
        });
        prompts.collect()
    }

    /// Bytes that are counted for `prompts`, in that order. A text's count is its length here, so that it adds up.
    fn counted_bytes<'p>(prompts: impl Iterator<Item = &'p String>) -> usize {
        let (table, seams, mut counted) = (Conversations::default(), seams(), 0);
        for prompt in prompts {
            let count = |part: &str| -> Result<usize, Infallible> {
                counted += part.len();
                Ok(part.len())
            };
            assert_eq!(table.count(1, prompt, &seams, count), Ok(prompt.len()));
        }
        counted
    }

    #[test]
    fn a_conversation_costs_what_is_new_in_each_turn() {
        let prompts = prompts(200, 2_000);
        let longest = prompts.last().unwrap().len();
        let whole: usize = prompts.iter().map(String::len).sum();
        let counted = counted_bytes(prompts.iter());
        assert!(counted < longest + longest / 20, "{counted} of {whole}");
        assert!(whole > 90 * longest);
    }

    #[test]
    fn turns_out_of_order_cost_more_and_count_the_same() {
        let prompts = prompts(20, 2_000);
        let whole: usize = prompts.iter().map(String::len).sum();
        assert!(counted_bytes(prompts.iter().rev()) <= whole);
        let pairs_swapped = prompts.chunks(2).flat_map(|pair| pair.iter().rev());
        assert!(counted_bytes(pairs_swapped) < whole / 2);
    }

    #[test]
    fn conversations_do_not_share_marks() {
        let (table, seams) = (Conversations::default(), seams());
        let texts = [prompts(2, 2_000).remove(1), "other words, ".repeat(200)];
        for (conversation, text) in [(1, 0), (2, 1), (1, 1), (2, 0)] {
            let text = &texts[text];
            let count = |part: &str| -> Result<usize, Infallible> { Ok(part.len()) };
            assert_eq!(
                table.count(conversation, text, &seams, count),
                Ok(text.len())
            );
        }
    }
}
