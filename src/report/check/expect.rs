//! What a run's figures must be, whatever other runs' are: a TOML file of bounds and values.
//!
//! ```toml
//! complete = true
//! n_samples_failed = 0
//! output_sequence_lengths.avg = { min = 425, max = 520 }
//!
//! [ttft.percentiles]
//! "99.0" = { max = "80ms" }
//! ```

use serde::Serialize;
use serde_json::{Map, Value};

use super::amount::Amount;
use super::compare::same;
use super::fields::{DISTRIBUTIONS, Fields, is_histogram, is_time, or_null};
use super::pattern::{MetricPattern, NoSuchMetric};
use super::tolerance::SLACK;

/// All that is expected.
#[derive(Clone, Debug, Default)]
pub struct Expectations(Vec<Expectation>);

#[derive(Clone, Debug)]
struct Expectation {
    pattern: MetricPattern,
    must: Must,
}

#[derive(Clone, Debug, PartialEq)]
enum Must {
    Equal(Value),
    Lie {
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

/// Whether one metric is as expected.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judgement {
    /// Its path in the summary.
    pub metric: String,
    /// What is expected, in words.
    pub expected: String,
    /// What the recount says.
    pub found: Value,
    /// Whether that is as expected.
    pub met: bool,
    /// How far beyond the bound it is, by the bound; for numbers, and bounds that are not 0.
    pub relative: Option<f64>,
}

/// Expectations that cannot be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)]
pub enum ExpectError {
    #[error("it is not TOML, in line {line}: {reason}")]
    Toml { line: usize, reason: String },
    #[error("it expects nothing")]
    Empty,
    #[error("`{0}`: expected a table with `min`, `max` or both, a number, a text, true or false")]
    Shape(String),
    #[error(
        "`{0}` must be a number, or a time such as \"80ms\" for a metric that is a time; it is {1}"
    )]
    Bound(String, String),
    #[error(
        "`{path}.{key}` could be a value to equal, or a bound: write `{path}.{key} = {{ {key} = … }}`, \
         or both `min` and `max` to equal it"
    )]
    Ambiguous { path: String, key: &'static str },
    #[error("`{0}` is not a metric's name or pattern: {1}")]
    Pattern(String, &'static str),
    #[error(transparent)]
    NoSuchMetric(#[from] NoSuchMetric),
}

impl Expectations {
    /// Reads a TOML file's text.
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

    /// Fails if one is about no field: neither of one that the client writes, nor of one in `have`; or expects a time
    /// of what is none.
    pub fn must_match(&self, have: &[&Fields]) -> Result<(), ExpectError> {
        for expectation in &self.0 {
            let found = expectation.pattern.find(have)?;
            if !found.iter().any(|path| expectation.must.applies_to(path)) {
                let name = expectation.pattern.as_str().to_owned();
                return Err(ExpectError::Bound(name, expectation.must.to_string()));
            }
        }
        Ok(())
    }

    /// Judges a summary's fields, by the expectations' names. A metric that the summary does not have is not as expected.
    pub fn judge(&self, fields: &Fields) -> Vec<Judgement> {
        let mut judgements = Vec::new();
        for Expectation { pattern, must } in &self.0 {
            let before = judgements.len();
            let about = |path: &str| pattern.matches(path) && must.applies_to(path);
            let found = fields.iter().filter(|(path, _)| about(path));
            judgements.extend(found.map(|(path, value)| must.judge(path, value)));
            if judgements.len() == before {
                judgements.push(must.judge(pattern.as_str(), &or_null(None)));
            }
        }
        judgements
    }
}

/// What a key and its value expect.
fn read(path: String, value: Value, all: &mut Vec<Expectation>) -> Result<(), ExpectError> {
    let must = match value {
        Value::Object(table) if is_bounds(&table) => {
            let key = if table.contains_key("max") {
                "max"
            } else {
                "min"
            };
            let mut distributions = ["isl", "osl"].into_iter().chain(DISTRIBUTIONS);
            if distributions.any(|name| name == path) {
                return Err(ExpectError::Ambiguous { path, key });
            }
            let bound = |key| table.get(key).map(|value| bound(&path, value)).transpose();
            Must::Lie {
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
        Value::Array(_) => return Err(ExpectError::Shape(path)),
        value => Must::Equal(value),
    };
    let pattern =
        MetricPattern::new(&path).map_err(|why| ExpectError::Pattern(path.clone(), why))?;
    all.push(Expectation { pattern, must });
    Ok(())
}

/// Whether a table is bounds, not further names: it has nothing but `min` and `max`, which are no tables.
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

impl Must {
    /// Whether it can be said of the field at `path`: no bounds of a histogram, and a time only of a time.
    fn applies_to(&self, path: &str) -> bool {
        let Self::Lie { min, max } = self else {
            return true;
        };
        let mut bounds = [min, max].into_iter().flatten();
        let timed = bounds.any(|bound| matches!(bound.amount, Amount::Time(_)));
        !is_histogram(path) && (is_time(path) || !timed)
    }

    fn judge(&self, path: &str, found: &Value) -> Judgement {
        let (met, relative) = match self {
            Self::Equal(expected) => {
                let numbers = expected.as_f64().zip(found.as_f64());
                let beyond =
                    numbers.and_then(|(expected, found)| excess(found - expected, expected));
                (same(expected, found), beyond)
            }
            Self::Lie { min, max } => lies(found, min.as_ref(), max.as_ref()),
        };
        Judgement {
            metric: path.to_owned(),
            expected: self.to_string(),
            found: found.clone(),
            met,
            relative: relative.filter(|_| !met),
        }
    }
}

fn lies(found: &Value, min: Option<&Bound>, max: Option<&Bound>) -> (bool, Option<f64>) {
    let Some(found) = found.as_f64() else {
        return (false, None);
    };
    let slack = SLACK * found.abs();
    let number = |bound: Option<&Bound>| bound.map(|bound| bound.amount.number());
    match (number(min), number(max)) {
        (Some(min), _) if found < min - slack => (false, excess(found - min, min)),
        (_, Some(max)) if found > max + slack => (false, excess(found - max, max)),
        _ => (true, None),
    }
}

fn excess(beyond: f64, bound: f64) -> Option<f64> {
    (bound != 0.0).then(|| beyond / bound.abs())
}

impl std::fmt::Display for Must {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Equal(value) => write!(f, "{value}"),
            Self::Lie {
                min: Some(min),
                max: Some(max),
            } => write!(f, "{} to {}", min.text, max.text),
            Self::Lie { min: Some(min), .. } => write!(f, "at least {}", min.text),
            Self::Lie { max: Some(max), .. } => write!(f, "at most {}", max.text),
            Self::Lie { .. } => f.write_str("anything"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is not met of what a file expects, as `metric expected found`.
    #[track_caller]
    fn check(file: &str, unmet: &[&str]) {
        let fields = Fields::of(&json!({
            "n_samples_failed": 0, "state": "complete", "complete": true, "tps": null, "qps": 32.5,
            "ttft": {"min": 12, "max": 80, "percentiles": {"99.0": 61_858_370.0, "50.0": 2.5e7}},
            "output_sequence_lengths": {"min": 3, "avg": 430.5}, "tpot": {},
        }));
        let expectations = Expectations::parse(file).unwrap();
        expectations.must_match(&[]).unwrap();
        let unmet_now: Vec<_> = expectations
            .judge(&fields)
            .into_iter()
            .filter(|j| !j.met)
            .map(|j| format!("{} {} {}", j.metric, j.expected, j.found))
            .collect();
        assert_eq!(unmet_now, unmet, "{file}");
    }

    #[test]
    fn values_and_bounds_are_judged() {
        check(
            "complete = true\nn_samples_failed = 0\nstate = 'complete'\nqps = 32.5",
            &[],
        );
        check(
            "output_sequence_lengths.avg = { min = 425, max = 520 }",
            &[],
        );
        check("osl.avg = { min = 430.5, max = 430.5 }", &[]);
        check(
            "[ttft.percentiles]\n'99.0' = { max = '62ms' }\n\"50.0\" = { min = 1, max = 25_000_000 }",
            &[],
        );
        check("ttft.percentiles.99.0 = { max = 61858370 }", &[]);
        check("'ttft.*' = { min = '1ns' }", &[]);
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
    fn how_far_beyond_is_told_by_the_bound() {
        let fields = Fields::of(&json!({"qps": 110.0, "tps": 45}));
        let file = "qps = { max = 100 }\ntps = { min = 50, max = 60 }\nn_samples_failed = 0";
        let judged = Expectations::parse(file).unwrap().judge(&fields);
        let relative: Vec<_> = judged.iter().map(|j| j.relative).collect();
        assert_eq!(relative, [None, Some(0.1), Some(-0.1)]);
    }

    #[test]
    fn what_cannot_be_expected_is_refused() {
        for (file, said) in [
            ("", "it expects nothing"),
            ("a = ", "it is not TOML"),
            ("a = [1]", "`a`: expected a table with `min`, `max` or both"),
            ("qps = { min = true }", "`qps` must be a number, or a time"),
            ("qps = { min = '5%' }", "it is 5%"),
            ("qps = { min = '5ms' }", "it is at least 5ms"),
            ("ttft = { max = 5 }", "write `ttft.max = { max = … }`"),
            ("isl.min = 5", "`isl.min` could be"),
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
            let error = parsed.and_then(|expectations| expectations.must_match(&[]));
            let error = error.unwrap_err().to_string();
            assert!(error.contains(said), "{file}: {error}");
        }
    }
}
