//! Turns a log into the summary and the snapshot, as JSON texts, by the rules of `aggregator.py` and `metrics_table.py`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;

use num_bigint::BigInt;

use super::decode::{Data, Event, Output, Prompt, Text, decode, is_note};
use super::json::{Json, parse};
use super::stat::{Series, Stat, ratio};

/// The days on which the client versions appeared, as `MMDD` of 2026; the rules ask by day.
pub const CLIENTS: [u16; 9] = [610, 623, 709, 714, 717, 720, 813, 821, 924];

/// The settings from the run's configuration.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// One of [`CLIENTS`].
    pub client: u16,
    /// `settings.metrics_isl`
    pub isl: bool,
    /// `sample_idx_map.json`
    pub sample_map: Option<&'a [u8]>,
    /// `None`: streaming, if the log has a first chunk.
    pub streaming: Option<bool>,
    pub early_stopping: bool,
    pub legacy_window: bool,
    /// A longer line is damaged.
    pub line_bytes: usize,
}

/// Counts tokens; `None` where there is no count.
pub trait Count {
    fn text(&mut self, text: &str) -> Option<u64>;
    fn prompt(&mut self, prompt: &Prompt) -> Option<u64>;
    /// Content, reasoning, and the tool calls without their first `dropped`.
    fn message(
        &mut self,
        content: &str,
        reasoning: &str,
        output: &Output,
        dropped: usize,
    ) -> Option<u64>;
}

/// The report on a log.
#[derive(Debug)]
pub struct Report {
    pub lines: u64,
    pub events: u64,
    pub damaged: u64,
    /// Session events of unknown names.
    pub notes: BTreeMap<String, u64>,
    /// `metrics/final_snapshot.json` without counter and time.
    pub snapshot: String,
    /// `performance/result_summary.json` without the fields that are not computed.
    pub summary: String,
}

/// Reads `log`. Without `count`, only token ids are counted.
pub fn read(log: &[u8], options: &Options, mut count: Option<&mut dyn Count>) -> Report {
    let mut lines: Vec<&[u8]> = log.split(|byte| *byte == b'\n').collect();
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    let mut run = Run::default();
    let (mut events, mut damaged, mut notes) = (0, 0, BTreeMap::new());
    let mut turns = Turns::of(options, count.is_some());
    for line in &lines {
        let event = decode(line).filter(|_| line.len() <= options.line_bytes);
        if let Some(turns) = &mut turns {
            turns.take(line, event.as_ref(), options, &mut count);
        }
        match event {
            Some(event) => {
                events += 1;
                if is_note(&event.kind) {
                    *notes.entry(event.kind.clone()).or_default() += 1;
                }
                run.take(&event, options, &mut count);
            }
            None => damaged += 1,
        }
    }
    let turns = turns.and_then(Turns::render);
    let texts = run.render(damaged, turns.as_deref(), options);
    Report {
        lines: lines.len() as u64,
        events,
        damaged,
        notes,
        snapshot: texts.0,
        summary: texts.1,
    }
}

#[derive(Default)]
pub struct Row {
    window: usize,
    issued_ns: i64,
    recv_first_ns: Option<i64>,
    last_recv_ns: Option<i64>,
}

/// The state of a run.
#[derive(Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "a session's flags are independent"
)]
pub struct Run {
    pub ended: bool,
    pub interrupted: bool,
    pub started_ns: Option<i64>,
    pub tracking: bool,
    /// Start and last completion.
    pub windows: Vec<(i64, i64)>,
    pub rows: HashMap<String, Row>,
    pub first_issued_ns: Option<i64>,
    /// Issue and completion of the sample that was issued last among the completed ones.
    pub last_issued: Option<(i64, i64)>,
    pub total_duration_ns: i128,
    pub counters: [u64; 12],
    pub saw_first_chunk: bool,
    pub pending: u64,
    pub latency: Vec<i64>,
    pub isl: Vec<i64>,
    pub osl: Vec<i64>,
    pub ttft: Vec<i64>,
    pub chunk_delta: Vec<i64>,
    pub tpot: Vec<f64>,
    /// Of messages, where the client sums them after plain texts.
    pub tpot_of_messages: Vec<f64>,
}

