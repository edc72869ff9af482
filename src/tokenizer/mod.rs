//! Text → number of tokens: finding and loading a tokenizer, the engines, chat templates.

pub mod chat_template;
pub mod engine;
pub mod resolve;
mod structured;
pub mod transformers;

pub use engine::{EngineError, EngineMode, EngineReport};
pub use structured::{Counted, LoadError, LoadOptions, MessageParts, PromptParts, Tokenizer};
