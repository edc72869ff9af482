//! The command: allocator, arguments, exit code.

use std::ffi::{c_int, c_void};
use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;
use tok_recompute::cli::Cli;
use tok_recompute::command;
use tok_recompute::memory::{exit_without, on_whole_stack};

/// It also serves the C code in this process (the feature `override`), which does not always look whether it got memory.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

unsafe extern "C" {
    /// Has mimalloc call `called` with an error's number and `with`, before it returns null.
    fn mi_register_error(called: extern "C" fn(c_int, *mut c_void), with: *mut c_void);
}

fn main() -> ExitCode {
    // SAFETY: `refused` may be called on any thread at any time, and does not unwind.
    unsafe { mi_register_error(refused, std::ptr::null_mut()) };
    on_whole_stack(|| command::run(&Cli::parse())).into()
}

extern "C" fn refused(error: c_int, _: *mut c_void) {
    if error == libc::ENOMEM {
        exit_without();
    }
}