/// Counters by their place in [`COUNTERS`].
const TOTAL_ISSUED: usize = 0;
const TOTAL_COMPLETED: usize = 1;
const TOTAL_FAILED: usize = 2;
const TRACKED_ISSUED: usize = 3;
const TRACKED_COMPLETED: usize = 4;
const TRACKED_FAILED: usize = 5;
const FIRST_REASON: usize = 6;
const COUNTERS: [&str; 12] = [
    "total_samples_issued",
    "total_samples_completed",
    "total_samples_failed",
    "tracked_samples_issued",
    "tracked_samples_completed",
    "tracked_samples_failed",
    "tracked_finish_reason_stop",
    "tracked_finish_reason_length",
    "tracked_finish_reason_tool_calls",
    "tracked_finish_reason_content_filter",
    "tracked_finish_reason_function_call",
    "tracked_finish_reason_other",
];

/// The counter; `None` counts only token ids.
pub type Counter<'a, 'b> = Option<&'a mut (dyn Count + 'b)>;

impl Run {
    pub fn take(&mut self, event: &Event, options: &Options, count: &mut Counter) {
        if self.ended {
            return;
        }
        let now = event.timestamp_ns;
        if let Some(started) = self.started_ns {
            let elapsed = i128::from(now) - i128::from(started);
            self.total_duration_ns = self.total_duration_ns.max(elapsed);
        }
        self.saw_first_chunk |= event.kind == "sample.recv_first";
        let id = &event.sample_uuid;
        match event.kind.as_str() {
            "session.started" => self.started_ns = self.started_ns.or(Some(now)),
            "session.ended" => self.ended = true,
            "session.interrupted" => self.interrupted = true,
            "session.start_performance_tracking" => {
                if !self.tracking {
                    self.windows.push((now, now));
                }
                self.tracking = true;
            }
            "session.stop_performance_tracking" => self.tracking = false,
            kind if kind.starts_with("error.") => {
                self.counters[TOTAL_FAILED] += 1;
                if self.rows.contains_key(id) && !id.is_empty() {
                    self.counters[TRACKED_FAILED] += 1;
                }
            }
            _ if id.is_empty() => {}
            "sample.issued" => self.issued(event, options, count),
            "sample.recv_first" => {
                if let Some(row) = self.rows.get_mut(id) {
                    row.recv_first_ns = Some(now);
                    let last = row.last_recv_ns.replace(now);
                    let issued = row.issued_ns;
                    delta(&mut self.ttft, &mut self.pending, now, Some(issued));
                    delta(&mut self.chunk_delta, &mut self.pending, now, last);
                }
            }
            "sample.recv_non_first" => {
                if let Some(row) = self.rows.get_mut(id) {
                    let last = row.last_recv_ns.replace(now);
                    delta(&mut self.chunk_delta, &mut self.pending, now, last);
                }
            }
            "sample.complete" => self.complete(event, options, count),
            _ => {}
        }
    }

    fn issued(&mut self, event: &Event, options: &Options, count: &mut Counter) {
        self.counters[TOTAL_ISSUED] += 1;
        if self.tracking {
            let row = self.rows.entry(event.sample_uuid.clone()).or_default();
            row.window = self.windows.len() - 1;
            row.issued_ns = event.timestamp_ns;
            self.first_issued_ns = self.first_issued_ns.or(Some(event.timestamp_ns));
            if options.isl {
                self.isl(event, count);
            }
        }
        if self.rows.contains_key(&event.sample_uuid) {
            self.counters[TRACKED_ISSUED] += 1;
        }
    }

    fn isl(&mut self, event: &Event, count: &mut Counter) {
        let Data::Prompt(prompt) = &event.data else {
            return;
        };
        let tokens = match (prompt.token_ids, &prompt.text, count) {
            (Some(ids), _, _) => Some(ids as u64),
            (None, Some(text), Some(count)) if !text.is_empty() => count.text(text),
            (None, _, Some(count)) if prompt.messages.is_some() => count.prompt(prompt),
            _ => return,
        };
        match tokens {
            Some(tokens) => self.isl.push(tokens.cast_signed()),
            None => self.pending += 1,
        }
    }

