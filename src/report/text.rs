//! `report.txt`: the report as people read it. Source: `metrics/report.py`, `Report.display`.
//!
//! It is made from a summary's bytes, so it says the same as the summary does.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::schema::{ClientVersion, SummaryKey};
use super::summary::SummaryError;
use crate::metric::{Metric, Unit};
use crate::python::repr;

/// The content of the run's own files that the text shows besides the summary.
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
    n_samples_succeeded: u64,
    n_samples_dropped: u64,
    duration_ns: Option<f64>,
    state: String,
    complete: bool,
    output_sequence_lengths: Map<String, Value>,
    output_sequence_lengths_full_run: Option<Map<String, Value>>,
    steady_state: Option<Value>,
    qps: Option<f64>,
    tps: Option<f64>,
    e2e_avg_interactivity: Option<f64>,
    run_config: Option<Map<String, Value>>,
    seeds: Option<Map<String, Value>>,
}

/// The text of `report.txt` that `client` writes for the summary whose bytes are `summary`, which has the keys of
/// every version.
///
/// `test_started_at` is not shown: the reference always writes 0, which it does not show either.
pub(super) fn render_text(
    client: ClientVersion,
    summary: &[u8],
    attachments: Attachments,
) -> Result<String, SummaryError> {
    let values: Map<String, Value> = serde_json::from_slice(summary)?;
    let summary: Summary = serde_json::from_slice(summary)?;
    let mut text = ReportText::default();
    text.head(client, &summary);
    text.counts(client, &summary);
    if client.has(SummaryKey::SteadyState) {
        text.steady_state(summary.steady_state.as_ref());
    }
    if let Some(accuracy) = attachments.accuracy {
        text.accuracy(accuracy);
    }
    if client.has(SummaryKey::FullRunOsl) {
        text.full_run(&summary);
    }
    text.line("\n------------------- Latency Breakdowns -------------------");
    for (title, metric) in [
        ("TTFT", Metric::Ttft),
        ("TPOT", Metric::Tpot),
        ("Latency", Metric::Latency),
        ("Input sequence lengths", Metric::Isl),
        ("Output sequence lengths", Metric::Osl),
    ] {
        if metric != Metric::Isl || client.has(SummaryKey::Isl) {
            let key = metric.summary_key().unwrap_or_default();
            text.section(title, values.get(key), metric.unit());
        }
    }
    if client.has(SummaryKey::FullRunOsl) {
        let block = summary.output_sequence_lengths_full_run.as_ref();
        let title = "Output sequence lengths (full run, all turns)";
        let osl = block.and_then(|block| block.get("output_sequence_lengths"));
        text.section(title, osl, Unit::Tokens);
    }
    text.line("----------------- End of Report -----------------");
    if let Some(profiling) = attachments.profiling {
        text.profiling(profiling);
    }
    Ok(text.0)
}

/// A factor that values are multiplied by, and the name of the unit that they then have.
#[derive(Clone, Copy)]
struct Scale {
    name: &'static str,
    factor: f64,
}

impl From<Unit> for Scale {
    fn from(unit: Unit) -> Self {
        let (name, factor) = match unit {
            Unit::Nanoseconds => ("ms", 1e-6),
            Unit::Tokens => ("tokens", 1.0),
        };
        Self { name, factor }
    }
}

impl Scale {
    /// A number with two decimals, without its unit's name.
    fn scaled(self, value: Option<&Value>) -> String {
        match value.and_then(Value::as_f64) {
            Some(value) => format!("{:.2}", value * self.factor),
            None => "N/A".to_owned(),
        }
    }
}

/// A number with two decimals and what follows it, or `N/A`.
fn two_decimals(value: Option<f64>, unit: &str) -> String {
    value.map_or("N/A".to_owned(), |v| format!("{v:.2}{unit}"))
}

/// `key=value` of each member, as Python prints them.
fn assignments(map: &Map<String, Value>) -> String {
    let pairs = map
        .iter()
        .map(|(key, value)| format!("{key}={}", repr::json_str(value)));
    pairs.collect::<Vec<_>>().join(", ")
}

/// The text so far.
#[derive(Default)]
pub(super) struct ReportText(String);

impl ReportText {
    pub(super) fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn head(&mut self, client: ClientVersion, summary: &Summary) {
        self.line("----------------- Summary -----------------");
        if summary.state == "interrupted" {
            self.line("WARNING: run was interrupted (SIGTERM/SIGINT) — metrics below are best-effort partial data.");
        } else if !summary.complete {
            self.line(
                "WARNING: report is incomplete (drain timed out or no final snapshot received) — some async metrics may be missing.",
            );
        }
        self.line(&format!("Version: {}", repr::json_str(&summary.version)));
        if is_true(&summary.git_sha) {
            self.line(&format!("Git SHA: {}", repr::json_str(&summary.git_sha)));
        }
        let filled = |map: &Option<Map<String, Value>>| map.clone().filter(|map| !map.is_empty());
        if let Some(seeds) = filled(&summary.seeds).filter(|_| client.has(SummaryKey::Seeds)) {
            self.line(&format!("Seeds: {}", assignments(&seeds)));
        }
        let run_config = filled(&summary.run_config);
        if let Some(run_config) = run_config.filter(|_| client.has(SummaryKey::RunConfig)) {
            self.line("Run config:");
            for (section, value) in &run_config {
                let value = match value {
                    Value::Object(keys) => assignments(keys),
                    value => repr::json_str(value),
                };
                self.line(&format!("  {section}: {value}"));
            }
        }
    }

