//! The samples in flight and the session's state: one pass over the observations in log order.

use hashbrown::HashMap;

use super::anomalies::Anomalies;
use super::counters::{Counters, FinishReason};
use super::id::SampleId;
use super::window::{LoadgenWindow, TrackingWindow};
use crate::event::EventKind;

/// The outcome of counting one text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenCount {
    /// There was nothing to count, or no tokenizer to count it with.
    #[default]
    Nothing,
    /// This many tokens; `fallback` names why a chat template was not used, if it was not.
    Counted {
        /// The number of tokens.
        tokens: u64,
        /// The fallback's number in the list that the counting side keeps.
        fallback: Option<u16>,
    },
    /// It has no count, for the reason of this number in the same list: it stays pending.
    Failed(u16),
    /// It was only looked at: it will be counted later, if ever.
    Pending,
}

impl TokenCount {
    /// The number of tokens, if they were counted.
    pub fn tokens(self) -> Option<u64> {
        match self {
            Self::Counted { tokens, .. } => Some(tokens),
            Self::Nothing | Self::Pending | Self::Failed(_) => None,
        }
    }
}

/// In which form a text came to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The token ids that were sent.
    Ids,
    /// Plain text.
    Text,
    /// An output, through the chat template.
    Message,
    /// A prompt, through the chat template.
    Prompt,
}

impl Form {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ids => "ids",
            Self::Text => "text",
            Self::Message => "message",
            Self::Prompt => "prompt",
        }
    }
}

/// The token counts that an event can bring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// ISL of an issued sample, OSL of a completed one.
    pub whole: TokenCount,
    /// The tokens after the first chunk of a completed sample: the divisor of TPOT.
    pub after_first_chunk: TokenCount,
    /// The form of the counted text, where there was something to count.
    pub form: Option<Form>,
}

/// The payload of an event, as far as the table and the tally of all turns need it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Payload {
    /// Nothing.
    #[default]
    Nothing,
    /// An output without reasoning.
    Output,
    /// An output with reasoning, which clients count by different rules.
    Reasoning,
    /// A payload that a completion should not have: an error, a prompt.
    NotAnOutput,
    /// The announcement of a performance phase with this many turns.
    PerformancePhase(u64),
}

/// One event, reduced to what the table needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The kind of the event.
    pub kind: EventKind,
    /// Its time, in nanoseconds.
    pub timestamp_ns: i64,
    /// Its sample.
    pub sample: SampleId,
    /// The byte offset of its line in the log.
    pub offset: u64,
    /// The reason why generation stopped.
    pub finish_reason: Option<FinishReason>,
    /// Its payload.
    pub payload: Payload,
    /// True if it belongs to the first turn of a conversation; a sample outside conversations has no turn.
    pub is_first_turn: bool,
    /// True if its line names `sample.complete` where the client looks for it when it counts all turns.
    pub is_turn: bool,
    /// Its token counts.
    pub tokens: Tokens,
}

/// The values that one observation adds to the series.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Emissions {
    /// First chunk − issue.
    pub ttft_ns: Option<i64>,
    /// Chunk − chunk before it.
    pub chunk_delta_ns: Option<i64>,
    /// Completion − issue.
    pub latency_ns: Option<i64>,
    /// Tokens of the prompt.
    pub isl: TokenCount,
    /// Tokens of the whole output.
    pub osl: TokenCount,
    /// Tokens after the first chunk, for a sample that had one.
    pub after_first_chunk: TokenCount,
    /// (Completion − first chunk) / tokens after the first chunk, in nanoseconds a token.
    pub tpot_ns: Option<f64>,
}

/// A sample in flight.
#[derive(Clone, Copy, Debug)]
struct OpenSample {
    window: usize,
    issued_ns: i64,
    recv_first_ns: Option<i64>,
    last_recv_ns: Option<i64>,
}