    fn complete(&mut self, event: &Event, options: &Options, count: &mut Counter) {
        self.counters[TOTAL_COMPLETED] += 1;
        let Some(row) = self.rows.remove(&event.sample_uuid) else {
            return;
        };
        let now = event.timestamp_ns;
        self.counters[TRACKED_COMPLETED] += 1;
        let reason = event.finish_reason.as_deref().map(|reason| match reason {
            "stop" => 0,
            "length" => 1,
            "tool_calls" => 2,
            "content_filter" => 3,
            "function_call" => 4,
            _ => 5,
        });
        if let Some(reason) = reason {
            self.counters[FIRST_REASON + reason] += 1;
        }
        let last = &mut self.windows[row.window].1;
        *last = now.max(*last);
        // The reference starts its search at -1.
        if row.issued_ns > self.last_issued.map_or(-1, |(issued, _)| issued) {
            self.last_issued = Some((row.issued_ns, now));
        }
        delta(
            &mut self.latency,
            &mut self.pending,
            now,
            Some(row.issued_ns),
        );
        if let (Data::Output(output), Some(count)) = (&event.data, count) {
            match count_whole(output, options, *count) {
                Counted::Nothing => {}
                Counted::Tokens(tokens) => self.osl.push(tokens.cast_signed()),
                Counted::Failed => self.pending += 1,
            }
            if options.streaming != Some(false)
                && let Some(first) = row.recv_first_ns
            {
                self.tpot(output, now, first, options, *count);
            }
        }
    }

    fn tpot(
        &mut self,
        output: &Output,
        now: i64,
        first: i64,
        options: &Options,
        count: &mut dyn Count,
    ) {
        match count_after_first_chunk(output, options, count) {
            Counted::Nothing | Counted::Tokens(0) => {}
            Counted::Tokens(tokens) => {
                let elapsed = BigInt::from(now) - BigInt::from(first);
                let tpot = ratio(&elapsed, tokens);
                // One flush takes plain texts first, then messages: 2026-07-09 to 2026-07-20.
                if (709..=720).contains(&options.client) && is_message(output, options) {
                    self.tpot_of_messages.push(tpot);
                } else {
                    self.tpot.push(tpot);
                }
            }
            Counted::Failed => self.pending += 1,
        }
    }

    pub fn tracked_ns(&self) -> i128 {
        let windows = self.windows.iter();
        windows
            .map(|(start, last)| i128::from(*last) - i128::from(*start))
            .sum()
    }

    pub fn legacy_ns(&self) -> i128 {
        match (self.first_issued_ns, self.last_issued) {
            (Some(first), Some((_, end))) => (i128::from(end) - i128::from(first)).max(0),
            _ => 0,
        }
    }

    /// Snapshot and summary; `turns` is the block of the full run.
    fn render(mut self, damaged: u64, turns: Option<&str>, options: &Options) -> (String, String) {
        let since = |client: u16| options.client >= client;
        let streaming = options.streaming.unwrap_or(self.saw_first_chunk);
        let (tracked_ns, legacy_ns) = (self.tracked_ns(), self.legacy_ns());
        let state = if self.ended && !self.interrupted {
            "complete"
        } else {
            "interrupted"
        };
        let early = options.early_stopping && since(717);
        let integers = |values: Vec<i64>, early: bool| Series::Integers(values).stat(early);
        let mut series = vec![("sample_latency_ns", integers(self.latency, early))];
        if options.isl {
            series.push(("isl", integers(self.isl, false)));
        }
        series.push(("osl", integers(self.osl, false)));
        if streaming {
            self.tpot.append(&mut self.tpot_of_messages);
            series.push(("ttft_ns", integers(self.ttft, early)));
            series.push(("chunk_delta_ns", integers(self.chunk_delta, false)));
            series.push(("tpot_ns", Series::Doubles(self.tpot).stat(early)));
        }
        let figures = Figures {
            state,
            pending: self.pending + damaged,
            counters: self.counters,
            tracked_ns,
            legacy_ns,
            total_duration_ns: self.total_duration_ns,
            series,
        };
        (figures.snapshot(options), figures.summary(turns, options))
    }
}

