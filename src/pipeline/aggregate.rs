//! The ordered side of the pipeline: observations in log order → the series and everything
//! else that a report says.

use std::collections::BTreeMap;

use super::rows::RowMaker;
use crate::event::{Damage, EventKind};
use crate::files::atomic::WriteError;
use crate::log::LogError;
use crate::report::{Counters, Snapshot, State};
use crate::sample::{Anomalies, Emissions, Labels, Observation, Occurrences, Table, TokenCount};
use crate::stats::Series;

/// What one batch of lines came to.
#[derive(Debug, Default)]
pub struct BatchOutcome {
    /// Bytes of the log in the batch.
    pub bytes: u64,
    /// Lines in the batch, damaged ones included.
    pub lines: u64,
    /// Its events, in order.
    pub observations: Vec<Observation>,
    /// What they say besides, one each, if rows are wanted.
    pub labels: Vec<Labels>,
    /// Its damaged lines: line number within the batch, byte offset in the log, reason.
    pub damaged: Vec<(u64, u64, Damage)>,
}

/// A damaged line, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DamagedLine {
    /// Its number in the log, from 1.
    pub line: u64,
    /// Its byte offset in the log.
    pub offset: u64,
    /// What is wrong with it.
    pub damage: Damage,
}

/// Damaged lines that are kept to be shown; all are counted.
const SHOWN_DAMAGED_LINES: usize = 10;
/// Lost samples that are named.
const NAMED_LOST_SAMPLES: usize = 10;

/// What of a log a record keeps. A log that is followed has two: what its events say at once, and what its texts come
/// to when they are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// Everything.
    #[default]
    Whole,
    /// Everything but the series of tokens.
    Timing,
    /// The series of tokens.
    Tokens,
}

/// Everything that grows while a log is read, in log order.
#[derive(Debug, Default)]
pub struct Record {
    part: Part,
    table: Table,
    latency_ns: Series<i64>,
    isl: Series<i64>,
    osl: Series<i64>,
    ttft_ns: Series<i64>,
    chunk_delta_ns: Series<i64>,
    tpot_ns: Series<f64>,
    saw_first_chunk: bool,
    last_timestamp_ns: i64,
    lines: u64,
    events: u64,
    bytes: u64,
    tokens: u64,
    damage: BTreeMap<Damage, Occurrences>,
    damaged_lines: Vec<DamagedLine>,
    fallbacks: BTreeMap<u16, Occurrences>,
    failures: BTreeMap<u16, Occurrences>,
    /// Texts that a report needs, counted or not.
    texts: u64,
    pending: u64,
    /// Texts that nobody came to count.
    uncounted: u64,
}

/// The series of a record.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the report's names say it")]
pub struct AllSeries<'a> {
    pub latency_ns: &'a Series<i64>,
    pub isl: &'a Series<i64>,
    pub osl: &'a Series<i64>,
    pub ttft_ns: &'a Series<i64>,
    pub chunk_delta_ns: &'a Series<i64>,
    pub tpot_ns: &'a Series<f64>,
}

/// What a record says once the log is at its end.
#[derive(Debug)]
pub struct Finished {
    /// The report's figures.
    pub snapshot: Snapshot,
    /// Lines read.
    pub lines: u64,
    /// Lines that are events.
    pub events: u64,
    /// Bytes of log read, after decompression.
    pub bytes: u64,
    /// Tokens counted.
    pub tokens: u64,
    /// Whether `session.ended` was there.
    pub ended: bool,
    /// Damaged lines by reason.
    pub damage: BTreeMap<Damage, Occurrences>,
    /// The first damaged lines.
    pub damaged_lines: Vec<DamagedLine>,
    /// Chat template fallbacks by the counting side's numbers.
    pub fallbacks: BTreeMap<u16, Occurrences>,
    /// Texts without a count, likewise.
    pub failures: BTreeMap<u16, Occurrences>,
    /// Texts that the report needs, counted or not.
    pub texts: u64,
    /// Texts that nobody came to count: the work was stopped before.
    pub uncounted: u64,
    /// What else is odd.
    pub anomalies: Anomalies,
    /// Tracked samples that never completed.
    pub lost: u64,
    /// Names of the first of them.
    pub lost_samples: Vec<String>,
    /// Whether TTFT and TPOT were reported.
    pub streaming: bool,
    /// Why the log ended early, when its compressed file was cut.
    pub cut: Option<LogError>,
}

