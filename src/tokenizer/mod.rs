//! Text → number of tokens: loading a tokenizer, the engines, the shared-boundary arithmetic,
//! chat templates.

pub mod chat_template;
pub mod engine;
pub mod resolve;
mod structured;
pub mod transformers;

pub use engine::{Choice, EngineError, EngineReport};
pub use structured::{Counted, LoadError, LoadOptions, MessageParts, PromptParts, Tokenizer};
