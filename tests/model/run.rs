//! Turns a log into the summary and the snapshot, as JSON texts, by the rules of `aggregator.py` and `metrics_table.py`.

use std::collections::HashMap;
use std::fmt::Write as _;

use num_bigint::BigInt;

use super::decode::{Data, Event, Output, Prompt, decode};
use super::stat::{Series, Stat, ratio};

/// The settings from the run's configuration.
#[derive(Clone, Copy, Debug)]
pub struct Options {
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
    let (mut events, mut damaged) = (0, 0);
    for line in &lines {
        match decode(line).filter(|_| line.len() <= options.line_bytes) {
            Some(event) => {
                events += 1;
                run.take(&event, options, &mut count);
            }
            None => damaged += 1,
        }
    }
    let texts = run.render(damaged, options);
    Report {
        lines: lines.len() as u64,
        events,
        damaged,
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
pub struct Run {
    pub ended: bool,
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
            "sample.issued" => self.issued(event, count),
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

    fn issued(&mut self, event: &Event, count: &mut Counter) {
        self.counters[TOTAL_ISSUED] += 1;
        if self.tracking {
            let row = self.rows.entry(event.sample_uuid.clone()).or_default();
            row.window = self.windows.len() - 1;
            row.issued_ns = event.timestamp_ns;
            self.first_issued_ns = self.first_issued_ns.or(Some(event.timestamp_ns));
            self.isl(event, count);
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
            self.osl(output, *count);
            if options.streaming != Some(false)
                && let Some(first) = row.recv_first_ns
            {
                self.tpot(output, now, first, *count);
            }
        }
    }

    fn osl(&mut self, output: &Output, count: &mut dyn Count) {
        let text = output.output.joined();
        let reasoning = output
            .reasoning
            .as_ref()
            .map_or(String::new(), super::decode::Text::joined);
        let tokens = if output.is_structured() {
            count.message(&text, &reasoning, output, 0)
        } else if text.is_empty() {
            return;
        } else {
            count.text(&text)
        };
        match tokens {
            Some(tokens) => self.osl.push(tokens.cast_signed()),
            None => self.pending += 1,
        }
    }

    fn tpot(&mut self, output: &Output, now: i64, first: i64, count: &mut dyn Count) {
        let (content, reasoning, dropped) = output.after_first_chunk();
        let tokens = if output.is_structured() {
            count.message(&content, &reasoning, output, dropped)
        } else if content.is_empty() {
            return;
        } else {
            count.text(&content)
        };
        match tokens {
            Some(0) => {}
            Some(tokens) => {
                let elapsed = BigInt::from(now) - BigInt::from(first);
                self.tpot.push(ratio(&elapsed, tokens));
            }
            None => self.pending += 1,
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

    /// Snapshot and summary.
    fn render(self, damaged: u64, options: &Options) -> (String, String) {
        let streaming = options.streaming.unwrap_or(self.saw_first_chunk);
        let (tracked_ns, legacy_ns) = (self.tracked_ns(), self.legacy_ns());
        let pending = self.pending + damaged;
        let state = if self.ended {
            "complete"
        } else {
            "interrupted"
        };
        let early = options.early_stopping;
        let mut series = vec![
            (
                "sample_latency_ns",
                Series::Integers(self.latency).stat(early),
            ),
            ("isl", Series::Integers(self.isl).stat(false)),
            ("osl", Series::Integers(self.osl).stat(false)),
        ];
        if streaming {
            series.push(("ttft_ns", Series::Integers(self.ttft).stat(early)));
            series.push((
                "chunk_delta_ns",
                Series::Integers(self.chunk_delta).stat(false),
            ));
            series.push(("tpot_ns", Series::Doubles(self.tpot).stat(early)));
        }

        let mut metrics: Vec<String> = COUNTERS
            .iter()
            .zip(self.counters)
            .map(|(name, value)| format!(r#"{{"type":"counter","name":"{name}","value":{value}}}"#))
            .collect();
        for (name, value) in [
            ("tracked_duration_ns", tracked_ns),
            ("legacy_loadgen_window_duration_ns", legacy_ns),
            ("total_duration_ns", self.total_duration_ns),
        ] {
            metrics.push(format!(
                r#"{{"type":"counter","name":"{name}","value":{value}}}"#
            ));
        }
        metrics.extend(series.iter().map(|(name, stat)| stat.in_snapshot(name)));
        let snapshot = format!(
            r#"{{"state":"{state}","n_pending_tasks":{pending},"metrics":[{}]}}"#,
            metrics.join(",")
        );

        let completed = self.counters[TRACKED_COMPLETED];
        let legacy = options.legacy_window && legacy_ns > 0 && completed >= 2;
        let window_ns = if legacy { legacy_ns } else { tracked_ns };
        let seconds = window_ns as f64 / 1e9;
        let requests = completed - u64::from(legacy);
        let rate = |amount: Option<f64>| match amount {
            Some(amount) if window_ns > 0 => format!("{:?}", amount / seconds),
            _ => "null".to_owned(),
        };
        let positive = |ns: i128, wanted: bool| match ns {
            1.. if wanted => ns.to_string(),
            _ => "null".to_owned(),
        };
        let stat = |name: &str| {
            series
                .iter()
                .find(|(have, _)| *have == name)
                .map(|(_, stat)| stat)
        };
        let of = |name: &str| stat(name).map_or("{}".to_owned(), Stat::in_summary);
        let osl = stat("osl").filter(|osl| osl.count > 0);
        let osl_total = osl.and_then(|osl| osl.total.parse::<f64>().ok());
        let reason = |index: usize| self.counters[FIRST_REASON + index];
        let summary = format!(
            r#"{{"n_samples_issued":{},"n_samples_completed":{completed},"n_samples_failed":{},"duration_ns":{},"state":"{state}","complete":{},"ttft":{},"tpot":{},"latency":{},"output_sequence_lengths":{},"input_sequence_lengths":{},"legacy_loadgen_window_duration_ns":{},"qps":{},"tps":{},"finish_reason_counts":{{"stop":{},"length":{},"tool_calls":{},"content_filter":{},"function_call":{},"other":{}}}}}"#,
            self.counters[TRACKED_ISSUED],
            self.counters[TRACKED_FAILED],
            positive(tracked_ns, true),
            self.ended && pending == 0,
            of("ttft_ns"),
            of("tpot_ns"),
            of("sample_latency_ns"),
            of("osl"),
            of("isl"),
            positive(legacy_ns, legacy),
            rate(Some(requests as f64)),
            rate(osl_total),
            reason(0),
            reason(1),
            reason(2),
            reason(3),
            reason(4),
            reason(5),
        );
        (snapshot, summary)
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
