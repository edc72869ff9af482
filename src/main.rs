//! The command: arguments, exit code.

mod allocator;

use std::process::ExitCode;

use clap::Parser;
use tok_recompute::cli::Cli;
use tok_recompute::command;
use tok_recompute::process::memory::on_whole_stack;

fn main() -> ExitCode {
    allocator::set_up();
    on_whole_stack(|| command::run(&Cli::parse())).into()
}
