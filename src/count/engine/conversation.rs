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

use super::seam::Seams;

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
