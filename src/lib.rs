//! Recount the token metrics of a benchmark run from its event log.
pub mod cli;
pub mod plan;
pub mod event;
pub mod sample;
pub mod series;
pub mod messages;
pub mod exit;
