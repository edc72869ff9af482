//! Expectations, the values and bounds that a run must meet without a run to compare with: a TOML file.
//!
//! ```toml
//! complete = true
//! n_samples_failed = 0
//! output_sequence_lengths.avg = { min = 425, max = 520 }
//!
//! [ttft.percentiles]
//! "99.0" = { max = "80ms" }
//! ```

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::amount::{Amount, ROUNDING};
use super::compare::is_equal;
use super::field_path::is_histogram;
use super::flat_summary::FlatSummary;
use super::pattern::{MetricPattern, PatternError, distribution_key};

/// The expectations of a file.
#[derive(Clone, Debug, Default)]
pub struct Expectations(Vec<Expectation>);

#[derive(Clone, Debug)]
struct Expectation {
    pattern: MetricPattern,
    requirement: Requirement,
}

#[derive(Clone, Debug, PartialEq)]
enum Requirement {
    Equal(Value),
    Between {
        min: Option<Bound>,
        max: Option<Bound>,
    },
}

/// A bound as written and as a number.
#[derive(Clone, Debug, PartialEq)]
struct Bound {
    text: String,
    amount: Amount,
}

/// The result of one expectation for one field.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ExpectationResult {
    /// The path of the field in the summary.
    pub metric: String,
    /// The expected value or bounds, in words.
    pub expected: String,
    /// The value in the recount.
    pub found: Value,
    pub met: bool,
    /// The distance from the bound that is not met, divided by that bound; `None` if that is 0.
    pub relative: Option<f64>,
}

/// Expectations that cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ExpectError {
    #[error("it is not valid TOML at line {line}: {reason}")]
    Toml { line: usize, reason: String },
    #[error("it contains no expectation")]
    Empty,
    #[error("`{0}`: expected a table with `min`, `max` or both, a number, a string, true or false")]
    Type(String),
    #[error(
        "`{0}` must be a number, or a time such as \"80ms\" for a metric that is a time; it is {1}"
    )]
    Bound(String, String),
    #[error(
        "`{path}.{key}` is ambiguous, a value or a bound: write `{path}.{key} = {{ {key} = … }}` for a bound, \
         or both `min` and `max` for a value"
    )]
    Ambiguous { path: String, key: &'static str },
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

impl Expectations {
    /// Parses the text of a TOML file.
    pub fn parse(text: &str) -> Result<Self, ExpectError> {
        let table: Map<String, Value> = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            ExpectError::Toml {
                line: 1 + before.unwrap_or_default().matches('\n').count(),
                reason: error.message().to_owned(),
            }
        })?;
        let mut all = Vec::new();
        for (key, value) in table {
            read(key, value, &mut all)?;
        }
        if all.is_empty() {
            return Err(ExpectError::Empty);
        }
        Ok(Self(all))
    }

    /// Checks that each expectation applies to a field: one that the client writes, or one of `summaries`.
    pub fn validate(&self, summaries: &[&FlatSummary]) -> Result<(), ExpectError> {
        for Expectation {
            pattern,
            requirement,
        } in &self.0
        {
            let found = pattern.find(summaries)?;
            if !found.iter().any(|path| requirement.applies_to(path)) {
                let name = pattern.as_str().to_owned();
                return Err(ExpectError::Bound(name, requirement.to_string()));
            }
        }
        Ok(())
    }

    /// Judges the fields of a summary, in the order of the expectations. A missing field does not meet its expectation.
    pub(crate) fn judge(&self, summary: &FlatSummary) -> Vec<ExpectationResult> {
        let mut results = Vec::new();
        for Expectation {
            pattern,
            requirement,
        } in &self.0
        {
            let before = results.len();
            let found = (summary.iter())
                .filter(|(path, _)| pattern.matches(path) && requirement.applies_to(path));
            results.extend(found.map(|(path, value)| requirement.judge(path, value)));
            if results.len() == before {
                results.push(requirement.judge(pattern.as_str(), &Value::Null));
            }
        }
        results
    }
}

