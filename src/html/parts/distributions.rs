//! How the values of the five metrics are spread, and OSL against latency.

use std::fmt::Write as _;

use super::{OTHER, THIS, decimals, lengths};
use crate::html::figures::{Figures, Metric};
use crate::html::number::{Unit, count, fixed, short};
use crate::html::plots::{Distribution, Shape, distribution};
use crate::html::table::{Cell, Table};
use crate::html::{Page, PageError, Side};

/// Size of a small figure, in pixels.
pub const SMALL: (u32, u32) = (330, 190);

/// A figure of each metric that has values, and one of OSL and latency.
pub fn distributions(html: &mut String, page: &Page) -> Result<(), PageError> {
    html.push_str("<section>\n<h2>Distributions</h2>\n");
    _ = writeln!(
        html,
        "<p class=\"note\">Bars count values ({}); the curve is their cumulative share (right), with dots at the median, \
         the 90th and the 99th percentile.</p>",
        if page.against.is_some() {
            "left, as a share of each run’s"
        } else {
            "left"
        }
    );
    html.push_str("<div class=\"figures\">\n");
    for metric in Metric::ALL {
        let sides: Vec<(&Side, Figures)> = [Some(&page.run), page.against.as_deref()]
            .into_iter()
            .flatten()
            .map(|side| (side, side.figures(metric)))
            .collect();
        let shapes = sides
            .iter()
            .map(|(side, figures)| (figures, shape(side, figures, metric)))
            .collect();
        if let Some(of) = Distribution::new(metric, shapes) {
            figure(html, &of)?;
        }
    }
    lengths::lengths(html, page)?;
    html.push_str("</div>\n</section>\n");
    Ok(())
}

/// The samples if there are any, else what the summary says.
fn shape<'a>(side: &'a Side, figures: &'a Figures, metric: Metric) -> Shape<'a> {
    match &side.gathered {
        Some(gathered) => Shape::Spread(gathered.spread(metric)),
        None => Shape::Buckets(&figures.buckets),
    }
}

fn figure(html: &mut String, of: &Distribution) -> Result<(), PageError> {
    let (metric, unit) = (of.metric, of.unit);
    _ = writeln!(
        html,
        "<figure>\n<figcaption><b>{}</b> {} <span>{}</span></figcaption>",
        metric.name(),
        unit.name,
        metric.meaning()
    );
    html.push_str(&distribution(of, SMALL)?);
    html.push('\n');
    percentiles(html, of);
    bins(of).write_folded(html);
    html.push_str("</figure>\n");
    Ok(())
}

/// The percentiles that have dots, in one line below.
fn percentiles(html: &mut String, of: &Distribution) {
    for (i, (figures, _)) in of.sides.iter().enumerate() {
        let at = |name| {
            figures
                .percentile(name)
                .map_or_else(|| "–".to_owned(), |ns| short(of.unit.scale(ns)))
        };
        let swatch = match (of.sides.len(), i) {
            (1, _) => "",
            (_, 0) => "<span class=\"swatch a\"></span>",
            _ => "<span class=\"swatch b\"></span>",
        };
        _ = writeln!(
            html,
            "<p class=\"line\">{swatch}p50 <b>{}</b> p90 <b>{}</b> p99 <b>{}</b></p>",
            at("50.0"),
            at("90.0"),
            at("99.0")
        );
    }
    let negative: u64 = of
        .sides
        .iter()
        .filter_map(|(_, shape)| match shape {
            Shape::Spread(spread) => Some(spread.negative()),
            Shape::Buckets(_) => None,
        })
        .sum();
    if negative > 0 {
        _ = writeln!(
            html,
            "<p class=\"line\">{} below 0, drawn at 0.</p>",
            count(negative)
        );
    }
}

/// The bins of the histogram that hold values.
fn bins(of: &Distribution) -> Table {
    let unit = of.unit.name;
    let (from, to) = (format!("from {unit}"), format!("below {unit}"));
    let mut head = vec![from.as_str(), to.as_str()];
    let names = [THIS, OTHER];
    let known: Vec<(usize, &Vec<u64>)> = of
        .bins
        .iter()
        .enumerate()
        .filter_map(|(i, bins)| Some((i, bins.as_ref()?)))
        .collect();
    for (i, _) in &known {
        head.extend([names[*i], "cumulative"]);
    }
    let mut table = Table::new(&format!("Histogram of {}", of.metric.name()), &head);
    let mut below = vec![0; known.len()];
    for (bin, pair) in of.edges.windows(2).enumerate() {
        if known.iter().all(|(_, counts)| counts[bin] == 0) {
            continue;
        }
        let mut cells = vec![
            edge(of.metric, of.unit, pair[0]),
            edge(of.metric, of.unit, pair[1]),
        ];
        for ((_, counts), below) in known.iter().zip(&mut below) {
            *below += counts[bin];
            let total = counts.iter().sum::<u64>().max(1) as f64;
            cells.push(Cell::text(&count(counts[bin])));
            cells.push(Cell::text(&format!(
                "{} %",
                fixed(*below as f64 / total * 100.0, 2)
            )));
        }
        table.row(cells);
    }
    table
}

fn edge(metric: Metric, unit: Unit, value: f64) -> Cell {
    Cell::number(Some(unit.scale(value)), decimals(metric, unit))
}
