//! The CPUs that the kernel allows, cut into core blocks, each with its own pool.
//!
//! A tokenizer's caches live in a core's cache and in one NUMA node's memory, so texts are counted by small pools whose
//! threads stay on their CPUs.

mod blocks;
mod list;
mod machine;
mod ordered;
mod plan;
mod pool;

use blocks::CoreBlock;
pub use list::{CpuList, CpuListError};
pub use machine::Machine;
pub use ordered::OrderedError;
pub(crate) use ordered::{Stage, run_ordered};
pub use plan::{CorePlan, CoreRequest};
pub use pool::Pools;

/// The reason why core blocks and pools cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CpuError {
    /// `--cpus` names CPUs that the kernel would not run this process on.
    #[error("cpus {refused} are not available to this process; it may use {allowed}")]
    NotAllowed {
        /// The CPUs of `--cpus` that are not allowed.
        refused: CpuList,
        /// The CPUs that are.
        allowed: CpuList,
    },
    /// A thread could not be started.
    #[error("the system refuses even one thread to count with: {0}")]
    Start(String),
}