impl Record {
    /// Takes the next batch of the log; fails only if a row cannot be handed on.
    pub fn take(
        &mut self,
        batch: BatchOutcome,
        mut rows: Option<&mut RowMaker>,
    ) -> Result<(), WriteError> {
        for (line, offset, damage) in batch.damaged {
            self.damage.entry(damage).or_default().add(offset);
            if self.damaged_lines.len() < SHOWN_DAMAGED_LINES {
                self.damaged_lines.push(DamagedLine {
                    line: self.lines + line,
                    offset,
                    damage,
                });
            }
        }
        self.lines += batch.lines;
        self.events += batch.observations.len() as u64;
        self.bytes += batch.bytes;
        let mut labels = batch.labels.into_iter();
        for seen in batch.observations {
            match (&mut rows, labels.next()) {
                (Some(rows), Some(labels)) if !self.table.ended() => {
                    let emitted = self.observe(seen.clone());
                    rows.apply(&seen, labels, &emitted, self.table.window())?;
                }
                _ => {
                    self.observe(seen);
                }
            }
        }
        Ok(())
    }

    fn observe(&mut self, seen: Observation) -> Emissions {
        if self.table.ended() {
            return Emissions::default();
        }
        let offset = seen.offset;
        self.last_timestamp_ns = seen.timestamp_ns;
        self.saw_first_chunk |= seen.kind == EventKind::RecvFirst;
        let emitted = self.table.apply(seen);
        let Emissions {
            ttft_ns,
            chunk_delta_ns,
            latency_ns,
            isl,
            osl,
            after_first_chunk,
            tpot_ns,
        } = emitted;
        let (isl, osl) = (self.counted(isl, offset), self.counted(osl, offset));
        self.counted(after_first_chunk, offset);
        if self.part != Part::Tokens {
            self.ttft_ns.extend(ttft_ns);
            self.chunk_delta_ns.extend(chunk_delta_ns);
            self.latency_ns.extend(latency_ns);
        }
        if self.part != Part::Timing {
            self.tpot_ns.extend(tpot_ns);
            self.isl.extend(isl);
            self.osl.extend(osl);
        }
        emitted
    }

    /// A record with nothing in it.
    pub fn of(part: Part) -> Self {
        Self {
            part,
            ..Self::default()
        }
    }

    /// The whole of a log from its parts. Where fewer texts are counted than were seen, the others are pending.
    pub fn join(timing: Self, tokens: Self) -> Self {
        let uncounted = timing.texts.saturating_sub(tokens.texts);
        Self {
            part: Part::Whole,
            isl: tokens.isl,
            osl: tokens.osl,
            tpot_ns: tokens.tpot_ns,
            tokens: tokens.tokens,
            fallbacks: tokens.fallbacks,
            failures: tokens.failures,
            pending: tokens.pending + uncounted,
            uncounted,
            ..timing
        }
    }

    /// The counters as of now.
    pub fn counters(&self) -> Counters {
        counters(&self.table)
    }

