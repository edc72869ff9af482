//! The parallel side of the pipeline: lines → observations, with every text counted.
//!
//! Membership in a tracking window is known only in log order, so texts are counted before it is known whether a report
//! needs them. The counts of warm-up samples are thrown away.

use std::panic::{AssertUnwindSafe, catch_unwind};

use memchr::memmem;

use super::aggregate::BatchOutcome;
use super::{PipelineError, Rules};
use crate::event::{Chunks, Damage, Data, Decoder, Event, EventKind, Json, Output, Prompt};
use crate::log::Batch;
use crate::process::watchdog::Heartbeat;
use crate::process::{failpoint, panic_message};
use crate::sample::{Form, Labels, Observation, Payload, SampleId, TokenCount, Tokens};
use crate::tokenizer::{Counted, EngineError, MessageParts, PromptParts, Tokenizer};

/// One thread's decoder and buffers.
pub(super) struct Worker<'a> {
    decoder: Decoder,
    counter: TextCounter<'a>,
    labelled: bool,
    watched: Option<Heartbeat>,
}

/// The time at which texts are counted.
#[derive(Clone, Copy)]
pub(super) enum TextCounting<'a> {
    /// At once.
    Now(&'a Tokenizer),
    /// In a later pass; this one only notices them.
    Later,
    /// Never, without a tokenizer.
    Never,
}

/// The start of a completion, as the client looks for it when it counts all turns (`full_run_osl.py`).
const TURN: &[u8] = br#""event_type":"sample.complete""#;
/// The length of the part of a line in which it looks, in bytes.
const TURN_HEAD_BYTES: usize = 256;
/// The longest name of an unknown session event that is kept, in characters.
const MAX_TOPIC_CHARS: usize = 100;

