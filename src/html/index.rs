//! The index of several runs: one row a run, each with a page of its own.

use std::fmt::Write as _;

use serde_json::Value;

use super::figures::{Figures, Metric};
use super::number::{NONE, Unit, count, short};
use super::parts::SMALL;
use super::plots::ranges;
use super::table::{Cell, Table};
use super::{PageError, document};

/// One run of an index.
#[derive(Debug)]
pub struct Entry {
    /// What it is called.
    pub name: String,
    /// The link from the index to its page; nothing for a run that could not be counted.
    pub link: Option<String>,
    /// In a word or a sentence: complete, passed, what went wrong.
    pub outcome: String,
    /// Whether that is as it should be.
    pub good: bool,
    /// Its summary.
    pub summary: Value,
}

/// Several runs.
#[derive(Debug, Default)]
pub struct Index {
    /// In the order in which they were done.
    pub runs: Vec<Entry>,
}

impl Index {
    /// The page's HTML.
    pub fn render(&self) -> Result<String, PageError> {
        let good = self.runs.iter().filter(|run| run.good).count();
        let title = format!("{} runs", self.runs.len());
        let mut body = format!("<header>\n<h1>{title}</h1>\n");
        _ = writeln!(
            body,
            "<p class=\"note\">{good} as they should be, {} not.</p>\n</header>\n<main>",
            self.runs.len() - good
        );
        let metrics = Metric::ALL.map(|metric| Column::new(metric, &self.runs));
        self.table(&metrics).write(&mut body);
        side_by_side(&mut body, &metrics)?;
        body.push_str("</main>\n");
        Ok(document(&title, "index", &body))
    }

    fn table(&self, metrics: &[Column]) -> Table {
        let mut head: Vec<String> = ["", "run", "outcome", "samples", "QPS", "TPS"]
            .map(str::to_owned)
            .into();
        for Column { metric, unit, .. } in metrics {
            let name = metric.name();
            head.extend([
                format!("{name} p50 {}", unit.name),
                format!("p99 {}", unit.name),
            ]);
        }
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        let mut table = Table::new("All runs", &head).class("runs");
        for (at, run) in self.runs.iter().enumerate() {
            table.row(row(at, run, metrics));
        }
        table
    }
}

/// Where the runs are next to each other, metric by metric; the numbers are in the table.
fn side_by_side(body: &mut String, metrics: &[Column]) -> Result<(), PageError> {
    body.push_str(
        "<section>\n<h2>Side by side</h2>\n<p class=\"note\">From the median (dot) to the 99th percentile of each run, \
         by its number in the table.</p>\n<div class=\"figures\">\n",
    );
    for Column { metric, unit, runs } in metrics {
        let ends = |figures: &Figures| figures.percentile("50.0").zip(figures.percentile("99.0"));
        let ends: Vec<_> = runs.iter().map(ends).collect();
        if ends.iter().all(Option::is_none) {
            continue;
        }
        let says = format!(
            "{} of {} runs, from median to 99th percentile",
            metric.name(),
            runs.len()
        );
        let svg = ranges(&ends, *unit, SMALL.0, &says)?;
        _ = writeln!(
            body,
            "<figure>\n<figcaption><b>{}</b> {} <span>{}</span></figcaption>\n{svg}\n</figure>",
            metric.name(),
            unit.name,
            metric.meaning()
        );
    }
    body.push_str("</div>\n</section>\n");
    Ok(())
}

/// One metric of all runs.
struct Column {
    metric: Metric,
    unit: Unit,
    runs: Vec<Figures>,
}

impl Column {
    fn new(metric: Metric, runs: &[Entry]) -> Self {
        let runs: Vec<Figures> = runs
            .iter()
            .map(|run| Figures::of(&run.summary, metric))
            .collect();
        let unit = metric.unit(runs.iter());
        Self { metric, unit, runs }
    }
}

fn row(at: usize, run: &Entry, metrics: &[Column]) -> Vec<Cell> {
    let name = match &run.link {
        Some(link) => Cell::link(&run.name, link),
        None => Cell::text(&run.name),
    };
    let mark = if run.good { "✓" } else { "✗" };
    let number = |value: Option<f64>| Cell::text(&value.map_or_else(|| NONE.to_owned(), short));
    let completed = run.summary["n_samples_completed"].as_u64();
    let mut cells = vec![
        Cell::text(&(at + 1).to_string()),
        name,
        Cell::text(&format!("{mark} {}", run.outcome)),
        Cell::text(&completed.map_or_else(|| NONE.to_owned(), count)),
        number(run.summary["qps"].as_f64()),
        number(run.summary["tps"].as_f64()),
    ];
    for Column { unit, runs, .. } in metrics {
        let figures = &runs[at];
        let scaled = |value: Option<f64>| number(value.map(|value| unit.scale(value)));
        cells.extend([
            scaled(figures.percentile("50.0")),
            scaled(figures.percentile("99.0")),
        ]);
    }
    cells
}
