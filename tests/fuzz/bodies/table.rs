//! The sample table and its rows against the slow model: the same events, the same counters and the same values in
//! every series, which the rows have too.

use tok_recompute::event::EventKind;
use tok_recompute::sample::{
    Emissions, FinishReason, Labels, Observation, Payload, Row, Rows, Table, TokenCount, Tokens,
};

use crate::model::decode::{Data, Event, Output, Prompt, Text};
use crate::model::run::{Count, Options, Run};

const TOPICS: [&str; 9] = [
    "session.started",
    "session.start_performance_tracking",
    "session.stop_performance_tracking",
    "session.stop_loadgen",
    "sample.issued",
    "sample.recv_first",
    "sample.recv_non_first",
    "sample.complete",
    "error.generic",
];
/// Rare ones: nothing much would be seen of a session that ends often.
const RARE_TOPICS: [&str; 4] = [
    "session.phase_start",
    "session.checkpoint",
    "session.interrupted",
    "session.ended",
];
const REASONS: [&str; 7] = [
    "stop",
    "length",
    "tool_calls",
    "content_filter",
    "function_call",
    "",
    "other",
];
const EXTREMES: [i64; 6] = [0, -1, i64::MAX, i64::MIN, i64::MIN / 2, 1 << 53];

pub fn run(data: &[u8]) {
    let mut table = Table::default();
    let mut run = Run::default();
    let mut ours = Series::default();
    let mut rows = Rows::new(true);
    let mut closed = Vec::new();
    for (offset, bytes) in data.chunks_exact(6).enumerate() {
        let event = event(bytes);
        let seen = observation(&event, offset as u64);
        let ended = table.ended();
        let emitted = ours.take(&mut table, &seen);
        if !ended {
            closed.extend(rows.apply(&seen, Labels::default(), &emitted, table.window()));
        }
        let options = Options {
            client: 924,
            isl: true,
            sample_map: None,
            streaming: Some(true),
            early_stopping: false,
            legacy_window: false,
            line_bytes: usize::MAX,
        };
        let mut letters = Letters;
        let mut count: Option<&mut dyn Count> = Some(&mut letters);
        run.take(&event, &options, &mut count);
        compare(&table, &ours, &run);
    }
    closed.extend(rows.unfinished());
    compare_rows(&closed, &run);
}

/// Rows have the values of the series: of what is emitted when a sample completes in their own order, of prompts in the
/// order in which they were issued. A first chunk that is repeated has the report only.
fn compare_rows(rows: &[Row], run: &Run) {
    let complete: Vec<&Row> = rows
        .iter()
        .filter(|row| row.complete_ns.is_some())
        .collect();
    let tokens = |count: Option<u64>| count.and_then(|tokens| i64::try_from(tokens).ok());
    let values = |value: &dyn Fn(&Row) -> Option<i64>| -> Vec<i64> {
        complete.iter().filter_map(|row| value(row)).collect()
    };
    assert_eq!(
        values(&|row| row.latency_ns),
        run.latency,
        "latency of rows"
    );
    assert_eq!(
        values(&|row| tokens(row.osl.tokens())),
        run.osl,
        "osl of rows"
    );
    let tpot: Vec<u64> = complete
        .iter()
        .filter_map(|row| row.tpot_ns)
        .map(f64::to_bits)
        .collect();
    let expected: Vec<u64> = run.tpot.iter().map(|tpot| tpot.to_bits()).collect();
    assert_eq!(tpot, expected, "tpot of rows");
    let mut issued: Vec<&Row> = rows.iter().collect();
    issued.sort_by_key(|row| row.issued_offset);
    let isl: Vec<i64> = issued
        .iter()
        .filter_map(|row| tokens(row.isl.tokens()))
        .collect();
    assert_eq!(isl, run.isl, "isl of rows");
    let [_, _, _, _, completed, failed, ..] = run.counters;
    assert_eq!(complete.len() as u64, completed);
    assert_eq!(rows.iter().map(|row| row.errors).sum::<u64>(), failed);
    let ttft: Vec<i64> = rows.iter().filter_map(|row| row.ttft_ns).collect();
    assert!(
        ttft.iter().all(|ttft| run.ttft.contains(ttft)),
        "ttft of rows"
    );
}

