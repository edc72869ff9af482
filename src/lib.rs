//! Recount the token metrics of a benchmark run from its event log.
//!
//! ```text
//! bytes ──► lines ──► events ──► samples ──► token counts ──► statistics ──► report
//!   log/             event/      sample/     tokenizer/ + cpu/  stats/    report/
//!                                  └────────────── pipeline/ wires them ──────┘
//! ```

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests write their own files")
)]

pub mod cli;
mod plan;

pub mod metric;
mod number;

pub mod log;
pub mod event;
pub mod sample;
pub mod tokenizer;
pub mod jinja;
pub mod cpu;
pub mod stats;
pub mod report;
pub mod export;
pub(crate) mod html;

pub mod python;
pub(crate) mod files;
pub mod process;

pub mod pipeline;
mod command;
mod terminal;

/// Does what the command line asks for; returns the exit code.
pub fn run(cli: &cli::Cli) -> u8 {
    command::run(plan::Display::new(&cli.display), || plan::resolve(cli))
}