/// The session's state.
#[derive(Debug, Default)]
pub struct Table {
    rows: HashMap<SampleId, OpenSample>,
    windows: Vec<TrackingWindow>,
    loadgen: LoadgenWindow,
    tracking: bool,
    session_started_ns: Option<i64>,
    interrupted: bool,
    ended: bool,
    counters: Counters,
    anomalies: Anomalies,
}

impl Table {
    /// Takes the next observation in log order. After `session.ended` nothing counts any more.
    pub fn apply(&mut self, seen: &Observation) -> Emissions {
        if self.ended {
            return Emissions::default();
        }
        if let Some(start_ns) = self.session_started_ns {
            let elapsed_ns = i128::from(seen.timestamp_ns) - i128::from(start_ns);
            self.counters.total_duration_ns = self.counters.total_duration_ns.max(elapsed_ns);
        }
        match seen.kind {
            EventKind::SessionStarted => {
                self.session_started_ns.get_or_insert(seen.timestamp_ns);
            }
            EventKind::SessionEnded => self.ended = true,
            EventKind::Interrupted => self.interrupted = true,
            EventKind::StopLoadgen | EventKind::PhaseStart | EventKind::OtherSession => {}
            EventKind::StartTracking if self.tracking => {}
            EventKind::StartTracking => {
                self.tracking = true;
                self.windows
                    .push(TrackingWindow::starting_at(seen.timestamp_ns));
            }
            EventKind::StopTracking => self.tracking = false,
            EventKind::Error => self.failed(&seen.sample),
            _ if seen.sample.is_empty() => {}
            EventKind::Issued => return self.issued(seen),
            EventKind::RecvFirst => return self.received(seen, true),
            EventKind::RecvNonFirst => return self.received(seen, false),
            EventKind::Complete => return self.completed(seen),
        }
        Emissions::default()
    }

    fn failed(&mut self, sample: &SampleId) {
        self.counters.total_samples_failed += 1;
        if !sample.is_empty() && self.rows.contains_key(sample) {
            self.counters.tracked_samples_failed += 1;
        }
    }

    fn issued(&mut self, seen: &Observation) -> Emissions {
        self.counters.total_samples_issued += 1;
        if !self.tracking {
            if self.rows.contains_key(&seen.sample) {
                self.counters.tracked_samples_issued += 1;
            }
            return Emissions::default();
        }
        self.counters.tracked_samples_issued += 1;
        self.loadgen.issued(seen.timestamp_ns);
        let window = self.windows.len() - 1;
        let row = OpenSample {
            window,
            issued_ns: seen.timestamp_ns,
            recv_first_ns: None,
            last_recv_ns: None,
        };
        self.rows
            .entry(seen.sample.clone())
            .and_modify(|row| {
                self.anomalies.repeated_issues.add(seen.offset);
                row.window = window;
                row.issued_ns = seen.timestamp_ns;
            })
            .or_insert(row);
        Emissions {
            isl: seen.tokens.whole,
            ..Emissions::default()
        }
    }

    fn received(&mut self, seen: &Observation, first: bool) -> Emissions {
        let now_ns = seen.timestamp_ns;
        let Some(row) = self.rows.get_mut(&seen.sample) else {
            return Emissions::default();
        };
        let issued_ns = row.issued_ns;
        let last_recv_ns = row.last_recv_ns.replace(now_ns);
        if first {
            row.recv_first_ns = Some(now_ns);
        }
        Emissions {
            ttft_ns: first
                .then(|| self.delta_ns(now_ns, issued_ns, seen.offset))
                .flatten(),
            chunk_delta_ns: last_recv_ns.and_then(|last| self.delta_ns(now_ns, last, seen.offset)),
            ..Emissions::default()
        }
    }

