//! The ordered side of the pipeline: observations in log order → series, counters and the tally of a log.

use std::collections::BTreeMap;

use super::Rules;
use super::full_run::{SampleMap, Turns};
use super::rows::RowMaker;
use super::steady_state::SteadyState;
use crate::event::{Damage, EventKind};
use crate::files::atomic::WriteError;
use crate::log::LogError;
use crate::metric::{Metric, PerMetric};
use crate::report::{Snapshot, State};
use crate::sample::{
    Anomalies, Counters, Emissions, Form, Labels, Observation, Occurrences, Payload, Table,
    TokenCount,
};
use crate::stats::steady_state::{self, SuperPassPoint};
use crate::stats::{FloatSeries, IntSeries, Stat};

/// The outcome of one batch of lines.
#[derive(Debug, Default)]
pub struct BatchOutcome {
    /// Bytes of the log in the batch.
    pub bytes: u64,
    /// Lines in the batch, damaged ones included.
    pub lines: u64,
    /// Its events, in order.
    pub observations: Vec<Observation>,
    /// The labels of its events, in order, if rows are wanted.
    pub labels: Vec<Labels>,
    /// Its damaged lines: line number within the batch, byte offset in the log, reason.
    pub damaged: Vec<(u64, u64, Damage)>,
    /// Session events that we do not know: name, byte offset in the log.
    pub notes: Vec<(String, u64)>,
    /// Byte offsets of outputs whose first chunk is mixed.
    pub mixed_first_chunks: Vec<u64>,
    /// Damaged lines that would have been completions.
    pub undecodable_turns: u64,
}

/// A damaged line, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DamagedLine {
    /// Its number in the log, from 1.
    pub line: u64,
    /// Its byte offset in the log.
    pub offset: u64,
    /// The reason.
    pub damage: Damage,
}

/// The most damaged lines that are kept to be shown; all are counted.
const MAX_SHOWN_DAMAGED_LINES: usize = 10;
/// The most lost samples that are named.
const MAX_NAMED_LOST_SAMPLES: usize = 10;
/// The most names of unknown session events that are kept.
const MAX_NOTES: usize = 100;
/// The name under which unknown session events with further names are counted.
const OTHER_NOTES: &str = "others";

/// The part of a log's figures that an aggregator keeps. A followed log has two: timing is known as soon as a line is
/// read, tokens when its text is counted.
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

impl Part {
    fn has(self, metric: Metric) -> bool {
        let is_tokens = matches!(metric, Metric::Isl | Metric::Osl | Metric::Tpot);
        match self {
            Self::Whole => true,
            Self::Timing => !is_tokens,
            Self::Tokens => is_tokens,
        }
    }
}

/// The tally of a log: how much was read, and what was odd about it.
#[derive(Debug, Default)]
pub struct Tally {
    /// Lines read.
    pub lines: u64,
    /// Lines that are events.
    pub events: u64,
    /// Bytes of log read, after decompression.
    pub bytes: u64,
    /// Tokens counted.
    pub tokens: u64,
    /// Damaged lines by reason.
    pub damage: BTreeMap<Damage, Occurrences>,
    /// The first damaged lines.
    pub damaged_lines: Vec<DamagedLine>,
    /// Chat template fallbacks by the counting side's numbers.
    pub fallbacks: BTreeMap<u16, Occurrences>,
    /// Texts without a count, likewise.
    pub failures: BTreeMap<u16, Occurrences>,
    /// Session events that we do not know, by name.
    pub notes: BTreeMap<String, Occurrences>,
    /// Streamed outputs whose first chunk holds content besides reasoning or a tool call: clients after 2026-09-24 may
    /// count the tokens after it differently.
    pub mixed_first_chunks: Occurrences,
    /// Outputs with reasoning, which clients count by different rules.
    pub reasoning_outputs: u64,
    /// Texts that the report needs, counted or not.
    pub texts: u64,
    /// Texts that were left uncounted because the work was stopped.
    pub uncounted: u64,
}

/// The values of one series.
#[derive(Debug)]
pub enum Values {
    /// Nanoseconds or tokens.
    Ints(IntSeries),
    /// Nanoseconds of TPOT.
    Floats(FloatSeries),
}

impl Values {
    fn of(metric: Metric) -> Self {
        match metric {
            Metric::Tpot => Self::Floats(FloatSeries::new()),
            _ => Self::Ints(IntSeries::new()),
        }
    }

    fn finish(self, early_stopping: bool) -> Stat {
        match self {
            Self::Ints(values) => values.finish(early_stopping),
            Self::Floats(values) => values.finish(early_stopping),
        }
    }
}

/// Everything that grows while a log is read, in log order.
#[derive(Debug)]
pub struct Aggregator {
    part: Part,
    rules: Rules,
    table: Table,
    series: PerMetric<Values>,
    /// TPOT of messages, where the client sums them after those of plain texts.
    tpot_of_messages: FloatSeries,
    turns: Turns,
    steady_state: Option<SteadyState>,
    saw_first_chunk: bool,
    last_timestamp_ns: i64,
    tally: Tally,
    pending: u64,
}

