//! Recount the token metrics of a benchmark run from its event log.
//!
//! ```text
//! bytes ──► lines ──► events ──► samples ──► token counts ──► statistics ──► report
//!   log/             event/      sample/     tokenizer/ + cpu/  stats/    report/
//!                                  └────────────── pipeline.rs wires them ──────┘
//! ```

pub mod cli;
pub mod plan;

pub mod metric;

pub mod log;
pub mod event;
pub mod sample;
pub mod tokenizer;
pub mod jinja;
pub mod cpu;
pub mod stats;
pub mod report;
pub mod export;
pub mod html;

pub mod python;
pub mod files;
pub mod process;

pub mod pipeline;
pub mod command;
pub mod terminal;