    fn completed(&mut self, seen: &Observation) -> Emissions {
        self.counters.total_samples_completed += 1;
        let Some(row) = self.rows.remove(&seen.sample) else {
            return Emissions::default();
        };
        let now_ns = seen.timestamp_ns;
        self.counters.tracked_samples_completed += 1;
        if let Some(reason) = seen.finish_reason {
            self.counters.tracked_finish_reasons[reason as usize] += 1;
        }
        if let Some(window) = self.windows.get_mut(row.window) {
            window.last_complete_ns = window.last_complete_ns.max(now_ns);
        }
        self.loadgen.completed(row.issued_ns, now_ns);
        if seen.tokens.whole == TokenCount::Nothing {
            self.anomalies.empty_outputs.add(seen.offset);
        }
        let after_first_chunk = match row.recv_first_ns {
            Some(_) => seen.tokens.after_first_chunk,
            None => TokenCount::Nothing,
        };
        Emissions {
            latency_ns: self.delta_ns(now_ns, row.issued_ns, seen.offset),
            osl: seen.tokens.whole,
            after_first_chunk,
            tpot_ns: tpot_ns(now_ns, row.recv_first_ns, after_first_chunk),
            ..Emissions::default()
        }
    }

    fn delta_ns(&mut self, end_ns: i64, start_ns: i64, offset: u64) -> Option<i64> {
        let delta_ns = end_ns.checked_sub(start_ns);
        match delta_ns {
            Some(0..) => {}
            Some(_) => self.anomalies.negative_deltas.add(offset),
            None => self.anomalies.overflowing_deltas.add(offset),
        }
        delta_ns
    }

    /// The counters as of now; the windows' durations are brought up to date.
    pub fn counters(&self) -> Counters {
        Counters {
            tracked_duration_ns: self.windows.iter().map(TrackingWindow::duration_ns).sum(),
            legacy_loadgen_window_duration_ns: self.loadgen.duration_ns(),
            ..self.counters.clone()
        }
    }

    /// The tracking window that samples are issued in now, from 0.
    pub fn window(&self) -> Option<usize> {
        self.tracking.then(|| self.windows.len().saturating_sub(1))
    }

    /// The anomalies so far.
    pub fn anomalies(&self) -> &Anomalies {
        &self.anomalies
    }

    /// Returns true if the client was interrupted.
    pub fn interrupted(&self) -> bool {
        self.interrupted
    }

    /// Returns true if `session.started` was seen.
    pub fn started(&self) -> bool {
        self.session_started_ns.is_some()
    }

    /// Returns true if `session.ended` was seen.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Samples that were issued in a tracking window and have not completed.
    pub fn in_flight(&self) -> usize {
        self.rows.len()
    }

    /// Their names, the earliest issued first, at most `limit`.
    pub fn oldest_in_flight(&self, limit: usize) -> Vec<String> {
        let mut oldest: Vec<(i64, &SampleId)> = Vec::with_capacity(limit + 1);
        let order = |(a_ns, a): &(i64, &SampleId), (b_ns, b): &(i64, &SampleId)| {
            let by_name = || a.to_string().cmp(&b.to_string());
            a_ns.cmp(b_ns).then_with(by_name)
        };
        for (id, row) in &self.rows {
            let row = (row.issued_ns, id);
            let place = oldest.partition_point(|older| order(older, &row).is_lt());
            if place < limit {
                oldest.insert(place, row);
                oldest.truncate(limit);
            }
        }
        oldest.iter().map(|(_, id)| id.to_string()).collect()
    }

    /// Memory that is needed at once should so many more samples be issued: rows move when there is no room.
    pub fn growth_bytes(&self, samples: usize) -> usize {
        if self.rows.len() + samples > self.rows.capacity() {
            2 * self.rows.allocation_size()
        } else {
            0
        }
    }
}

/// Python divides two integers correctly rounded; with both below 2^53 a double division does.
fn tpot_ns(complete_ns: i64, recv_first_ns: Option<i64>, count: TokenCount) -> Option<f64> {
    let TokenCount::Counted {
        tokens: tokens @ 1..,
        ..
    } = count
    else {
        return None;
    };
    let elapsed_ns = i128::from(complete_ns) - i128::from(recv_first_ns?);
    Some(crate::python::exact::divide(elapsed_ns, tokens))
}

#[cfg(test)]
mod tests;
