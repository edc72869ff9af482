//! The rows in flight and the session's state: one pass over the observations in log order.

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
        /// How many tokens.
        tokens: u64,
        /// The fallback's number in the list that the counting side keeps.
        fallback: Option<u16>,
    },
    /// It has no count, for the reason of this number in the same list: it stays pending.
    Failed(u16),
    /// It was only looked at: it will be counted later, if ever.
    Pending,
}

/// The token counts that an event can bring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// ISL of an issued sample, OSL of a completed one.
    pub whole: TokenCount,
    /// What a completed sample's TPOT is divided by: the part after the first chunk.
    pub after_first_chunk: TokenCount,
}

/// One event, reduced to what the table needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// What happened.
    pub kind: EventKind,
    /// When, in nanoseconds.
    pub timestamp_ns: i64,
    /// To which sample.
    pub sample: SampleId,
    /// The byte offset of its line in the log.
    pub offset: u64,
    /// Why generation stopped.
    pub finish_reason: Option<FinishReason>,
    /// Its token counts.
    pub tokens: Tokens,
}

/// What one observation adds to the series.
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
struct Row {
    window: usize,
    issued_ns: i64,
    recv_first_ns: Option<i64>,
    last_recv_ns: Option<i64>,
}

/// The session's state.
#[derive(Debug, Default)]
pub struct Table {
    rows: HashMap<SampleId, Row>,
    windows: Vec<TrackingWindow>,
    loadgen: LoadgenWindow,
    tracking: bool,
    session_started_ns: Option<i64>,
    ended: bool,
    counters: Counters,
    anomalies: Anomalies,
}

