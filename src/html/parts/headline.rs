//! The figures that people look at first, as they are, as they were, as they are elsewhere.

use std::fmt::Write as _;

use serde_json::Value;

use super::{OTHER, decimals};
use crate::html::Page;
use crate::html::escape::Text;
use crate::html::figures::{Figures, Metric};
use crate::html::number::{NONE, Unit, change, count, fixed, short};
use crate::html::table::{Cell, Table};

/// A number of a summary: its key, its name, how it is written.
type Tile = (&'static str, &'static str, fn(f64) -> String);

const TILES: [Tile; 6] = [
    ("n_samples_issued", "issued", |n| fixed(n, 0)),
    ("n_samples_completed", "completed", |n| fixed(n, 0)),
    ("n_samples_failed", "failed", |n| fixed(n, 0)),
    ("duration_ns", "duration", duration),
    ("qps", "QPS", short),
    ("tps", "TPS", short),
];

fn duration(ns: f64) -> String {
    let unit = Unit::of_time(ns);
    format!("{} {}", fixed(unit.scale(ns), 2), unit.name)
}

/// Counts, rates, and the table of the five distributions.
pub fn headline(html: &mut String, page: &Page) {
    html.push_str("<section aria-label=\"Headline figures\">\n<dl class=\"tiles\">\n");
    for tile in &TILES {
        write_tile(html, page, tile);
    }
    html.push_str("</dl>\n");
    finish_reasons(html, &page.run.summary);
    let others = page.before.iter().map(|summary| ("before", summary));
    let others: Vec<_> = others
        .chain(page.against.iter().map(|side| (OTHER, &side.summary)))
        .collect();
    table(&page.run.summary, &others).write(html);
    unknown_before(html, page);
    html.push_str("</section>\n");
}

fn write_tile(html: &mut String, page: &Page, (key, name, show): &Tile) {
    let now = page.run.summary[*key].as_f64();
    let shown = now.map_or_else(|| NONE.to_owned(), show);
    _ = write!(html, "<div><dt>{name}</dt><dd>{shown}");
    let show = |value: Option<f64>| value.map_or_else(|| NONE.to_owned(), show);
    let before = page
        .before
        .as_ref()
        .map(|summary| show(summary[*key].as_f64()));
    if let Some(before) = before.filter(|before| before != NONE && *before != shown) {
        _ = write!(html, "<small>was {before}</small>");
    }
    if let Some(against) = &page.against {
        let then = against.summary[*key].as_f64();
        let by = then.zip(now).and_then(|(then, now)| change(then, now));
        let by = by.map(|by| by + " ").unwrap_or_default();
        if then != now {
            _ = write!(html, "<small>{}vs {}</small>", Text(&by), show(then));
        }
    }
    html.push_str("</dd></div>\n");
}

fn finish_reasons(html: &mut String, summary: &Value) {
    let reasons = summary["finish_reason_counts"].as_object();
    let reasons = reasons
        .into_iter()
        .flatten()
        .filter_map(|(name, n)| Some((name, n.as_u64().filter(|n| *n > 0)?)));
    let listed: Vec<String> = reasons
        .map(|(name, n)| format!("{} {}", name.replace('_', " "), count(n)))
        .collect();
    if !listed.is_empty() {
        _ = writeln!(
            html,
            "<p class=\"note\">Finish reasons: {}.</p>",
            Text(&listed.join(", "))
        );
    }
}

/// Each metric of the run, and below it what it was and is elsewhere, where that differs.
fn table(now: &Value, others: &[(&str, &Value)]) -> Table {
    let head = ["", "values", "mean", "p50", "p90", "p99", "max"];
    let mut table = Table::new("Headline figures of each metric", &head).class("headline");
    for metric in Metric::ALL {
        let figures = Figures::of(now, metric);
        let elsewhere: Vec<_> = others
            .iter()
            .map(|(name, summary)| (*name, Figures::of(summary, metric)))
            .collect();
        let unit = metric.unit(
            elsewhere
                .iter()
                .map(|(_, figures)| figures)
                .chain([&figures]),
        );
        let decimals = decimals(metric, unit);
        let mut cells = vec![
            Cell::named(metric.name(), unit.name),
            Cell::text(&count(figures.count)),
        ];
        let numbers = numbers(&figures);
        let places = |column: usize| decimals + usize::from(column == 0 && !metric.is_time());
        cells.extend(
            numbers
                .iter()
                .enumerate()
                .map(|(i, n)| Cell::number(n.map(|n| unit.scale(n)), places(i))),
        );
        table.row_of("main", cells);
        let now = figures;
        let says_more = |then: &Figures| then.count > 0 && *then != now;
        for (name, then) in elsewhere
            .into_iter()
            .filter(|(name, then)| *name == OTHER || says_more(then))
        {
            let mut cells = vec![Cell::text(name), Cell::text(&count(then.count))];
            let mut changes = vec![
                Cell::text("change"),
                Cell::change(Some(then.count as f64), Some(now.count as f64)),
            ];
            for (i, (was, is)) in self::numbers(&then).into_iter().zip(numbers).enumerate() {
                cells.push(Cell::number(was.map(|was| unit.scale(was)), places(i)));
                changes.push(Cell::change(was, is));
            }
            table.row_of(if name == OTHER { "other" } else { "then" }, cells);
            if changes.iter().skip(1).any(|change| !change.is_empty()) {
                table.row_of("change", changes);
            }
        }
    }
    table
}

/// Of which metrics the run's own summary had no values.
fn unknown_before(html: &mut String, page: &Page) {
    let Some(before) = &page.before else { return };
    let new = |metric: &Metric| {
        let now = page.run.figures(*metric).count;
        now > 0 && Figures::of(before, *metric).count == 0
    };
    let new: Vec<&str> = Metric::ALL
        .iter()
        .copied()
        .filter(new)
        .map(Metric::name)
        .collect();
    if !new.is_empty() {
        _ = writeln!(
            html,
            "<p class=\"note\">Before, the summary had no values of {}.</p>",
            new.join(", ")
        );
    }
}

fn numbers(figures: &Figures) -> [Option<f64>; 5] {
    let at = |name| figures.percentile(name);
    [
        figures.mean,
        at("50.0"),
        at("90.0"),
        at("99.0"),
        figures.max,
    ]
}
