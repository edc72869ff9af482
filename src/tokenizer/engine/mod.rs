//! Counts the tokens of a text.
//!
//! `fastokens` counts with the tokenizers that it supports. `tokenizers`, which the benchmark's client itself uses,
//! counts with all others and cross-checks `fastokens`: at load on hard strings and on the vocabulary, and during the
//! run on a sample of the texts. A disagreement is an error, after which the caller counts the run again with
//! [`EngineMode::Tokenizers`]. [`Engine::report`] says which engine counted and why.
//!
//! Where a tokenizer's rules prove [split points](split_points), text that two counts share is counted once.

use std::sync::atomic::{AtomicU64, Ordering};

mod cross_check;
mod error;
mod fastokens_engine;
mod segment_cache;
mod shared_text;
mod spec;
mod split_points;
#[cfg(test)]
mod tests;
mod tokenizers_engine;

pub use error::EngineError;

use fastokens_engine::{FastokensEngine, MAX_FASTOKENS_BYTES, is_split_differently};
use segment_cache::SegmentCache;
use shared_text::{floor_char_boundary, shared_ends};
use spec::{Family, TokenizerSpec};
use split_points::SplitPoints;
use tokenizers_engine::TokenizersEngine;

use crate::process::error_chain;

/// Below this much text, `tokenizers` finishes before `fastokens` would be loaded, in bytes.
const MIN_FASTOKENS_TEXT_BYTES: u64 = 3 << 20;
/// The longest text per call of `tokenizers`, in bytes, where split points allow a shorter one: a call takes about two
/// hundred times as much memory.
const MAX_TOKENIZERS_BYTES: usize = 1 << 20;
/// The longest text per call of either engine, in bytes.
const MAX_UNSPLIT_BYTES: usize = 8 << 20;

/// The engine to count with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EngineMode {
    /// `fastokens` where it counts exactly and there is enough text, else `tokenizers`.
    #[default]
    Auto,
    /// `fastokens`, or an error.
    Fastokens,
    /// `tokenizers`.
    Tokenizers,
}

/// The provenance record of an engine: which one counted, why, and what was cross-checked.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct EngineReport {
    /// The crate that counted: `fastokens` or `tokenizers`.
    pub engine: &'static str,
    /// The reason for this engine.
    pub why: String,
    /// Number of strings for which both engines returned the same ids at load.
    pub checked_at_load: usize,
    /// Number of the run's texts that both engines counted alike.
    pub checked_while_counting: u64,
    /// Number of the run's texts that `tokenizers` counted because of a known difference.
    #[serde(rename = "texts_for_referee")]
    pub texts_for_tokenizers: u64,
    /// The reason why shared text is counted twice, if it is.
    #[serde(rename = "no_seams")]
    pub no_split_points: Option<&'static str>,
}

/// A loaded tokenizer that counts. All threads share it; counting a text takes no lock.
pub struct Engine {
    /// `None` where `tokenizers` counts.
    fastokens: Option<FastokensEngine>,
    tokenizers: TokenizersEngine,
    family: Option<Family>,
    split_points: Result<SplitPoints, &'static str>,
    segment_cache: SegmentCache,
    why: String,
    checked_at_load: usize,
    checked_while_counting: AtomicU64,
    texts_for_tokenizers: AtomicU64,
}

