//! The program's memory: which allocator, what happens when there is none left, how soon freed memory is given back.

use std::ffi::{c_int, c_long, c_void};

use mimalloc::MiMalloc;
use tok_recompute::process::memory::exit_without;

/// It also serves the C code in this process (the feature `override`), which does not always look whether it got memory.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// mimalloc's `mi_option_purge_delay`: memory that was freed so many milliseconds ago goes back to the system.
const PURGE_DELAY: c_int = 15;
/// Its default keeps what loading a tokenizer leaves behind for a second, which is half of a short run.
const PURGE_DELAY_MS: c_long = 100;

unsafe extern "C" {
    fn mi_option_set(option: c_int, value: c_long);
    /// Has mimalloc call `called` with an error's number and `with`, before it returns null.
    fn mi_register_error(called: extern "C" fn(c_int, *mut c_void), with: *mut c_void);
}

/// Sets the allocator up, before there is a second thread.
pub fn set_up() {
    // SAFETY: `refused` may be called on any thread at any time, and does not unwind.
    unsafe { mi_register_error(refused, std::ptr::null_mut()) };
    // SAFETY: the option is one of mimalloc's, and no other thread runs yet.
    unsafe { mi_option_set(PURGE_DELAY, PURGE_DELAY_MS) };
}

extern "C" fn refused(error: c_int, _: *mut c_void) {
    if error == libc::ENOMEM {
        exit_without();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" {
        fn mi_option_get(option: c_int) -> c_long;
    }

    /// Options are known by number: it is the right one if it has the default that the delay has.
    #[test]
    fn the_delay_of_purging_is_still_the_same_option() {
        // SAFETY: it reads a number.
        let default = unsafe { mi_option_get(PURGE_DELAY) };
        assert_eq!(default, 1000);
    }
}
