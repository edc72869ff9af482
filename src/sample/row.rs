//! One sample of a run with everything that is known about it, for those who look at samples one by one.

use super::counters::FinishReason;
use super::id::SampleId;
use super::table::{Form, TokenCount};

/// The facts of a sample that no figure of the report depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// The conversation it belongs to.
    pub conversation: Option<Box<str>>,
    /// The turn of the conversation.
    pub turn: Option<i64>,
    /// The client's worker that handled it.
    pub worker: Option<i64>,
}

/// The times between a sample's chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChunkDeltas {
    /// Their number: one less than the chunks.
    pub count: u64,
    /// All together.
    pub sum_ns: i128,
    /// The shortest; 0 if there is none.
    pub min_ns: i64,
    /// The longest; 0 if there is none.
    pub max_ns: i64,
}

impl ChunkDeltas {
    pub(super) fn add(&mut self, delta_ns: i64) {
        if self.count == 0 {
            (self.min_ns, self.max_ns) = (delta_ns, delta_ns);
        }
        self.count += 1;
        self.sum_ns += i128::from(delta_ns);
        self.min_ns = self.min_ns.min(delta_ns);
        self.max_ns = self.max_ns.max(delta_ns);
    }

    /// Their mean, rounded once; `None` if there is none.
    pub fn mean_ns(&self) -> Option<f64> {
        (self.count > 0).then(|| crate::python::exact::divide(self.sum_ns, self.count))
    }
}

/// Tokens, and what was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Length {
    /// The number of tokens, if they could be counted.
    pub count: TokenCount,
    /// The form of the counted text.
    pub form: Option<Form>,
}

impl Length {
    /// The tokens, if they were counted.
    pub fn tokens(&self) -> Option<u64> {
        self.count.tokens()
    }

    /// The way of counting, in a word; `None` without a text or a tokenizer.
    pub fn counted_as(&self) -> Option<&'static str> {
        match (self.count, self.form) {
            (TokenCount::Nothing | TokenCount::Pending, _)
            | (TokenCount::Counted { fallback: None, .. }, None) => None,
            (TokenCount::Failed(_), _) => Some("uncounted"),
            (
                TokenCount::Counted {
                    fallback: Some(_), ..
                },
                _,
            ) => Some("fallback"),
            (TokenCount::Counted { .. }, Some(form)) => Some(form.name()),
        }
    }
}

/// A sample that was issued in a tracking window: one row for each time that it was.
///
/// Values that the report is made of are those that the report got, in the reference's arithmetic.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its name.
    pub sample: SampleId,
    /// Its conversation, turn and worker.
    pub labels: Labels,
    /// The tracking window that it was issued in, from 0.
    pub window: usize,
    /// The time of its issue.
    pub issued_ns: i64,
    /// The time of its first chunk: that of the latest event that reports it.
    pub first_ns: Option<i64>,
    /// The time of its completion; `None` if it did not complete.
    pub complete_ns: Option<i64>,
    /// First chunk − issue.
    pub ttft_ns: Option<i64>,
    /// Completion − issue.
    pub latency_ns: Option<i64>,
    /// Tokens of the prompt.
    pub isl: Length,
    /// Tokens of the whole output.
    pub osl: Length,
    /// Tokens after the first chunk.
    pub after_first_chunk: TokenCount,
    /// (Completion − first chunk) / tokens after the first chunk.
    pub tpot_ns: Option<f64>,
    /// Events that said a chunk came.
    pub chunks: u64,
    /// The times between them.
    pub chunk_deltas: ChunkDeltas,
    /// Why generation stopped.
    pub finish_reason: Option<FinishReason>,
    /// Errors that named it while it was in flight.
    pub errors: u64,
    /// The byte offset in the log of the line that issued it.
    pub issued_offset: u64,
    /// And of the line that completed it.
    pub complete_offset: Option<u64>,
}

impl Row {
    /// (Latency − TTFT) / (OSL − 1), which other tools call TPOT; `None` without a first chunk or with less than two
    /// tokens.
    pub fn tpot_by_osl_ns(&self) -> Option<f64> {
        let gaps = self.osl.tokens()?.checked_sub(1).filter(|gaps| *gaps > 0)?;
        let elapsed_ns = i128::from(self.latency_ns?) - i128::from(self.ttft_ns?);
        Some(crate::python::exact::divide(elapsed_ns, gaps))
    }
}
