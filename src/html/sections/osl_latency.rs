//! OSL against latency, and the latency of each class of lengths.

use super::{RUN_NAMES, SMALL, begin_figure};
use crate::html::Page;
use crate::html::escape::write_html;
use crate::html::plots::{Axis, scatter};
use crate::html::stats::{LengthClass, OslLatency, SLOWEST};
use crate::html::table::{Cell, Table};
use crate::number::{DisplayUnit, count, fixed};

/// Writes the figure, if there are samples with both.
pub(crate) fn osl_latency(html: &mut String, page: &Page) {
    let stats = page.runs().filter_map(|run| run.stats.as_ref());
    let runs: Vec<&OslLatency> = stats.map(|stats| &stats.osl_latency).collect();
    let Some(run) = runs.first().filter(|run| run.count() > 0) else {
        return;
    };
    let drawn: Vec<_> = runs.iter().map(|run| run.drawn()).collect();
    let (osl, latency): (Vec<f64>, Vec<f64>) = drawn
        .iter()
        .flatten()
        .map(|(osl, latency_ns)| (*osl as f64, *latency_ns as f64))
        .unzip();
    let unit = DisplayUnit::of_time(median(&latency));
    let axes = (&axis(&osl, DisplayUnit::TOKENS), &axis(&latency, unit));
    let label = format!("Latency against OSL of {} samples", count(run.count()));
    begin_figure(html, "Latency", unit.name, "against OSL in tokens");
    html.push_str(&scatter(&drawn, axes, SMALL, &label));
    html.push('\n');
    if run.stride() > 1 {
        write_html!(
            html,
            "<p class=\"line\">1 of {} samples, and the {} slowest</p>\n",
            run.stride(),
            SLOWEST
        );
    }
    table(&runs, unit).write_folded(html);
    html.push_str("</figure>\n");
}

fn axis(values: &[f64], unit: DisplayUnit) -> Axis {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Axis::of_values(low.max(0.0), high.max(0.0), median(values), 5, unit).padded()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

fn table(runs: &[&OslLatency], unit: DisplayUnit) -> Table {
    let columns = ["OSL", "run", "samples", "p50", "p90", "p99"];
    let mut table = Table::new(&format!("Latency in {} by OSL", unit.name), &columns);
    for (run, name) in runs.iter().zip(RUN_NAMES) {
        for LengthClass { min, max, latency } in run.classes() {
            let lengths = if min == max {
                count(min)
            } else {
                format!("{} to {}", count(min), count(max))
            };
            let mut cells = vec![
                Cell::text(&lengths),
                Cell::text(name),
                Cell::text(&count(latency.count())),
            ];
            let quantiles = [0.5, 0.9, 0.99].map(|share| unit.scale(latency.quantile(share)));
            cells.extend(quantiles.map(|value| Cell::text(&fixed(value, 2))));
            table.row(cells);
        }
    }
    table
}