    /// The series as of now.
    pub fn series(&self) -> AllSeries<'_> {
        AllSeries {
            latency_ns: &self.latency_ns,
            isl: &self.isl,
            osl: &self.osl,
            ttft_ns: &self.ttft_ns,
            chunk_delta_ns: &self.chunk_delta_ns,
            tpot_ns: &self.tpot_ns,
        }
    }

    /// Tracked samples in flight.
    pub fn in_flight(&self) -> u64 {
        self.table.in_flight() as u64
    }

    /// Texts that a report needs, counted or not.
    pub fn texts(&self) -> u64 {
        self.texts
    }

    /// Texts that were to be counted and could not be.
    pub fn uncountable(&self) -> u64 {
        self.pending
    }

    /// The timestamp of the last event.
    pub fn last_timestamp_ns(&self) -> i64 {
        self.last_timestamp_ns
    }

    /// Events so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Whether `session.started` was seen.
    pub fn started(&self) -> bool {
        self.table.started()
    }

    /// Whether `session.ended` was seen.
    pub fn ended(&self) -> bool {
        self.table.ended()
    }

    /// The tokens to record for `count`, if any; tallies fallbacks and failures.
    fn counted(&mut self, count: TokenCount, offset: u64) -> Option<i64> {
        if count != TokenCount::Nothing {
            self.texts += 1;
        }
        match count {
            TokenCount::Nothing | TokenCount::Pending => None,
            TokenCount::Failed(reason) => {
                self.failures.entry(reason).or_default().add(offset);
                self.pending += 1;
                None
            }
            TokenCount::Counted { tokens, fallback } => {
                if let Some(fallback) = fallback {
                    self.fallbacks.entry(fallback).or_default().add(offset);
                }
                self.tokens += tokens;
                i64::try_from(tokens).ok()
            }
        }
    }

    /// Memory that taking so many observations can need at once.
    pub fn growth_bytes(&self, observations: usize) -> u64 {
        self.table.growth_bytes(observations) as u64
    }

    /// Bytes of log and tokens so far, for progress.
    pub fn so_far(&self) -> (u64, u64) {
        (self.bytes, self.tokens)
    }

    /// Closes the record. `streaming`: whether TTFT and TPOT exist; `None` lets the log tell.
    pub fn finish(
        self,
        streaming: Option<bool>,
        early_stopping: bool,
        cut: Option<LogError>,
    ) -> Finished {
        let streaming = streaming.unwrap_or(self.saw_first_chunk);
        let ended = self.table.ended();
        let anomalies = self.table.anomalies().clone();
        let damaged: u64 = self.damage.values().map(|seen| seen.count).sum();
        let mut series = vec![
            ("sample_latency_ns", self.latency_ns.finish(early_stopping)),
            ("isl", self.isl.finish(false)),
            ("osl", self.osl.finish(false)),
        ];
        if streaming {
            series.push(("ttft_ns", self.ttft_ns.finish(early_stopping)));
            series.push(("chunk_delta_ns", self.chunk_delta_ns.finish(false)));
            series.push(("tpot_ns", self.tpot_ns.finish(early_stopping)));
        }
        let snapshot = Snapshot {
            counter: 1,
            timestamp_ns: self.last_timestamp_ns,
            state: if ended {
                State::Complete
            } else {
                State::Interrupted
            },
            n_pending_tasks: self.pending
                + damaged
                + u64::from(cut.is_some())
                + anomalies.overflowing_deltas.count,
            counters: counters(&self.table),
            series,
        };
        Finished {
            snapshot,
            lines: self.lines,
            events: self.events,
            bytes: self.bytes,
            tokens: self.tokens,
            ended,
            damage: self.damage,
            damaged_lines: self.damaged_lines,
            fallbacks: self.fallbacks,
            failures: self.failures,
            texts: self.texts,
            uncounted: self.uncounted,
            anomalies,
            lost: self.table.in_flight() as u64,
            lost_samples: self.table.oldest_in_flight(NAMED_LOST_SAMPLES),
            streaming,
            cut,
        }
    }
}

/// The table's counters under the report's names.
fn counters(table: &Table) -> Counters {
    let seen = table.counters();
    let [
        stop,
        length,
        tool_calls,
        content_filter,
        function_call,
        other,
    ] = seen.tracked_finish_reasons;
    Counters {
        total_samples_issued: seen.total_samples_issued,
        total_samples_completed: seen.total_samples_completed,
        total_samples_failed: seen.total_samples_failed,
        tracked_samples_issued: seen.tracked_samples_issued,
        tracked_samples_completed: seen.tracked_samples_completed,
        tracked_samples_failed: seen.tracked_samples_failed,
        tracked_finish_reason_stop: stop,
        tracked_finish_reason_length: length,
        tracked_finish_reason_tool_calls: tool_calls,
        tracked_finish_reason_content_filter: content_filter,
        tracked_finish_reason_function_call: function_call,
        tracked_finish_reason_other: other,
        tracked_duration_ns: seen.tracked_duration_ns,
        legacy_loadgen_window_duration_ns: seen.legacy_loadgen_window_duration_ns,
        total_duration_ns: seen.total_duration_ns,
    }
}
