//! One tokenizer: it counts plain text, and renders messages and prompts to text before it counts them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use indexmap::IndexSet;
use jiff::civil::DateTime;
use serde_json::Value;
use thiserror::Error;

use super::chat_template::{
    CountAdjustment, Limits, Message, Prompt, TemplateSource, Templates, fallback_message,
    fallback_prompt, merge_tool_calls, normalize_messages, normalize_tool_calls,
};
use super::engine::{Engine, EngineError, EngineMode, EngineReport};
use super::resolve::TokenizerFiles;
use super::transformers::{self, LoaderRules, LoaderRulesError, Override};
use crate::jinja::limits::LIMIT;
use crate::python::exception::Exception;

/// The template function that shows the date.
const CLOCK: &str = "strftime_now";
/// The number of different errors that are kept; a hostile log could cause any number of them.
const MAX_REASONS: usize = 1000;

/// The options of loading a tokenizer.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// The rules by which tokenizer.json is loaded.
    pub rules: LoaderRules,
    /// The engine to count with.
    pub engine: EngineMode,
    /// About how much text there is to count, in bytes.
    pub text_bytes: u64,
    /// The time that templates see.
    pub now: DateTime,
}

/// The reason why a tokenizer cannot be loaded.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum LoadError {
    #[error(transparent)]
    Rules(#[from] LoaderRulesError),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The outcome of counting one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// The input has a count.
    Tokens {
        /// The number of tokens.
        tokens: u64,
        /// The position in [`Tokenizer::reasons`] of the error that kept the template from rendering.
        fallback: Option<u16>,
    },
    /// The input has no count, for the error at this position in [`Tokenizer::reasons`].
    Failed(u16),
}

/// The parts of one assistant output.
#[derive(Clone, Copy, Debug)]
pub struct MessageParts<'a> {
    /// The visible text.
    pub content: &'a str,
    /// The reasoning, may be empty.
    pub reasoning: &'a str,
    /// Merged tool calls (objects), or streamed ones (arrays of partial objects).
    pub tool_calls: Option<&'a Value>,
    /// Leave out the first streamed tool-call chunk.
    pub skip_first_tool_chunk: bool,
}

/// The parts of one chat prompt.
#[derive(Clone, Debug)]
pub struct PromptParts<'a> {
    /// The chat history: an array of objects.
    pub messages: Value,
    /// Tool declarations.
    pub tools: Option<Value>,
    /// Extra template variables.
    pub chat_template_kwargs: Option<Value>,
    /// The request's own template.
    pub chat_template: Option<&'a str>,
    /// A string or an object.
    pub tool_choice: Option<Value>,
}

/// A loaded tokenizer, which all threads share.
pub struct Tokenizer {
    engine: Engine,
    templates: Templates,
    /// The tokens around a message: those of the user message before it and of an empty answer.
    frame: u64,
    /// The exception of every message, if the template uses up its fuel on an empty one.
    endless: Option<Exception>,
    clock: Clock,
    reasons: Mutex<IndexSet<String>>,
    class: String,
    overrides: Vec<Override>,
    disabled: Vec<&'static str>,
    unknown_rules: Option<String>,
}

/// Records whether a template asks for the date.
#[derive(Debug, Default)]
struct Clock {
    in_own_template: bool,
    in_prompt_template: AtomicBool,
}

/// A message or prompt as text, through the template or as its fallback.
struct Rendering {
    text: String,
    adjustment: CountAdjustment,
    /// The tokens that are subtracted from the count of a message.
    frame: u64,
    fallback: Option<u16>,
}

impl Tokenizer {
    /// Loads the tokenizer in `files`.
    pub fn load(files: &TokenizerFiles, options: &LoadOptions) -> Result<Self, LoadError> {
        let applied = transformers::apply(files, options.rules)?;
        let engine = Engine::load(&applied.json, options.engine, options.text_bytes)?;
        let source = TemplateSource {
            chat_template_jinja: files.chat_template.clone(),
            additional_templates: files.additional_chat_templates.clone(),
            tokenizer_config: files.tokenizer_config.clone(),
        };
        let clock = Clock {
            in_own_template: mentions_clock(&source),
            ..Clock::default()
        };
        let special_tokens: Vec<_> = applied.special_tokens.into_iter().collect();
        let mut tokenizer = Self {
            engine,
            templates: Templates::new(source, &special_tokens, options.now, Limits::default()),
            frame: 0,
            endless: None,
            clock,
            reasons: Mutex::default(),
            class: applied.class,
            overrides: applied.overrides,
            disabled: applied.disabled,
            unknown_rules: applied.unknown_rules,
        };
        tokenizer.frame = tokenizer.measure_frame()?;
        Ok(tokenizer)
    }