/// Six bytes: which event, which sample, when (two), tokens, finish reason.
fn event(bytes: &[u8]) -> Event {
    let at = |index: usize| usize::from(bytes[index]);
    let kind = match at(0) {
        kind @ 252.. => RARE_TOPICS[kind - 252],
        kind => TOPICS[kind % 9],
    };
    let timestamp_ns = match bytes[2] {
        extreme @ 0..6 => EXTREMES[usize::from(extreme)],
        _ => i64::from(bytes[2]) * 256 + i64::from(bytes[3]),
    };
    let letters = |len: usize| "a".repeat(len);
    let data = match kind {
        "sample.issued" if at(4) > 0 => Data::Prompt(Prompt {
            text: Some(letters(at(4))),
            ..Prompt::default()
        }),
        "sample.complete" if at(4) > 0 => Data::Output(Output {
            output: Text::Chunks(vec![letters(at(4) % 16), letters(at(4) / 16)]),
            reasoning: None,
            tool_calls: None,
        }),
        _ => Data::None,
    };
    Event {
        kind: kind.to_owned(),
        timestamp_ns,
        sample_uuid: [
            String::new(),
            format!("{:032x}", at(1)),
            format!("sample {}", at(1)),
        ][at(1) % 3]
            .clone(),
        data,
        finish_reason: REASONS.get(at(5) % 9).map(|reason| (*reason).to_owned()),
    }
}

fn observation(event: &Event, offset: u64) -> Observation {
    let counted = |text: &str| match text.len() as u64 {
        0 => TokenCount::Nothing,
        tokens => TokenCount::Counted {
            tokens,
            fallback: None,
        },
    };
    let tokens = match &event.data {
        Data::Prompt(Prompt {
            text: Some(text), ..
        }) => Tokens {
            whole: counted(text),
            ..Tokens::default()
        },
        Data::Output(output) => Tokens {
            whole: counted(&output.output.joined()),
            after_first_chunk: counted(&output.after_first_chunk().0),
            ..Tokens::default()
        },
        _ => Tokens::default(),
    };
    Observation {
        kind: EventKind::from_topic(&event.kind).expect("a known topic"),
        timestamp_ns: event.timestamp_ns,
        sample: event.sample_uuid.as_str().into(),
        offset,
        finish_reason: event.finish_reason.as_deref().map(FinishReason::from),
        payload: Payload::Nothing,
        is_first_turn: false,
        is_turn: false,
        tokens,
    }
}

/// A letter is a token.
struct Letters;

impl Count for Letters {
    fn text(&mut self, text: &str) -> Option<u64> {
        Some(text.len() as u64)
    }

    fn prompt(&mut self, _: &Prompt) -> Option<u64> {
        None
    }

    fn message(&mut self, _: &str, _: &str, _: &Output, _: usize) -> Option<u64> {
        None
    }
}

#[derive(Default)]
struct Series {
    latency: Vec<i64>,
    isl: Vec<i64>,
    osl: Vec<i64>,
    ttft: Vec<i64>,
    chunk_delta: Vec<i64>,
    tpot: Vec<f64>,
}

impl Series {
    fn take(&mut self, table: &mut Table, seen: &Observation) -> Emissions {
        let emitted = table.apply(seen);
        let tokens = |count| match count {
            TokenCount::Counted { tokens, .. } => i64::try_from(tokens).ok(),
            _ => None,
        };
        self.latency.extend(emitted.latency_ns);
        self.isl.extend(tokens(emitted.isl));
        self.osl.extend(tokens(emitted.osl));
        self.ttft.extend(emitted.ttft_ns);
        self.chunk_delta.extend(emitted.chunk_delta_ns);
        self.tpot.extend(emitted.tpot_ns);
        emitted
    }
}

fn compare(table: &Table, ours: &Series, run: &Run) {
    assert_eq!(ours.latency, run.latency, "latency");
    assert_eq!(ours.isl, run.isl, "isl");
    assert_eq!(ours.osl, run.osl, "osl");
    assert_eq!(ours.ttft, run.ttft, "ttft");
    assert_eq!(ours.chunk_delta, run.chunk_delta, "chunk delta");
    let bits = |values: &[f64]| {
        values
            .iter()
            .map(|value| value.to_bits())
            .collect::<Vec<_>>()
    };
    assert_eq!(bits(&ours.tpot), bits(&run.tpot), "tpot");
    let counters = table.counters();
    let [
        total_issued,
        total_completed,
        total_failed,
        issued,
        completed,
        failed,
        reasons @ ..,
    ] = run.counters;
    assert_eq!(counters.total_samples_issued, total_issued);
    assert_eq!(counters.total_samples_completed, total_completed);
    assert_eq!(counters.total_samples_failed, total_failed);
    assert_eq!(counters.tracked_samples_issued, issued);
    assert_eq!(counters.tracked_samples_completed, completed);
    assert_eq!(counters.tracked_samples_failed, failed);
    assert_eq!(counters.tracked_finish_reasons, reasons);
    assert_eq!(counters.tracked_duration_ns, run.tracked_ns());
    assert_eq!(counters.legacy_loadgen_window_duration_ns, run.legacy_ns());
    assert_eq!(counters.total_duration_ns, run.total_duration_ns);
    assert_eq!(table.ended(), run.ended);
    assert_eq!(table.interrupted(), run.interrupted);
    assert_eq!(table.in_flight(), run.rows.len());
    assert_eq!(table.anomalies().overflowing_deltas.count, run.pending);
}
