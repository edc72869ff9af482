//! Chat templates, rendered as transformers 5.5.0's `apply_chat_template` renders them.
//!
//! A message or a prompt with structure is counted through the tokenizer's template, and if the template raises, through
//! a [`fallback`] text. So every rendering must equal Jinja2's to the byte, and every exception must be raised.
//! [`tool_calls`] prepares the input, [`apply`] chooses the template and its variables, [`crate::jinja`] runs it.

mod apply;
mod fallback;
mod tool_calls;

pub use crate::jinja::limits::Limits;
pub(super) use apply::{CountAdjustment, Prompt};
pub use apply::{Message, TemplateSource, Templates};
pub(super) use fallback::{fallback_message, fallback_prompt};
pub(super) use tool_calls::{merge_tool_calls, normalize_messages, normalize_tool_calls};

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod features;
#[cfg(test)]
mod untrusted;
