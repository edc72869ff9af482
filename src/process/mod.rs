//! The process itself: exit codes, memory, the watchdog, failpoints.

pub mod exit;
pub mod failpoint;
pub mod memory;
pub mod watchdog;