/// What both files are made from.
struct Figures {
    state: &'static str,
    pending: u64,
    counters: [u64; 12],
    tracked_ns: i128,
    legacy_ns: i128,
    total_duration_ns: i128,
    series: Vec<(&'static str, Stat)>,
}

impl Figures {
    /// `metrics/final_snapshot.json`
    fn snapshot(&self, options: &Options) -> String {
        let since = |client: u16| options.client >= client;
        let counter = |name: &str, value: i128| {
            format!(r#"{{"type":"counter","name":"{name}","value":{value}}}"#)
        };
        let reasons = if since(720) { 6 } else { 0 };
        let names = COUNTERS.iter().zip(self.counters);
        let mut metrics: Vec<String> = names
            .take(FIRST_REASON + reasons)
            .map(|(name, value)| counter(name, value.into()))
            .collect();
        metrics.push(counter("tracked_duration_ns", self.tracked_ns));
        if since(709) {
            metrics.push(counter("legacy_loadgen_window_duration_ns", self.legacy_ns));
        }
        metrics.push(counter("total_duration_ns", self.total_duration_ns));
        metrics.extend(
            self.series
                .iter()
                .map(|(name, stat)| stat.in_snapshot(name)),
        );
        let verdict = if since(924) {
            r#","steady_state":null"#
        } else {
            ""
        };
        format!(
            r#"{{"state":"{}","n_pending_tasks":{},"metrics":[{}]{verdict}}}"#,
            self.state,
            self.pending,
            metrics.join(",")
        )
    }

    fn stat(&self, name: &str) -> Option<&Stat> {
        let found = self.series.iter().find(|(have, _)| *have == name);
        found.map(|(_, stat)| stat)
    }

    /// The total of a series that has values.
    fn total(&self, name: &str) -> Option<f64> {
        let filled = self.stat(name).filter(|stat| stat.count > 0)?;
        filled.total.parse::<f64>().ok()
    }

    /// LoadGen's window or all tracked time, and the requests in it.
    fn window(&self, options: &Options) -> (bool, i128, u64) {
        let completed = self.counters[TRACKED_COMPLETED];
        let wanted = options.client >= 709 && options.legacy_window;
        if wanted && self.legacy_ns > 0 && completed >= 2 {
            (true, self.legacy_ns, completed - 1)
        } else {
            (false, self.tracked_ns, completed)
        }
    }

    /// Output tokens a second in flight, as JSON.
    fn interactivity(&self) -> String {
        match (self.total("osl"), self.total("sample_latency_ns")) {
            (Some(tokens), Some(latency_ns))
                if latency_ns > 0.0 && self.counters[TRACKED_FAILED] == 0 =>
            {
                format!("{:?}", tokens / (latency_ns / 1e9))
            }
            _ => "null".to_owned(),
        }
    }

    /// `performance/result_summary.json`; `turns` is the block of the full run.
    fn summary(&self, turns: Option<&str>, options: &Options) -> String {
        let since = |client: u16| options.client >= client;
        let state = self.state;
        let issued = self.counters[TRACKED_ISSUED];
        let completed = self.counters[TRACKED_COMPLETED];
        let failed = self.counters[TRACKED_FAILED];
        let (legacy, window_ns, requests) = self.window(options);
        let seconds = window_ns as f64 / 1e9;
        let rate = |amount: Option<f64>| match amount {
            Some(amount) if window_ns > 0 => format!("{:?}", amount / seconds),
            _ => "null".to_owned(),
        };
        let positive = |ns: i128, wanted: bool| match ns {
            1.. if wanted => ns.to_string(),
            _ => "null".to_owned(),
        };
        let shows_empty = since(821);
        let of = |name: &str| match self.stat(name) {
            Some(stat) if stat.count > 0 || shows_empty => stat.in_summary(),
            _ => "{}".to_owned(),
        };
        let accounted = !since(924) || (failed <= completed && completed == issued);
        let complete = state == "complete" && self.pending == 0 && accounted;
        let reasons: Vec<String> = (COUNTERS.iter().zip(self.counters).skip(FIRST_REASON))
            .map(|(name, value)| {
                let reason = name.trim_start_matches("tracked_finish_reason_");
                format!("\"{reason}\":{value}")
            })
            .collect();

        let text = |text: &str| text.to_owned();
        let keys = [
            ("n_samples_issued", 610, issued.to_string()),
            ("n_samples_completed", 610, completed.to_string()),
            ("n_samples_failed", 610, failed.to_string()),
            ("duration_ns", 610, positive(self.tracked_ns, true)),
            ("state", 610, format!("\"{state}\"")),
            ("complete", 610, complete.to_string()),
            ("ttft", 610, of("ttft_ns")),
            ("tpot", 610, of("tpot_ns")),
            ("latency", 610, of("sample_latency_ns")),
            ("output_sequence_lengths", 610, of("osl")),
            ("input_sequence_lengths", 813, of("isl")),
            (
                "legacy_loadgen_window_duration_ns",
                709,
                positive(self.legacy_ns, legacy),
            ),
            ("qps", 623, rate(Some(requests as f64))),
            ("tps", 623, rate(self.total("osl"))),
            ("e2e_avg_interactivity", 924, self.interactivity()),
            (
                "finish_reason_counts",
                720,
                format!("{{{}}}", reasons.join(",")),
            ),
            (
                "output_sequence_lengths_full_run",
                924,
                text(turns.unwrap_or("null")),
            ),
            ("steady_state", 924, text("null")),
            (
                "n_samples_succeeded",
                924,
                completed.saturating_sub(failed).to_string(),
            ),
            (
                "n_samples_dropped",
                924,
                issued.saturating_sub(completed).to_string(),
            ),
        ];
        let keys = keys.iter().filter(|(_, first, _)| since(*first));
        let keys: Vec<String> = keys
            .map(|(name, _, value)| format!("\"{name}\":{value}"))
            .collect();
        format!("{{{}}}", keys.join(","))
    }
}

/// The outcome of counting one text.
enum Counted {
    Nothing,
    Tokens(u64),
    Failed,
}

impl From<Option<u64>> for Counted {
    fn from(count: Option<u64>) -> Self {
        count.map_or(Self::Failed, Self::Tokens)
    }
}

/// Returns true if the chat template counts `output`. Before 2026-08-13 reasoning without tool calls is plain text.
fn is_message(output: &Output, options: &Options) -> bool {
    output.has_calls() || (options.client >= 813 && output.is_structured())
}

fn count_whole(output: &Output, options: &Options, count: &mut dyn Count) -> Counted {
    let content = output.output.joined();
    let reasoning = output
        .reasoning
        .as_ref()
        .map_or(String::new(), Text::joined);
    if is_message(output, options) {
        return count.message(&content, &reasoning, output, 0).into();
    }
    count_text(&(reasoning + &content), count)
}

fn count_after_first_chunk(output: &Output, options: &Options, count: &mut dyn Count) -> Counted {
    let (content, reasoning, dropped) = output.after_first_chunk();
    if is_message(output, options) {
        return count.message(&content, &reasoning, output, dropped).into();
    }
    count_text(&(reasoning + &content), count)
}

fn count_text(text: &str, count: &mut dyn Count) -> Counted {
    if text.is_empty() {
        Counted::Nothing
    } else {
        count.text(text).into()
    }
}

/// The turns of the whole run: the completions of the samples that the map names, before and after the end.
struct Turns {
    samples: HashSet<String>,
    seen: HashSet<String>,
    osl: Vec<i64>,
    empty: u64,
    errors: u64,
    undecodable: u64,
}

impl Turns {
    /// `None` where the client finds nothing to count.
    fn of(options: &Options, counts: bool) -> Option<Self> {
        if !counts || options.client < 924 {
            return None;
        }
        let Json::Object(phases) = parse(std::str::from_utf8(options.sample_map?).ok()?)? else {
            return None;
        };
        let performance = phases.iter().rfind(|(name, _)| name == "performance");
        let Json::Object(samples) = &performance?.1 else {
            return None;
        };
        let samples: HashSet<String> = samples.iter().map(|(name, _)| name.clone()).collect();
        (!samples.is_empty()).then(|| Self {
            samples,
            seen: HashSet::new(),
            osl: Vec::new(),
            empty: 0,
            errors: 0,
            undecodable: 0,
        })
    }

