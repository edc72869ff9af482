//! The sizes of values, which are checked before a value is made.

use minijinja::Error;

use super::exception::unsupported;

/// No string that a template makes is longer.
const MAX_BYTES: usize = 64 << 20;
/// No list that a template makes has more items.
const MAX_ITEMS: usize = 8 << 20;
/// Refuses a string of more than `bytes` bytes.
///
/// # Errors
/// Not supported; Python would go on.
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
