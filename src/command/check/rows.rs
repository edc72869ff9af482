//! The rows of a check's tables, for people.

use serde_json::Value;

use super::checked_run::{CheckOutcome, CheckedRun};
use crate::number;
use crate::report::check::{Difference, DifferenceKind, ExpectationResult, is_time};

/// The columns after that of the run.
pub(super) const COLUMNS: [&str; 5] = ["metric", "before", "after", "change", "kind"];

/// A row: the run, and a cell for each of [`COLUMNS`].
pub(super) struct TableRow {
    pub run: String,
    pub cells: Cells,
}

pub(super) type Cells = [String; COLUMNS.len()];

/// The rows of a table of one run. Several runs share them, but each may have `MIN_ROWS`.
const MAX_ROWS: usize = 20;
const MIN_ROWS: usize = 3;

/// The rows of all runs, the worst of each run first, and the number of rows left out. Among several runs, one without
/// differences has a row too.
pub(super) fn rows(runs: &[CheckedRun], all: bool) -> (Vec<TableRow>, usize) {
    let max_rows = if all {
        usize::MAX
    } else {
        (MAX_ROWS / runs.len().max(1)).max(MIN_ROWS)
    };
    let mut rows = Vec::new();
    let mut left_out = 0;
    for run in runs {
        let mut found: Vec<Cells> = run_rows(run).collect();
        left_out += found.len().saturating_sub(max_rows);
        found.truncate(max_rows);
        if found.is_empty() && runs.len() > 1 {
            found.push(without_differences(run));
        }
        let run = &run.run;
        rows.extend(found.into_iter().map(|cells| TableRow {
            run: run.clone(),
            cells,
        }));
    }
    (rows, left_out)
}

/// The unmet expectations and the differences of a run.
pub(super) fn run_rows(run: &CheckedRun) -> impl Iterator<Item = Cells> {
    let differences = run.differences.iter().map(difference_cells);
    run.unmet_expectations()
        .map(expectation_cells)
        .chain(differences)
}

fn without_differences(run: &CheckedRun) -> Cells {
    let outcome = match run.result {
        CheckOutcome::Passed => "passed",
        CheckOutcome::Different => "incomplete",
        CheckOutcome::Error => "error",
    };
    let none = || number::MISSING.to_owned();
    [none(), none(), none(), none(), outcome.to_owned()]
}

pub(super) fn difference_cells(difference: &Difference) -> Cells {
    let Difference {
        metric,
        before,
        after,
        absolute,
        relative,
        kind,
        ..
    } = difference;
    let (mut was, mut is) = (short(metric, before), short(metric, after));
    if was == is && absolute.is_some() {
        (was, is) = (before.to_string(), after.to_string());
    }
    let change = relative
        .map(number::exact_change)
        .or(absolute.map(|by| format!("{by:+}")))
        .or(before
            .as_array()
            .zip(after.as_array())
            .map(differing_elements));
    [
        metric.clone(),
        was,
        is,
        change.unwrap_or_default(),
        kind.name().to_owned(),
    ]
}

/// The expected value stands in the column `before`.
pub(super) fn expectation_cells(expectation: &ExpectationResult) -> Cells {
    [
        expectation.metric.clone(),
        expectation.expected.clone(),
        short(&expectation.metric, &expectation.found),
        expectation
            .relative
            .map(number::exact_change)
            .unwrap_or_default(),
        DifferenceKind::Expectation.name().to_owned(),
    ]
}

/// Formats a row as one line of text.
pub(super) fn format_cells([metric, before, after, change, kind]: &Cells) -> String {
    match change.as_str() {
        "" => format!("{metric}: {before} → {after} ({kind})"),
        _ => format!("{metric}: {before} → {after}, {change} ({kind})"),
    }
}

/// Formats the number of elements that differ.
fn differing_elements((before, after): (&Vec<Value>, &Vec<Value>)) -> String {
    let same = before.iter().zip(after).filter(|(a, b)| a == b).count();
    format!("{} differ", before.len().max(after.len()) - same)
}

/// Formats a value: times in ms, doubles with six digits.
fn short(metric: &str, value: &Value) -> String {
    match value {
        Value::Null => number::MISSING.to_owned(),
        Value::String(text) => text.chars().take(40).collect(),
        Value::Array(items) => format!("{} values", items.len()),
        Value::Number(number) => match number.as_f64() {
            Some(ns) if is_time(metric) => format!("{} ms", digits(ns / 1e6)),
            Some(double) if value.is_f64() => digits(double),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

/// Formats a number with six digits, without commas as in the summary itself.
fn digits(value: f64) -> String {
    format!("{value:.*}", number::decimals(value, 6))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::check::{FlatSummary, Tolerances, compare};

    #[test]
    fn cells_are_short_but_distinguishable() {
        let check = |metric: &str, before: Value, after: Value, expected: &str| {
            let summary = |value: Value| {
                let mut summary = json!({});
                match metric.split_once('.') {
                    Some((outer, inner)) => summary[outer] = json!({inner: value}),
                    None => summary[metric] = value,
                }
                FlatSummary::of(&summary)
            };
            let comparison = compare(&summary(before), &summary(after), &Tolerances::default());
            let mut found = comparison.differences.iter();
            let found = found.find(|it| it.metric == metric).unwrap();
            assert_eq!(format_cells(&difference_cells(found)), expected);
        };
        check(
            "ttft.avg",
            json!(27_127_443.627),
            json!(27_941_266.9),
            "ttft.avg: 27.1274 ms → 27.9413 ms, +3.00 % (timing)",
        );
        check(
            "tps",
            json!(11927.813),
            json!(11689.2),
            "tps: 11927.8 → 11689.2, -2.00 % (tokenizer)",
        );
        check(
            "tps",
            json!(0.1),
            json!(0.100_000_000_000_000_02),
            "tps: 0.1 → 0.10000000000000002, +1.4e-14 % (tokenizer)",
        );
        check(
            "n_samples_failed",
            json!(0),
            json!(2),
            "n_samples_failed: 0 → 2, +2 (population)",
        );
        check(
            "complete",
            json!(false),
            json!(true),
            "complete: false → true (incomplete)",
        );
        check(
            "ttft.histogram",
            json!([1, 2, 3]),
            json!([1, 3]),
            "ttft.histogram: 3 values → 2 values, 2 differ (timing)",
        );
        check(
            "qps",
            json!(null),
            json!(1e9),
            "qps: – → 1000000000 (timing)",
        );
    }
}
