//! The command: allocator, arguments, exit code.

use std::process::ExitCode;

use clap::Parser;
use tok_recompute::cli::Cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tok_recompute::command::run(&Cli::parse()).into()
}