    /// The tokens that the client subtracts from every message: those of the user message and those that an empty
    /// answer adds, which is the count of both together; 0 if either does not render.
    fn measure_frame(&mut self) -> Result<u64, EngineError> {
        let (mut user, mut both) = (String::new(), String::new());
        let rendered = self.templates.render_user_only(&mut user);
        match rendered.and_then(|()| self.templates.render_empty_assistant(&mut both)) {
            Ok(()) => Ok(self.engine.count(&both)? as u64),
            Err(raised) => {
                self.endless = (raised.kind == LIMIT).then_some(raised);
                Ok(0)
            }
        }
    }

    /// Counts a text.
    pub fn text(&self, text: &str) -> Result<Counted, EngineError> {
        Ok(tokens(self.engine.count(text)?))
    }

    /// Counts a text, and its part after byte `cut`.
    pub fn text_with_tail(
        &self,
        text: &str,
        cut: usize,
    ) -> Result<(Counted, Counted), EngineError> {
        let (whole, tail) = self.engine.count_with_tail(text, cut)?;
        Ok((tokens(whole), tokens(tail)))
    }

    /// Tokens of one output, through the template (`token_metrics.py`, `_token_count_message`).
    pub fn message(&self, parts: &MessageParts) -> Result<Counted, EngineError> {
        match self.render_message(parts) {
            Ok(rendering) => Ok(rendering.count(self.engine.count(&rendering.text)?)),
            Err(raised) => Ok(self.failed(&raised)),
        }
    }

    /// Counts one output, and its part after the first chunk, through the template. Text that both renderings share is
    /// counted once.
    pub fn message_pair(
        &self,
        whole: &MessageParts,
        after: &MessageParts,
    ) -> Result<(Counted, Counted), EngineError> {
        match (self.render_message(whole), self.render_message(after)) {
            (Ok(whole), Ok(after)) => {
                let (of_whole, of_after) = self.engine.count_pair(&whole.text, &after.text)?;
                Ok((whole.count(of_whole), after.count(of_after)))
            }
            _ => Ok((self.message(whole)?, self.message(after)?)),
        }
    }

    fn render_message(&self, parts: &MessageParts) -> Result<Rendering, Exception> {
        self.endless.clone().map_or(Ok(()), Err)?;
        let chunks = parts
            .tool_calls
            .and_then(|calls| calls.as_array())
            .map_or(&[][..], Vec::as_slice);
        let chunks = &chunks[usize::from(parts.skip_first_tool_chunk).min(chunks.len())..];
        let original = merge_tool_calls(chunks)?;
        let normalized = original.as_deref().map(normalize_tool_calls).transpose()?;
        let reasoning = Some(parts.reasoning).filter(|reasoning| !reasoning.is_empty());
        let message = Message {
            content: parts.content,
            reasoning,
            tool_calls: normalized.as_deref(),
        };
        let mut text = String::with_capacity(parts.content.len() + parts.reasoning.len() + 256);
        let rendered = self.templates.render_message(&message, &mut text);
        let fallback =
            rendered.map_or_else(|raised| self.fallback(raised).map(Some), |()| Ok(None))?;
        if fallback.is_some() {
            text = fallback_message(parts.content, reasoning, original.as_deref());
        }
        let frame = if fallback.is_some() { 0 } else { self.frame };
        Ok(Rendering {
            text,
            adjustment: CountAdjustment::default(),
            frame,
            fallback,
        })
    }

    /// Tokens of a chat prompt, through the template (`token_metrics.py`, `_token_count_prompt`).
    pub fn prompt(&self, parts: &PromptParts) -> Result<Counted, EngineError> {
        match self.render_prompt(parts) {
            Ok(rendering) => Ok(rendering.count(self.engine.count(&rendering.text)?)),
            Err(raised) => Ok(self.failed(&raised)),
        }
    }

