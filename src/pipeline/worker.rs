//! The parallel side of the pipeline: lines → observations, with every text counted.
//!
//! Whether a sample is tracked is known only in log order, so texts are counted before it is known
//! whether a report needs them; those of warm-up samples are counted for nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::PipelineError;
use super::aggregate::BatchOutcome;
use crate::event::{Damage, Data, Decoder, Event, Json, Output, Prompt};
use crate::log::Batch;
use crate::process::watchdog::Heartbeat;
use crate::process::{failpoint, panic_message};
use crate::sample::{Form, Labels, Observation, SampleId, TokenCount, Tokens};
use crate::tokenizer::{Counted, EngineError, MessageParts, PromptParts, Tokenizer};

/// One thread's decoder and buffers.
pub(super) struct Observer<'a> {
    decoder: Decoder,
    counter: Counter<'a>,
    labelled: bool,
    watched: Option<Heartbeat>,
}

/// What is done with texts.
#[derive(Clone, Copy)]
pub(super) enum Means<'a> {
    /// They are counted.
    Tokenizer(&'a Tokenizer),
    /// They are noticed, and counted another time.
    Later,
    /// There is nothing to count them with.
    Nothing,
}

impl<'a> Observer<'a> {
    /// `after_first_chunk`: whether TPOT may be needed.
    pub(super) fn new(means: Means<'a>, after_first_chunk: bool) -> Self {
        let counter = Counter {
            means,
            after_first_chunk,
            text: String::new(),
            fault_point: "count.in-background",
        };
        Self {
            decoder: Decoder::default(),
            counter,
            labelled: false,
            watched: None,
        }
    }

    /// The same, for rows, which take labels.
    pub(super) fn labelled(self, labelled: bool) -> Self {
        Self { labelled, ..self }
    }

    /// The same, for work that must not go on for ever.
    pub(super) fn watched(self) -> Self {
        let watched = Heartbeat::new(|offset| format!("counting the line at byte {offset}"));
        let counter = Counter {
            fault_point: "count.text",
            ..self.counter
        };
        Self {
            watched: Some(watched),
            counter,
            ..self
        }
    }

    /// Every line of a batch.
    pub(super) fn batch(&mut self, batch: &Batch) -> Result<BatchOutcome, PipelineError> {
        let mut outcome = BatchOutcome {
            bytes: batch.bytes().len() as u64,
            ..BatchOutcome::default()
        };
        for line in batch.lines() {
            outcome.lines += 1;
            if let Some(watched) = &self.watched {
                watched.begin(line.offset, line.bytes.len());
            }
            let counts = self.counter.means.counts();
            let take = |event: Result<&Event, Damage>| {
                match event {
                    Ok(event) => {
                        let seen = self.counter.observe(event, line.offset)?;
                        outcome.observations.push(seen);
                        if self.labelled {
                            outcome.labels.push(labels(event));
                        }
                    }
                    Err(damage) => outcome.damaged.push((outcome.lines, line.offset, damage)),
                }
                Ok::<_, PipelineError>(())
            };
            if counts {
                self.decoder.decode(line.bytes, take)?;
            } else {
                self.decoder.skim(line.bytes, take)?;
            }
        }
        if let Some(watched) = &self.watched {
            watched.end();
        }
        Ok(outcome)
    }
}

impl<'a> From<Option<&'a Tokenizer>> for Means<'a> {
    fn from(tokenizer: Option<&'a Tokenizer>) -> Self {
        tokenizer.map_or(Self::Nothing, Self::Tokenizer)
    }
}

impl<'a> Means<'a> {
    /// Whether texts are read.
    fn counts(self) -> bool {
        matches!(self, Self::Tokenizer(_))
    }

    fn one(
        self,
        count: impl FnOnce(&'a Tokenizer) -> Result<Counted, EngineError>,
    ) -> Result<TokenCount, EngineError> {
        match self {
            Self::Tokenizer(tokenizer) => Ok(count(tokenizer)?.into()),
            Self::Later => Ok(TokenCount::Pending),
            Self::Nothing => Ok(TokenCount::Nothing),
        }
    }

    /// A text and the part of it after the first chunk.
    fn both(
        self,
        form: Form,
        count: impl FnOnce(&'a Tokenizer) -> Result<(Counted, Counted), EngineError>,
    ) -> Result<Tokens, EngineError> {
        let (whole, after_first_chunk) = match self {
            Self::Tokenizer(tokenizer) => {
                let (whole, after) = count(tokenizer)?;
                (whole.into(), after.into())
            }
            Self::Later => (TokenCount::Pending, TokenCount::Pending),
            Self::Nothing => (TokenCount::Nothing, TokenCount::Nothing),
        };
        Ok(Tokens {
            whole,
            after_first_chunk,
            form: Some(form),
        })
    }
}

struct Counter<'a> {
    means: Means<'a>,
    after_first_chunk: bool,
    /// A sample's output, its chunks joined.
    text: String,
    fault_point: &'static str,
}

impl Counter<'_> {
    fn observe(&mut self, event: &Event, offset: u64) -> Result<Observation, PipelineError> {
        // A panic is known by its text; what it left half done is not used again, since the work stops.
        let tokens = catch_unwind(AssertUnwindSafe(|| self.tokens(event)))
            .unwrap_or_else(|payload| Err(EngineError::Internal(panic_message(&*payload))));
        let tokens = tokens.map_err(|source| PipelineError::Count {
            sample: event.sample_uuid.to_owned(),
            offset,
            source,
        })?;
        Ok(Observation {
            kind: event.kind,
            timestamp_ns: event.timestamp_ns,
            sample: SampleId::from(event.sample_uuid),
            offset,
            finish_reason: event.finish_reason.map(Into::into),
            tokens,
        })
    }

