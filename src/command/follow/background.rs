//! Counts texts in the background while the run goes on.
//!
//! The background may be slow, fail, or hang at a text: the drain goes on from where it stands.

use std::thread;
use std::time::{Duration, Instant};

use super::Follow;
use crate::cpu::Pools;
use crate::log::{BatchSizes, LogError};
use crate::pipeline::PipelineError;
use crate::process::error_chain;

/// The longest time of one call that counts.
const TIME_SLICE: Duration = Duration::from_millis(100);
/// The pause when everything that was read is counted.
const IDLE_PAUSE: Duration = Duration::from_millis(50);
/// The batch size; it is small, so that a time slice is kept.
const BATCH_BYTES: usize = 64 << 10;

/// Counts until the drain takes over, or until counting fails.
pub(super) fn run(follow: &Follow, pools: &Pools) {
    let sizes = BatchSizes {
        batch_bytes: BATCH_BYTES,
        tail_bytes: BATCH_BYTES / 8,
        ..BatchSizes::new(pools.threads())
    };
    while !follow.background_stopped() {
        if follow.following.is_counted() {
            thread::sleep(IDLE_PAUSE);
            continue;
        }
        let until = Instant::now() + TIME_SLICE;
        let stop = || follow.background_stopped() || Instant::now() >= until;
        let counted = follow.with_job(pools, sizes, false, |job| {
            follow.following.count(job, &stop)
        });
        match counted {
            Ok(_) => {}
            // The reader notices it too, and starts again.
            Err(PipelineError::Log(LogError::Rewritten { .. })) => thread::sleep(IDLE_PAUSE),
            Err(error) => {
                // The drain counts the same text and reports the error.
                let why = error_chain(&error);
                let text = format!("counting waits for the end of the run: {why}");
                return follow.messages.detail(text);
            }
        }
    }
}
