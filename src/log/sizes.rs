//! The sizes of the batches that a log is cut into.

/// Longer lines are not read, and count as damaged.
pub(crate) const MAX_LINE_BYTES: usize = 64 << 20;

/// Bounds on batches and lines. The report's bytes do not depend on the batch sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSizes {
    /// A batch is about this long; a longer line is a batch of its own.
    pub batch_bytes: usize,
    /// Near the end of a log of known length batches shrink down to this.
    pub tail_bytes: usize,
    /// A longer line, its end not counted, is skipped as [`super::LogItem::TooLong`]: decoding and counting it would need
    /// many times its length.
    pub line_bytes: usize,
    /// Threads that share the work: the more there are, the sooner the end is near.
    pub threads: usize,
}

impl BatchSizes {
    /// 1 MiB batches, 64 KiB at the end, lines up to 64 MiB.
    pub fn new(threads: usize) -> Self {
        Self {
            batch_bytes: 1 << 20,
            tail_bytes: 1 << 16,
            line_bytes: MAX_LINE_BYTES,
            threads,
        }
    }

    /// The next batch's length. A quarter of an even share of the remaining bytes is guided self-scheduling: the last
    /// batches are so small that threads end together.
    pub(super) fn next(&self, remaining_bytes: Option<u64>) -> usize {
        let max = self.batch_bytes.clamp(1, self.line_bytes.max(1));
        let min = self.tail_bytes.clamp(1, max);
        let share = match remaining_bytes {
            Some(bytes) => bytes / (4 * self.threads.max(1)) as u64,
            None => u64::MAX,
        };
        usize::try_from(share).unwrap_or(max).clamp(min, max)
    }

    /// The length of a batch's line, if that is too long. A batch of several lines is shorter than one may be.
    pub(super) fn too_long(&self, batch: &[u8]) -> Option<u64> {
        let line = batch.strip_suffix(b"\n").unwrap_or(batch);
        (line.len() > self.line_bytes).then_some(line.len() as u64)
    }
}

/// The end of the batch at the start of `bytes`: after the last line that ends within `target` bytes, else after the first
/// line; `None` if not even that ends.
pub(super) fn batch_end(bytes: &[u8], target: usize) -> Option<usize> {
    let (head, rest) = bytes.split_at(target.min(bytes.len()));
    let end = memchr::memrchr(b'\n', head);
    let end = end.or_else(|| memchr::memchr(b'\n', rest).map(|end| head.len() + end));
    end.map(|end| end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_shrink_toward_a_known_end() {
        let check = |remaining: Option<u64>, expected: usize| {
            assert_eq!(
                BatchSizes::new(2).next(remaining),
                expected,
                "{remaining:?}"
            );
        };
        check(None, 1 << 20);
        check(Some(u64::MAX), 1 << 20);
        check(Some(8 << 20), 1 << 20);
        check(Some(4 << 20), 1 << 19);
        check(Some(1 << 19), 1 << 16);
        check(Some(0), 1 << 16);
    }

    #[test]
    fn odd_sizes_stay_in_bounds() {
        let check = |batch_bytes, tail_bytes, line_bytes, expected| {
            let sizes = BatchSizes {
                batch_bytes,
                tail_bytes,
                line_bytes,
                threads: 0,
            };
            assert_eq!(sizes.next(Some(0)), expected);
        };
        check(0, 0, 0, 1);
        check(5, 9, 100, 5);
        check(500, 9, 100, 9);
        check(500, 900, 100, 100);
    }
}
