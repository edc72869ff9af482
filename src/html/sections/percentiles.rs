//! All percentiles, with the early-stopping estimates of a summary that has them.

use super::note;
use crate::html::Page;
use crate::html::metric_summary::{MetricSummary, display_unit};
use crate::html::table::{Cell, Table};
use crate::metric::Metric;
use crate::number::DisplayUnit;
use crate::stats::PERCENTILES;

struct PercentileColumn {
    metric: Metric,
    unit: DisplayUnit,
    now: MetricSummary,
    baseline: Option<MetricSummary>,
}

/// Writes the table of percentiles, if there are values.
pub(crate) fn percentiles(html: &mut String, page: &Page) {
    let columns = Metric::REPORTED.map(|metric| PercentileColumn::new(page, metric));
    let columns: Vec<PercentileColumn> = columns
        .into_iter()
        .filter(|column| column.now.count > 0)
        .collect();
    if columns.is_empty() {
        return;
    }
    html.push_str("<section>\n<h2>Percentiles</h2>\n");
    if columns.iter().any(|column| column.now.estimates.is_some()) {
        note(
            html,
            "“est.” is the early-stopping estimate: the upper bound of the percentile, with 99 % confidence; \
             a dash where there are too few values.",
        );
    }
    if page.baseline.is_some() {
        note(html, "Small figures are changes from the baseline.");
    }
    let mut heads = vec!["percentile".to_owned()];
    for column in &columns {
        heads.push(format!("{} {}", column.metric.label(), column.unit.name));
        heads.extend(column.now.estimates.map(|_| "est.".to_owned()));
    }
    let mut table = Table::new("Percentiles of each metric", &heads);
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

impl PercentileColumn {
    fn new(page: &Page, metric: Metric) -> Self {
        let now = page.run.metric(metric);
        let baseline = page.baseline.as_ref().map(|run| run.metric(metric));
        let unit = display_unit(metric, baseline.iter().chain([&now]));
        Self {
            metric,
            unit,
            now,
            baseline,
        }
    }

    /// Adds the cells for the percentile at that index of [`PERCENTILES`].
    fn cells(&self, index: usize, cells: &mut Vec<Cell>) {
        let scale = |value: Option<f64>| value.map(|value| self.unit.scale(value));
        let decimals = self.unit.decimals();
        let value = scale(self.now.percentiles[index]);
        let baseline = self.baseline.as_ref();
        let then = baseline.and_then(|baseline| scale(baseline.percentiles[index]));
        cells.push(Cell::number_since(value, decimals, then));
        if let Some(estimates) = &self.now.estimates {
            cells.push(match estimates.get(index) {
                Some(estimate) => Cell::number(scale(*estimate), decimals),
                None => Cell::text(""),
            });
        }
    }
}
