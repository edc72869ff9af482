//! The table of a live run, for a terminal of any size.
//!
//! All rows share one grid. Its column widths do not depend on the numbers, so nothing moves while they change.

use anstyle::{AnsiColor, Style};
use console::{measure_text_width, truncate_str};

use super::lag;
use crate::command::follow::live_stats::{LiveDistribution, LiveStats, Rate};
use crate::metric::{self, Metric};
use crate::number::{self, DisplayUnit};
use crate::report::State;

const PLAIN: Style = Style::new();
const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default();

/// The digits of a number, before and after the point together.
const DIGITS: usize = 3;

/// The columns of the numbers.
#[derive(Clone, Copy, Debug)]
struct TableGrid {
    width: usize,
    /// The width of the first column, which names the rows.
    label: usize,
    /// The width of the other columns, with the space before each.
    column: usize,
    columns: &'static [TableColumn],
}

/// A column of the metrics.
#[derive(Clone, Copy, Debug)]
enum TableColumn {
    Count,
    Mean,
    P50,
    P90,
    P99,
}

use TableColumn::{Count, Mean, P50, P90, P99};

impl TableColumn {
    fn name(self) -> &'static str {
        match self {
            Count => "count",
            Mean => "mean",
            P50 => "p50",
            P90 => "p90",
            P99 => "p99",
        }
    }

    fn format(self, values: &LiveDistribution, unit: metric::Unit, grid: &TableGrid) -> String {
        let value = match self {
            Count => return grid.count(values.count),
            Mean => values.mean,
            P50 => values.p50,
            P90 => values.p90,
            P99 => values.p99,
        };
        match (unit, self) {
            (metric::Unit::Nanoseconds, _) => time(value),
            (metric::Unit::Tokens, Mean) => grid.fit(number::digits(value, DIGITS), value),
            (metric::Unit::Tokens, _) => grid.fit(number::fixed(value, 0), value),
        }
    }
}

impl TableGrid {
    /// Returns the grid with the most columns that fit. The 90th percentile goes first, then the mean, then the count.
    fn fitting(width: usize) -> Option<Self> {
        let (label, column) = if width >= 71 { (11, 12) } else { (9, 10) };
        let columns: &[TableColumn] = match width.checked_sub(label)? / column {
            0 | 1 => return None,
            2 => &[P50, P99],
            3 => &[Count, P50, P99],
            4 => &[Count, Mean, P50, P99],
            _ => &[Count, Mean, P50, P90, P99],
        };
        Some(Self {
            width,
            label,
            column,
            columns,
        })
    }

    fn row(&self, style: Style, label: &str) -> TableLine {
        TableLine::new(self.width).label(style, self.label, label)
    }

    /// Returns the text of a number, or a shorter one if the column is too narrow for it.
    fn fit(&self, text: String, value: f64) -> String {
        fit(self.column - 1, text, value)
    }

    fn count(&self, value: u64) -> String {
        self.fit(number::count(value), value as f64)
    }

    /// Adds a cell with a number, or with a dash if the number is not known.
    fn cell(&self, line: TableLine, number: Option<String>) -> TableLine {
        match number {
            Some(number) => line.cell(PLAIN, self.column, &number),
            None => line.cell(DIM, self.column, number::MISSING),
        }
    }
}

/// Formats the table in at most `size` columns and rows.
pub(super) fn table(stats: &LiveStats, log_name: &str, size: (usize, usize)) -> Vec<String> {
    let (width, rows) = size;
    let state = vec![state(stats, log_name, width)];
    let sections = match TableGrid::fitting(width) {
        Some(grid) => vec![
            state,
            counters(stats, &grid),
            metrics(stats, &grid),
            rates(stats, &grid),
        ],
        None => vec![state, vec![progress(stats, width)]],
    };
    let count = sections.iter().map(Vec::len).sum::<usize>() + sections.len() - 1;
    let spaced = sections.len() > 2 && count <= rows;
    let mut lines = Vec::with_capacity(count);
    for section in sections {
        if spaced && !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(section);
    }
    lines.truncate(rows);
    lines
}

/// Formats the phase of the run, its time, the lag behind its log and the name of the log.
fn state(stats: &LiveStats, log_name: &str, width: usize) -> String {
    let style = match stats.phase {
        State::Initialize => BOLD,
        State::Live | State::Complete => GREEN.bold(),
        State::Draining => YELLOW.bold(),
        State::Interrupted => RED.bold(),
    };
    let mut line = TableLine::new(width)
        .push(style, stats.phase.name())
        .push(PLAIN, "  ")
        .push(PLAIN, &number::clock(stats.elapsed_ns));
    if let Some(lag) = lag(stats) {
        line = line.push(PLAIN, "  ").push(YELLOW, &lag);
    }
    line.push(PLAIN, "  ").push(DIM, log_name).end()
}

