//! Text → number of tokens: loading a tokenizer, the engines, the shared-boundary arithmetic, chat templates.

pub mod engine;
pub mod home;
pub mod rules;
pub mod template;
