//! The text that two texts share at their starts and at their ends.

use super::split_points::SplitPoints;

/// Bytes compared at once.
const BLOCK_BYTES: usize = 64;

/// The lengths of the longest common prefix and suffix of `a` and `b` that are bounded by a split point in both.
pub(super) fn shared_ends(a: &str, b: &str, split_points: &SplitPoints) -> (usize, usize) {
    let prefix = common_prefix(a.as_bytes(), b.as_bytes());
    let head = split_points
        .last_before(a, floor_char_boundary(a, prefix))
        .unwrap_or(0);
    let (a, b) = (&a[head..], &b[head..]);
    let mut start = a.len() - common_suffix(a.as_bytes(), b.as_bytes());
    while !a.is_char_boundary(start) {
        start += 1;
    }
    let tail = split_points
        .first_from(a, start)
        .map_or(0, |at| a.len() - at);
    (head, tail)
}

/// The last character boundary of `text` at or before byte `at`.
pub(super) fn floor_char_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let blocks = a.chunks_exact(BLOCK_BYTES).zip(b.chunks_exact(BLOCK_BYTES));
    let same = BLOCK_BYTES * blocks.take_while(|(a, b)| a == b).count();
    let bytes = a[same..].iter().zip(&b[same..]);
    same + bytes.take_while(|(a, b)| a == b).count()
}

fn common_suffix(a: &[u8], b: &[u8]) -> usize {
    let blocks = a
        .rchunks_exact(BLOCK_BYTES)
        .zip(b.rchunks_exact(BLOCK_BYTES));
    let same = BLOCK_BYTES * blocks.take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[..a.len() - same], &b[..b.len() - same]);
    let bytes = a.iter().rev().zip(b.iter().rev());
    same + bytes.take_while(|(a, b)| a == b).count()
}