    fn render_prompt(&self, parts: &PromptParts) -> Result<Rendering, Exception> {
        let array = |value: Option<&Value>| value.and_then(Value::as_array).cloned();
        let messages = normalize_messages(&array(Some(&parts.messages)).unwrap_or_default())?;
        let tools = array(parts.tools.as_ref());
        if let (Some(raised), None) = (&self.endless, parts.chat_template) {
            return Err(raised.clone());
        }
        if parts.chat_template.is_some_and(|text| text.contains(CLOCK)) {
            self.clock.in_prompt_template.store(true, Ordering::Relaxed);
        }
        let prompt = Prompt {
            messages: &messages,
            tools: tools.as_deref(),
            chat_template_kwargs: parts
                .chat_template_kwargs
                .as_ref()
                .and_then(Value::as_object),
            chat_template: parts.chat_template,
            tool_choice: parts.tool_choice.as_ref(),
        };
        let mut text = String::new();
        match self.templates.render_prompt(&prompt, &mut text) {
            Ok(adjustment) => Ok(Rendering {
                text,
                adjustment,
                frame: 0,
                fallback: None,
            }),
            Err(raised) => {
                let fallback = Some(self.fallback(raised)?);
                let text = fallback_prompt(&messages, tools.as_deref());
                Ok(Rendering {
                    text,
                    adjustment: CountAdjustment::default(),
                    frame: 0,
                    fallback,
                })
            }
        }
    }

    /// The number of the reason for a fallback, if the client falls back too.
    fn fallback(&self, raised: Exception) -> Result<u16, Exception> {
        if raised.unsupported {
            Err(raised)
        } else {
            Ok(self.reason(&raised))
        }
    }

    fn failed(&self, raised: &Exception) -> Counted {
        Counted::Failed(self.reason(raised))
    }

    /// The number of an error; errors beyond [`MAX_REASONS`] share the last number.
    fn reason(&self, raised: &Exception) -> u16 {
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        let at = if reasons.len() < MAX_REASONS {
            reasons.insert_full(raised.to_string()).0
        } else {
            reasons
                .get_index_of(&raised.to_string())
                .unwrap_or(MAX_REASONS - 1)
        };
        u16::try_from(at).unwrap_or(u16::MAX)
    }

    /// The errors, as Python names them, at the positions that [`Counted`] holds.
    pub fn reasons(&self) -> Vec<String> {
        self.reasons
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }

    /// Checks whether a template that was used asks for the date.
    pub fn date_matters(&self) -> bool {
        self.clock.in_own_template || self.clock.in_prompt_template.load(Ordering::Relaxed)
    }

    /// The transformers class that the client loads this tokenizer with.
    pub fn class(&self) -> &str {
        &self.class
    }

    /// The components of tokenizer.json that the client's loader replaces.
    pub fn overrides(&self) -> &[Override] {
        &self.overrides
    }

    /// `truncation` and `padding`, if tokenizer.json has them; they are disabled.
    pub fn disabled(&self) -> &[&'static str] {
        &self.disabled
    }

    /// The reason why the client's rules are not known, if so.
    pub fn unknown_rules(&self) -> Option<&str> {
        self.unknown_rules.as_deref()
    }

    /// The engine that counts, and the reason for it.
    pub fn engine(&self) -> EngineReport {
        self.engine.report()
    }
}

impl Rendering {
    fn count(&self, tokens: usize) -> Counted {
        let tokens = self
            .adjustment
            .apply(tokens as u64)
            .saturating_sub(self.frame);
        Counted::Tokens {
            tokens,
            fallback: self.fallback,
        }
    }
}

fn tokens(count: usize) -> Counted {
    Counted::Tokens {
        tokens: count as u64,
        fallback: None,
    }
}

fn mentions_clock(source: &TemplateSource) -> bool {
    let in_config = source
        .tokenizer_config
        .as_ref()
        .and_then(|config| config.get("chat_template"));
    let own = source
        .chat_template_jinja
        .iter()
        .chain(source.additional_templates.iter().map(|(_, text)| text));
    own.into_iter().any(|text| text.contains(CLOCK))
        || in_config.is_some_and(|t| t.to_string().contains(CLOCK))
}
