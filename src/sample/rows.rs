//! The samples in flight as rows, for a run whose rows are wanted: the table keeps only what its figures need.

use hashbrown::HashMap;

use super::id::SampleId;
use super::row::{ChunkDeltas, Labels, Length, Row};
use super::table::{Emissions, Observation, TokenCount};
use crate::event::EventKind;

/// The rows of samples in flight.
#[derive(Debug)]
pub struct Rows {
    open: HashMap<SampleId, Row>,
    streamed: bool,
}

impl Rows {
    /// `streamed`: whether the report has times of chunks; without, rows have none either.
    pub fn new(streamed: bool) -> Self {
        Self {
            open: HashMap::new(),
            streamed,
        }
    }

    /// Takes an observation in log order together with what the table made of it; `window` is the table's. A row comes
    /// back when its sample completes, or is issued anew before it did.
    pub fn apply(
        &mut self,
        seen: &Observation,
        labels: Labels,
        emitted: &Emissions,
        window: Option<usize>,
    ) -> Option<Row> {
        match seen.kind {
            _ if seen.sample.is_empty() => None,
            EventKind::Issued => self.issued(seen, labels, emitted, window?),
            EventKind::Complete => {
                let mut row = self.open.remove(&seen.sample)?;
                complete(&mut row, seen, labels, emitted);
                Some(row)
            }
            EventKind::RecvFirst | EventKind::RecvNonFirst | EventKind::Error => {
                let row = self.open.get_mut(&seen.sample)?;
                if seen.kind == EventKind::Error {
                    row.errors += 1;
                } else {
                    received(row, seen, emitted, self.streamed);
                }
                row.labels.update(labels);
                None
            }
            _ => None,
        }
    }

    fn issued(
        &mut self,
        seen: &Observation,
        labels: Labels,
        emitted: &Emissions,
        window: usize,
    ) -> Option<Row> {
        let row = Row {
            sample: seen.sample.clone(),
            labels,
            window,
            issued_ns: seen.timestamp_ns,
            first_ns: None,
            complete_ns: None,
            ttft_ns: None,
            latency_ns: None,
            isl: Length {
                count: emitted.isl,
                form: seen.tokens.form,
            },
            osl: Length::default(),
            after_first_chunk: TokenCount::Nothing,
            tpot_ns: None,
            chunks: 0,
            chunk_deltas: ChunkDeltas::default(),
            finish_reason: None,
            errors: 0,
            issued_offset: seen.offset,
            complete_offset: None,
        };
        let left = self.open.insert(seen.sample.clone(), row)?;
        if let Some(row) = self.open.get_mut(&seen.sample) {
            // The table goes on with the first chunk that it has seen.
            row.first_ns = left.first_ns;
        }
        Some(left)
    }

    /// The rows of samples that did not complete, in the order in which they were issued.
    pub fn unfinished(self) -> Vec<Row> {
        let mut rows: Vec<Row> = self.open.into_values().collect();
        rows.sort_unstable_by_key(|row| row.issued_offset);
        rows
    }

    /// Memory that is needed at once should so many more samples be issued.
    pub fn growth_bytes(&self, samples: usize) -> usize {
        if self.open.len() + samples > self.open.capacity() {
            2 * self.open.allocation_size()
        } else {
            0
        }
    }
}

impl Labels {
    /// Takes what a later event says; a worker is the last one that had the sample.
    fn update(&mut self, later: Self) {
        self.conversation = self.conversation.take().or(later.conversation);
        self.turn = self.turn.or(later.turn);
        self.worker = later.worker.or(self.worker);
    }
}

fn received(row: &mut Row, seen: &Observation, emitted: &Emissions, streamed: bool) {
    row.chunks += 1;
    if seen.kind == EventKind::RecvFirst {
        row.first_ns = Some(seen.timestamp_ns);
    }
    if streamed {
        row.ttft_ns = emitted.ttft_ns.or(row.ttft_ns);
        if let Some(delta_ns) = emitted.chunk_delta_ns {
            row.chunk_deltas.add(delta_ns);
        }
    }
}