impl Engine {
    /// Loads the tokenizer.json in `json`, to which the loader's rules are already applied and which neither pads nor
    /// truncates. `expected_text_bytes` is an estimate of the text to count.
    pub fn load(
        json: &[u8],
        mode: EngineMode,
        expected_text_bytes: u64,
    ) -> Result<Self, EngineError> {
        // `tokenizers` is needed in any case. It loads on a thread of its own or, if the system refuses one, afterwards.
        std::thread::scope(|scope| {
            let thread =
                std::thread::Builder::new().spawn_scoped(scope, || TokenizersEngine::load(json));
            let spec = TokenizerSpec::read(json).map_err(EngineError::Json)?;
            let fastokens = match reason_against_fastokens(&spec, mode, expected_text_bytes) {
                Some(why) if mode == EngineMode::Fastokens => {
                    return Err(EngineError::Unsupported(why));
                }
                Some(why) => Err(why.to_owned()),
                None => Ok(FastokensEngine::load(json)),
            };
            let tokenizers = match thread {
                Ok(thread) => thread
                    .join()
                    .unwrap_or_else(|payload| Err(EngineError::panicked("tokenizers", &*payload))),
                Err(_) => TokenizersEngine::load(json),
            }?;
            let checked = fastokens.map(|loaded| {
                let fastokens = loaded?;
                let agreed = cross_check::compare_engines(&fastokens, &tokenizers, &spec)?;
                Ok((fastokens, agreed))
            });
            let (fastokens, why, checked_at_load) = match checked {
                Ok(Ok((fastokens, agreed))) => {
                    let why = format!("it agrees with tokenizers on {agreed} strings");
                    (Some(fastokens), why, agreed)
                }
                Ok(Err(error)) if mode == EngineMode::Fastokens => return Err(error),
                Ok(Err(error)) => (None, error_chain(&error), 0),
                Err(why) => (None, why, 0),
            };
            Ok(Self {
                fastokens,
                tokenizers,
                family: spec.family(),
                split_points: SplitPoints::new(&spec),
                segment_cache: SegmentCache::new(expected_text_bytes),
                why,
                checked_at_load,
                checked_while_counting: AtomicU64::new(0),
                texts_for_tokenizers: AtomicU64::new(0),
            })
        })
    }

    /// Counts the tokens of `text`, without added special tokens.
    pub fn count(&self, text: &str) -> Result<usize, EngineError> {
        let count = self.count_unchecked(text)?;
        self.cross_check_sampled(text, &[(text, count)])?;
        Ok(count)
    }

    /// Counts the tokens of `whole` and of `whole[cut..]`; shared text is counted once where split points allow it.
    ///
    /// # Panics
    /// When `cut` is not a character boundary of `whole`.
    pub fn count_with_tail(&self, whole: &str, cut: usize) -> Result<(usize, usize), EngineError> {
        let tail = &whole[cut..];
        let split_points = self.split_points.as_ref().ok();
        let (of_whole, of_tail) = match split_points.and_then(|it| it.first_from(whole, cut)) {
            Some(at) => {
                let shared = self.count_unchecked(&whole[at..])?;
                (
                    self.count_unchecked(&whole[..at])? + shared,
                    self.count_unchecked(&whole[cut..at])? + shared,
                )
            }
            None if cut == 0 => {
                let count = self.count_unchecked(whole)?;
                (count, count)
            }
            None => (self.count_unchecked(whole)?, self.count_unchecked(tail)?),
        };
        self.cross_check_sampled(whole, &[(whole, of_whole), (tail, of_tail)])?;
        Ok((of_whole, of_tail))
    }

    /// Counts the tokens of `a` and of `b`; text that they share at their starts and ends is counted once where split
    /// points allow it.
    pub fn count_pair(&self, a: &str, b: &str) -> Result<(usize, usize), EngineError> {
        let (head, tail) = match &self.split_points {
            Ok(split_points) => shared_ends(a, b, split_points),
            Err(_) => (0, 0),
        };
        let shared =
            self.count_unchecked(&a[..head])? + self.count_unchecked(&a[a.len() - tail..])?;
        let of_a = shared + self.count_unchecked(&a[head..a.len() - tail])?;
        let of_b = if a == b {
            of_a
        } else {
            shared + self.count_unchecked(&b[head..b.len() - tail])?
        };
        self.cross_check_sampled(a, &[(a, of_a), (b, of_b)])?;
        Ok((of_a, of_b))
    }

    /// The provenance record so far.
    pub fn report(&self) -> EngineReport {
        EngineReport {
            engine: if self.fastokens.is_some() {
                "fastokens"
            } else {
                "tokenizers"
            },
            why: self.why.clone(),
            checked_at_load: self.checked_at_load,
            checked_while_counting: self.checked_while_counting.load(Ordering::Relaxed),
            texts_for_tokenizers: self.texts_for_tokenizers.load(Ordering::Relaxed),
            no_split_points: self.split_points.as_ref().err().copied(),
        }
    }

