//! The errors of loading a tokenizer and of counting a text.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use thiserror::Error;

use super::MAX_UNSPLIT_BYTES;
use crate::process::panic_message;

/// Why a tokenizer could not be loaded or a text could not be counted.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The bytes are not a tokenizer.json.
    #[error("the tokenizer is not a tokenizer.json")]
    Json(#[source] serde_json::Error),
    /// An engine rejects the tokenizer.
    #[error("{engine} cannot load the tokenizer")]
    Load {
        /// The engine's crate.
        engine: &'static str,
        /// The engine's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// `fastokens` was asked for, but it does not count exactly with this tokenizer.
    #[error(
        "fastokens cannot count with this tokenizer: {0}; use --engine auto or --engine tokenizers"
    )]
    Unsupported(&'static str),
    /// An engine failed on a text.
    #[error("{engine} cannot count a text")]
    Count {
        /// The engine's crate.
        engine: &'static str,
        /// The engine's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An engine panicked while loading or on a text.
    #[error("{engine} panicked: {message}")]
    Panicked {
        /// The engine's crate.
        engine: &'static str,
        /// The panic message.
        message: String,
    },
    /// A text without a split point would take too much memory.
    #[error(
        "a text of {} MiB has no split point; such a text can be counted up to {} MiB",
        bytes >> 20, MAX_UNSPLIT_BYTES >> 20
    )]
    TooLong {
        /// The text's length.
        bytes: usize,
    },
    /// This program's own code panicked on a text.
    #[error("internal error: {0}")]
    Internal(String),
    /// The engines disagree; the run must be counted again with [`EngineMode::Tokenizers`](super::EngineMode).
    #[error(
        "fastokens counts {fastokens} tokens where tokenizers counts {tokenizers}, in a text that starts {start:?}"
    )]
    Disagreement {
        /// Tokens by `fastokens`.
        fastokens: usize,
        /// Tokens by `tokenizers`.
        tokenizers: usize,
        /// The first characters of the text.
        start: String,
    },
}

impl EngineError {
    pub(super) fn disagreement(text: &str, fastokens: usize, tokenizers: usize) -> Self {
        Self::Disagreement {
            fastokens,
            tokenizers,
            start: text.chars().take(60).collect(),
        }
    }

    pub(super) fn panicked(engine: &'static str, payload: &(dyn Any + Send)) -> Self {
        Self::Panicked {
            engine,
            message: panic_message(payload),
        }
    }
}

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Has `engine` load a tokenizer; its error or panic becomes an [`EngineError`].
pub(super) fn loading<T, E: Into<Source>>(
    engine: &'static str,
    load: impl FnOnce() -> Result<T, E>,
) -> Result<T, EngineError> {
    guarded(engine, load, |source| EngineError::Load { engine, source })
}

/// Has `engine` count a text; its error or panic becomes an [`EngineError`].
pub(super) fn counting<T, E: Into<Source>>(
    engine: &'static str,
    count: impl FnOnce() -> Result<T, E>,
) -> Result<T, EngineError> {
    guarded(engine, count, |source| EngineError::Count {
        engine,
        source,
    })
}

fn guarded<T, E: Into<Source>>(
    engine: &'static str,
    call: impl FnOnce() -> Result<T, E>,
    wrap: impl FnOnce(Source) -> EngineError,
) -> Result<T, EngineError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|cause| wrap(cause.into())),
        Err(payload) => Err(EngineError::panicked(engine, &*payload)),
    }
}
