//! The table at the end of a recompute: each metric before and after.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

use crate::report::{Figures, Headline};

/// Renders each metric's count, mean, p50 and p99, as `before → after` where they differ.
pub(super) fn before_and_after(before: Option<&Headline>, after: &Headline) -> String {
    let was = before.unwrap_or(after);
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_header(["", "count", "mean", "p50", "p99"]);
    let rows = [
        ("TTFT (ms)", was.ttft, after.ttft, 1e-6),
        ("TPOT (ms)", was.tpot, after.tpot, 1e-6),
        ("latency (ms)", was.latency, after.latency, 1e-6),
        (
            "ISL (tokens)",
            was.input_sequence_lengths,
            after.input_sequence_lengths,
            1.0,
        ),
        (
            "OSL (tokens)",
            was.output_sequence_lengths,
            after.output_sequence_lengths,
            1.0,
        ),
    ];
    for (name, was, now, scale) in rows {
        table.add_row(row(name, was, now, scale));
    }
    let rate = |was: Option<f64>, now: Option<f64>| change(&number(was, 1.0), &number(now, 1.0));
    table.add_row(["QPS".to_owned(), String::new(), rate(was.qps, after.qps)]);
    table.add_row(["TPS".to_owned(), String::new(), rate(was.tps, after.tps)]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
        .lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

fn row(name: &str, was: Figures, now: Figures, scale: f64) -> Vec<String> {
    let figure = |was, now| change(&number(was, scale), &number(now, scale));
    vec![
        name.to_owned(),
        change(&was.count.to_string(), &now.count.to_string()),
        figure(was.mean, now.mean),
        figure(was.p50, now.p50),
        figure(was.p99, now.p99),
    ]
}

fn change(was: &str, now: &str) -> String {
    if was == now {
        now.to_owned()
    } else {
        format!("{was} → {now}")
    }
}

fn number(value: Option<f64>, scale: f64) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{:.2}", value * scale))
}
