//! Counting the tokens of a text, exactly and fast.
//!
//! `fastokens` counts what it can load, `tokenizers` — what the reference itself uses — counts the rest and checks it:
//! at load on hard strings and on the vocabulary, and while counting on a sample of the texts. A disagreement is an
//! error, after which everything is to be counted again with [`Choice::Referee`]; nothing is taken over silently, and
//! [`Engine::report`] says what counted and why.
//!
//! Where the tokenizer's rules allow cutting a text (see [`seam`]), text that two counts share is counted once.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;

mod check;
mod prefix_cache;
mod fastokens;
mod tokenizers;
mod segment_cache;
mod split_points;
mod spec;
#[cfg(test)]
mod tests;

use fastokens::{Fast, PIECE_BYTES, is_beyond_fast};
use prefix_cache::{Conversations, WORTH_BYTES, floor};
use segment_cache::Repeats;
use spec::{Family, Shape};
use split_points::Seams;
use tokenizers::Referee;

/// Below this much text the referee is done before the fast engine would be loaded, in bytes.
const LITTLE_TEXT_BYTES: u64 = 3 << 20;

/// Longest text handed to the referee in one call where it may be cut, in bytes: it takes some two hundred times as much.
const REFEREE_BYTES: usize = 1 << 20;
/// Longest text handed to any engine in one call.
const MAX_BYTES: usize = 8 << 20;

/// Which engine is to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// The fast engine where it can be trusted and there is enough text, else the referee.
    #[default]
    Auto,
    /// The fast engine, or an error.
    Fast,
    /// The referee.
    Referee,
}

/// Why a tokenizer could not be loaded or a text not be counted.
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
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The fast engine was asked for but must not count with this tokenizer.
    #[error("the fast engine cannot count with this tokenizer: {0}; use --engine auto or referee")]
    Refused(&'static str),
    /// An engine failed on a text.
    #[error("{engine} cannot count a text")]
    Count {
        /// The engine's crate.
        engine: &'static str,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An engine panicked, on loading or on a text.
    #[error("{engine} gave up: {message}")]
    Panicked {
        /// The engine's crate.
        engine: &'static str,
        /// What it said.
        message: String,
    },
    /// A text, or a part of it that cannot be cut, would take too much memory.
    #[error(
        "a text of {} MiB without a place where it may be cut is more than can be counted ({} MiB)",
        bytes >> 20, MAX_BYTES >> 20
    )]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Our own code panicked on a text.
    #[error("internal error: {0}")]
    Internal(String),
    /// The engines differ: everything is to be counted again with [`Choice::Referee`].
    #[error(
        "fastokens counts {fast} tokens where tokenizers counts {referee}, in a text that starts {start:?}"
    )]
    Disagreement {
        /// Tokens by `fastokens`.
        fast: usize,
        /// Tokens by `tokenizers`.
        referee: usize,
        /// The first characters of the text.
        start: String,
    },
}

impl EngineError {
    fn load(
        engine: &'static str,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Load {
            engine,
            source: cause.into(),
        }
    }

    fn count(
        engine: &'static str,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Count {
            engine,
            source: cause.into(),
        }
    }

    fn panicked(engine: &'static str, payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        Self::Panicked {
            engine,
            message: text.unwrap_or("it panicked").to_owned(),
        }
    }

    fn disagreement(text: &str, fast: usize, referee: usize) -> Self {
        Self::Disagreement {
            fast,
            referee,
            start: text.chars().take(60).collect(),
        }
    }
}

/// What counts, why, and what was cross-checked: for the provenance record.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct EngineReport {
    /// The crate that counts: `fastokens` or `tokenizers`.
    pub engine: &'static str,
    /// Why it was chosen.
    pub why: String,
    /// Strings on which both engines gave the same ids at load.
    pub checked_at_load: usize,
    /// Texts of the run that both engines counted alike.
    pub checked_while_counting: u64,
    /// Texts of the run that went to the referee because of a known difference.
    pub texts_for_referee: u64,
    /// Why shared text is counted twice, where it is.
    pub no_seams: Option<&'static str>,
}

/// A loaded tokenizer that counts. Shared by all threads: the caches are per thread, and no lock is taken on the way of
/// a text.
pub struct Engine {
    /// `None` where the referee counts.
    fast: Option<Fast>,
    referee: Referee,
    family: Option<Family>,
    seams: Result<Seams, &'static str>,
    conversations: Conversations,
    repeats: Repeats,
    why: String,
    checked_at_load: usize,
    checked_while_counting: AtomicU64,
    texts_for_referee: AtomicU64,
}