/// The result of a log that was read to its end.
#[derive(Debug)]
pub struct RunResult {
    /// The report's figures.
    pub snapshot: Snapshot,
    /// The super-passes that the steady state was looked for in, whether or not the snapshot has its verdict.
    pub super_passes: Vec<SuperPassPoint>,
    /// The tally of the log.
    pub tally: Tally,
    /// True if `session.ended` was there.
    pub ended: bool,
    /// True if `session.interrupted` was there.
    pub interrupted: bool,
    /// The anomalies of samples.
    pub anomalies: Anomalies,
    /// The number of tracked samples that never completed.
    pub lost: u64,
    /// Names of the first of them.
    pub lost_samples: Vec<String>,
    /// True if TTFT and TPOT were reported.
    pub streaming: bool,
    /// The error that ended the log early, when its compressed file was cut.
    pub cut: Option<LogError>,
}

impl Aggregator {
    /// An aggregator of `part` that has seen nothing yet.
    pub fn new(part: Part, rules: &Rules) -> Self {
        Self {
            part,
            rules: *rules,
            table: Table::default(),
            series: PerMetric::from_fn(Values::of),
            tpot_of_messages: FloatSeries::new(),
            turns: Turns::default(),
            steady_state: (rules.steady_state).then(|| SteadyState::new(rules.superpass)),
            saw_first_chunk: false,
            last_timestamp_ns: 0,
            tally: Tally::default(),
            pending: 0,
        }
    }

    /// Takes the next batch of the log; fails only if a row cannot be handed on.
    pub fn take(
        &mut self,
        batch: BatchOutcome,
        mut rows: Option<&mut RowMaker>,
    ) -> Result<(), WriteError> {
        let tally = &mut self.tally;
        for (line, offset, damage) in batch.damaged {
            tally.damage.entry(damage).or_default().add(offset);
            if tally.damaged_lines.len() < MAX_SHOWN_DAMAGED_LINES {
                tally.damaged_lines.push(DamagedLine {
                    line: tally.lines + line,
                    offset,
                    damage,
                });
            }
        }
        for (name, offset) in batch.notes {
            let is_kept = tally.notes.len() < MAX_NOTES || tally.notes.contains_key(&name);
            let name = if is_kept {
                name
            } else {
                OTHER_NOTES.to_owned()
            };
            tally.notes.entry(name).or_default().add(offset);
        }
        for offset in batch.mixed_first_chunks {
            tally.mixed_first_chunks.add(offset);
        }
        tally.lines += batch.lines;
        tally.events += batch.observations.len() as u64;
        tally.bytes += batch.bytes;
        self.turns.add_undecodable(batch.undecodable_turns);
        let mut labels = batch.labels.into_iter();
        for seen in batch.observations {
            match (&mut rows, labels.next()) {
                (Some(rows), Some(labels)) if !self.table.ended() => {
                    let emitted = self.apply(&seen);
                    rows.apply(&seen, labels, &emitted, self.table.window())?;
                }
                _ => {
                    self.apply(&seen);
                }
            }
        }
        Ok(())
    }

    fn apply(&mut self, seen: &Observation) -> Emissions {
        if self.rules.full_run && self.part != Part::Timing {
            self.turns.take(seen);
        }
        if self.table.ended() {
            return Emissions::default();
        }
        self.tally.reasoning_outputs += u64::from(seen.payload == Payload::Reasoning);
        let offset = seen.offset;
        self.last_timestamp_ns = seen.timestamp_ns;
        self.saw_first_chunk |= seen.kind == EventKind::RecvFirst;
        let emitted = self.table.apply(seen);
        if let Some(steady_state) = &mut self.steady_state {
            steady_state.take(seen, &emitted, self.table.window().is_some());
        }
        let isl = self.counted(emitted.isl, offset);
        let osl = self.counted(emitted.osl, offset);
        self.counted(emitted.after_first_chunk, offset);
        for (metric, value) in [
            (Metric::Ttft, emitted.ttft_ns),
            (Metric::ChunkDelta, emitted.chunk_delta_ns),
            (Metric::Latency, emitted.latency_ns),
            (Metric::Isl, isl),
            (Metric::Osl, osl),
        ] {
            if let (Some(value), Values::Ints(values)) = (value, &mut self.series[metric])
                && self.part.has(metric)
            {
                values.push(value);
            }
        }
        if let Some(tpot_ns) = emitted.tpot_ns
            && self.part.has(Metric::Tpot)
        {
            let is_message = seen.tokens.form == Some(Form::Message);
            if is_message && self.rules.client.sums_messages_last() {
                self.tpot_of_messages.push(tpot_ns);
            } else if let Values::Floats(values) = &mut self.series[Metric::Tpot] {
                values.push(tpot_ns);
            }
        }
        emitted
    }

