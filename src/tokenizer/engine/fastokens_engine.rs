//! `fastokens`, restricted to the calling thread.

use super::EngineError;
use super::error::{counting, loading};
use super::spec::Family;

const ENGINE: &str = "fastokens";

/// The longest text per call, in bytes, where split points allow a shorter one. From 64 KiB on, `fastokens` spreads a
/// text over threads of its own, which are not pinned to our cores.
pub(super) const MAX_FASTOKENS_BYTES: usize = 48 << 10;

/// A tokenizer loaded by `fastokens`. Its pretoken caches are thread-local, so threads share no lock.
pub(super) struct FastokensEngine(fastokens::Tokenizer);

impl FastokensEngine {
    pub(super) fn load(json: &[u8]) -> Result<Self, EngineError> {
        keep_to_calling_thread();
        let json = loading(ENGINE, || serde_json::from_slice(json))?;
        loading(ENGINE, || fastokens::Tokenizer::from_json(json)).map(Self)
    }

    /// Counts the tokens of `text`, without added special tokens.
    pub(super) fn count(&self, text: &str) -> Result<usize, EngineError> {
        self.ids(text).map(|ids| ids.len())
    }

    pub(super) fn ids(&self, text: &str) -> Result<Vec<u32>, EngineError> {
        // A panic leaves the thread's cache consistent: `fastokens` writes an entry last.
        counting(ENGINE, || self.0.encode(text))
    }
}

/// Makes `fastokens` start no threads of its own, since texts are already spread over our pools.
///
/// It sizes its pool once per process, by the CPUs of the thread that asks first. So a thread bound to one CPU asks
/// first. If binding fails, the pool has threads, which stay idle for texts below 64 KiB.
fn keep_to_calling_thread() {
    let asked = std::thread::Builder::new().spawn(|| {
        let bound = core_affinity::get_core_ids()
            .and_then(|cpus| cpus.into_iter().next())
            .is_some_and(core_affinity::set_for_current);
        if bound {
            fastokens::fanout::threads();
        }
    });
    if let Ok(thread) = asked {
        // A panic in it leaves the pool size undecided, which only costs time.
        let _ = thread.join();
    }
}

/// Returns true if `fastokens` 0.3.5 splits `text` differently from `tokenizers` under the rules of o200k: at U+017F,
/// the long s, after an apostrophe.
///
/// The pattern ignores case in contractions (`(?i:'s)`), and only the regular expressions of `tokenizers` treat the
/// long s as an `s`. The engines were compared over every code point in context; the other families agree on it.
pub(super) fn is_split_differently(text: &str, family: Option<Family>) -> bool {
    family == Some(Family::O200k)
        && memchr::memmem::find(text.as_bytes(), "'\u{17F}".as_bytes()).is_some()
}
