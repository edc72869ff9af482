//! Text → number of tokens: loading a tokenizer, the engines, the shared-boundary arithmetic,
//! chat templates.

pub mod engine;
pub mod home;
pub mod rules;
pub mod template;
mod tokenizer;

pub use engine::{Choice, EngineError, EngineReport};
pub use tokenizer::{Counted, LoadError, LoadOptions, MessageParts, PromptParts, Tokenizer};