    fn counts(&mut self, client: ClientVersion, summary: &Summary) {
        let mut count =
            |name: &str, count: u64| self.line(&format!("Total samples {name}: {count}"));
        count("issued", summary.n_samples_issued);
        if client.has(SummaryKey::Succeeded) {
            count("succeeded", summary.n_samples_succeeded);
            count("failed", summary.n_samples_failed);
            count("dropped", summary.n_samples_dropped);
        } else {
            count("completed", summary.n_samples_completed);
            count("failed", summary.n_samples_failed);
        }
        let seconds = summary.duration_ns.map(|ns| ns / 1e9);
        self.line(&format!("Duration: {}", two_decimals(seconds, " seconds")));
        self.line(&format!("QPS: {}", two_decimals(summary.qps, "")));
        if summary.tps.is_some() || client.shows_missing_tps() {
            self.line(&format!("TPS: {}", two_decimals(summary.tps, "")));
        }
        if client.has(SummaryKey::Interactivity) {
            let interactivity = two_decimals(summary.e2e_avg_interactivity, " tokens/s");
            self.line(&format!("E2E average interactivity: {interactivity}"));
        }
    }

    fn steady_state(&mut self, verdict: Option<&Value>) {
        let Some(verdict) = verdict.filter(|verdict| !verdict.is_null()) else {
            return;
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        if verdict["found"] != true {
            let reason = text(&verdict["reason"]);
            self.line(&format!("Steady state: not found ({reason})"));
            return;
        }
        let window = &verdict["window"];
        let integer = |key: &str| window[key].as_i64().unwrap_or_default();
        let seconds = (integer("end_ns") - integer("start_ns")) as f64 / 1e9;
        self.line(&format!(
            "Steady state: super-passes {}...{} (post-warmup), {} samples over {seconds:.0}s",
            integer("sp_lo"),
            integer("sp_hi") - 1,
            integer("n_samples"),
        ));
        let rate = |key: &str| verdict["tps"][key].as_f64().unwrap_or(f64::NAN);
        self.line(&format!(
            "  Steady TPS: {:.2} system, {:.2} per user",
            rate("system"),
            rate("per_user")
        ));
        let drifting = verdict["drifting_up"]
            .as_array()
            .filter(|names| !names.is_empty());
        if let Some(names) = drifting {
            let names = names.iter().map(text).collect::<Vec<_>>().join(", ");
            self.line(&format!(
                "  WARNING: {names} drifting up over the rest of the run"
            ));
        }
        let anomaly = &verdict["anomaly"];
        if anomaly["detected"] == true {
            self.line(&format!(
                "  ANOMALY: level shift at super-pass {}, TPOT {:+.1}% toward end of run",
                anomaly["change_point_sp"],
                anomaly["delta_pct"].as_f64().unwrap_or(f64::NAN)
            ));
        }
    }

    /// The lines about all turns of the run.
    fn full_run(&mut self, summary: &Summary) {
        const TITLE: &str = "  OSL per-turn mean (accuracy";
        let Some(block) = &summary.output_sequence_lengths_full_run else {
            if !summary.complete {
                self.line(&format!("{TITLE}): not computed — run incomplete"));
            } else if !summary.output_sequence_lengths.is_empty() {
                self.line(&format!(
                    "{TITLE}): not computed (no tokenizer or unreadable sample map)"
                ));
            }
            return;
        };
        let count = |key: &str| block.get(key).and_then(Value::as_u64).unwrap_or_default();
        let left_out = format!(
            "{} empty, {} errored, {} undecodable, {} missing",
            count("n_empty"),
            count("n_errors"),
            count("n_undecodable"),
            count("n_missing")
        );
        let mean = block.get("output_sequence_lengths").map(|osl| &osl["avg"]);
        let Some(mean) = mean.and_then(Value::as_f64) else {
            self.line(&format!("{TITLE}): no countable turns ({left_out})"));
            return;
        };
        let turns = count("n_turns_counted");
        self.line(&format!(
            "{TITLE}, all turns): {mean:.1} tokens over {turns} turns ({left_out})"
        ));
        if block.get("partial").is_some_and(is_true) {
            self.line("    (PARTIAL — dropped/missing turns; NOT valid for the OSL accuracy gate)");
        }
        if !summary.complete {
            self.line("    (run incomplete — NOT valid for the OSL accuracy gate)");
        }
    }

    /// A metric under its title; without values it has no section.
    fn section(&mut self, title: &str, metric: Option<&Value>, unit: Unit) {
        let metric = metric.and_then(Value::as_object);
        if let Some(metric) = metric.filter(|metric| !metric.is_empty()) {
            self.line(&format!("{title}:"));
            self.metric(metric, unit.into());
            self.line("");
        }
    }

    fn metric(&mut self, metric: &Map<String, Value>, unit: Scale) {
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

    fn grid(&mut self, grid: Option<&Value>, unit: Scale) {
        for (p, value) in grid.and_then(Value::as_object).into_iter().flatten() {
            self.line(&format!(
                "  {p:>6}: {} {}",
                unit.scaled(Some(value)),
                unit.name
            ));
        }
    }

    fn histogram(&mut self, histogram: Option<&Value>, unit: Scale) {
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

/// Returns true for a value that Python takes for true.
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
