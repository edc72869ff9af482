//! Chat templates, rendered as transformers 5.5.0's `apply_chat_template` renders them with Jinja2 3.1.
//!
//! A message or a prompt with structure is counted through the tokenizer's template, and where the template raises,
//! through a [`fallback`] text. So both matter: every rendering must be Jinja2's to the byte, and every exception must
//! be raised. [`chat`] is the call and its parameters, [`engine`] runs a template, [`jinja`] reads its syntax,
//! [`python`] is what its operations mean, [`tool_calls`] prepares what goes in. There is no IO here.

#![allow(
    clippy::float_cmp,
    clippy::match_same_arms,
    clippy::unnecessary_wraps,
    reason = "Python's own comparisons, one rule an arm, and one signature for every operation"
)]

pub mod apply;
pub mod fallback;
pub mod tool_calls;

pub use crate::jinja::limits::Limits;
pub use apply::{CountAdjustment, Message, Prompt, TemplateSource, Templates};
pub use fallback::{fallback_message, fallback_prompt};
pub use tool_calls::{merge_tool_calls, normalize_messages, normalize_tool_calls};

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod features;
#[cfg(test)]
mod untrusted;
