//! The table of a live run, for a terminal of any size.
//!
//! Everything stands on one grid of columns whose widths do not depend on the figures, so nothing jumps while they change.

use anstyle::{AnsiColor, Style};

use super::line::Line;
use super::units;
use crate::command::follow::figures::{Distribution, Figures, Phase, Rate};

const PLAIN: Style = Style::new();
const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const MIDDLING: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default();

/// What is not known.
const UNKNOWN: &str = "—";

/// The columns that numbers stand in.
#[derive(Clone, Copy, Debug)]
struct Grid {
    width: usize,
    /// Width of the first column, which says what a row is.
    label: usize,
    /// Width of the others, with the space before them.
    column: usize,
    figures: &'static [Figure],
}

/// What is shown of a distribution.
#[derive(Clone, Copy, Debug)]
enum Figure {
    Count,
    Mean,
    P50,
    P90,
    P99,
}

use Figure::{Count, Mean, P50, P90, P99};

/// What a metric is measured in.
#[derive(Clone, Copy, Debug)]
enum Unit {
    Time,
    Tokens,
}

impl Figure {
    fn name(self) -> &'static str {
        match self {
            Count => "count",
            Mean => "mean",
            P50 => "p50",
            P90 => "p90",
            P99 => "p99",
        }
    }

    fn of(self, values: &Distribution, unit: Unit, grid: &Grid) -> String {
        let value = match self {
            Count => return grid.count(values.count),
            Mean => values.mean,
            P50 => values.p50,
            P90 => values.p90,
            P99 => values.p99,
        };
        match (unit, self) {
            (Unit::Time, _) => units::time(value),
            (Unit::Tokens, Mean) => grid.fit(units::number(value), value),
            (Unit::Tokens, _) => grid.fit(units::rounded(value), value),
        }
    }
}

impl Grid {
    /// The most columns that fit: of the figures, the 90th percentile goes first, then the mean, then the count.
    fn fitting(width: usize) -> Option<Self> {
        let (label, column) = if width >= 71 { (11, 12) } else { (9, 10) };
        let figures: &[Figure] = match width.checked_sub(label)? / column {
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
            figures,
        })
    }

    fn row(&self, style: Style, label: &str) -> Line {
        Line::new(self.width).label(style, self.label, label)
    }

    /// A number, shorter if the column is too narrow for it.
    fn fit(&self, full: String, value: f64) -> String {
        units::within(self.column - 1, full, value)
    }

    fn count(&self, value: u64) -> String {
        self.fit(units::count(value), value as f64)
    }

    /// Adds a number that may not be known.
    fn known(&self, line: Line, number: Option<String>) -> Line {
        match number {
            Some(number) => line.cell(PLAIN, self.column, &number),
            None => line.cell(DIM, self.column, UNKNOWN),
        }
    }
}

/// The lines of the table, at most `size` columns and rows.
pub(super) fn table(figures: &Figures, name: &str, size: (usize, usize)) -> Vec<String> {
    let (width, rows) = size;
    let state = vec![state(figures, name, width)];
    let sections = match Grid::fitting(width) {
        Some(grid) => vec![
            state,
            counters(figures, &grid),
            metrics(figures, &grid),
            rates(figures, &grid),
        ],
        None => vec![state, vec![progress(figures, width)]],
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

/// Where the run stands, for how long it runs, how far behind its log we are, and which it is.
fn state(figures: &Figures, name: &str, width: usize) -> String {
    let style = match figures.phase {
        Phase::Initialize => BOLD,
        Phase::Live | Phase::Complete => GOOD.bold(),
        Phase::Draining => MIDDLING.bold(),
        Phase::Interrupted => BAD.bold(),
    };
    let mut line = Line::new(width)
        .push(style, super::name(figures.phase))
        .push(PLAIN, "  ")
        .push(PLAIN, &units::clock(figures.elapsed_ns));
    if let Some(behind) = units::megabytes(figures.behind_bytes) {
        line = line
            .push(PLAIN, "  ")
            .push(MIDDLING, &format!("{behind} behind"));
    }
    line.push(PLAIN, "  ").push(DIM, name).end()
}

/// What there is of a run when there is no room for more.
fn progress(figures: &Figures, width: usize) -> String {
    let done = format!(
        "{} of {}",
        units::count(figures.completed),
        units::count(figures.issued)
    );
    Line::new(width).push(PLAIN, &done).end()
}

fn counters(figures: &Figures, grid: &Grid) -> Vec<String> {
    let failed = if figures.failed > 0 { BAD } else { PLAIN };
    let all = [
        ("issued", figures.issued, PLAIN),
        ("completed", figures.completed, PLAIN),
        ("failed", figures.failed, failed),
        ("in flight", figures.in_flight, PLAIN),
        ("counted", figures.counted, PLAIN),
        ("pending", figures.pending, PLAIN),
    ];
    let in_a_row = if grid.figures.len() == 5 { 6 } else { 3 };
    let mut lines = Vec::new();
    for some in all.chunks(in_a_row) {
        let mut names = Line::new(grid.width);
        let mut values = Line::new(grid.width);
        let mut width = grid.label;
        for &(name, value, style) in some {
            names = names.cell(DIM, width, name);
            values = values.cell(style, width, &grid.count(value));
            width = grid.column;
        }
        lines.extend([names.end(), values.end()]);
    }
    lines
}

fn metrics(figures: &Figures, grid: &Grid) -> Vec<String> {
    let mut header = grid.row(DIM, "");
    for figure in grid.figures {
        header = header.cell(DIM, grid.column, figure.name());
    }
    let rows = [
        ("TTFT", figures.ttft_ns, Unit::Time),
        ("TPOT", figures.tpot_ns, Unit::Time),
        ("latency", figures.latency_ns, Unit::Time),
        ("ISL", figures.isl, Unit::Tokens),
        ("OSL", figures.osl, Unit::Tokens),
    ];
    let row = |(name, values, unit): (&str, Option<Distribution>, Unit)| {
        let label = grid.row(PLAIN, name);
        let cells = grid.figures.iter();
        let line = cells.fold(label, |line, figure| {
            let cell = values.map(|values| figure.of(&values, unit, grid));
            grid.known(line, cell)
        });
        line.end()
    };
    let mut lines = vec![header.end()];
    lines.extend(rows.map(row));
    lines
}

fn rates(figures: &Figures, grid: &Grid) -> Vec<String> {
    let header = grid.row(DIM, "");
    let header = header.cell(DIM, grid.column, "QPS");
    let row = |label: &str, rate: Option<Rate>| {
        let number = |value: f64| grid.fit(units::number(value), value);
        let line = grid.known(grid.row(PLAIN, label), rate.map(|rate| number(rate.qps)));
        let tps = rate.and_then(|rate| rate.tps);
        grid.known(line, tps.map(number)).end()
    };
    vec![
        header.cell(DIM, grid.column, "TPS").end(),
        row("last 10 s", figures.recent),
        row("run", figures.whole),
    ]
}
