//! Where work runs: the CPUs the kernel lets us use, cut into blocks, each with its own pool.
//!
//! A tokenizer's caches live in a core's cache and in one NUMA node's memory, so texts are counted
//! by small pools that stay put. Nothing here knows what the work is.

mod blocks;
mod cgroup;
mod cpus;
mod list;
mod ordered;
mod plan;
mod pool;

pub use blocks::CoreBlock;
pub use cpus::{Chosen, Machine};
pub use list::{CpuList, CpuListError};
pub(crate) use ordered::message as panic_message;
pub use ordered::{OrderedError, Place, run_ordered};
pub use plan::{CorePlan, CoreRequest, DEFAULT_BLOCK_SIZE};
pub use pool::Pools;

/// What stops core blocks and pools from being made.
#[derive(Debug, thiserror::Error)]
pub enum CoresError {
    /// `--cpus` names CPUs that the kernel would not run this process on.
    #[error("cpus {refused} are not available to this process; it may use {allowed}")]
    NotAllowed {
        /// Asked for and refused.
        refused: CpuList,
        /// What the cgroup and the online list leave.
        allowed: CpuList,
    },
    /// A thread could not be started.
    #[error("the system refuses even one thread to count with: {0}")]
    Start(String),
}