impl Engine {
    /// Loads the tokenizer.json in `json`, as it is to be applied: padding and truncation off, the loader's rules done.
    /// `expected_text_bytes` is about how much text will be counted.
    pub fn load(
        json: &[u8],
        choice: Choice,
        expected_text_bytes: u64,
    ) -> Result<Self, EngineError> {
        // The referee is needed in any case: it loads while this thread reads the rules and loads the fast engine.
        // Where the system refuses the thread, it loads afterwards.
        std::thread::scope(|scope| {
            let referee = std::thread::Builder::new().spawn_scoped(scope, || Referee::load(json));
            let shape = Shape::read(json).map_err(EngineError::Json)?;
            let fast = match unfit(&shape, choice, expected_text_bytes) {
                Some(reason) if choice == Choice::Fast => return Err(EngineError::Refused(reason)),
                Some(reason) => Err(reason.to_owned()),
                None => Ok(Fast::load(json)),
            };
            let referee = match referee {
                Ok(loading) => loading.join(),
                Err(_) => Ok(Referee::load(json)),
            };
            let referee = referee
                .unwrap_or_else(|payload| Err(EngineError::panicked("tokenizers", &*payload)))?;
            let checked = fast.map(|fast| {
                let fast = fast?;
                Ok((check::compare(&fast, &referee, &shape)?, fast))
            });
            let (fast, why, agreed) = match checked {
                Ok(Ok((agreed, fast))) => (
                    Some(fast),
                    format!("it agrees with tokenizers on {agreed} strings"),
                    agreed,
                ),
                Ok(Err(cause)) if choice == Choice::Fast => return Err(cause),
                Ok(Err(cause)) => (None, with_causes(&cause), 0),
                Err(reason) => (None, reason, 0),
            };
            Ok(Self {
                fast,
                referee,
                family: shape.split_family(),
                seams: Seams::new(&shape),
                conversations: Conversations::default(),
                repeats: Repeats::new(expected_text_bytes),
                why,
                checked_at_load: agreed,
                checked_while_counting: AtomicU64::new(0),
                texts_for_referee: AtomicU64::new(0),
            })
        })
    }

    /// Tokens of `text`, without added special tokens.
    pub fn count(&self, text: &str) -> Result<usize, EngineError> {
        let count = self.count_part(text)?;
        self.check_sampled(text, &[(text, count)])?;
        Ok(count)
    }

    /// Tokens of `whole` and of `whole[cut..]`, shared text counted once where that is proved.
    ///
    /// # Panics
    /// When `cut` is no character boundary of `whole`.
    pub fn count_with_tail(&self, whole: &str, cut: usize) -> Result<(usize, usize), EngineError> {
        let tail = &whole[cut..];
        let seam = self
            .seams
            .as_ref()
            .ok()
            .and_then(|seams| seams.first(whole, cut));
        let (of_whole, of_tail) = match seam {
            Some(at) => {
                let shared = self.count_part(&whole[at..])?;
                (
                    self.count_part(&whole[..at])? + shared,
                    self.count_part(&whole[cut..at])? + shared,
                )
            }
            None if cut == 0 => {
                let count = self.count_part(whole)?;
                (count, count)
            }
            None => (self.count_part(whole)?, self.count_part(tail)?),
        };
        self.check_sampled(whole, &[(whole, of_whole), (tail, of_tail)])?;
        Ok((of_whole, of_tail))
    }

    /// Tokens of `a` and of `b`, the text they share at their starts and ends counted once where that is proved.
    pub fn count_pair(&self, a: &str, b: &str) -> Result<(usize, usize), EngineError> {
        let (head, tail) = self.shared(a, b);
        let shared = self.count_part(&a[..head])? + self.count_part(&a[a.len() - tail..])?;
        let of_a = shared + self.count_part(&a[head..a.len() - tail])?;
        let of_b = if a == b {
            of_a
        } else {
            shared + self.count_part(&b[head..b.len() - tail])?
        };
        self.check_sampled(a, &[(a, of_a), (b, of_b)])?;
        Ok((of_a, of_b))
    }

    /// Tokens of `text`, a prompt of the conversation whose id hashes to `conversation`: what an earlier prompt of it
    /// shares is not counted again. The answer is that of [`Engine::count`], in any order of calls.
    pub fn count_conversation(&self, conversation: u64, text: &str) -> Result<usize, EngineError> {
        let count = match &self.seams {
            Ok(seams) if text.len() >= WORTH_BYTES => {
                self.conversations
                    .count(conversation, text, seams, |part| self.count_part(part))?
            }
            _ => self.count_part(text)?,
        };
        self.check_sampled(text, &[(text, count)])?;
        Ok(count)
    }

