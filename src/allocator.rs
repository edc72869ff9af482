//! The allocator: mimalloc, which ends the process when memory runs out, and returns freed memory to the system soon.

use std::ffi::{c_int, c_long, c_void};

use mimalloc::MiMalloc;
use tok_recompute::process::memory::exit_out_of_memory;

/// It also serves the C code in this process (the feature `override`), which does not always check for null.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// mimalloc's `mi_option_purge_delay`: how long freed memory is kept before it goes back to the system, in milliseconds.
const PURGE_DELAY: c_int = 15;
/// The default is a second: for half of a short run it would keep the memory that loading a tokenizer took.
const PURGE_DELAY_MS: c_long = 100;

unsafe extern "C" {
    fn mi_option_set(option: c_int, value: c_long);
    /// Has mimalloc call `handler` with an error's number and `argument` before it returns null.
    fn mi_register_error(handler: extern "C" fn(c_int, *mut c_void), argument: *mut c_void);
}

/// Sets the allocator up. Must be called before there is a second thread.
pub fn set_up() {
    // SAFETY: `on_error` may be called on any thread at any time, and does not unwind.
    unsafe { mi_register_error(on_error, std::ptr::null_mut()) };
    // SAFETY: the option is one of mimalloc's, and no other thread runs yet.
    unsafe { mi_option_set(PURGE_DELAY, PURGE_DELAY_MS) };
}

extern "C" fn on_error(error: c_int, _: *mut c_void) {
    if error == libc::ENOMEM {
        exit_out_of_memory();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" {
        fn mi_option_get(option: c_int) -> c_long;
    }

    /// Options have numbers: this one is the delay if it has the delay's default.
    #[test]
    fn the_option_is_the_purge_delay() {
        // SAFETY: it reads a number.
        let default = unsafe { mi_option_get(PURGE_DELAY) };
        assert_eq!(default, 1000);
    }
}
