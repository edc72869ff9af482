//! `tokenizers` 0.22, the library that the benchmark's client counts with.

use super::EngineError;
use super::error::{counting, loading};

const ENGINE: &str = "tokenizers";

/// A tokenizer loaded by `tokenizers`.
pub(super) struct TokenizersEngine(tokenizers::Tokenizer);

impl TokenizersEngine {
    pub(super) fn load(json: &[u8]) -> Result<Self, EngineError> {
        loading(ENGINE, || tokenizers::Tokenizer::from_bytes(json)).map(Self)
    }

    /// Counts the tokens of `text`, without added special tokens.
    pub(super) fn count(&self, text: &str) -> Result<usize, EngineError> {
        self.encode(text).map(|encoding| encoding.len())
    }

    pub(super) fn ids(&self, text: &str) -> Result<Vec<u32>, EngineError> {
        self.encode(text)
            .map(|encoding| encoding.get_ids().to_vec())
    }

    fn encode(&self, text: &str) -> Result<tokenizers::Encoding, EngineError> {
        counting(ENGINE, || self.0.encode_fast(text, false))
    }

    /// The text of `ids`, special tokens included; `None` if they cannot be decoded.
    pub(super) fn decode(&self, ids: &[u32]) -> Option<String> {
        self.0.decode(ids, false).ok()
    }

    pub(super) fn vocabulary_size(&self) -> u32 {
        u32::try_from(self.0.get_vocab_size(true)).unwrap_or(u32::MAX)
    }
}
