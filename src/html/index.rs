//! The index of several runs: a row for each run, which links to its page.

use serde_json::Value;

use super::escape::write_html;
use super::metric_summary::{MetricSummary, display_unit};
use super::plots::ranges;
use super::sections::{SMALL, begin_figure, note};
use super::table::{Cell, Table};
use super::{DIGITS, document};
use crate::metric::Metric;
use crate::number::{DisplayUnit, MISSING, count, digits};

/// One run of an index.
#[derive(Debug)]
pub(crate) struct IndexRow {
    pub name: String,
    /// The link from the index to the run's page; `None` if the run could not be counted.
    pub link: Option<String>,
    /// The verdict or the error, in a word or a sentence.
    pub outcome: String,
    pub good: bool,
    pub summary: Value,
}

/// Several runs, in the order in which they were counted.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub runs: Vec<IndexRow>,
}

/// One metric of all runs.
struct IndexColumn {
    metric: Metric,
    unit: DisplayUnit,
    /// The median and the 99th percentile of each run, in the metric's own unit.
    runs: Vec<[Option<f64>; 2]>,
}

impl Index {
    /// Returns the page's HTML.
    pub fn render(&self) -> String {
        let good = self.runs.iter().filter(|run| run.good).count();
        let title = format!("{} runs", self.runs.len());
        let mut body = format!("<header>\n<h1>{title}</h1>\n");
        let bad = self.runs.len() - good;
        note(&mut body, &format!("{good} as they should be, {bad} not."));
        body.push_str("</header>\n<main>");
        let columns = Metric::REPORTED.map(|metric| IndexColumn::new(metric, &self.runs));
        self.table(&columns).write(&mut body);
        side_by_side(&mut body, &columns);
        body.push_str("</main>\n");
        document(&title, "index", &body)
    }

    fn table(&self, columns: &[IndexColumn]) -> Table {
        let mut heads: Vec<String> = ["", "run", "outcome", "samples", "QPS", "TPS"]
            .map(str::to_owned)
            .into();
        for IndexColumn { metric, unit, .. } in columns {
            heads.push(format!("{} p50 {}", metric.label(), unit.name));
            heads.push(format!("p99 {}", unit.name));
        }
        let mut table = Table::new("All runs", &heads).class("runs");
        for (i, run) in self.runs.iter().enumerate() {
            table.row(cells(i, run, columns));
        }
        table
    }
}

fn cells(index: usize, run: &IndexRow, columns: &[IndexColumn]) -> Vec<Cell> {
    let name = match &run.link {
        Some(link) => Cell::link(&run.name, link),
        None => Cell::text(&run.name),
    };
    let mark = if run.good { "✓" } else { "✗" };
    let number = |value: Option<f64>| {
        Cell::text(&value.map_or(MISSING.to_owned(), |value| digits(value, DIGITS)))
    };
    let completed = run.summary["n_samples_completed"].as_u64();
    let mut cells = vec![
        Cell::text(&(index + 1).to_string()),
        name,
        Cell::text(&format!("{mark} {}", run.outcome)),
        Cell::text(&completed.map_or(MISSING.to_owned(), count)),
        number(run.summary["qps"].as_f64()),
        number(run.summary["tps"].as_f64()),
    ];
    for IndexColumn { unit, runs, .. } in columns {
        cells.extend(runs[index].map(|value| number(value.map(|value| unit.scale(value)))));
    }
    cells
}

/// Draws the runs below each other, metric by metric; the numbers are in the table.
fn side_by_side(body: &mut String, columns: &[IndexColumn]) {
    body.push_str("<section>\n<h2>Side by side</h2>\n");
    note(
        body,
        "From the median (dot) to the 99th percentile of each run, by its number in the table.",
    );
    body.push_str("<div class=\"figures\">\n");
    for IndexColumn { metric, unit, runs } in columns {
        let ends: Vec<_> = runs.iter().map(|[median, p99]| median.zip(*p99)).collect();
        if ends.iter().all(Option::is_none) {
            continue;
        }
        let label = format!(
            "{} of {} runs, from median to 99th percentile",
            metric.label(),
            runs.len()
        );
        begin_figure(body, metric.label(), unit.name, metric.meaning());
        let svg = ranges(&ends, *unit, SMALL.0, &label);
        write_html!(body, "{svg}\n</figure>\n");
    }
    body.push_str("</div>\n</section>\n");
}

impl IndexColumn {
    fn new(metric: Metric, runs: &[IndexRow]) -> Self {
        let runs = runs
            .iter()
            .map(|run| MetricSummary::of(&run.summary, metric));
        let runs: Vec<MetricSummary> = runs.collect();
        let unit = display_unit(metric, &runs);
        let ends = |run: &MetricSummary| ["50.0", "99.0"].map(|key| run.percentile(key));
        Self {
            metric,
            unit,
            runs: runs.iter().map(ends).collect(),
        }
    }
}