    /// The whole of a log from its parts. Where fewer texts are counted than were seen, the others are pending.
    pub fn join(timing: Self, tokens: Self) -> Self {
        let uncounted = timing.tally.texts.saturating_sub(tokens.tally.texts);
        let mut counted = tokens.series.map(|_, values| Some(values));
        Self {
            part: Part::Whole,
            series: timing.series.map(|metric, values| {
                let counted = counted[metric].take();
                counted
                    .filter(|_| Part::Tokens.has(metric))
                    .unwrap_or(values)
            }),
            tpot_of_messages: tokens.tpot_of_messages,
            turns: tokens.turns,
            steady_state: (timing.steady_state)
                .zip(tokens.steady_state)
                .map(|(timing, tokens)| SteadyState::join(timing, tokens)),
            tally: Tally {
                tokens: tokens.tally.tokens,
                fallbacks: tokens.tally.fallbacks,
                failures: tokens.tally.failures,
                uncounted,
                ..timing.tally
            },
            pending: tokens.pending + uncounted,
            ..timing
        }
    }

    /// The aggregator under rules that were known only at the end of the log.
    #[must_use]
    pub fn with_rules(self, rules: &Rules) -> Self {
        Self {
            rules: *rules,
            ..self
        }
    }

    /// The tally so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The counters as of now.
    pub fn counters(&self) -> Counters {
        self.table.counters()
    }

    /// The values of `metric` so far; `None` if another part has them.
    pub fn values(&self, metric: Metric) -> Option<&Values> {
        self.part.has(metric).then(|| &self.series[metric])
    }

    /// The number of tracked samples in flight.
    pub fn in_flight(&self) -> u64 {
        self.table.in_flight() as u64
    }

    /// The number of texts that were to be counted and could not be.
    pub fn uncountable(&self) -> u64 {
        self.pending
    }

    /// The timestamp of the last event.
    pub fn last_timestamp_ns(&self) -> i64 {
        self.last_timestamp_ns
    }

    /// Returns true after `session.started`.
    pub fn started(&self) -> bool {
        self.table.started()
    }

    /// Returns true after `session.ended`.
    pub fn ended(&self) -> bool {
        self.table.ended()
    }

    /// The tokens to record for `count`, if any; tallies fallbacks and failures.
    fn counted(&mut self, count: TokenCount, offset: u64) -> Option<i64> {
        let tally = &mut self.tally;
        if count != TokenCount::Nothing {
            tally.texts += 1;
        }
        match count {
            TokenCount::Nothing | TokenCount::Pending => None,
            TokenCount::Failed(reason) => {
                tally.failures.entry(reason).or_default().add(offset);
                self.pending += 1;
                None
            }
            TokenCount::Counted { tokens, fallback } => {
                if let Some(fallback) = fallback {
                    tally.fallbacks.entry(fallback).or_default().add(offset);
                }
                tally.tokens += tokens;
                i64::try_from(tokens).ok()
            }
        }
    }

    /// The memory that taking so many observations can need at once, in bytes.
    pub fn growth_bytes(&self, observations: usize) -> u64 {
        self.table.growth_bytes(observations) as u64
    }

    /// Closes the aggregator. `map` names the samples of the run, where it has a map.
    pub fn finish(self, map: Option<SampleMap>, cut: Option<LogError>) -> RunResult {
        let Self {
            rules,
            table,
            mut series,
            tally,
            ..
        } = self;
        let streaming = rules.streaming.unwrap_or(self.saw_first_chunk);
        let anomalies = table.anomalies().clone();
        let damaged: u64 = tally.damage.values().map(|seen| seen.count).sum();
        let n_pending_tasks =
            self.pending + damaged + u64::from(cut.is_some()) + anomalies.overflowing_deltas.count;
        let state = if table.ended() && !table.interrupted() {
            State::Complete
        } else {
            State::Interrupted
        };
        if let Values::Floats(values) = &mut series[Metric::Tpot] {
            values.extend(self.tpot_of_messages.iter());
        }
        let early_stopping = rules.early_stopping && rules.client.has_early_stopping();
        let series = series.map(|metric, values| {
            let exists =
                (streaming || !metric.is_streaming_only()) && (rules.isl || metric != Metric::Isl);
            exists.then(|| values.finish(early_stopping && metric.has_early_stopping()))
        });
        let collector = (self.steady_state.as_ref()).map(SteadyState::collector);
        let has_verdict = streaming && state == State::Complete && n_pending_tasks == 0;
        let snapshot = Snapshot {
            client: rules.client,
            counter: 1,
            timestamp_ns: self.last_timestamp_ns,
            state,
            n_pending_tasks,
            counters: table.counters(),
            series,
            full_run_osl: map.and_then(|map| self.turns.finish(map)),
            steady_state: (collector.filter(|_| has_verdict)).and_then(steady_state::analyze),
        };
        RunResult {
            snapshot,
            super_passes: collector.map(steady_state::points).unwrap_or_default(),
            tally,
            ended: table.ended(),
            interrupted: table.interrupted(),
            anomalies,
            lost: table.in_flight() as u64,
            lost_samples: table.oldest_in_flight(MAX_NAMED_LOST_SAMPLES),
            streaming,
            cut,
        }
    }
}