/// Formats the progress of the run, for a terminal that is too narrow for the grid.
fn progress(stats: &LiveStats, width: usize) -> String {
    let done = format!(
        "{} of {}",
        number::count(stats.completed),
        number::count(stats.issued)
    );
    TableLine::new(width).push(PLAIN, &done).end()
}

fn counters(stats: &LiveStats, grid: &TableGrid) -> Vec<String> {
    let failed = if stats.failed > 0 { RED } else { PLAIN };
    let all = [
        ("issued", stats.issued, PLAIN),
        ("completed", stats.completed, PLAIN),
        ("failed", stats.failed, failed),
        ("in flight", stats.in_flight, PLAIN),
        ("counted", stats.counted, PLAIN),
        ("pending", stats.pending, PLAIN),
    ];
    let per_row = if grid.columns.len() == 5 { 6 } else { 3 };
    let mut lines = Vec::new();
    for row in all.chunks(per_row) {
        let mut names = TableLine::new(grid.width);
        let mut values = TableLine::new(grid.width);
        let mut width = grid.label;
        for &(name, value, style) in row {
            names = names.cell(DIM, width, name);
            values = values.cell(style, width, &grid.count(value));
            width = grid.column;
        }
        lines.extend([names.end(), values.end()]);
    }
    lines
}

fn metrics(stats: &LiveStats, grid: &TableGrid) -> Vec<String> {
    let mut header = grid.row(DIM, "");
    for column in grid.columns {
        header = header.cell(DIM, grid.column, column.name());
    }
    let row = |metric: Metric| {
        let label = grid.row(PLAIN, metric.label());
        let columns = grid.columns.iter();
        let line = columns.fold(label, |line, column| {
            let values = stats.metrics[metric];
            let text = values.map(|values| column.format(&values, metric.unit(), grid));
            grid.cell(line, text)
        });
        line.end()
    };
    let mut lines = vec![header.end()];
    lines.extend(Metric::REPORTED.map(row));
    lines
}

fn rates(stats: &LiveStats, grid: &TableGrid) -> Vec<String> {
    let header = grid.row(DIM, "");
    let header = header.cell(DIM, grid.column, "QPS");
    let row = |label: &str, rate: Option<Rate>| {
        let number = |value: f64| grid.fit(number::digits(value, DIGITS), value);
        let line = grid.cell(grid.row(PLAIN, label), rate.map(|rate| number(rate.qps)));
        let tps = rate.and_then(|rate| rate.tps);
        grid.cell(line, tps.map(number)).end()
    };
    vec![
        header.cell(DIM, grid.column, "TPS").end(),
        row("last 10 s", stats.recent),
        row("run", stats.whole),
    ]
}

/// Formats a time. The unit is two columns wide, so that the numbers below each other are aligned.
fn time(ns: f64) -> String {
    let unit = DisplayUnit::of_time(ns);
    let value = unit.scale(ns);
    let text = fit("99,999".len(), number::digits(value, DIGITS), value);
    format!("{text} {:<2}", unit.name)
}

/// Returns `text`, the text of `value`, or a shorter one if it is wider than `max_width`.
fn fit(max_width: usize, text: String, value: f64) -> String {
    if measure_text_width(&text) <= max_width {
        text
    } else {
        number::compact(value, DIGITS)
    }
}

/// Builds a styled line that ends where the terminal does.
#[derive(Debug)]
struct TableLine {
    text: String,
    remaining: usize,
}

impl TableLine {
    fn new(width: usize) -> Self {
        Self {
            text: String::new(),
            remaining: width,
        }
    }

    /// Adds text, and cuts it where the line is full.
    fn push(mut self, style: Style, text: &str) -> Self {
        if self.remaining == 0 {
            return self;
        }
        let fitting = truncate_str(text, self.remaining, "…");
        self.remaining = self.remaining.saturating_sub(measure_text_width(&fitting));
        if fitting.trim().is_empty() {
            self.text.push_str(&fitting);
        } else {
            self.text.push_str(&format!("{style}{fitting}{style:#}"));
        }
        self
    }

    /// Adds text at the right end of a column.
    fn cell(self, style: Style, width: usize, text: &str) -> Self {
        let space = width.saturating_sub(measure_text_width(text));
        self.push(Style::new(), &" ".repeat(space))
            .push(style, text)
    }

    /// Adds text at the left end of a column.
    fn label(self, style: Style, width: usize, text: &str) -> Self {
        let space = width.saturating_sub(measure_text_width(text));
        self.push(style, text)
            .push(Style::new(), &" ".repeat(space))
    }

    fn end(self) -> String {
        self.text.trim_end().to_owned()
    }
}
