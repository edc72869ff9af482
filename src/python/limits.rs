//! The sizes of values, which are checked before a value is made.

use minijinja::Error;

use super::exception::unsupported;

/// The longest string that a template makes.
const MAX_BYTES: usize = 64 << 20;
/// The longest list that a template makes.
const MAX_ITEMS: usize = 8 << 20;

/// Refuses a string of more than `bytes` bytes.
///
/// # Errors
/// Larger strings are not supported; Python continues.
pub fn fits(bytes: usize) -> Result<(), Error> {
    if bytes <= MAX_BYTES {
        Ok(())
    } else {
        Err(unsupported("a text of this size"))
    }
}

/// Refuses a list of more than `items` items.
///
/// # Errors
/// As [`fits`].
pub fn fits_items(items: usize) -> Result<(), Error> {
    if items <= MAX_ITEMS {
        Ok(())
    } else {
        Err(unsupported("a list of this size"))
    }
}
