//! The referee: `tokenizers` 0.22, what the reference itself counts with.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::EngineError;

/// A loaded `tokenizers` tokenizer.
pub(super) struct Referee(tokenizers::Tokenizer);

impl Referee {
    pub(super) fn load(json: &[u8]) -> Result<Self, EngineError> {
        match catch_unwind(|| tokenizers::Tokenizer::from_bytes(json)) {
            Ok(Ok(tokenizer)) => Ok(Self(tokenizer)),
            Ok(Err(cause)) => Err(EngineError::load("tokenizers", cause)),
            Err(payload) => Err(EngineError::panicked("tokenizers", &*payload)),
        }
    }

    /// Tokens of `text`, without added special tokens.
    pub(super) fn count(&self, text: &str) -> Result<usize, EngineError> {
        self.encode(text).map(|encoding| encoding.len())
    }

    pub(super) fn ids(&self, text: &str) -> Result<Vec<u32>, EngineError> {
        self.encode(text)
            .map(|encoding| encoding.get_ids().to_vec())
    }

    fn encode(&self, text: &str) -> Result<tokenizers::Encoding, EngineError> {
        match catch_unwind(AssertUnwindSafe(|| self.0.encode_fast(text, false))) {
            Ok(Ok(encoding)) => Ok(encoding),
            Ok(Err(cause)) => Err(EngineError::count("tokenizers", cause)),
            Err(payload) => Err(EngineError::panicked("tokenizers", &*payload)),
        }
    }

    /// The text of `ids`, special tokens included; `None` where there is none.
    pub(super) fn decode(&self, ids: &[u32]) -> Option<String> {
        self.0.decode(ids, false).ok()
    }

    pub(super) fn vocabulary_size(&self) -> u32 {
        u32::try_from(self.0.get_vocab_size(true)).unwrap_or(u32::MAX)
    }
}