    fn tokens(&mut self, event: &Event) -> Result<Tokens, EngineError> {
        match &event.data {
            Data::Prompt(prompt) if event.kind.is_issued() => {
                self.reached();
                self.isl(prompt)
            }
            Data::Output(output) if event.kind.is_complete() => {
                self.reached();
                self.osl(output)
            }
            _ => Ok(Tokens::default()),
        }
    }

    /// A text is about to be counted.
    fn reached(&self) {
        if !matches!(self.means, Means::Later) {
            let _ = failpoint::hit(self.fault_point);
        }
    }

    /// Token ids, else text, else messages (`metrics_table.py`, `IslTrigger`).
    fn isl(&mut self, prompt: &Prompt) -> Result<Tokens, EngineError> {
        let (whole, form) = match prompt {
            Prompt {
                token_ids: Some(ids),
                ..
            } => {
                let count = TokenCount::Counted {
                    tokens: *ids as u64,
                    fallback: None,
                };
                (count, Form::Ids)
            }
            Prompt {
                text: Some(text), ..
            } if !text.is_empty() => {
                let count = |tokenizer: &Tokenizer| tokenizer.text(text);
                (self.means.one(count)?, Form::Text)
            }
            Prompt {
                messages: Some(messages),
                ..
            } => {
                let count =
                    |tokenizer: &Tokenizer| tokenizer.prompt(&prompt_parts(prompt, messages));
                (self.means.one(count)?, Form::Prompt)
            }
            _ => return Ok(Tokens::default()),
        };
        Ok(Tokens {
            whole,
            after_first_chunk: TokenCount::Nothing,
            form: Some(form),
        })
    }

    /// All parts and the parts after the first chunk, through the template when there is more
    /// than text (`metrics_table.py`, `OslTrigger` and `TpotTrigger`).
    fn osl(&mut self, output: &Output) -> Result<Tokens, EngineError> {
        if matches!(self.means, Means::Nothing) {
            return Ok(Tokens::default());
        }
        self.text.clear();
        let second = output.output.join_into(&mut self.text);
        if output.is_structured() {
            return self.message(output);
        }
        let text = self.text.as_str();
        match text.len() {
            0 => Ok(Tokens::default()),
            len if !self.after_first_chunk || second == len => Ok(Tokens {
                whole: self.means.one(|tokenizer| tokenizer.text(text))?,
                after_first_chunk: TokenCount::Nothing,
                form: Some(Form::Text),
            }),
            _ => self.means.both(Form::Text, |tokenizer| {
                tokenizer.text_with_tail(text, second)
            }),
        }
    }

    fn message(&self, output: &Output) -> Result<Tokens, EngineError> {
        let mut reasoning = String::new();
        let second = output
            .reasoning()
            .map(|chunks| chunks.join_into(&mut reasoning))
            .unwrap_or_default();
        let mut content_after = String::new();
        output.content_after_first_chunk(&mut content_after);
        let tool_calls = output.tool_calls().map(|calls| calls.to_value());
        let whole = MessageParts {
            content: &self.text,
            reasoning: &reasoning,
            tool_calls: tool_calls.as_ref(),
            skip_first_tool_chunk: false,
        };
        if !self.after_first_chunk {
            return Ok(Tokens {
                whole: self.means.one(|tokenizer| tokenizer.message(&whole))?,
                after_first_chunk: TokenCount::Nothing,
                form: Some(Form::Message),
            });
        }
        let after = MessageParts {
            content: &content_after,
            reasoning: &reasoning[second..],
            skip_first_tool_chunk: output.starts_with_tool_call(),
            ..whole
        };
        self.means.both(Form::Message, |tokenizer| {
            tokenizer.message_pair(&whole, &after)
        })
    }
}

impl From<Counted> for TokenCount {
    fn from(counted: Counted) -> Self {
        match counted {
            Counted::Tokens { tokens, fallback } => Self::Counted { tokens, fallback },
            Counted::Failed(reason) => Self::Failed(reason),
        }
    }
}

fn prompt_parts<'a>(prompt: &Prompt<'_, 'a>, messages: &Json) -> PromptParts<'a> {
    PromptParts {
        messages: messages.to_value(),
        tools: prompt.tools.map(|tools| tools.to_value()),
        chat_template_kwargs: prompt.chat_template_kwargs.map(|kwargs| kwargs.to_value()),
        chat_template: prompt.chat_template,
        tool_choice: prompt.tool_choice.map(|choice| choice.to_value()),
    }
}

fn labels(event: &Event) -> Labels {
    let conversation = event.conversation_id;
    Labels {
        // Once a sample is enough.
        conversation: (event.kind.is_issued() && !conversation.is_empty())
            .then(|| conversation.into()),
        turn: event.turn,
        worker: event.worker_id,
    }
}