fn complete(row: &mut Row, seen: &Observation, labels: Labels, emitted: &Emissions) {
    row.labels.update(labels);
    row.complete_ns = Some(seen.timestamp_ns);
    row.complete_offset = Some(seen.offset);
    row.latency_ns = emitted.latency_ns;
    row.osl = Length {
        count: emitted.osl,
        form: seen.tokens.form,
    };
    row.after_first_chunk = emitted.after_first_chunk;
    row.tpot_ns = emitted.tpot_ns;
    row.finish_reason = seen.finish_reason;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{FinishReason, Form, Payload, Table, Tokens};
    use EventKind::*;

    /// A log in short: event, timestamp, sample; its offset is its place. Prompts have 7 tokens, outputs 5, of which 4
    /// came after the first chunk, and the worker is the timestamp.
    fn rows(streamed: bool, script: &[(EventKind, i64, &str)]) -> Vec<Row> {
        let (mut table, mut rows) = (Table::default(), Rows::new(streamed));
        let mut closed = Vec::new();
        for (offset, &(kind, timestamp_ns, sample)) in script.iter().enumerate() {
            let counted = |tokens| TokenCount::Counted {
                tokens,
                fallback: None,
            };
            let whole = if kind == Issued { 7 } else { 5 };
            let seen = Observation {
                kind,
                timestamp_ns,
                sample: sample.into(),
                offset: offset as u64,
                finish_reason: (kind == Complete).then_some(FinishReason::Length),
                payload: Payload::Nothing,
                is_first_turn: false,
                is_turn: false,
                tokens: Tokens {
                    whole: counted(whole),
                    after_first_chunk: counted(4),
                    form: Some(Form::Text),
                },
            };
            let labels = Labels {
                worker: Some(timestamp_ns),
                ..Labels::default()
            };
            let emitted = table.apply(&seen);
            closed.extend(rows.apply(&seen, labels, &emitted, table.window()));
        }
        closed.extend(rows.unfinished());
        closed
    }

    /// Rows in short: sample, window, where it was issued and completed, TTFT, latency, TPOT.
    type Short<'a> = (
        &'a str,
        usize,
        u64,
        Option<u64>,
        Option<i64>,
        Option<i64>,
        Option<f64>,
    );

    fn check(script: &[(EventKind, i64, &str)], expected: &[Short]) {
        let rows = rows(true, script);
        let names: Vec<String> = rows.iter().map(|row| row.sample.to_string()).collect();
        let got: Vec<Short> = rows
            .iter()
            .zip(&names)
            .map(|(row, name)| {
                (
                    name.as_str(),
                    row.window,
                    row.issued_offset,
                    row.complete_offset,
                    row.ttft_ns,
                    row.latency_ns,
                    row.tpot_ns,
                )
            })
            .collect();
        assert_eq!(got, expected, "{script:?}");
    }

    #[test]
    fn tracked_samples_have_rows_in_the_order_in_which_they_complete() {
        check(&[], &[]);
        check(&[(Issued, 1, "a"), (Complete, 2, "a")], &[]);
        check(&[(StartTracking, 0, ""), (Issued, 1, "")], &[]);
        check(
            &[
                (StartTracking, 0, ""),
                (Issued, 1, "a"),
                (Issued, 2, "b"),
                (Issued, 3, "c"),
                (StopTracking, 4, ""),
                (StartTracking, 4, ""),
                (Issued, 5, "d"),
                (RecvFirst, 6, "b"),
                (Complete, 16, "b"),
                (Complete, 9, "d"),
            ],
            &[
                ("b", 0, 2, Some(8), Some(4), Some(14), Some(2.5)),
                ("d", 1, 6, Some(9), None, Some(4), None),
                ("a", 0, 1, None, None, None, None),
                ("c", 0, 3, None, None, None, None),
            ],
        );
    }

    #[test]
    fn a_sample_that_is_issued_again_has_a_row_each() {
        // Its first chunk stays, as the table keeps it; the second completion is nobody's.
        check(
            &[
                (StartTracking, 0, ""),
                (Issued, 10, "a"),
                (RecvFirst, 12, "a"),
                (Issued, 20, "a"),
                (Complete, 32, "a"),
                (Complete, 40, "a"),
                (Issued, 50, "a"),
                (StopTracking, 51, ""),
                (Issued, 52, "a"),
                (Complete, 60, "a"),
            ],
            &[
                ("a", 0, 1, None, Some(2), None, None),
                ("a", 0, 3, Some(4), None, Some(12), Some(5.0)),
                ("a", 0, 6, Some(9), None, Some(10), None),
            ],
        );
    }

    #[test]
    fn chunks_and_errors_are_counted() {
        let script = [
            (StartTracking, 0, ""),
            (Issued, 10, "a"),
            (RecvFirst, 14, "a"),
            (RecvNonFirst, 20, "a"),
            (Error, 21, "a"),
            (Error, 22, ""),
            (RecvNonFirst, 19, "a"),
            (Complete, 30, "a"),
        ];
        let got = &rows(true, &script)[0];
        let deltas = ChunkDeltas {
            count: 2,
            sum_ns: 5,
            min_ns: -1,
            max_ns: 6,
        };
        assert_eq!((got.chunks, got.errors, got.chunk_deltas), (3, 1, deltas));
        assert_eq!(got.chunk_deltas.mean_ns(), Some(2.5));
        assert_eq!(got.tpot_by_osl_ns(), Some(4.0));
        assert_eq!((got.isl.tokens(), got.osl.tokens()), (Some(7), Some(5)));
        assert_eq!(got.isl.counted_as(), Some("text"));
        assert_eq!((got.first_ns, got.labels.worker), (Some(14), Some(30)));
        assert_eq!(got.finish_reason, Some(FinishReason::Length));

        // A report without TTFT has no rows with it.
        let got = &rows(false, &script)[0];
        assert_eq!((got.chunks, got.ttft_ns, got.first_ns), (3, None, Some(14)));
        assert_eq!(got.chunk_deltas, ChunkDeltas::default());
        assert_eq!(got.tpot_by_osl_ns(), None);
    }

    #[test]
    fn lengths_say_how_they_were_counted() {
        let check = |count, form, expected: (Option<u64>, Option<&str>)| {
            let length = Length { count, form };
            assert_eq!((length.tokens(), length.counted_as()), expected);
        };
        let counted = |fallback| TokenCount::Counted {
            tokens: 3,
            fallback,
        };
        check(TokenCount::Nothing, None, (None, None));
        check(counted(None), Some(Form::Ids), (Some(3), Some("ids")));
        check(counted(None), Some(Form::Text), (Some(3), Some("text")));
        check(counted(None), Some(Form::Prompt), (Some(3), Some("prompt")));
        check(
            counted(Some(1)),
            Some(Form::Message),
            (Some(3), Some("fallback")),
        );
        check(
            TokenCount::Failed(0),
            Some(Form::Message),
            (None, Some("uncounted")),
        );
    }
}
