//! `--max-memory`: the number of threads and the batch sizes that fit beside the tokenizer.

use anyhow::bail;

use super::{Session, pools};
use crate::cpu::{CoreRequest, Pools};
use crate::log::{BatchSizes, MAX_LINE_BYTES};
use crate::process::memory::Usage;

/// The full pretoken caches of one thread of `fastokens`.
const THREAD_BYTES: u64 = 128 << 20;
/// The least room beside the tokenizer that work is started with.
const MIN_ROOM_BYTES: u64 = 32 << 20;
/// The memory of a batch, in multiples of its length: each thread has some in flight, and one is decoded.
const BATCH_FACTOR: u64 = 32;
/// The most memory of a line, in multiples of its length: as JSON, as values, rendered, in pretokens.
const LINE_FACTOR: u64 = 48;

/// The pools and batch sizes that a log is counted with.
pub(super) struct Resources {
    /// Replaces all pools, if the memory does not suffice for them.
    pub fewer_pools: Option<Pools>,
    pub sizes: BatchSizes,
}

impl Resources {
    /// Divides the memory that is left once the tokenizer is loaded.
    pub fn new(session: Session, all: &Pools) -> anyhow::Result<Self> {
        let threads = all.threads();
        let (Some(max_bytes), Some(usage)) = (session.plan.max_memory_bytes, Usage::read()) else {
            return Ok(Self {
                fewer_pools: None,
                sizes: BatchSizes::new(threads),
            });
        };
        let budget = Budget::new(max_bytes, usage, threads)?;
        let mut fewer_pools = None;
        if budget.threads != threads {
            let fewer = pools(&CoreRequest {
                threads: Some(budget.threads),
                ..session.plan.cores.clone()
            })?;
            let messages = session.messages;
            messages.detail(format!("to stay within --max-memory: {fewer}"));
            fewer_pools = Some(fewer);
        }
        Ok(Self {
            fewer_pools,
            sizes: budget.sizes,
        })
    }
}

/// A share of the memory limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Budget {
    threads: usize,
    sizes: BatchSizes,
}

impl Budget {
    /// `usage` is that with the tokenizer loaded, `threads` the number without a limit.
    fn new(max_bytes: u64, usage: Usage, threads: usize) -> anyhow::Result<Self> {
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
                line_bytes: whole(room / LINE_FACTOR).min(MAX_LINE_BYTES),
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
    fn memory_beside_the_tokenizer_is_divided() {
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