/// Reads the expectations in the value at `path` of the file.
fn read(path: String, value: Value, all: &mut Vec<Expectation>) -> Result<(), ExpectError> {
    let requirement = match value {
        Value::Object(table) if is_bounds(&table) => {
            if distribution_key(&path).is_some() {
                let has_max = table.contains_key("max");
                let key = if has_max { "max" } else { "min" };
                return Err(ExpectError::Ambiguous { path, key });
            }
            let bound = |key| table.get(key).map(|value| bound(&path, value)).transpose();
            Requirement::Between {
                min: bound("min")?,
                max: bound("max")?,
            }
        }
        Value::Object(table) => {
            for (key, value) in table {
                read(format!("{path}.{key}"), value, all)?;
            }
            return Ok(());
        }
        Value::Array(_) => return Err(ExpectError::Type(path)),
        value => Requirement::Equal(value),
    };
    all.push(Expectation {
        pattern: MetricPattern::new(&path)?,
        requirement,
    });
    Ok(())
}

/// Returns true for a table of bounds, and false for one of further names.
fn is_bounds(table: &Map<String, Value>) -> bool {
    let is_bound = |(key, value): (&String, &Value)| {
        ["min", "max"].contains(&key.as_str()) && !value.is_object()
    };
    !table.is_empty() && table.iter().all(is_bound)
}

fn bound(path: &str, value: &Value) -> Result<Bound, ExpectError> {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    match text.parse() {
        Ok(amount @ (Amount::Plain(_) | Amount::Time(_))) => Ok(Bound { text, amount }),
        _ => Err(ExpectError::Bound(path.to_owned(), text)),
    }
}

impl Requirement {
    /// Returns false for bounds of a histogram, and for a bound that is a time if the field at `path` is not.
    fn applies_to(&self, path: &str) -> bool {
        let Self::Between { min, max } = self else {
            return true;
        };
        let mut bounds = [min, max].into_iter().flatten();
        !is_histogram(path) && bounds.all(|bound| bound.amount.applies_to(path))
    }

    fn judge(&self, path: &str, found: &Value) -> ExpectationResult {
        let (met, relative) = match self {
            Self::Equal(expected) => {
                let numbers = expected.as_f64().zip(found.as_f64());
                let relative = numbers.and_then(|(expected, found)| relative(found, expected));
                (is_equal(expected, found), relative)
            }
            Self::Between { min, max } => between(found, min.as_ref(), max.as_ref()),
        };
        ExpectationResult {
            metric: path.to_owned(),
            expected: self.to_string(),
            found: found.clone(),
            met,
            relative: relative.filter(|_| !met),
        }
    }
}

fn between(found: &Value, min: Option<&Bound>, max: Option<&Bound>) -> (bool, Option<f64>) {
    let Some(found) = found.as_f64() else {
        return (false, None);
    };
    let rounding = ROUNDING * found.abs();
    let number = |bound: Option<&Bound>| bound.map(|bound| bound.amount.number());
    match (number(min), number(max)) {
        (Some(min), _) if found < min - rounding => (false, relative(found, min)),
        (_, Some(max)) if found > max + rounding => (false, relative(found, max)),
        _ => (true, None),
    }
}

