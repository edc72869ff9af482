//! While a run goes on: counts in the background what is read, as far as it comes.
//!
//! It may be slow, fail, or never come back from a text: whoever counts at the end takes over where it stands.

use std::thread;
use std::time::{Duration, Instant};

use super::Follow;
use crate::command::count::chain;
use crate::cpu::Pools;
use crate::log::{BatchSizes, LogError};
use crate::pipeline::PipelineError;

/// Texts are counted for so long at a time.
const SLICE: Duration = Duration::from_millis(100);
/// Where everything is counted there is more in a while.
const NAP: Duration = Duration::from_millis(50);
/// Small, so that a slice is short.
const BATCH_BYTES: usize = 64 << 10;

/// Counts until the run has ended, or until it cannot.
pub(super) fn run(follow: &Follow, pools: &Pools) {
    let sizes = BatchSizes {
        batch_bytes: BATCH_BYTES,
        tail_bytes: BATCH_BYTES / 8,
        ..BatchSizes::new(pools.threads())
    };
    while !follow.counts_no_more() {
        if follow.following.is_counted() {
            thread::sleep(NAP);
            continue;
        }
        let until = Instant::now() + SLICE;
        let stop = || follow.counts_no_more() || Instant::now() >= until;
        let counted = follow.with_job(pools, sizes, false, |job| {
            follow.following.count(job, &stop)
        });
        match counted {
            Ok(_) => {}
            // Whoever reads sees to it.
            Err(PipelineError::Log(LogError::Rewritten { .. })) => thread::sleep(NAP),
            Err(error) => {
                // Everything is counted at the end, and there an error is one.
                let why = chain(&error);
                let said = format!("counting waits for the end of the run: {why}");
                return follow.messages.detail(said);
            }
        }
    }
}
