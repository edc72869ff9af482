//! The parallel side of the pipeline: lines → observations, with every text counted.
//!
//! Whether a sample is tracked is known only in log order, so texts are counted before it is known
//! whether a report needs them; those of warm-up samples are counted for nothing.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::PipelineError;
use super::record::BatchOutcome;
use crate::cores::panic_message;
use crate::count::{Counted, EngineError, MessageParts, PromptParts, Tokenizer};
use crate::event::{Data, Decoder, Event, Output, Prompt};
use crate::fault;
use crate::log::Batch;
use crate::sample::{Observation, SampleId, TokenCount, Tokens};
use crate::watch::Watched;

/// One thread's decoder and buffers.
pub(super) struct Observer<'a> {
    decoder: Decoder,
    counter: Counter<'a>,
    watched: Watched,
}

impl<'a> Observer<'a> {
    /// `after_first_chunk`: whether TPOT may be needed.
    pub(super) fn new(tokenizer: Option<&'a Tokenizer>, after_first_chunk: bool) -> Self {
        let counter = Counter {
            tokenizer,
            after_first_chunk,
            text: String::new(),
        };
        Self {
            decoder: Decoder::default(),
            counter,
            watched: Watched::new(|offset| format!("counting the line at byte {offset}")),
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
            self.watched.begin(line.offset, line.bytes.len());
            self.decoder.decode(line.bytes, |event| {
                match event {
                    Ok(event) => outcome
                        .observations
                        .push(self.counter.observe(event, line.offset)?),
                    Err(damage) => outcome.damaged.push((outcome.lines, line.offset, damage)),
                }
                Ok::<_, PipelineError>(())
            })?;
        }
        self.watched.end();
        Ok(outcome)
    }
}

struct Counter<'a> {
    tokenizer: Option<&'a Tokenizer>,
    after_first_chunk: bool,
    /// A sample's output, its chunks joined.
    text: String,
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
                let _ = fault::point("count.text");
                self.isl(prompt, event.conversation_id)
            }
            Data::Output(output) if event.kind.is_complete() => {
                let _ = fault::point("count.text");
                self.osl(output)
            }
            _ => Ok(Tokens::default()),
        }
    }

    /// Token ids, else text, else messages (`metrics_table.py`, `IslTrigger`).
    fn isl(&mut self, prompt: &Prompt, conversation_id: &str) -> Result<Tokens, EngineError> {
        let whole = match (prompt, self.tokenizer) {
            (
                Prompt {
                    token_ids: Some(ids),
                    ..
                },
                _,
            ) => TokenCount::Counted {
                tokens: *ids as u64,
                fallback: None,
            },
            (
                Prompt {
                    text: Some(text), ..
                },
                Some(tokenizer),
            ) if !text.is_empty() => tokenizer
                .conversation_text(conversation(conversation_id), text)?
                .into(),
            (
                Prompt {
                    messages: Some(messages),
                    ..
                },
                Some(tokenizer),
            ) => {
                let parts = PromptParts {
                    messages: messages.to_value(),
                    tools: prompt.tools.map(|tools| tools.to_value()),
                    chat_template_kwargs: prompt
                        .chat_template_kwargs
                        .map(|kwargs| kwargs.to_value()),
                    chat_template: prompt.chat_template,
                    tool_choice: prompt.tool_choice.map(|choice| choice.to_value()),
                };
                tokenizer
                    .prompt(conversation(conversation_id), &parts)?
                    .into()
            }
            _ => TokenCount::Nothing,
        };
        Ok(Tokens {
            whole,
            after_first_chunk: TokenCount::Nothing,
        })
    }

    /// All parts and the parts after the first chunk, through the template when there is more
    /// than text (`metrics_table.py`, `OslTrigger` and `TpotTrigger`).
    fn osl(&mut self, output: &Output) -> Result<Tokens, EngineError> {
        let Some(tokenizer) = self.tokenizer else {
            return Ok(Tokens::default());
        };
        self.text.clear();
        let second = output.output.join_into(&mut self.text);
        if output.is_structured() {
            return self.message(tokenizer, output);
        }
        let text = self.text.as_str();
        let (whole, rest) = match text.len() {
            0 => return Ok(Tokens::default()),
            len if !self.after_first_chunk || second == len => (tokenizer.text(text)?, None),
            _ => {
                let (whole, rest) = tokenizer.text_with_tail(text, second)?;
                (whole, Some(rest))
            }
        };
        Ok(Tokens {
            whole: whole.into(),
            after_first_chunk: rest.map(Into::into).unwrap_or_default(),
        })
    }

    fn message(&self, tokenizer: &Tokenizer, output: &Output) -> Result<Tokens, EngineError> {
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
                whole: tokenizer.message(&whole)?.into(),
                ..Tokens::default()
            });
        }
        let after = MessageParts {
            content: &content_after,
            reasoning: &reasoning[second..],
            skip_first_tool_chunk: output.starts_with_tool_call(),
            ..whole
        };
        let (whole, after) = tokenizer.message_pair(&whole, &after)?;
        Ok(Tokens {
            whole: whole.into(),
            after_first_chunk: after.into(),
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

/// Which conversation a prompt belongs to; 0 when it says none.
fn conversation(id: &str) -> u64 {
    if id.is_empty() {
        return 0;
    }
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}
