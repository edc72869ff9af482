//! Every integration test in one binary: linking once is faster than linking each.

mod cli;
mod properties;
mod recompute;
mod support;
mod tidy;
