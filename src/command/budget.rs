//! What `--max-memory` leaves beside the tokenizer: how many threads count, and how much of the log is in hand.

use anyhow::bail;

use crate::log::{BatchSizes, LINE_BYTES};
use crate::process::memory::Usage;

/// What a thread of the fast engine keeps when its pretoken caches are full.
const THREAD_BYTES: u64 = 128 << 20;
/// With less than this beside the tokenizer there is no point in starting.
const MIN_ROOM_BYTES: u64 = 32 << 20;
/// What a batch comes to, times its length: some are on their way for each thread, and one is decoded.
const BATCH_FACTOR: u64 = 32;
/// What a line can come to at worst, times its length: as JSON, as values, rendered, in pretokens.
const LINE_FACTOR: u64 = 48;

/// How the work is cut down to a memory limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Budget {
    /// Threads that count.
    pub threads: usize,
    /// How much of the log they take at once.
    pub sizes: BatchSizes,
}

impl Budget {
    /// `usage`: with the tokenizer loaded. `threads`: how many there would be without a limit.
    pub fn new(max_bytes: u64, usage: Usage, threads: usize) -> anyhow::Result<Self> {
        let needed = usage.peak_bytes + MIN_ROOM_BYTES;
        if max_bytes < needed {
            bail!(
                "--max-memory {} MiB cannot be kept: loading the tokenizer alone took {} MiB; give at least {} MiB",
                max_bytes >> 20,
                usage.peak_bytes >> 20,
                needed.div_ceil(1 << 20)
            );
        }
        let room = max_bytes - usage.now_bytes;
        let threads = whole(room / THREAD_BYTES).clamp(1, threads.max(1));
        let sizes = BatchSizes::new(threads);
        let batch = whole(room / 2 / threads as u64 / BATCH_FACTOR);
        Ok(Self {
            threads,
            sizes: BatchSizes {
                batch_bytes: batch.min(sizes.batch_bytes),
                tail_bytes: batch.min(sizes.tail_bytes),
                line_bytes: whole(room / LINE_FACTOR).min(LINE_BYTES),
                ..sizes
            },
        })
    }
}

fn whole(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_decides() {
        let usage = |mib: u64| Usage {
            now_bytes: mib << 20,
            peak_bytes: mib << 20,
        };
        let check = |max_mib: u64, used_mib, threads, expected: (usize, usize, usize)| {
            let budget = Budget::new(max_mib << 20, usage(used_mib), threads).unwrap();
            let sizes = budget.sizes;
            let got = (
                budget.threads,
                sizes.batch_bytes >> 10,
                sizes.line_bytes >> 10,
            );
            assert_eq!(got, expected, "{max_mib} MiB");
        };
        check(1 << 20, 300, 64, (64, 1024, 64 << 10));
        check(1024, 300, 64, (5, 1024, 15_445));
        check(1024, 300, 2, (2, 1024, 15_445));
        check(400, 300, 2, (1, 1024, 2133));
        check(332, 300, 2, (1, 512, 682));
        let error = Budget::new(100 << 20, usage(300), 2)
            .unwrap_err()
            .to_string();
        assert!(
            error.ends_with("took 300 MiB; give at least 332 MiB"),
            "{error}"
        );
    }
}
