//! What a check found, in rows that people read.

use serde_json::Value;

use super::checked::{Checked, Outcome};
use crate::report::check::{Finding, Judgement, Kind, is_time};

/// The columns after the run's.
pub(super) const COLUMNS: [&str; 5] = ["metric", "before", "after", "change", "kind"];

/// A row: the run, and [`COLUMNS`].
pub(super) struct Row {
    pub run: String,
    pub cells: [String; 5],
}

/// At most so many rows of one run; there are few if there are many runs.
const MAX_ROWS: usize = 20;
const MIN_ROWS: usize = 3;

/// The rows of all runs, the worst of each first, and how many of how many are left out. With several runs one without
/// a finding has a row too.
pub(super) fn rows(runs: &[Checked], all: bool) -> (Vec<Row>, usize) {
    let most = if all {
        usize::MAX
    } else {
        (MAX_ROWS / runs.len().max(1)).max(MIN_ROWS)
    };
    let mut rows = Vec::new();
    let mut left_out = 0;
    for run in runs {
        let mut found = of_run(run);
        left_out += found.len().saturating_sub(most);
        found.truncate(most);
        if found.is_empty() && runs.len() > 1 {
            found.push(without_finding(run));
        }
        rows.extend(found.into_iter().map(|cells| Row {
            run: run.run.clone(),
            cells,
        }));
    }
    (rows, left_out)
}

fn of_run(run: &Checked) -> Vec<[String; 5]> {
    let unmet = run.expectations.iter().filter(|judgement| !judgement.met);
    unmet
        .map(of_judgement)
        .chain(run.differences.iter().map(of_finding))
        .collect()
}

fn without_finding(run: &Checked) -> [String; 5] {
    let what = match run.result {
        Outcome::Passed => "passed",
        Outcome::Different => "incomplete",
        Outcome::Error => "error",
    };
    let none = || "–".to_owned();
    [none(), none(), none(), none(), what.to_owned()]
}

/// A finding's cells.
pub(super) fn of_finding(finding: &Finding) -> [String; 5] {
    let Finding {
        metric,
        before,
        after,
        absolute,
        relative,
        kind,
        ..
    } = finding;
    let (mut was, mut is) = (short(metric, before), short(metric, after));
    if was == is && absolute.is_some() {
        (was, is) = (before.to_string(), after.to_string());
    }
    let change = relative
        .map(percent)
        .or(absolute.map(|by| format!("{by:+}")))
        .or(before.as_array().zip(after.as_array()).map(elements));
    [
        metric.clone(),
        was,
        is,
        change.unwrap_or_default(),
        kind.name().to_owned(),
    ]
}

/// An unmet expectation's cells: what is expected stands before.
pub(super) fn of_judgement(judgement: &Judgement) -> [String; 5] {
    [
        judgement.metric.clone(),
        judgement.expected.clone(),
        short(&judgement.metric, &judgement.found),
        judgement.relative.map(percent).unwrap_or_default(),
        Kind::Expectation.name().to_owned(),
    ]
}

/// A cell row as one line of text.
pub(super) fn line([metric, before, after, change, kind]: &[String; 5]) -> String {
    match change.as_str() {
        "" => format!("{metric}: {before} → {after} ({kind})"),
        _ => format!("{metric}: {before} → {after}, {change} ({kind})"),
    }
}

/// How many elements of two arrays differ.
fn elements((before, after): (&Vec<Value>, &Vec<Value>)) -> String {
    let same = before.iter().zip(after).filter(|(a, b)| a == b).count();
    format!("{} differ", before.len().max(after.len()) - same)
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent.abs() < 0.005 {
        format!("{percent:+.1e} %")
    } else {
        format!("{percent:+.2} %")
    }
}

/// A value for people: times in ms, doubles with six digits.
fn short(metric: &str, value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.chars().take(40).collect(),
        Value::Array(items) => format!("{} values", items.len()),
        Value::Number(number) => match number.as_f64() {
            Some(ns) if is_time(metric) => format!("{} ms", digits(ns / 1e6)),
            Some(number) if value.is_f64() => digits(number),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

/// Six significant digits.
fn digits(number: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is at least 0"
    )]
    let before_point = number.abs().max(1.0).log10() as usize + 1;
    format!("{number:.*}", 6_usize.saturating_sub(before_point))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::check::{Fields, Tolerances, compare};

    #[test]
    fn cells_are_short_but_tell_apart() {
        let check = |metric: &str, before: Value, after: Value, expected: &str| {
            let summary = |value: Value| {
                let mut summary = json!({});
                match metric.split_once('.') {
                    Some((outer, inner)) => summary[outer] = json!({inner: value}),
                    None => summary[metric] = value,
                }
                Fields::of(&summary)
            };
            let comparison = compare(&summary(before), &summary(after), &Tolerances::default());
            let found = comparison
                .findings
                .iter()
                .find(|f| f.metric == metric)
                .unwrap();
            assert_eq!(line(&of_finding(found)), expected);
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
