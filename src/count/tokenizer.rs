//! One tokenizer: what counts plain text, and what renders messages and prompts to text first.

use thiserror::Error;

use super::engine::{Choice, Engine, EngineError, EngineReport};
use super::home::TokenizerFiles;
use super::rules::{self, Replaced, Rules, RulesError};

/// How a tokenizer is to be loaded.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// Whose reading of tokenizer.json.
    pub rules: Rules,
    /// Which engine.
    pub choice: Choice,
    /// About how much text there is to count, in bytes.
    pub text_bytes: u64,
}

/// Why a tokenizer could not be loaded.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum LoadError {
    #[error(transparent)]
    Rules(#[from] RulesError),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The outcome of counting one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// So many tokens.
    Tokens {
        /// How many.
        tokens: u64,
        /// Which of [`Tokenizer::fallbacks`] happened, if the template did not render.
        fallback: Option<u16>,
    },
    /// The client could not have counted it either.
    Failed,
}

/// The parts of one assistant output.
#[derive(Clone, Copy, Debug)]
pub struct MessageParts<'a> {
    /// The visible text.
    pub content: &'a str,
    /// The reasoning; `""` for none.
    pub reasoning: &'a str,
    /// Merged tool calls (objects), or streamed ones (arrays of partial objects).
    pub tool_calls: Option<&'a serde_json::Value>,
    /// Leave out the first streamed tool-call chunk.
    pub skip_first_tool_chunk: bool,
}

/// The parts of one chat prompt.
#[derive(Clone, Debug)]
pub struct PromptParts<'a> {
    /// The chat history: an array of objects.
    pub messages: serde_json::Value,
    /// Tool declarations.
    pub tools: Option<serde_json::Value>,
    /// Extra template variables.
    pub chat_template_kwargs: Option<serde_json::Value>,
    /// The request's own template.
    pub chat_template: Option<&'a str>,
    /// A string or an object.
    pub tool_choice: Option<serde_json::Value>,
}

/// A loaded tokenizer, shared by all threads.
pub struct Tokenizer {
    engine: Engine,
    class: String,
    replaced: Vec<Replaced>,
    unknown_rules: Option<String>,
}

impl Tokenizer {
    /// Loads the tokenizer in `files`.
    pub fn load(files: &TokenizerFiles, options: &LoadOptions) -> Result<Self, LoadError> {
        let applied = rules::apply(files, options.rules)?;
        let engine = Engine::load(&applied.json, options.choice, options.text_bytes)?;
        Ok(Self {
            engine,
            class: applied.class,
            replaced: applied.replaced,
            unknown_rules: applied.unknown,
        })
    }

    /// Tokens of a text.
    pub fn text(&self, text: &str) -> Result<Counted, EngineError> {
        Ok(tokens(self.engine.count(text)?))
    }

    /// Tokens of a text and of what follows byte `cut` of it.
    pub fn text_with_tail(
        &self,
        text: &str,
        cut: usize,
    ) -> Result<(Counted, Counted), EngineError> {
        let (whole, tail) = self.engine.count_with_tail(text, cut)?;
        Ok((tokens(whole), tokens(tail)))
    }

    /// Tokens of a prompt's text; `conversation` is 0, or what the prompts of one conversation share.
    pub fn conversation_text(&self, conversation: u64, text: &str) -> Result<Counted, EngineError> {
        match conversation {
            0 => self.text(text),
            id => Ok(tokens(self.engine.count_conversation(id, text)?)),
        }
    }

    /// Tokens of one output, through the template.
    pub fn message(&self, _: &MessageParts) -> Result<Counted, EngineError> {
        Ok(Counted::Failed)
    }

    /// Tokens of one output and of its part after the first chunk, through the template.
    pub fn message_pair(
        &self,
        _: &MessageParts,
        _: &MessageParts,
    ) -> Result<(Counted, Counted), EngineError> {
        Ok((Counted::Failed, Counted::Failed))
    }

    /// Tokens of a chat prompt, through the template.
    pub fn prompt(&self, _: u64, _: &PromptParts) -> Result<Counted, EngineError> {
        Ok(Counted::Failed)
    }

    /// What the numbers of [`Counted::Tokens`]' fallbacks stand for: the errors, as Python names them.
    pub fn fallbacks(&self) -> Vec<String> {
        Vec::new()
    }

    /// The transformers class that the client loads this tokenizer with.
    pub fn class(&self) -> &str {
        &self.class
    }

    /// What of tokenizer.json does not apply, and what stands in its place.
    pub fn replaced(&self) -> &[Replaced] {
        &self.replaced
    }

    /// Why the client's rules are not known, if they are not.
    pub fn unknown_rules(&self) -> Option<&str> {
        self.unknown_rules.as_deref()
    }

    /// Which engine counts, and why.
    pub fn engine(&self) -> EngineReport {
        self.engine.report()
    }
}

fn tokens(count: usize) -> Counted {
    Counted::Tokens {
        tokens: count as u64,
        fallback: None,
    }
}
