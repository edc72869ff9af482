//! Two summaries field by field.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::{Number, Value};

use super::fields::{Fields, is_histogram, or_null, root};
use super::kind::{Evidence, Kind};
use super::tolerance::Tolerances;

/// A field that has two values.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Its path in the summary.
    pub metric: String,
    /// What the one summary says.
    pub before: Value,
    /// What the recount says.
    pub after: Value,
    /// After minus before, for numbers.
    pub absolute: Option<f64>,
    /// That by the value before; none if it was 0.
    pub relative: Option<f64>,
    /// What kind of difference it is.
    pub kind: Kind,
    /// The tolerances that are about it, if any are.
    pub tolerance: Option<String>,
}

/// How two summaries differ.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// How many fields there are.
    pub fields: usize,
    /// The first parts of their paths, each once: the distributions and what stands alone.
    pub groups: Vec<String>,
    /// What differs by more than it may, the worst first.
    pub findings: Vec<Finding>,
    /// What differs by no more than it may, likewise.
    pub allowed: Vec<Finding>,
}

impl Comparison {
    /// The kinds of the findings, the most telling first.
    pub fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<_> = self.findings.iter().map(|finding| finding.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }
}

/// Compares all fields of two summaries.
pub fn compare(before: &Fields, after: &Fields, tolerances: &Tolerances) -> Comparison {
    let only_before = before.paths().filter(|path| after.get(path).is_none());
    let paths: Vec<&str> = after.paths().chain(only_before).collect();
    let differences = paths.iter().filter_map(|path| {
        let (was, is) = (or_null(before.get(path)), or_null(after.get(path)));
        (!same(&was, &is)).then_some((*path, was, is))
    });
    let mut findings = Vec::new();
    let mut allowed = Vec::new();
    for (path, was, is) in differences {
        let values = before.values(path).max(after.values(path));
        let allowance = tolerances.allowance(path, &was, &is, values);
        let finding = Finding::new(path, was, is, allowance.tolerance);
        if allowance.allowed {
            allowed.push(finding);
        } else {
            findings.push(finding);
        }
    }
    let [beyond, within] = [&findings, &allowed].map(|list| names(list));
    let within: Vec<&str> = within.iter().map(String::as_str).collect();
    let evidence = Evidence::new(beyond.iter().map(String::as_str).collect(), &within);
    for finding in findings.iter_mut().chain(&mut allowed) {
        finding.kind = evidence.kind(&finding.metric);
    }
    for list in [&mut findings, &mut allowed] {
        list.sort_by(|a, b| b.weight().total_cmp(&a.weight()));
    }
    let mut groups: Vec<String> = paths.iter().map(|path| root(path).to_owned()).collect();
    let mut seen = HashSet::new();
    groups.retain(|group| seen.insert(group.clone()));
    Comparison {
        fields: paths.len(),
        groups,
        findings,
        allowed,
    }
}

fn names(findings: &[Finding]) -> Vec<String> {
    findings
        .iter()
        .map(|finding| finding.metric.clone())
        .collect()
}

impl Finding {
    fn new(metric: &str, before: Value, after: Value, tolerance: Option<String>) -> Self {
        let numbers = before.as_f64().zip(after.as_f64());
        let absolute = numbers.map(|(before, after)| after - before);
        let relative = numbers
            .filter(|(before, _)| *before != 0.0)
            .map(|(before, after)| (after - before) / before.abs());
        Self {
            metric: metric.to_owned(),
            before,
            after,
            absolute,
            relative,
            kind: Kind::Description,
            tolerance,
        }
    }

    /// Which group it belongs to: the first part of its path.
    pub fn group(&self) -> &str {
        root(&self.metric)
    }

    /// How bad it is. What has no ratio comes first; histograms, and estimates that only one of the two could make, last,
    /// for the figures beside them say more.
    fn weight(&self) -> f64 {
        let estimate = self.metric.contains(".early_stopping_percentiles.");
        match self.relative {
            Some(share) => share.abs(),
            None if estimate || is_histogram(&self.metric) => -1.0,
            None => f64::INFINITY,
        }
    }
}

/// Whether two values are the same; numbers by value, so `1` and `1.0` are.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => same_number(a, b),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        _ => a == b,
    }
}

fn same_number(a: &Number, b: &Number) -> bool {
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
        compare(&Fields::of(before), &Fields::of(after), &tolerances)
    }

    #[track_caller]
    fn check(before: &Value, after: &Value, expected: &[&str]) {
        let comparison = compared(before, after, &[]);
        let got: Vec<_> = comparison
            .findings
            .iter()
            .map(|f| format!("{} {} {} {}", f.metric, f.before, f.after, f.kind.name()))
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
    fn what_differs_no_more_than_it_may_is_kept_apart() {
        let (before, after) = (
            json!({"qps": 100.0, "tps": 50.0}),
            json!({"qps": 101.0, "tps": 45.0}),
        );
        let comparison = compared(&before, &after, &["*=2%"]);
        let names = |list: &[Finding]| list.iter().map(|f| f.metric.clone()).collect::<Vec<_>>();
        assert_eq!(names(&comparison.findings), ["tps"]);
        assert_eq!(names(&comparison.allowed), ["qps"]);
        assert_eq!(comparison.fields, 2);
        assert_eq!(comparison.groups, ["qps", "tps"]);
        assert_eq!(comparison.findings[0].absolute, Some(-5.0));
        assert_eq!(comparison.findings[0].relative, Some(-0.1));
        assert_eq!(comparison.findings[0].tolerance.as_deref(), Some("*=2%"));
        assert_eq!(comparison.kinds(), [Kind::Timing]);
    }
}
