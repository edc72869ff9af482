//! The command: allocator, arguments, exit code.

use std::process::ExitCode;

use clap::Parser;
use tok_recompute::cli::Cli;
use tok_recompute::memory::OrExit;

#[global_allocator]
static ALLOCATOR: OrExit<mimalloc::MiMalloc> = OrExit(mimalloc::MiMalloc);

fn main() -> ExitCode {
    tok_recompute::command::run(&Cli::parse()).into()
}
