//! Files that are written so that nothing is ever half written, and the lock of a run.

pub mod atomic;
pub mod lock;