    /// Counts without a cross-check.
    fn count_unchecked(&self, text: &str) -> Result<usize, EngineError> {
        match (&self.fastokens, &self.split_points) {
            (None, _) => self.count_with_tokenizers(text),
            (Some(_), _) if is_split_differently(text, self.family) => {
                self.texts_for_tokenizers.fetch_add(1, Ordering::Relaxed);
                self.count_with_tokenizers(text)
            }
            (Some(fastokens), Ok(split_points)) => {
                self.segment_cache.count(text, split_points, |segment| {
                    self.count_with_fastokens(fastokens, segment)
                })
            }
            (Some(fastokens), Err(_)) => self.count_with_fastokens(fastokens, text),
        }
    }

    fn count_with_tokenizers(&self, text: &str) -> Result<usize, EngineError> {
        self.count_pieces(text, MAX_TOKENIZERS_BYTES, |piece| {
            self.tokenizers.count(piece)
        })
    }

    fn count_with_fastokens(
        &self,
        fastokens: &FastokensEngine,
        text: &str,
    ) -> Result<usize, EngineError> {
        self.count_pieces(text, MAX_FASTOKENS_BYTES, |piece| fastokens.count(piece))
    }

    fn count_pieces(
        &self,
        text: &str,
        piece_bytes: usize,
        count: impl Fn(&str) -> Result<usize, EngineError>,
    ) -> Result<usize, EngineError> {
        if text.len() <= piece_bytes {
            return count(text);
        }
        self.pieces(text, piece_bytes)
            .map(|piece| match piece.len() {
                bytes @ MAX_UNSPLIT_BYTES.. => Err(EngineError::TooLong { bytes }),
                _ => count(piece),
            })
            .sum()
    }

    /// Splits `text` at split points into pieces of at most `piece_bytes`, longer where it has none within.
    fn pieces<'t>(&self, text: &'t str, piece_bytes: usize) -> impl Iterator<Item = &'t str> {
        let mut rest = text;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (piece, after) = rest.split_at(self.piece_end(rest, piece_bytes));
            rest = after;
            Some(piece)
        })
    }

    fn piece_end(&self, text: &str, piece_bytes: usize) -> usize {
        match &self.split_points {
            Ok(split_points) if text.len() > piece_bytes => {
                let within = floor_char_boundary(text, piece_bytes);
                split_points
                    .last_before(text, within)
                    .or_else(|| split_points.first_from(text, within))
                    .unwrap_or(text.len())
            }
            _ => text.len(),
        }
    }

    /// Counts texts again with `tokenizers` when `key` is sampled. Both engines count only the first
    /// [`cross_check::MAX_SAMPLED_BYTES`] of a text.
    fn cross_check_sampled(&self, key: &str, counted: &[(&str, usize)]) -> Result<(), EngineError> {
        if self.fastokens.is_none() || !cross_check::is_sampled(key) {
            return Ok(());
        }
        for &(text, count) in counted {
            let start = &text[..floor_char_boundary(text, cross_check::MAX_SAMPLED_BYTES)];
            let count = if start.len() == text.len() {
                count
            } else {
                self.count_unchecked(start)?
            };
            let expected = self.tokenizers.count(start)?;
            if count != expected {
                return Err(EngineError::disagreement(start, count, expected));
            }
            self.checked_while_counting.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The reason not to load `fastokens`, if there is one.
fn reason_against_fastokens(
    spec: &TokenizerSpec,
    mode: EngineMode,
    expected_text_bytes: u64,
) -> Option<&'static str> {
    match mode {
        EngineMode::Tokenizers => Some("it was asked for"),
        EngineMode::Auto if expected_text_bytes < MIN_FASTOKENS_TEXT_BYTES => {
            Some("there is little text")
        }
        EngineMode::Auto | EngineMode::Fastokens => spec.fastokens_unsupported(),
    }
}