/// The distance of `found` from `bound`, divided by the bound.
fn relative(found: f64, bound: f64) -> Option<f64> {
    (bound != 0.0).then(|| (found - bound) / bound.abs())
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equal(value) => write!(f, "{value}"),
            Self::Between { min, max } => match (min, max) {
                (Some(min), Some(max)) => write!(f, "{} to {}", min.text, max.text),
                (Some(min), None) => write!(f, "at least {}", min.text),
                (None, Some(max)) => write!(f, "at most {}", max.text),
                (None, None) => f.write_str("anything"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Checks the expectations of a file that are not met, as `metric expected found`.
    #[track_caller]
    fn check(file: &str, unmet: &[&str]) {
        let summary = FlatSummary::of(&json!({
            "n_samples_failed": 0, "state": "complete", "complete": true, "tps": null, "qps": 32.5,
            "ttft": {"min": 12, "max": 80, "percentiles": {"99.0": 61_858_370.0, "50.0": 2.5e7}},
            "output_sequence_lengths": {"min": 3, "avg": 430.5}, "tpot": {},
        }));
        let expectations = Expectations::parse(file).unwrap();
        expectations.validate(&[]).unwrap();
        let got: Vec<_> = (expectations.judge(&summary).into_iter())
            .filter(|it| !it.met)
            .map(|it| format!("{} {} {}", it.metric, it.expected, it.found))
            .collect();
        assert_eq!(got, unmet, "{file}");
    }

    #[test]
    fn values_and_bounds_are_judged() {
        for file in [
            "complete = true\nn_samples_failed = 0\nstate = 'complete'\nqps = 32.5",
            "output_sequence_lengths.avg = { min = 425, max = 520 }",
            "osl.avg = { min = 430.5, max = 430.5 }",
            "[ttft.percentiles]\n'99.0' = { max = '62ms' }\n\"50.0\" = { min = 1, max = 25_000_000 }",
            "ttft.percentiles.99.0 = { max = 61858370 }",
            "'ttft.*' = { min = '1ns' }",
        ] {
            check(file, &[]);
        }
        check(
            "'ttft.percentiles.*' = { max = '60ms' }",
            &["ttft.percentiles.99.0 at most 60ms 61858370.0"],
        );
        check(
            "osl.avg.max = 420",
            &["output_sequence_lengths.avg at most 420 430.5"],
        );
        check(
            "[osl]\navg = { min = 431 }\nmin = { min = 3 }",
            &["output_sequence_lengths.avg at least 431 430.5"],
        );
        check(
            "osl.max = { max = 5 }",
            &["output_sequence_lengths.max at most 5 null"],
        );
        check("tps = { min = 1 }", &["tps at least 1 null"]);
        check(
            "tpot.avg = { max = 1 }\ntpot.count = 1",
            &["tpot.avg at most 1 null", "tpot.count 1 0"],
        );
        check(
            "complete = false\nstate = 'interrupted'\nqps = 32",
            &[
                "complete false true",
                "qps 32 32.5",
                "state \"interrupted\" \"complete\"",
            ],
        );
    }

    #[test]
    fn the_distance_is_relative_to_the_bound() {
        let summary = FlatSummary::of(&json!({"qps": 110.0, "tps": 45}));
        let file = "qps = { max = 100 }\ntps = { min = 50, max = 60 }\nn_samples_failed = 0";
        let results = Expectations::parse(file).unwrap().judge(&summary);
        let relative: Vec<_> = results.iter().map(|it| it.relative).collect();
        assert_eq!(relative, [None, Some(0.1), Some(-0.1)]);
    }

    #[test]
    fn errors_name_the_bad_part() {
        for (file, said) in [
            ("", "it contains no expectation"),
            ("a = ", "it is not valid TOML at line 1"),
            ("a = [1]", "`a`: expected a table with `min`, `max` or both"),
            ("qps = { min = true }", "`qps` must be a number, or a time"),
            ("qps = { min = '5%' }", "it is 5%"),
            ("qps = { min = '5ms' }", "it is at least 5ms"),
            ("ttft = { max = 5 }", "write `ttft.max = { max = … }`"),
            ("isl.min = 5", "`isl.min` is ambiguous"),
            (
                "qps = { min = 1, avg = 2 }",
                "no metric is called `qps.avg`",
            ),
            (
                "ttft.p99 = 5",
                "no metric is called `ttft.p99`; ttft has avg",
            ),
            ("'a[' = 5", "`a[` is not a metric's name"),
        ] {
            let parsed = Expectations::parse(file);
            let error = parsed.and_then(|expectations| expectations.validate(&[]));
            let error = error.unwrap_err().to_string();
            assert!(error.contains(said), "{file}: {error}");
        }
    }
}