impl<'a> Worker<'a> {
    /// A worker that counts by `rules`.
    pub(super) fn new(counting: TextCounting<'a>, rules: &Rules) -> Self {
        let counter = TextCounter {
            counting,
            isl: rules.isl,
            after_first_chunk: rules.streaming != Some(false),
            reasoning_as_text: rules.client.counts_reasoning_as_text(),
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
        let counter = TextCounter {
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
            let counts = self.counter.counting.counts();
            let is_turn = || {
                let head = &line.bytes[..line.bytes.len().min(TURN_HEAD_BYTES)];
                memmem::find(head, TURN).is_some()
            };
            let take = |event: Result<&Event, Damage>| {
                match event {
                    Ok(event) => {
                        let mut seen = self.counter.observe(event, line.offset)?;
                        seen.is_turn = event.kind.is_complete() && is_turn();
                        if event.kind == EventKind::OtherSession {
                            let topic = event.topic.chars().take(MAX_TOPIC_CHARS).collect();
                            outcome.notes.push((topic, line.offset));
                        }
                        if let Data::Output(output) = &event.data
                            && output.has_mixed_first_chunk()
                        {
                            outcome.mixed_first_chunks.push(line.offset);
                        }
                        outcome.observations.push(seen);
                        if self.labelled {
                            outcome.labels.push(labels(event));
                        }
                    }
                    Err(damage) => {
                        outcome.damaged.push((outcome.lines, line.offset, damage));
                        outcome.undecodable_turns += u64::from(is_turn());
                    }
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

impl<'a> From<Option<&'a Tokenizer>> for TextCounting<'a> {
    fn from(tokenizer: Option<&'a Tokenizer>) -> Self {
        tokenizer.map_or(Self::Never, Self::Now)
    }
}

impl<'a> TextCounting<'a> {
    /// Returns true if texts are read.
    fn counts(self) -> bool {
        matches!(self, Self::Now(_))
    }

    fn one(
        self,
        count: impl FnOnce(&'a Tokenizer) -> Result<Counted, EngineError>,
    ) -> Result<TokenCount, EngineError> {
        match self {
            Self::Now(tokenizer) => Ok(count(tokenizer)?.into()),
            Self::Later => Ok(TokenCount::Pending),
            Self::Never => Ok(TokenCount::Nothing),
        }
    }

    /// A text and the part of it after the first chunk.
    fn both(
        self,
        form: Form,
        count: impl FnOnce(&'a Tokenizer) -> Result<(Counted, Counted), EngineError>,
    ) -> Result<Tokens, EngineError> {
        let (whole, after_first_chunk) = match self {
            Self::Now(tokenizer) => {
                let (whole, after) = count(tokenizer)?;
                (whole.into(), after.into())
            }
            Self::Later => (TokenCount::Pending, TokenCount::Pending),
            Self::Never => (TokenCount::Nothing, TokenCount::Nothing),
        };
        Ok(Tokens {
            whole,
            after_first_chunk,
            form: Some(form),
        })
    }
}

struct TextCounter<'a> {
    counting: TextCounting<'a>,
    /// True if prompts are counted.
    isl: bool,
    /// True if TPOT may be needed.
    after_first_chunk: bool,
    /// True if reasoning without tool calls is counted as text.
    reasoning_as_text: bool,
    /// A sample's output, its chunks joined.
    text: String,
    fault_point: &'static str,
}

impl TextCounter<'_> {
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
            payload: payload(event),
            is_first_turn: event.turn.is_some_and(|turn| turn <= 1),
            is_turn: false,
            tokens,
        })
    }

    fn tokens(&mut self, event: &Event) -> Result<Tokens, EngineError> {
        match &event.data {
            Data::Prompt(prompt) if self.isl && event.kind.is_issued() => {
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
        if !matches!(self.counting, TextCounting::Later) {
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
                (self.counting.one(count)?, Form::Text)
            }
            Prompt {
                messages: Some(messages),
                ..
            } => {
                let count =
                    |tokenizer: &Tokenizer| tokenizer.prompt(&prompt_parts(prompt, messages));
                (self.counting.one(count)?, Form::Prompt)
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
        if matches!(self.counting, TextCounting::Never) {
            return Ok(Tokens::default());
        }
        self.text.clear();
        if self.reasoning_as_text
            && output.tool_calls().is_none()
            && let Some(reasoning) = output.reasoning()
        {
            return self.reasoning_text(output, reasoning);
        }
        let second = output.output.join_into(&mut self.text);
        if output.is_structured() {
            return self.message(output);
        }
        let text = self.text.as_str();
        match text.len() {
            0 => Ok(Tokens::default()),
            len if !self.after_first_chunk || second == len => Ok(Tokens {
                whole: self.counting.one(|tokenizer| tokenizer.text(text))?,
                after_first_chunk: TokenCount::Nothing,
                form: Some(Form::Text),
            }),
            _ => self.counting.both(Form::Text, |tokenizer| {
                tokenizer.text_with_tail(text, second)
            }),
        }
    }

    /// Reasoning and output as one text, as clients before 2026-08-13 count them (`core/types.py`,
    /// `TextModelOutput.__str__` and `text_after_first_chunk`).
    fn reasoning_text(
        &mut self,
        output: &Output,
        reasoning: Chunks,
    ) -> Result<Tokens, EngineError> {
        let second = reasoning.join_into(&mut self.text);
        let mut after = self.text[second..].to_owned();
        output.content_after_first_chunk(&mut after);
        output.output.join_into(&mut self.text);
        let text = self.text.as_str();
        if text.is_empty() {
            return Ok(Tokens::default());
        }
        if !self.after_first_chunk || after.is_empty() {
            return Ok(Tokens {
                whole: self.counting.one(|tokenizer| tokenizer.text(text))?,
                after_first_chunk: TokenCount::Nothing,
                form: Some(Form::Text),
            });
        }
        // The rest is a suffix of the whole.
        let second = text.len() - after.len();
        self.counting.both(Form::Text, |tokenizer| {
            tokenizer.text_with_tail(text, second)
        })
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
                whole: self.counting.one(|tokenizer| tokenizer.message(&whole))?,
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
        self.counting.both(Form::Message, |tokenizer| {
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

fn payload(event: &Event) -> Payload {
    match &event.data {
        Data::Output(output) if output.reasoning().is_some() => Payload::Reasoning,
        Data::Output(_) => Payload::Output,
        Data::Phase(phase) if event.kind == EventKind::PhaseStart && phase.is_performance => {
            Payload::PerformancePhase(u64::try_from(phase.num_turns).unwrap_or_default())
        }
        Data::None => Payload::Nothing,
        Data::Prompt(_) | Data::Error | Data::Phase(_) => Payload::NotAnOutput,
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
