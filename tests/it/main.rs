//! Every integration test in one binary: linking once is faster than linking each.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod check;
mod cli;
mod docs;
#[cfg(all(target_os = "linux", debug_assertions))]
mod faults;
mod properties;
mod recompute;
mod structured;
mod support;
mod tidy;
