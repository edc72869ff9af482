//! The table at the end of a recompute: each metric before and after.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

use crate::metric::{Metric, Unit};
use crate::number::MISSING;
use crate::report::{Headline, MetricHeadline};

/// Renders each metric's count, mean, p50 and p99, as `before → after` where they differ.
pub(super) fn before_and_after(before: Option<&Headline>, after: &Headline) -> String {
    let was = before.unwrap_or(after);
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_header(["", "count", "mean", "p50", "p99"]);
    for metric in Metric::REPORTED {
        let (unit, scale) = match metric.unit() {
            Unit::Nanoseconds => ("ms", 1e-6),
            Unit::Tokens => ("tokens", 1.0),
        };
        let name = format!("{} ({unit})", metric.label());
        table.add_row(row(name, was.metrics[metric], after.metrics[metric], scale));
    }
    let rate = |was: Option<f64>, now: Option<f64>| change(&number(was, 1.0), &number(now, 1.0));
    table.add_row(["QPS".to_owned(), String::new(), rate(was.qps, after.qps)]);
    table.add_row(["TPS".to_owned(), String::new(), rate(was.tps, after.tps)]);
    if let Some(steady) = after.steady_state.as_ref().filter(|steady| steady.found) {
        let was = was.steady_state.clone().unwrap_or_default();
        for (name, was, now) in [
            ("steady TPS", was.system_tps, steady.system_tps),
            ("steady TPS per user", was.per_user_tps, steady.per_user_tps),
        ] {
            table.add_row([name.to_owned(), String::new(), rate(was, now)]);
        }
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
        .lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

fn row(name: String, was: MetricHeadline, now: MetricHeadline, scale: f64) -> Vec<String> {
    let figure = |was, now| change(&number(was, scale), &number(now, scale));
    vec![
        name,
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
    value.map_or_else(
        || MISSING.to_owned(),
        |value| format!("{:.2}", value * scale),
    )
}
