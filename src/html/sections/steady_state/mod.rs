//! The steady state: the verdict, the figures in the window, and the course of the run with the window marked.

mod course;

use serde_json::Value;

use super::headline::{METRIC_COLUMNS, add_metric, duration};
use super::{RUN_NAMES, note};
use crate::html::escape::{typographic, write_html};
use crate::html::metric_summary::MetricSummary;
use crate::html::table::{Table, change};
use crate::html::{DIGITS, Page, PageRun};
use crate::metric::Metric;
use crate::number::{self, digits, fixed};

/// The distributions in the window, by their keys in a verdict.
const DISTRIBUTIONS: [(&str, Metric); 4] = [
    ("ttft", Metric::Ttft),
    ("tpot", Metric::Tpot),
    ("latency", Metric::Latency),
    ("osl", Metric::Osl),
];

/// Writes the section, if the steady state was looked for.
pub(crate) fn steady_state(html: &mut String, page: &Page) {
    let verdict = verdict(&page.run);
    if !verdict.is_object() && page.run.super_passes.is_empty() {
        return;
    }
    html.push_str("<section>\n<h2>Steady state</h2>\n");
    outcome(html, verdict);
    warnings(html, verdict);
    if verdict["window"].is_object() {
        rates(html, page);
        distributions(page).write(html);
        note(html, "OSL counts the tokens after the first chunk here.");
    }
    course::course(html, page);
    html.push_str("</section>\n");
}

fn verdict(run: &PageRun) -> &Value {
    &run.summary["steady_state"]
}

/// Returns a number of a verdict; NaN, which is shown as a dash, if it is missing.
fn float(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn outcome(html: &mut String, verdict: &Value) {
    if !verdict.is_object() {
        return note(
            html,
            "Without a verdict: the client looks for a steady state only in a streaming run that ended and of which every \
             text was counted.",
        );
    }
    let window = &verdict["window"];
    let integer = |value: &Value| fixed(float(value), 0);
    let (class, mark, text) = if verdict["found"] == true {
        let text = format!(
            "Found: super-passes {} to {}, {} samples issued within {}.",
            integer(&window["sp_lo"]),
            fixed(float(&window["sp_hi"]) - 1.0, 0),
            integer(&window["n_samples"]),
            duration(float(&window["end_ns"]) - float(&window["start_ns"]))
        );
        ("good", "✓", text)
    } else {
        let reason = verdict["reason"].as_str().unwrap_or("without a reason");
        ("bad", "✗", format!("Not found: {reason}."))
    };
    write_html!(
        html,
        "<p class=\"{class}\"><span aria-hidden=\"true\">{mark}</span> {}</p>\n",
        text
    );
    if verdict["found"] != true && window.is_object() {
        note(
            html,
            "The window and its figures are those of the longest plateau.",
        );
    }
    note(
        html,
        &format!(
            "A super-pass has {} samples in the order of their issue. The run has {} of them, {} of which are warm-up; \
             numbers count from 0 after it.",
            integer(&verdict["superpass_size"]),
            integer(&verdict["n_super_passes"]),
            integer(&verdict["warmup"])
        ),
    );
}

/// Writes what happens after the window.
fn warnings(html: &mut String, verdict: &Value) {
    let mut lines = Vec::new();
    let drifting = verdict["drifting_up"].as_array().into_iter().flatten();
    let drifting: Vec<String> = drifting.filter_map(Value::as_str).map(label).collect();
    if !drifting.is_empty() {
        lines.push(format!(
            "Drifting up over the rest of the run: {}.",
            drifting.join(", ")
        ));
    }
    let anomaly = &verdict["anomaly"];
    if anomaly["detected"] == true {
        lines.push(format!(
            "TPOT changes by {} from super-pass {} on.",
            typographic(&number::change(float(&anomaly["delta_pct"]) / 100.0)),
            fixed(float(&anomaly["change_point_sp"]), 0)
        ));
    }
    for line in lines {
        write_html!(html, "<p class=\"bad\">{}</p>\n", line);
    }
}

/// Returns the label of a metric's percentile, `TPOT p90` for `tpot_p90`.
fn label(name: &str) -> String {
    let known = name.split_once('_').and_then(|(key, percentile)| {
        let metric = Metric::from_summary_key(key)?;
        Some(format!("{} {percentile}", metric.label()))
    });
    known.unwrap_or_else(|| name.to_owned())
}

/// Writes the tokens per second in the window, with their confidence intervals.
fn rates(html: &mut String, page: &Page) {
    html.push_str("<dl class=\"tiles\">\n");
    for (key, interval, name) in [
        ("system", "system_ci", "steady TPS, system"),
        ("per_user", "per_user_ci", "steady TPS per user"),
    ] {
        let rates = &verdict(&page.run)["tps"];
        let now = float(&rates[key]);
        let shown = |value: &Value| digits(float(value), DIGITS);
        let (low, high) = (shown(&rates[interval][0]), shown(&rates[interval][1]));
        write_html!(
            html,
            "<div><dt>{name}</dt><dd>{}<small>95 %: {} to {}</small>",
            digits(now, DIGITS),
            low,
            high
        );
        let baseline = page
            .baseline
            .as_deref()
            .map(|run| &verdict(run)["tps"][key]);
        if let Some(then) = baseline.and_then(Value::as_f64) {
            let change = change(then, now).map_or(String::new(), |change| change + " ");
            write_html!(html, "<small>{}vs {}</small>", change, digits(then, DIGITS));
        }
        html.push_str("</dd></div>\n");
    }
    html.push_str("</dl>\n");
}

/// Each metric in the window, and below it in the baseline's window.
fn distributions(page: &Page) -> Table {
    let mut table = Table::new("Figures in the steady state", &METRIC_COLUMNS).class("headline");
    for (key, metric) in DISTRIBUTIONS {
        let of = |run: &PageRun| MetricSummary::of_distribution(&verdict(run)[key]);
        let baseline = page.baseline.as_deref().map(of);
        let baseline = baseline.filter(|summary| summary.count > 0);
        let others = [("other", RUN_NAMES[1], baseline)];
        add_metric(&mut table, metric, &of(&page.run), &others);
    }
    table
}
