//! Every integration test in one binary: linking once is faster than linking each.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::disallowed_methods, reason = "tests write their own files")]

mod check;
mod cli;
mod clients;
mod docs;
#[cfg(all(target_os = "linux", debug_assertions))]
mod faults;
mod follow;
#[path = "../fuzz/bodies/mod.rs"]
mod fuzz;
mod fuzz_replay;
mod untrusted_input;
mod mutations;
mod page;
mod properties;
mod recompute;
mod samples;
#[path = "../model/mod.rs"]
mod model;
mod structured;
mod support;
mod terminal;
mod tidy;
mod process;
