//! The model: a second implementation of the tool for comparison, slow and simple, written from the reference's rules and
//! not from `src/`. It reads line by line, in one map and one pass, with exact numbers by big integers and decimal digits.
//!
//! It shares no code with the tool. Its users bring the token counts, which have oracles of their own: `tokenizers` counts
//! plain texts, and the tool's templates render messages.

pub mod decode;
pub mod json;
pub mod run;
pub mod stat;

#[allow(unused_imports, reason = "the fuzz targets use a part")]
pub use run::{CLIENTS, Count, Options, read};
