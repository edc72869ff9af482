//! The headline figures: of the run, of its summary before, of its baseline.

use serde_json::Value;

use super::{RUN_NAMES, note};
use crate::html::escape::write_html;
use crate::html::metric_summary::{MetricSummary, display_unit};
use crate::html::table::{Cell, Table, change};
use crate::html::{DIGITS, Page};
use crate::metric::Metric;
use crate::number::{DisplayUnit, MISSING, count, digits, fixed};

/// A number of a summary: its key, its name, its format.
type Tile = (&'static str, &'static str, fn(f64) -> String);

const TILES: [Tile; 6] = [
    ("n_samples_issued", "issued", |n| fixed(n, 0)),
    ("n_samples_completed", "completed", |n| fixed(n, 0)),
    ("n_samples_failed", "failed", |n| fixed(n, 0)),
    ("duration_ns", "duration", duration),
    ("qps", "QPS", |n| digits(n, DIGITS)),
    ("tps", "TPS", |n| digits(n, DIGITS)),
];

/// The columns of a table of metrics.
pub(super) const METRIC_COLUMNS: [&str; 7] = ["", "values", "mean", "p50", "p90", "p99", "max"];

/// Formats a duration with the unit that fits.
pub(super) fn duration(ns: f64) -> String {
    let unit = DisplayUnit::of_time(ns);
    format!("{} {}", fixed(unit.scale(ns), 2), unit.name)
}

/// Writes counts and rates, the finish reasons, and the table of the five metrics.
pub(crate) fn headline(html: &mut String, page: &Page) {
    html.push_str("<section aria-label=\"Headline figures\">\n<dl class=\"tiles\">\n");
    for tile in &TILES {
        write_tile(html, page, tile);
    }
    html.push_str("</dl>\n");
    finish_reasons(html, &page.run.summary);
    table(page).write(html);
    metrics_without_values_before(html, page);
    html.push_str("</section>\n");
}

fn write_tile(html: &mut String, page: &Page, (key, name, format): &Tile) {
    let format = |value: Option<f64>| value.map_or(MISSING.to_owned(), format);
    let now = page.run.summary[*key].as_f64();
    write_html!(html, "<div><dt>{name}</dt><dd>{}", format(now));
    let before = page
        .before
        .as_ref()
        .map(|summary| format(summary[*key].as_f64()));
    if let Some(before) = before.filter(|before| before != MISSING && *before != format(now)) {
        write_html!(html, "<small>was {}</small>", before);
    }
    if let Some(baseline) = &page.baseline {
        let then = baseline.summary[*key].as_f64();
        let change = then.zip(now).and_then(|(then, now)| change(then, now));
        let change = change.map_or(String::new(), |change| change + " ");
        if then != now {
            write_html!(html, "<small>{}vs {}</small>", change, format(then));
        }
    }
    html.push_str("</dd></div>\n");
}

fn finish_reasons(html: &mut String, summary: &Value) {
    let reasons = summary["finish_reason_counts"].as_object();
    let listed: Vec<String> = reasons
        .into_iter()
        .flatten()
        .filter_map(|(name, n)| Some((name, n.as_u64().filter(|n| *n > 0)?)))
        .map(|(name, n)| format!("{} {}", name.replace('_', " "), count(n)))
        .collect();
    if !listed.is_empty() {
        note(html, &format!("Finish reasons: {}.", listed.join(", ")));
    }
}

/// Each metric of the run, and below it that of the summary before, if it differs, and of the baseline.
fn table(page: &Page) -> Table {
    let mut table =
        Table::new("Headline figures of each metric", &METRIC_COLUMNS).class("headline");
    for metric in Metric::REPORTED {
        let now = page.run.metric(metric);
        let before = page.before.as_ref();
        let before = before.map(|summary| MetricSummary::of(summary, metric));
        let before = before.filter(|before| before.count > 0 && *before != now);
        let baseline = page.baseline.as_ref().map(|run| run.metric(metric));
        let others = [
            ("then", "before", before),
            ("other", RUN_NAMES[1], baseline),
        ];
        add_metric(&mut table, metric, &now, &others);
    }
    table
}

/// Adds the rows of one metric to a table of [`METRIC_COLUMNS`]: first `now`, then other summaries, each with the class
/// of its row and its name, and the change from it.
pub(super) fn add_metric(
    table: &mut Table,
    metric: Metric,
    now: &MetricSummary,
    others: &[(&str, &str, Option<MetricSummary>)],
) {
    let shown = others.iter().filter_map(|(_, _, other)| other.as_ref());
    let unit = display_unit(metric, shown.chain([now]));
    let mut cells = vec![Cell::named(metric.label(), unit.name)];
    cells.extend(value_cells(now, metric, unit));
    table.row_of("main", cells);
    for (class, name, other) in others {
        let Some(other) = other else { continue };
        let mut cells = vec![Cell::text(name)];
        cells.extend(value_cells(other, metric, unit));
        table.row_of(class, cells);
        let changes = change_cells(other, now);
        if changes.iter().any(|change| !change.is_empty()) {
            table.row_of("change", [vec![Cell::text("change")], changes].concat());
        }
    }
}

fn value_cells(summary: &MetricSummary, metric: Metric, unit: DisplayUnit) -> Vec<Cell> {
    let mut cells = vec![Cell::text(&count(summary.count))];
    for (i, value) in headline_values(summary).into_iter().enumerate() {
        // The mean of whole numbers has a decimal.
        let decimals = unit.decimals() + usize::from(i == 0 && !metric.is_time());
        cells.push(Cell::number(value.map(|value| unit.scale(value)), decimals));
    }
    cells
}

fn change_cells(then: &MetricSummary, now: &MetricSummary) -> Vec<Cell> {
    let values = headline_values(then).into_iter().zip(headline_values(now));
    let counts = (Some(then.count as f64), Some(now.count as f64));
    std::iter::once(counts)
        .chain(values)
        .map(|(then, now)| Cell::change(then, now))
        .collect()
}

fn headline_values(summary: &MetricSummary) -> [Option<f64>; 5] {
    let percentile = |name| summary.percentile(name);
    [
        summary.mean,
        percentile("50.0"),
        percentile("90.0"),
        percentile("99.0"),
        summary.max,
    ]
}

/// Names the metrics of which the summary before had no values.
fn metrics_without_values_before(html: &mut String, page: &Page) {
    let Some(before) = &page.before else { return };
    let is_new = |metric: &Metric| {
        page.run.metric(*metric).count > 0 && MetricSummary::of(before, *metric).count == 0
    };
    let new: Vec<&str> = Metric::REPORTED
        .into_iter()
        .filter(is_new)
        .map(Metric::label)
        .collect();
    if !new.is_empty() {
        let names = new.join(", ");
        note(
            html,
            &format!("Before, the summary had no values of {names}."),
        );
    }
}
