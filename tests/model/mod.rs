//! A second implementation of the tool, for comparison: slow and plain, written from the reference's rules and not from
//! `src/`. One line after the other, one map, one pass; exact numbers by big integers and decimal digits.
//!
//! It shares no code with the tool. Only what has an oracle of its own is borrowed by its users: texts without structure
//! are counted by `tokenizers` itself, and chat templates by the tool's templates.

pub mod decode;
pub mod json;
pub mod run;
pub mod stat;

#[allow(unused_imports, reason = "the fuzz targets use a part")]
pub use run::{Count, Options, read};