    /// `text` in parts of about `part_bytes` whose counts add up; one part where no place to cut is proved.
    pub fn parts<'t>(&self, text: &'t str, part_bytes: usize) -> impl Iterator<Item = &'t str> {
        let mut rest = text;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (part, left) = rest.split_at(self.part_end(rest, part_bytes));
            rest = left;
            Some(part)
        })
    }

    /// What counts, why, and what was cross-checked so far.
    pub fn report(&self) -> EngineReport {
        EngineReport {
            engine: if self.fast.is_some() {
                "fastokens"
            } else {
                "tokenizers"
            },
            why: self.why.clone(),
            checked_at_load: self.checked_at_load,
            checked_while_counting: self.checked_while_counting.load(Ordering::Relaxed),
            texts_for_referee: self.texts_for_referee.load(Ordering::Relaxed),
            no_seams: self.seams.as_ref().err().copied(),
        }
    }

    fn count_part(&self, text: &str) -> Result<usize, EngineError> {
        match &self.fast {
            None => self.count_parts(text, REFEREE_BYTES, |part| self.referee.count(part)),
            Some(_) if is_beyond_fast(text, self.family) => {
                self.texts_for_referee.fetch_add(1, Ordering::Relaxed);
                self.count_parts(text, REFEREE_BYTES, |part| self.referee.count(part))
            }
            Some(fast) => match &self.seams {
                Ok(seams) => self
                    .repeats
                    .count(text, seams, |segment| self.count_new(fast, segment)),
                Err(_) => self.count_new(fast, text),
            },
        }
    }

    fn count_new(&self, fast: &Fast, text: &str) -> Result<usize, EngineError> {
        self.count_parts(text, PIECE_BYTES, |part| fast.count(part))
    }

    fn count_parts(
        &self,
        text: &str,
        part_bytes: usize,
        count: impl Fn(&str) -> Result<usize, EngineError>,
    ) -> Result<usize, EngineError> {
        if text.len() <= part_bytes {
            return count(text);
        }
        let parts = self.parts(text, part_bytes);
        parts
            .map(|part| match part.len() {
                bytes @ MAX_BYTES.. => Err(EngineError::TooLong { bytes }),
                _ => count(part),
            })
            .sum()
    }

    /// Where the first part of a longer `text` ends: at the last seam within `part_bytes`, else at the first after.
    fn part_end(&self, text: &str, part_bytes: usize) -> usize {
        let Ok(seams) = &self.seams else {
            return text.len();
        };
        if text.len() <= part_bytes {
            return text.len();
        }
        let within = floor(text, part_bytes);
        seams
            .last(text, within)
            .or_else(|| seams.first(text, within))
            .unwrap_or(text.len())
    }

    /// Bytes at the start and at the end of `a` and `b` that are the same and end, or start, at a seam of both.
    fn shared(&self, a: &str, b: &str) -> (usize, usize) {
        let Ok(seams) = &self.seams else {
            return (0, 0);
        };
        let same = same_start(a.as_bytes(), b.as_bytes());
        let head = seams.last(a, floor(a, same)).unwrap_or(0);
        let (a, b) = (&a[head..], &b[head..]);
        let same = same_end(a.as_bytes(), b.as_bytes());
        let start = ceil(a, a.len() - same);
        let tail = seams.first(a, start).map_or(0, |at| a.len() - at);
        (head, tail)
    }

    /// Has the referee count the texts again when `key` is sampled; more than [`check::SAMPLED_BYTES`] of a text is
    /// cut off for both engines.
    fn check_sampled(&self, key: &str, counted: &[(&str, usize)]) -> Result<(), EngineError> {
        if self.fast.is_none() || !check::is_sampled(key) {
            return Ok(());
        }
        for &(text, count) in counted {
            let start = &text[..floor(text, check::SAMPLED_BYTES)];
            let count = if start.len() == text.len() {
                count
            } else {
                self.count_part(start)?
            };
            let expected = self.referee.count(start)?;
            if count != expected {
                return Err(EngineError::disagreement(start, count, expected));
            }
            self.checked_while_counting.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Why the fast engine is not to be loaded.
fn unfit(shape: &Shape, choice: Choice, expected_text_bytes: u64) -> Option<&'static str> {
    match choice {
        Choice::Referee => Some("it was asked for"),
        Choice::Auto if expected_text_bytes < LITTLE_TEXT_BYTES => Some("there is little text"),
        Choice::Auto | Choice::Fast => shape.refuses_fast(),
    }
}

/// An error and what caused it, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// How many bytes `a` and `b` share at their starts.
fn same_start(a: &[u8], b: &[u8]) -> usize {
    const STEP: usize = 64;
    let steps = a
        .chunks_exact(STEP)
        .zip(b.chunks_exact(STEP))
        .take_while(|(a, b)| a == b)
        .count()
        * STEP;
    steps
        + a[steps..]
            .iter()
            .zip(&b[steps..])
            .take_while(|(a, b)| a == b)
            .count()
}

/// How many bytes `a` and `b` share at their ends.
fn same_end(a: &[u8], b: &[u8]) -> usize {
    const STEP: usize = 64;
    let steps = a
        .rchunks_exact(STEP)
        .zip(b.rchunks_exact(STEP))
        .take_while(|(a, b)| a == b)
        .count()
        * STEP;
    let (a, b) = (&a[..a.len() - steps], &b[..b.len() - steps]);
    steps
        + a.iter()
            .rev()
            .zip(b.iter().rev())
            .take_while(|(a, b)| a == b)
            .count()
}

/// The first character boundary of `text` at or after byte `at`.
fn ceil(text: &str, at: usize) -> usize {
    (at..text.len())
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(text.len())
}
