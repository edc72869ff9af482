//! OSL against latency, and the latency of each class of lengths.

use std::fmt::Write as _;

use super::distributions::SMALL;
use super::{OTHER, THIS};
use crate::html::number::{Unit, count, fixed};
use crate::html::plots::{Axis, scatter};
use crate::html::stats::{Gather, LengthClass, Spread};
use crate::html::table::{Cell, Table};
use crate::html::{Page, PageError};

/// The figure, if samples have both.
pub fn lengths(html: &mut String, page: &Page) -> Result<(), PageError> {
    let sides = [Some(&page.run), page.against.as_deref()]
        .into_iter()
        .flatten();
    let gathered: Vec<&Gather> = sides.filter_map(|side| side.gathered.as_ref()).collect();
    let Some(run) = gathered.first().filter(|run| run.pairs.count() > 0) else {
        return Ok(());
    };
    let drawn: Vec<_> = gathered.iter().map(|gather| gather.pairs.drawn()).collect();
    let (osl, latency): (Vec<f64>, Vec<f64>) = drawn
        .iter()
        .flatten()
        .map(|(osl, latency_ns)| (*osl as f64, *latency_ns as f64))
        .unzip();
    let unit = Unit::of_time(middle(&latency));
    let x = axis(&osl, Unit::TOKENS);
    let y = axis(&latency, unit);
    let says = format!(
        "Latency against OSL of {} samples",
        count(run.pairs.count())
    );
    let svg = scatter(&drawn, (&x, &y), SMALL, &says)?;
    _ = writeln!(
        html,
        "<figure>\n<figcaption><b>Latency</b> {} <span>against OSL in tokens</span></figcaption>\n{svg}",
        unit.name
    );
    let every = run.pairs.every();
    if every > 1 {
        _ = writeln!(
            html,
            "<p class=\"line\">1 of {every} samples, and the 50 slowest</p>"
        );
    }
    table(&gathered, unit).write_folded(html);
    html.push_str("</figure>\n");
    Ok(())
}

fn axis(values: &[f64], unit: Unit) -> Axis {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Axis::of_values(low.max(0.0), high.max(0.0), middle(values), 5, unit).roomy()
}

fn middle(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

fn table(gathered: &[&Gather], unit: Unit) -> Table {
    let head = ["OSL", "run", "samples", "p50", "p90", "p99"];
    let mut table = Table::new(&format!("Latency in {} by OSL", unit.name), &head);
    for (gather, name) in gathered.iter().zip([THIS, OTHER]) {
        for LengthClass {
            shortest,
            longest,
            latency,
        } in gather.pairs.classes()
        {
            let range = if shortest == longest {
                count(shortest)
            } else {
                format!("{} to {}", count(shortest), count(longest))
            };
            let mut cells = vec![
                Cell::text(&range),
                Cell::text(name),
                Cell::text(&count(latency.count())),
            ];
            cells.extend(
                [0.5, 0.9, 0.99]
                    .map(|share| Cell::text(&fixed(unit.scale(quantile(latency, share)), 2))),
            );
            table.row(cells);
        }
    }
    table
}

/// The least value that at least such a share of the values do not exceed.
fn quantile(spread: &Spread, share: f64) -> f64 {
    let wanted = share * spread.count() as f64;
    let mut below = 0;
    for (low, high, count) in spread.cells() {
        below += count;
        if below as f64 >= wanted {
            return f64::midpoint(low, high - 1.0);
        }
    }
    0.0
}
