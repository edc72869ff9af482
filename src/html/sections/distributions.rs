//! The distributions of the five metrics, and OSL against latency.

use super::osl_latency::osl_latency;
use super::{RUN_NAMES, SMALL, begin_figure, note};
use crate::html::escape::write_html;
use crate::html::plots::{Distribution, RunValues};
use crate::html::stats::Histogram;
use crate::html::table::{Cell, Table};
use crate::html::{DIGITS, Page};
use crate::metric::Metric;
use crate::number::{MISSING, count, digits, fixed};

/// Writes a figure for each metric that has values, and one for OSL and latency.
pub(crate) fn distributions(html: &mut String, page: &Page) {
    html.push_str("<section>\n<h2>Distributions</h2>\n");
    let left = match page.baseline {
        Some(_) => "left, as a share of each run’s",
        None => "left",
    };
    note(
        html,
        &format!(
            "Bars count values ({left}); the curve is their cumulative share (right), with dots at the median, \
             the 90th and the 99th percentile."
        ),
    );
    html.push_str("<div class=\"figures\">\n");
    for metric in Metric::REPORTED {
        let runs = page.runs().map(|run| RunValues {
            summary: run.metric(metric),
            samples: run.stats.as_ref().map(|stats| stats.histogram(metric)),
        });
        if let Some(distribution) = Distribution::new(metric, runs.collect()) {
            figure(html, &distribution);
        }
    }
    osl_latency(html, page);
    html.push_str("</div>\n</section>\n");
}

fn figure(html: &mut String, distribution: &Distribution) {
    let Distribution { metric, unit, .. } = distribution;
    begin_figure(html, metric.label(), unit.name, metric.meaning());
    html.push_str(&distribution.svg(SMALL));
    html.push('\n');
    percentiles(html, distribution);
    bins(distribution).write_folded(html);
    html.push_str("</figure>\n");
}

/// Writes a line for each run: the percentiles that have dots.
fn percentiles(html: &mut String, Distribution { unit, runs, .. }: &Distribution) {
    for (i, run) in runs.iter().enumerate() {
        let percentile = |name| {
            let value = run.summary.percentile(name);
            value.map_or(MISSING.to_owned(), |value| {
                digits(unit.scale(value), DIGITS)
            })
        };
        let swatch = match (runs.len(), i) {
            (1, _) => "",
            (_, 0) => "<span class=\"swatch a\"></span>",
            _ => "<span class=\"swatch b\"></span>",
        };
        write_html!(
            html,
            "<p class=\"line\">{swatch}p50 <b>{}</b> p90 <b>{}</b> p99 <b>{}</b></p>\n",
            percentile("50.0"),
            percentile("90.0"),
            percentile("99.0")
        );
    }
    let samples = runs.iter().filter_map(|run| run.samples);
    let negative: u64 = samples.map(Histogram::negative).sum();
    if negative > 0 {
        write_html!(
            html,
            "<p class=\"line\">{} below 0, drawn at 0.</p>\n",
            count(negative)
        );
    }
}

/// Lists the bins that hold values.
fn bins(distribution: &Distribution) -> Table {
    let Distribution { metric, unit, .. } = distribution;
    let known = distribution.bins.iter().zip(RUN_NAMES);
    let known: Vec<(&Vec<u64>, &str)> = known
        .filter_map(|(counts, name)| Some((counts.as_ref()?, name)))
        .collect();
    let mut columns = vec![
        format!("from {}", unit.name),
        format!("below {}", unit.name),
    ];
    for (_, name) in &known {
        columns.extend([(*name).to_owned(), "cumulative".to_owned()]);
    }
    let mut table = Table::new(&format!("Histogram of {}", metric.label()), &columns);
    let edge = |value| Cell::number(Some(unit.scale(value)), unit.decimals());
    let mut below = vec![0; known.len()];
    for (bin, edges) in distribution.edges.windows(2).enumerate() {
        if known.iter().all(|(counts, _)| counts[bin] == 0) {
            continue;
        }
        let mut cells = vec![edge(edges[0]), edge(edges[1])];
        for ((counts, _), below) in known.iter().zip(&mut below) {
            *below += counts[bin];
            let total = counts.iter().sum::<u64>().max(1) as f64;
            let percent = *below as f64 / total * 100.0;
            cells.push(Cell::text(&count(counts[bin])));
            cells.push(Cell::text(&format!("{} %", fixed(percent, 2))));
        }
        table.row(cells);
    }
    table
}
