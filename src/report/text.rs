//! `report.txt`: the report as people read it. Source: `metrics/report.py`, `Report.display`.
//!
//! It is made from the summary's bytes, so it cannot say anything else than the summary does.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::summary::SummaryError;
use crate::python::repr::json_str;

/// What the text shows besides the summary, as the run's own files hold it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attachments<'a> {
    /// The content of `accuracy/accuracy_results.json`.
    pub accuracy: Option<&'a Value>,
    /// The content of `profiling.json`.
    pub profiling: Option<&'a Value>,
}

/// The part of a summary that is shown.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Summary {
    version: Value,
    git_sha: Value,
    n_samples_issued: u64,
    n_samples_completed: u64,
    n_samples_failed: u64,
    duration_ns: Option<f64>,
    state: String,
    complete: bool,
    ttft: Map<String, Value>,
    tpot: Map<String, Value>,
    latency: Map<String, Value>,
    output_sequence_lengths: Map<String, Value>,
    input_sequence_lengths: Map<String, Value>,
    qps: Option<f64>,
    tps: Option<f64>,
    run_config: Option<Map<String, Value>>,
}

/// The text of `report.txt` for the summary whose bytes are `summary`.
///
/// `test_started_at` is not shown: the reference always writes 0, which it does not show either.
pub fn render_text(summary: &[u8], attachments: Attachments) -> Result<String, SummaryError> {
    let summary: Summary = serde_json::from_slice(summary)?;
    let mut text = Text::default();
    text.head(&summary);
    if let Some(accuracy) = attachments.accuracy {
        text.accuracy(accuracy);
    }
    text.line("\n------------------- Latency Breakdowns -------------------");
    for (title, metric, unit, scale) in [
        ("TTFT", &summary.ttft, "ms", 1e-6),
        ("TPOT", &summary.tpot, "ms", 1e-6),
        ("Latency", &summary.latency, "ms", 1e-6),
        (
            "Input sequence lengths",
            &summary.input_sequence_lengths,
            "tokens",
            1.0,
        ),
        (
            "Output sequence lengths",
            &summary.output_sequence_lengths,
            "tokens",
            1.0,
        ),
    ] {
        if !metric.is_empty() {
            text.line(&format!("{title}:"));
            text.metric(metric, Unit { name: unit, scale });
            text.line("");
        }
    }
    text.line("----------------- End of Report -----------------");
    if let Some(profiling) = attachments.profiling {
        text.profiling(profiling);
    }
    Ok(text.0)
}

/// What values are multiplied by, and called after that.
#[derive(Clone, Copy)]
struct Unit {
    name: &'static str,
    scale: f64,
}

impl Unit {
    /// A number with two decimals, without its unit's name.
    fn scaled(self, value: Option<&Value>) -> String {
        match value.and_then(Value::as_f64) {
            Some(value) => format!("{:.2}", value * self.scale),
            None => "N/A".to_owned(),
        }
    }
}

/// The text so far.
#[derive(Default)]
pub(super) struct Text(String);

impl Text {
    pub(super) fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn head(&mut self, summary: &Summary) {
        self.line("----------------- Summary -----------------");
        if summary.state == "interrupted" {
            self.line("WARNING: run was interrupted (SIGTERM/SIGINT) — metrics below are best-effort partial data.");
        } else if !summary.complete {
            self.line(
                "WARNING: report is incomplete (drain timed out or no final snapshot received) — some async metrics may be missing.",
            );
        }
        self.line(&format!("Version: {}", json_str(&summary.version)));
        if is_true(&summary.git_sha) {
            self.line(&format!("Git SHA: {}", json_str(&summary.git_sha)));
        }
        if let Some(run_config) = summary.run_config.as_ref().filter(|map| !map.is_empty()) {
            self.line("Run config:");
            for (section, value) in run_config {
                let value = match value {
                    Value::Object(keys) => keys
                        .iter()
                        .map(|(key, value)| format!("{key}={}", json_str(value)))
                        .collect::<Vec<_>>()
                        .join(", "),
                    value => json_str(value),
                };
                self.line(&format!("  {section}: {value}"));
            }
        }
        self.line(&format!(
            "Total samples issued: {}",
            summary.n_samples_issued
        ));
        self.line(&format!(
            "Total samples completed: {}",
            summary.n_samples_completed
        ));
        self.line(&format!(
            "Total samples failed: {}",
            summary.n_samples_failed
        ));
        let two_decimals =
            |value: Option<f64>, unit| value.map_or("N/A".to_owned(), |v| format!("{v:.2}{unit}"));
        self.line(&format!(
            "Duration: {}",
            two_decimals(summary.duration_ns.map(|ns| ns / 1e9), " seconds")
        ));
        self.line(&format!("QPS: {}", two_decimals(summary.qps, "")));
        self.line(&format!("TPS: {}", two_decimals(summary.tps, "")));
    }

    fn metric(&mut self, metric: &Map<String, Value>, unit: Unit) {
        for (name, key) in [
            ("Min", "min"),
            ("Max", "max"),
            ("Median", "median"),
            ("Avg.", "avg"),
            ("Std Dev.", "std_dev"),
        ] {
            self.line(&format!(
                "  {name}: {} {}",
                unit.scaled(metric.get(key)),
                unit.name
            ));
        }
        self.line("\n  Histogram:");
        self.histogram(metric.get("histogram"), unit);
        self.line("\n  Percentiles:");
        self.grid(metric.get("percentiles"), unit);
        if let Some(estimates) = metric
            .get("early_stopping_percentiles")
            .filter(|map| is_true(map))
        {
            self.line("\n  Early-stopping percentile estimates (N/A = insufficient samples):");
            self.grid(Some(estimates), unit);
        }
    }

    fn grid(&mut self, grid: Option<&Value>, unit: Unit) {
        for (p, value) in grid.and_then(Value::as_object).into_iter().flatten() {
            self.line(&format!(
                "  {p:>6}: {} {}",
                unit.scaled(Some(value)),
                unit.name
            ));
        }
    }

    fn histogram(&mut self, histogram: Option<&Value>, unit: Unit) {
        const MAX_BAR: f64 = 30.0;
        let part = |key| {
            histogram
                .and_then(|h| h.get(key))
                .and_then(Value::as_array)
                .map_or(&[][..], Vec::as_slice)
        };
        let (buckets, counts) = (part("buckets"), part("counts"));
        let labels: Vec<String> = buckets
            .iter()
            .enumerate()
            .map(|(i, bucket)| {
                let close = if i + 1 == buckets.len() { ']' } else { ')' };
                format!(
                    "  [{}, {}{close}",
                    unit.scaled(bucket.get(0)),
                    unit.scaled(bucket.get(1))
                )
            })
            .collect();
        let width = labels.iter().map(String::len).max().unwrap_or(0);
        let counts = counts.iter().map(|count| count.as_u64().unwrap_or(0));
        let greatest = counts.clone().max().unwrap_or(0);
        let bar_per_count = if greatest > 0 {
            MAX_BAR / greatest as f64
        } else {
            1.0
        };
        for (label, count) in labels.iter().zip(counts) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "at most the longest bar"
            )]
            let bar = "#".repeat((count as f64 * bar_per_count) as usize);
            self.line(&format!("  {label:>width$} |{bar} {count}"));
        }
    }
}

/// What Python takes for true.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}