impl Table {
    /// Takes the next observation in log order. After `session.ended` nothing counts any more.
    pub fn apply(&mut self, seen: Observation) -> Emissions {
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
            EventKind::StopLoadgen => {}
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
            EventKind::RecvFirst => return self.received(&seen, true),
            EventKind::RecvNonFirst => return self.received(&seen, false),
            EventKind::Complete => return self.completed(&seen),
        }
        Emissions::default()
    }

    fn failed(&mut self, sample: &SampleId) {
        self.counters.total_samples_failed += 1;
        if !sample.is_empty() && self.rows.contains_key(sample) {
            self.counters.tracked_samples_failed += 1;
        }
    }

    fn issued(&mut self, seen: Observation) -> Emissions {
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
        let row = Row {
            window,
            issued_ns: seen.timestamp_ns,
            recv_first_ns: None,
            last_recv_ns: None,
        };
        self.rows
            .entry(seen.sample)
            .and_modify(|row| {
                self.anomalies.repeated_issues.add(seen.offset);
                row.window = window;
                row.issued_ns = seen.timestamp_ns;
            })
            .or_insert(row);
        let isl = seen.tokens.whole;
        Emissions {
            isl,
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

    /// What was odd so far.
    pub fn anomalies(&self) -> &Anomalies {
        &self.anomalies
    }

    /// Whether `session.started` was seen.
    pub fn started(&self) -> bool {
        self.session_started_ns.is_some()
    }

    /// Whether `session.ended` was seen.
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
    Some(crate::exact::divide(elapsed_ns, tokens))
}

#[cfg(test)]
mod tests {
    use super::*;
    use EventKind::*;

    /// A log in short: event, timestamp, sample. Token counts are those of `tokens`.
    type Script<'a> = &'a [(EventKind, i64, &'a str)];

    fn play(script: Script) -> (Table, Vec<Emissions>) {
        play_with(script, Tokens::default())
    }

    fn play_with(script: Script, tokens: Tokens) -> (Table, Vec<Emissions>) {
        let mut table = Table::default();
        let observe =
            |(offset, &(kind, timestamp_ns, sample)): (usize, &(EventKind, i64, &str))| {
                Observation {
                    kind,
                    timestamp_ns,
                    sample: sample.into(),
                    offset: offset as u64,
                    finish_reason: None,
                    tokens,
                }
            };
        let emitted = script
            .iter()
            .enumerate()
            .map(observe)
            .map(|seen| table.apply(seen))
            .collect();
        (table, emitted)
    }

    fn counted(tokens: u64) -> TokenCount {
        TokenCount::Counted {
            tokens,
            fallback: None,
        }
    }

    /// `(total, tracked)` of issued, completed, failed.
    fn check_counts(script: Script, issued: (u64, u64), completed: (u64, u64), failed: (u64, u64)) {
        let counters = play(script).0.counters();
        assert_eq!(
            (
                counters.total_samples_issued,
                counters.tracked_samples_issued
            ),
            issued,
            "{script:?}"
        );
        assert_eq!(
            (
                counters.total_samples_completed,
                counters.tracked_samples_completed
            ),
            completed,
            "{script:?}"
        );
        assert_eq!(
            (
                counters.total_samples_failed,
                counters.tracked_samples_failed
            ),
            failed,
            "{script:?}"
        );
    }

    #[test]
    fn samples_are_tracked_by_where_they_were_issued() {
        let none = (0, 0);
        check_counts(&[], none, none, none);
        check_counts(
            &[(Issued, 1, "a"), (Complete, 2, "a")],
            (1, 0),
            (1, 0),
            none,
        );
        check_counts(
            &[(StartTracking, 0, ""), (Issued, 1, "a")],
            (1, 1),
            none,
            none,
        );
        // Issued inside, completed after the stop: still tracked.
        check_counts(
            &[
                (StartTracking, 0, ""),
                (Issued, 1, "a"),
                (StopTracking, 2, ""),
                (Complete, 3, "a"),
            ],
            (1, 1),
            (1, 1),
            none,
        );
        // Issued outside while its row is still there: counted, unchanged.
        check_counts(
            &[
                (StartTracking, 0, ""),
                (Issued, 1, "a"),
                (StopTracking, 2, ""),
                (Issued, 3, "a"),
            ],
            (2, 2),
            none,
            none,
        );
        // The row goes with its completion.
        check_counts(
            &[
                (StartTracking, 0, ""),
                (Issued, 1, "a"),
                (Complete, 2, "a"),
                (Complete, 3, "a"),
            ],
            (1, 1),
            (2, 1),
            none,
        );
        // An error keeps the row: the failed request completes too.
        check_counts(
            &[
                (StartTracking, 0, ""),
                (Issued, 1, "a"),
                (Error, 2, "a"),
                (Complete, 3, "a"),
                (Error, 4, ""),
            ],
            (1, 1),
            (1, 1),
            (2, 1),
        );
        // No name, no sample.
        check_counts(
            &[(StartTracking, 0, ""), (Issued, 1, ""), (Complete, 2, "")],
            none,
            none,
            none,
        );
        // Nothing counts after the end.
        check_counts(
            &[
                (StartTracking, 0, ""),
                (SessionEnded, 1, ""),
                (Issued, 2, "a"),
            ],
            none,
            none,
            none,
        );
    }

    #[test]
    fn windows_end_at_their_last_completion() {
        let check = |script: Script, duration_ns: i128, loadgen_ns: i128| {
            let counters = play(script).0.counters();
            let got = (
                counters.tracked_duration_ns,
                counters.legacy_loadgen_window_duration_ns,
            );
            assert_eq!(got, (duration_ns, loadgen_ns), "{script:?}");
        };
        check(&[], 0, 0);
        check(&[(StartTracking, 5, ""), (StopTracking, 9, "")], 0, 0);
        check(
            &[
                (StartTracking, 5, ""),
                (Issued, 6, "a"),
                (StopTracking, 7, ""),
                (Complete, 15, "a"),
            ],
            10,
            9,
        );
        // A second start while tracking opens nothing.
        check(
            &[
                (StartTracking, 5, ""),
                (StartTracking, 8, ""),
                (Issued, 9, "a"),
                (Complete, 10, "a"),
            ],
            5,
            1,
        );
        // Two windows add up; a sample extends the one it was issued in.
        check(
            &[
                (StartTracking, 0, ""),
                (Issued, 1, "a"),
                (StopTracking, 2, ""),
                (StartTracking, 10, ""),
                (Issued, 11, "b"),
                (Complete, 12, "b"),
                (Complete, 30, "a"),
            ],
            32,
            11,
        );
        // LoadGen's window ends with the latest issued, the first to complete among equals.
        check(
            &[
                (StartTracking, 0, ""),
                (Issued, 1, "a"),
                (Issued, 4, "b"),
                (Issued, 4, "c"),
                (Complete, 9, "c"),
                (Complete, 20, "b"),
                (Complete, 40, "a"),
            ],
            40,
            8,
        );
        // Completions before their start count as nothing, and issues before time 0 never end it.
        check(
            &[(StartTracking, 5, ""), (Issued, 6, "a"), (Complete, 1, "a")],
            0,
            0,
        );
        check(
            &[
                (StartTracking, -9, ""),
                (Issued, -8, "a"),
                (Complete, -7, "a"),
            ],
            2,
            0,
        );
    }

    #[test]
    fn the_session_lasts_to_its_latest_event() {
        let check = |script: Script, total_ns: i128| {
            assert_eq!(
                play(script).0.counters().total_duration_ns,
                total_ns,
                "{script:?}"
            );
        };
        check(&[(Issued, 9, "a")], 0);
        check(&[(SessionStarted, 5, "")], 0);
        check(
            &[
                (SessionStarted, 5, ""),
                (Issued, 9, "a"),
                (Complete, 7, "a"),
            ],
            4,
        );
        check(
            &[
                (SessionStarted, 5, ""),
                (SessionStarted, 8, ""),
                (SessionEnded, 10, ""),
            ],
            5,
        );
        check(
            &[
                (SessionStarted, 5, ""),
                (SessionEnded, 6, ""),
                (Complete, 99, "a"),
            ],
            1,
        );
    }

    #[test]
    fn deltas_are_taken_as_they_are() {
        let check = |events: Script, expected: &[(Option<i64>, Option<i64>, Option<i64>)]| {
            let mut script = vec![(StartTracking, 0, ""), (Issued, 100, "a")];
            script.extend_from_slice(events);
            let (_, emitted) = play(&script);
            let got: Vec<_> = emitted[2..]
                .iter()
                .map(|e| (e.ttft_ns, e.chunk_delta_ns, e.latency_ns))
                .collect();
            assert_eq!(got, expected, "{events:?}");
        };
        check(&[(Complete, 150, "a")], &[(None, None, Some(50))]);
        check(
            &[
                (RecvFirst, 110, "a"),
                (RecvNonFirst, 115, "a"),
                (RecvNonFirst, 113, "a"),
                (Complete, 120, "a"),
            ],
            &[
                (Some(10), None, None),
                (None, Some(5), None),
                (None, Some(-2), None),
                (None, None, Some(20)),
            ],
        );
        // A repeated first chunk fires again, with a delta to the chunk before it.
        check(
            &[(RecvFirst, 110, "a"), (RecvFirst, 130, "a")],
            &[(Some(10), None, None), (Some(30), Some(20), None)],
        );
        check(
            &[(RecvNonFirst, 90, "a"), (RecvFirst, 95, "a")],
            &[(None, None, None), (Some(-5), Some(5), None)],
        );
        // A repeated issue keeps what was received and moves the start.
        check(
            &[
                (RecvFirst, 110, "a"),
                (Issued, 200, "a"),
                (RecvFirst, 210, "a"),
            ],
            &[
                (Some(10), None, None),
                (None, None, None),
                (Some(10), Some(100), None),
            ],
        );
        check(
            &[(Complete, 150, "a"), (RecvFirst, 160, "a")],
            &[(None, None, Some(50)), (None, None, None)],
        );
    }

    #[test]
    fn tpot_needs_a_first_chunk_and_tokens_after_it() {
        let check = |after: TokenCount, received: bool, expected: Option<f64>| {
            let mut script = vec![(StartTracking, 0, ""), (Issued, 100, "a")];
            script.extend(received.then_some((RecvFirst, 110, "a")));
            script.push((Complete, 120, "a"));
            let tokens = Tokens {
                whole: counted(9),
                after_first_chunk: after,
            };
            let (_, emitted) = play_with(&script, tokens);
            let last = emitted.last().unwrap();
            assert_eq!(
                (last.osl, last.tpot_ns),
                (counted(9), expected),
                "{after:?} {received}"
            );
        };
        check(counted(4), true, Some(2.5));
        check(counted(3), true, Some(10.0 / 3.0));
        check(counted(0), true, None);
        check(counted(4), false, None);
        check(TokenCount::Nothing, true, None);
        check(TokenCount::Failed(0), true, None);
    }

    #[test]
    fn what_is_odd_is_counted_with_its_first_place() {
        let script = [
            (StartTracking, 0, ""),
            (Issued, 10, "a"),
            (Issued, 11, "a"),
            (RecvFirst, 5, "a"),
            (Complete, 20, "a"),
            (Issued, i64::MIN, "b"),
            (Complete, i64::MAX, "b"),
            (Issued, 30, "c"),
        ];
        let (table, emitted) = play(&script);
        let at = |count, first_offset| super::super::Occurrences {
            count,
            first_offset,
        };
        let expected = Anomalies {
            empty_outputs: at(2, Some(4)),
            negative_deltas: at(1, Some(3)),
            overflowing_deltas: at(1, Some(6)),
            repeated_issues: at(1, Some(2)),
        };
        assert_eq!(table.anomalies(), &expected);
        assert_eq!(emitted[6].latency_ns, None);
        assert_eq!(
            (table.in_flight(), table.oldest_in_flight(5)),
            (1, vec!["c".to_owned()])
        );
    }

    #[test]
    fn the_oldest_in_flight_come_by_time_and_name() {
        let script = [
            (EventKind::StartTracking, 0, ""),
            (EventKind::Issued, 5, "e"),
            (EventKind::Issued, 2, "z"),
            (EventKind::Issued, 2, "a"),
            (EventKind::Issued, 9, "i"),
            (EventKind::Issued, 1, "q"),
            (EventKind::Issued, 2, "m"),
        ];
        let (table, _) = play(&script);
        for limit in 0..8 {
            let expected = &["q", "a", "m", "z", "e", "i"][..limit.min(6)];
            assert_eq!(table.oldest_in_flight(limit), expected);
        }
        assert_eq!(table.growth_bytes(0), 0);
        assert!(table.growth_bytes(1 << 20) > 6 * size_of::<Row>());
    }
}
