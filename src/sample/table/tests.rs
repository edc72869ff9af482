//! Logs in short, and what the table makes of them.

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
        |(offset, &(kind, timestamp_ns, sample)): (usize, &(EventKind, i64, &str))| Observation {
            kind,
            timestamp_ns,
            sample: sample.into(),
            offset: offset as u64,
            finish_reason: None,
            payload: Payload::Nothing,
            is_first_turn: false,
            is_turn: false,
            tokens,
        };
    let emitted = script
        .iter()
        .enumerate()
        .map(observe)
        .map(|seen| table.apply(&seen))
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
            form: None,
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
    assert!(table.growth_bytes(1 << 20) > 6 * size_of::<OpenSample>());
}
