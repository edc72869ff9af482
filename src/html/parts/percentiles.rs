//! All percentiles, with early-stopping estimates beside them where the summary has any.

use super::decimals;
use crate::html::Page;
use crate::html::figures::{Figures, Metric};
use crate::html::number::Unit;
use crate::html::table::{Cell, Table};
use crate::stats::PERCENTILES;

struct Column {
    metric: Metric,
    unit: Unit,
    now: Figures,
    other: Option<Figures>,
}

/// The table of percentiles.
pub fn percentiles(html: &mut String, page: &Page) {
    let columns: Vec<Column> = Metric::ALL
        .into_iter()
        .map(|metric| Column::new(page, metric))
        .collect();
    let columns: Vec<Column> = columns
        .into_iter()
        .filter(|column| column.now.count > 0)
        .collect();
    if columns.is_empty() {
        return;
    }
    html.push_str("<section>\n<h2>Percentiles</h2>\n");
    let estimated = columns.iter().any(|column| column.now.estimates.is_some());
    if estimated {
        html.push_str(
            "<p class=\"note\"><i>est.</i> is the early-stopping estimate: what the percentile is at most, with 99 % confidence; \
             a dash where there are too few values to say.</p>\n",
        );
    }
    if page.against.is_some() {
        html.push_str("<p class=\"note\">Small figures are changes from the baseline.</p>\n");
    }
    let mut head = vec!["percentile".to_owned()];
    for column in &columns {
        head.push(format!("{} {}", column.metric.name(), column.unit.name));
        if column.now.estimates.is_some() {
            head.push("est.".to_owned());
        }
    }
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let mut table = Table::new("Percentiles of each metric", &head);
    for (i, (name, _)) in PERCENTILES.iter().enumerate().rev() {
        let mut cells = vec![Cell::text(&format!("p{}", name.trim_end_matches(".0")))];
        for column in &columns {
            column.cells(i, &mut cells);
        }
        table.row(cells);
    }
    table.write(html);
    html.push_str("</section>\n");
}

impl Column {
    fn new(page: &Page, metric: Metric) -> Self {
        let now = page.run.figures(metric);
        let other = page.against.as_ref().map(|side| side.figures(metric));
        let unit = metric.unit(other.iter().chain([&now]));
        Self {
            metric,
            unit,
            now,
            other,
        }
    }

    fn cells(&self, at: usize, cells: &mut Vec<Cell>) {
        let scale = |value: Option<f64>| value.map(|value| self.unit.scale(value));
        let decimals = decimals(self.metric, self.unit);
        let value = scale(self.now.percentiles[at]);
        cells.push(match &self.other {
            Some(other) => Cell::number_since(value, decimals, scale(other.percentiles[at])),
            None => Cell::number(value, decimals),
        });
        if let Some(estimates) = &self.now.estimates {
            cells.push(match estimates.get(at) {
                Some(estimate) => Cell::number(scale(*estimate), decimals),
                None => Cell::text(""),
            });
        }
    }
}
