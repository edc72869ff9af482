//! The binary: allocator, command line, exit code.

mod allocator;

use std::process::ExitCode;

use clap::Parser;
use tok_recompute::cli::Cli;
use tok_recompute::process::memory::run_on_full_stack;

fn main() -> ExitCode {
    allocator::set_up();
    run_on_full_stack(|| tok_recompute::run(&Cli::parse())).into()
}
