//! Every integration test in one binary: linking once is faster than linking each.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cli;
#[cfg(target_os = "linux")]
mod faults;
mod properties;
mod recompute;
mod structured;
mod support;
mod tidy;