    fn take(&mut self, line: &[u8], event: Option<&Event>, options: &Options, count: &mut Counter) {
        let head = &line[..line.len().min(256)];
        let wanted = br#""event_type":"sample.complete""#;
        if !head.windows(wanted.len()).any(|bytes| bytes == wanted) {
            return;
        }
        let Some(event) = event else {
            self.undecodable += 1;
            return;
        };
        // A line may repeat the key with another value.
        if event.kind != "sample.complete" || !self.samples.contains(&event.sample_uuid) {
            return;
        }
        self.seen.insert(event.sample_uuid.clone());
        match (&event.data, count) {
            (Data::None, _) | (_, None) => self.empty += 1,
            (Data::Output(output), Some(count)) => match count_whole(output, options, *count) {
                Counted::Nothing => self.empty += 1,
                Counted::Tokens(tokens) => self.osl.push(tokens.cast_signed()),
                Counted::Failed => self.errors += 1,
            },
            _ => self.errors += 1,
        }
    }

    /// The block of the summary; `None` where nothing was seen and nothing is missing.
    fn render(self) -> Option<String> {
        let missing = self.samples.difference(&self.seen).count() as u64;
        let (counted, empty, errors, undecodable) =
            (self.osl.len(), self.empty, self.errors, self.undecodable);
        let lost = errors + undecodable + missing;
        (counted > 0 || empty > 0 || lost > 0).then(|| {
            let osl = Series::Integers(self.osl).stat(false).in_summary();
            let partial = lost > 0;
            format!(
                r#"{{"output_sequence_lengths":{osl},"n_turns_counted":{counted},"n_empty":{empty},"n_errors":{errors},"n_undecodable":{undecodable},"n_missing":{missing},"partial":{partial}}}"#
            )
        })
    }
}

/// Records `now - then`, unless it is beyond 64 bits: the reference would stop there.
fn delta(series: &mut Vec<i64>, pending: &mut u64, now: i64, then: Option<i64>) {
    let Some(then) = then else { return };
    match i64::try_from(i128::from(now) - i128::from(then)) {
        Ok(delta) => series.push(delta),
        Err(_) => *pending += 1,
    }
}

impl Stat {
    fn in_snapshot(&self, name: &str) -> String {
        let Self {
            count,
            total,
            min,
            max,
            sum_sq,
            percentiles,
            ..
        } = self;
        let early = match &self.early_stopping {
            Some(map) => format!(r#","early_stopping_percentiles":{map}"#),
            None => String::new(),
        };
        let buckets: Vec<String> = self
            .edges
            .windows(2)
            .zip(&self.counts)
            .map(|(edges, count)| format!("[[{:?},{:?}],{count}]", edges[0], edges[1]))
            .collect();
        format!(
            r#"{{"type":"series","name":"{name}","count":{count},"total":{total},"min":{min},"max":{max},"sum_sq":{sum_sq},"percentiles":{percentiles}{early},"histogram":[{}]}}"#,
            buckets.join(",")
        )
    }

    fn in_summary(&self) -> String {
        let mut text = String::from("{");
        if self.count > 0 {
            let buckets: Vec<String> = self
                .edges
                .windows(2)
                .map(|edges| format!("[{:?},{:?}]", edges[0], edges[1]))
                .collect();
            let _ = write!(
                text,
                r#""total":{},"min":{},"max":{},"median":{},"avg":{},"std_dev":{},"percentiles":{},"histogram":{{"buckets":[{}],"counts":{:?}}}"#,
                self.total,
                self.min,
                self.max,
                self.median,
                self.avg,
                self.std_dev,
                self.percentiles,
                buckets.join(","),
                self.counts
            );
        }
        if let Some(map) = &self.early_stopping {
            let comma = if text.len() > 1 { "," } else { "" };
            let _ = write!(text, r#"{comma}"early_stopping_percentiles":{map}"#);
        }
        text + "}"
    }
}
