//! The comparison of two summaries, field by field.

use indexmap::IndexSet;
use serde::Serialize;
use serde_json::{Number, Value};

use super::classify::{Classifier, DifferenceKind};
use super::field_path::{group, is_histogram};
use super::flat_summary::FlatSummary;
use super::tolerance::Tolerances;

/// A field with two values.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Difference {
    /// The path of the field in the summary.
    pub metric: String,
    /// The value in the summary that the run is compared with.
    pub before: Value,
    /// The value in the recount.
    pub after: Value,
    /// `after - before`, for numbers.
    pub absolute: Option<f64>,
    /// `absolute` divided by `before`; `None` if that is 0.
    pub relative: Option<f64>,
    pub kind: DifferenceKind,
    /// The tolerances that apply to the field.
    pub tolerance: Option<String>,
}

/// The differences between two summaries.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Comparison {
    /// The number of compared fields.
    pub fields: usize,
    /// The groups of the fields: the distributions, and the fields that stand alone.
    pub groups: Vec<String>,
    /// The differences beyond tolerance, the worst first.
    pub differences: Vec<Difference>,
    /// The differences within tolerance, the worst first.
    pub allowed: Vec<Difference>,
}

impl Comparison {
    /// The kinds of the differences beyond tolerance, in the order of precedence.
    pub(crate) fn kinds(&self) -> Vec<DifferenceKind> {
        let mut kinds: Vec<_> = self.differences.iter().map(|it| it.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }
}

/// Compares all fields of two summaries.
pub(crate) fn compare(
    before: &FlatSummary,
    after: &FlatSummary,
    tolerances: &Tolerances,
) -> Comparison {
    let paths: IndexSet<&str> = after.paths().chain(before.paths()).collect();
    let (mut differences, mut allowed) = (Vec::new(), Vec::new());
    let (mut beyond, mut within) = (Vec::new(), Vec::new());
    for path in &paths {
        let (was, is) = (before.get(path), after.get(path));
        if is_equal(was, is) {
            continue;
        }
        let count = before.count(path).max(after.count(path));
        let allowance = tolerances.allowance(path, was, is, count);
        let difference = Difference::new(path, was, is, allowance.tolerance);
        if allowance.allowed {
            allowed.push(difference);
            within.push(*path);
        } else {
            differences.push(difference);
            beyond.push(*path);
        }
    }
    let classifier = Classifier::new(&beyond, &within);
    for list in [&mut differences, &mut allowed] {
        for difference in list.iter_mut() {
            difference.kind = classifier.kind(&difference.metric);
        }
        list.sort_by(|a, b| b.severity().total_cmp(&a.severity()));
    }
    let groups: IndexSet<&str> = paths.iter().map(|path| group(path)).collect();
    Comparison {
        fields: paths.len(),
        groups: groups.into_iter().map(str::to_owned).collect(),
        differences,
        allowed,
    }
}

impl Difference {
    fn new(metric: &str, before: &Value, after: &Value, tolerance: Option<String>) -> Self {
        let numbers = before.as_f64().zip(after.as_f64());
        let relative = numbers
            .filter(|(before, _)| *before != 0.0)
            .map(|(before, after)| (after - before) / before.abs());
        Self {
            metric: metric.to_owned(),
            before: before.clone(),
            after: after.clone(),
            absolute: numbers.map(|(before, after)| after - before),
            relative,
            kind: DifferenceKind::Description,
            tolerance,
        }
    }

    /// The group of the field.
    pub(crate) fn group(&self) -> &str {
        group(&self.metric)
    }

    /// The sort key. A difference without a ratio comes first. Histograms, and estimates that only one of the two
    /// summaries has, come last: the figures beside them say more.
    fn severity(&self) -> f64 {
        let estimate = self.metric.contains(".early_stopping_percentiles.");
        match self.relative {
            Some(share) => share.abs(),
            None if estimate || is_histogram(&self.metric) => -1.0,
            None => f64::INFINITY,
        }
    }
}

/// Compares two values, numbers by value: `1` equals `1.0`.
pub(super) fn is_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => is_equal_number(a, b),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_equal(a, b))
        }
        _ => a == b,
    }
}

fn is_equal_number(a: &Number, b: &Number) -> bool {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => a == b,
        _ => a.as_f64() == b.as_f64(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compared(before: &Value, after: &Value, tolerances: &[&str]) -> Comparison {
        let tolerances = Tolerances::parse(tolerances).unwrap();
        compare(
            &FlatSummary::of(before),
            &FlatSummary::of(after),
            &tolerances,
        )
    }

    #[track_caller]
    fn check(before: &Value, after: &Value, expected: &[&str]) {
        let comparison = compared(before, after, &[]);
        let got: Vec<_> = (comparison.differences.iter())
            .map(|it| {
                format!(
                    "{} {} {} {}",
                    it.metric,
                    it.before,
                    it.after,
                    it.kind.name()
                )
            })
            .collect();
        assert_eq!(got, expected);
        assert_eq!(comparison.allowed, []);
    }

    #[test]
    fn every_field_that_differs_is_listed_once_the_worst_first() {
        check(&json!({}), &json!({}), &[]);
        check(
            &json!({"qps": 1, "tps": 2.0}),
            &json!({"tps": 2, "qps": 1.0}),
            &[],
        );
        check(
            &json!({"ttft": {}}),
            &json!({"git_sha": null}),
            &["ttft.count 0 null population"],
        );
        check(
            &json!({"qps": 100.0, "tps": 50.0, "complete": false, "duration_ns": 5, "ttft": {"min": 0}}),
            &json!({"qps": 101.0, "tps": 45.0, "complete": true, "duration_ns": null, "ttft": {"min": 1}}),
            &[
                "complete false true incomplete",
                "duration_ns 5 null timing",
                "ttft.min 0 1 timing",
                "tps 50.0 45.0 timing",
                "qps 100.0 101.0 timing",
            ],
        );
        let big = |last: u64| json!({"tpot": {"total": 9_007_199_254_740_990_u64 + last}});
        check(
            &big(2),
            &big(3),
            &["tpot.total 9007199254740992 9007199254740993 tokenizer"],
        );
        let histogram = |edge: f64, count: u64| json!({"latency": {"max": count, "histogram": {"buckets": [[1.0, edge]], "counts": [4]}}});
        check(
            &histogram(2.0, 10),
            &histogram(2.5, 11),
            &[
                "latency.max 10 11 timing",
                "latency.histogram.buckets [[1.0,2.0]] [[1.0,2.5]] timing",
            ],
        );
    }

    #[test]
    fn differences_within_tolerance_are_listed_apart() {
        let (before, after) = (
            json!({"qps": 100.0, "tps": 50.0}),
            json!({"qps": 101.0, "tps": 45.0}),
        );
        let comparison = compared(&before, &after, &["*=2%"]);
        let names = |list: &[Difference]| {
            let names = list.iter().map(|it| it.metric.clone());
            names.collect::<Vec<_>>()
        };
        assert_eq!(names(&comparison.differences), ["tps"]);
        assert_eq!(names(&comparison.allowed), ["qps"]);
        assert_eq!(comparison.fields, 2);
        assert_eq!(comparison.groups, ["qps", "tps"]);
        let tps = &comparison.differences[0];
        assert_eq!((tps.absolute, tps.relative), (Some(-5.0), Some(-0.1)));
        assert_eq!(tps.tolerance.as_deref(), Some("*=2%"));
        assert_eq!(comparison.kinds(), [DifferenceKind::Timing]);
    }
}
