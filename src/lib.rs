//! Recount the token metrics of a benchmark run from its event log.
//!
//! ```text
//! bytes ──► lines ──► events ──► samples ──► token counts ──► series ──► report
//!   log/             event/      sample/     count/ + cores/   series/    report/
//!                                  └────────────── pipeline.rs wires them ──────┘
//! ```

pub mod cli;
pub mod plan;

pub mod log;
pub mod event;
pub mod sample;
pub mod count;
pub mod cores;
pub mod series;
pub mod report;
pub mod export;
pub mod page;

mod double;
mod exact;
mod fault;
pub mod memory;
pub mod watch;

pub mod pipeline;
pub mod command;

pub mod messages;
pub mod exit;
