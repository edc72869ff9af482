//! What may differ, and by how much: `METRIC=AMOUNT`, `METRIC<=AMOUNT`, `METRIC>=AMOUNT`.
//!
//! With `change` = after − before:
//!
//! * `=5%`: the change is at most 5 % of the value before, up or down.
//! * `<=5%`: it rose by at most 5 %; it may have fallen by any amount.
//! * `>=-2%`: it fell by at most 2 %; it may have risen by any amount.
//!
//! An amount is a share of the value before (`5%`), a time (`2ms`, which is only about times), or a number in the
//! metric's own unit. A `total` grows with the number of values, so an absolute amount is meant for each of them.
//! Of the tolerances that are about a metric the one that spells out most of its name counts; those of the same
//! name hold together.

use serde_json::Value;

use super::amount::Amount;
use super::fields::{Fields, is_description, is_histogram, is_time, leaf};
use super::pattern::{MetricPattern, NoSuchMetric};

/// A bound that the decimal figures meet exactly is met, whatever the last bits of the doubles say.
pub(super) const SLACK: f64 = 4.0 * f64::EPSILON;

/// All that may differ.
#[derive(Clone, Debug, Default)]
pub struct Tolerances(Vec<Tolerance>);

#[derive(Clone, Debug)]
struct Tolerance {
    text: String,
    pattern: MetricPattern,
    side: Side,
    /// `None`: by any amount.
    amount: Option<Amount>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Both,
    AtMost,
    AtLeast,
}

/// A tolerance that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tolerance `{tolerance}`: {part}")]
pub struct ToleranceError {
    tolerance: String,
    part: BadPart,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum BadPart {
    #[error(
        "expected METRIC=AMOUNT, METRIC<=AMOUNT or METRIC>=AMOUNT, such as 'tpot.percentiles.99.0=5%', \
         'ttft.*=2ms' or 'tps>=-2%'"
    )]
    Shape,
    #[error("`{0}` is not a metric's name or pattern: {1}")]
    Pattern(String, &'static str),
    #[error(
        "`{0}` is not an amount: expected a share of the value before (5%), a time (2ms; ns, us, ms, s), \
         a number in the metric's own unit (20), or `any`"
    )]
    Amount(String),
    #[error("`={0}` allows a change either way and cannot be negative; `>=` and `<=` can")]
    Negative(String),
    #[error("`any` goes with `=` only")]
    AnySide,
    #[error("the amount is a time, but the metric is not: give a share (5%) or a plain number")]
    NotATime,
    #[error(transparent)]
    NoSuchMetric(#[from] NoSuchMetric),
}

/// What the tolerances say about one difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Allowance {
    pub allowed: bool,
    /// Those that are about the metric.
    pub tolerance: Option<String>,
}

impl Tolerances {
    /// Reads tolerances.
    pub fn parse<S: AsRef<str>>(
        texts: impl IntoIterator<Item = S>,
    ) -> Result<Self, ToleranceError> {
        let parse = |text: S| Tolerance::parse(text.as_ref());
        texts
            .into_iter()
            .map(parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Fails if one is about no field: neither of one that the client writes, nor of one in `have`.
    pub fn must_match(&self, have: &[&Fields]) -> Result<(), ToleranceError> {
        for tolerance in &self.0 {
            let found = tolerance.pattern.find(have);
            let found = found.map_err(|error| tolerance.bad(error.into()))?;
            if !found.iter().any(|path| tolerance.applies_to(path)) {
                return Err(tolerance.bad(BadPart::NotATime));
            }
        }
        Ok(())
    }

    /// Whether the field at `path`, one of a distribution of so many `values`, may have changed that much.
    pub(super) fn allowance(
        &self,
        path: &str,
        before: &Value,
        after: &Value,
        values: u64,
    ) -> Allowance {
        let about = |t: &&Tolerance| t.pattern.matches(path) && t.applies_to(path);
        // Of equals the last is taken.
        let best = self
            .0
            .iter()
            .filter(about)
            .max_by_key(|t| t.pattern.literal_len());
        let Some(best) = best else {
            return Allowance {
                allowed: false,
                tolerance: None,
            };
        };
        let name = best.pattern.as_str();
        let together: Vec<_> = self
            .0
            .iter()
            .filter(|t| t.pattern.as_str() == name && t.applies_to(path))
            .collect();
        let texts: Vec<_> = together.iter().map(|t| t.text.as_str()).collect();
        Allowance {
            allowed: together
                .iter()
                .all(|t| t.allows(path, before, after, values)),
            tolerance: Some(texts.join(", ")),
        }
    }
}

impl Tolerance {
    fn parse(text: &str) -> Result<Self, ToleranceError> {
        let bad = |part| ToleranceError {
            tolerance: text.to_owned(),
            part,
        };
        let (left, amount) = text.split_once('=').ok_or_else(|| bad(BadPart::Shape))?;
        let (name, side) = match (left.strip_suffix('<'), left.strip_suffix('>')) {
            (Some(name), _) => (name, Side::AtMost),
            (_, Some(name)) => (name, Side::AtLeast),
            _ => (left, Side::Both),
        };
        let (name, amount) = (name.trim(), amount.trim());
        if name.is_empty() {
            return Err(bad(BadPart::Shape));
        }
        let pattern =
            MetricPattern::new(name).map_err(|why| bad(BadPart::Pattern(name.to_owned(), why)))?;
        let amount = match amount {
            "any" if side != Side::Both => return Err(bad(BadPart::AnySide)),
            "any" => None,
            _ => {
                let no_amount = |()| bad(BadPart::Amount(amount.to_owned()));
                Some(amount.parse::<Amount>().map_err(no_amount)?)
            }
        };
        if let (Side::Both, Some(given)) = (side, amount)
            && given.number() < 0.0
        {
            let text = text.split_once('=').map_or("", |(_, amount)| amount.trim());
            return Err(bad(BadPart::Negative(text.to_owned())));
        }
        Ok(Self {
            text: text.trim().to_owned(),
            pattern,
            side,
            amount,
        })
    }

    fn bad(&self, part: BadPart) -> ToleranceError {
        ToleranceError {
            tolerance: self.text.clone(),
            part,
        }
    }

    fn applies_to(&self, path: &str) -> bool {
        !matches!(self.amount, Some(Amount::Time(_))) || is_time(path)
    }

    fn allows(&self, path: &str, before: &Value, after: &Value, values: u64) -> bool {
        let Some(amount) = self.amount else {
            return true;
        };
        // A share of a version or of a shape means nothing; the figures beside a histogram are judged.
        if is_histogram(path) || is_description(path) {
            return true;
        }
        let Some((before, after)) = before.as_f64().zip(after.as_f64()) else {
            return false;
        };
        let each = if leaf(path) == "total" {
            values.max(1) as f64
        } else {
            1.0
        };
        let limit = match amount {
            Amount::Percent(percent) => before.abs() * percent / 100.0,
            Amount::Time(amount) | Amount::Plain(amount) => amount * each,
        };
        let slack = SLACK * before.abs().max(after.abs());
        let change = after - before;
        match self.side {
            Side::Both => change.abs() <= limit + slack,
            Side::AtMost => change <= limit + slack,
            Side::AtLeast => change >= limit - slack,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "literals read better")]
    fn check(tolerances: &[&str], path: &str, before: Value, after: Value, expected: Option<bool>) {
        let tolerances = Tolerances::parse(tolerances).unwrap();
        let allowance = tolerances.allowance(path, &before, &after, 10);
        let got = allowance.tolerance.map(|_| allowance.allowed);
        assert_eq!(got, expected, "{path} {before} {after} {tolerances:?}");
    }

    #[test]
    fn amounts_are_of_the_value_before_or_absolute() {
        let ttft = "ttft.percentiles.99.0";
        check(&["ttft.*=5%"], ttft, json!(100.0), json!(105.0), Some(true));
        check(&["ttft.*=5%"], ttft, json!(100.0), json!(95.0), Some(true));
        check(
            &["ttft.*=5%"],
            ttft,
            json!(100.0),
            json!(105.01),
            Some(false),
        );
        check(&["ttft.*=5%"], ttft, json!(105.01), json!(100), Some(true));
        check(&["tpot.*=5%"], ttft, json!(100.0), json!(105.0), None);
        check(&["ttft.*=2ms"], ttft, json!(1e6), json!(3e6), Some(true));
        check(
            &["ttft.*=2ms"],
            ttft,
            json!(1e6),
            json!(3_000_001),
            Some(false),
        );
        check(&["*=2ms"], "tps", json!(1), json!(2), None);
        check(&["*=2"], "tps", json!(1), json!(3), Some(true));
        check(&["*=2%"], "tps", json!(0.1), json!(0.102), Some(true));
        check(&["*=50%"], "tps", json!(0), json!(1), Some(false));
        check(&["*=50%"], "ttft.min", json!(-100), json!(-149), Some(true));
        check(
            &["ttft=2ms"],
            "ttft.total",
            json!(0),
            json!(20_000_000),
            Some(true),
        );
        check(
            &["ttft=2ms"],
            "ttft.total",
            json!(0),
            json!(20_000_001),
            Some(false),
        );
    }

    #[test]
    fn one_side_lets_the_other_go() {
        check(&["tps>=-2%"], "tps", json!(100), json!(98), Some(true));
        check(&["tps>=-2%"], "tps", json!(100), json!(97.9), Some(false));
        check(&["tps>=-2%"], "tps", json!(100), json!(900), Some(true));
        check(
            &["ttft.avg<=5%"],
            "ttft.avg",
            json!(100),
            json!(105),
            Some(true),
        );
        check(
            &["ttft.avg<=5%"],
            "ttft.avg",
            json!(100),
            json!(106),
            Some(false),
        );
        check(
            &["ttft.avg <= 5%"],
            "ttft.avg",
            json!(100),
            json!(1),
            Some(true),
        );
        check(&["tps>=2%"], "tps", json!(100), json!(101), Some(false));
        let both = ["tps>=-2%", "tps<=10%"];
        check(&both, "tps", json!(100), json!(111), Some(false));
        check(&both, "tps", json!(100), json!(97), Some(false));
        check(&both, "tps", json!(100), json!(109), Some(true));
    }

    #[test]
    fn the_name_that_says_most_counts() {
        let list = ["tps>=-2%", "*=0.1%", "ttft.avg=9%", "ttft.*=1%"];
        check(&list, "tps", json!(100), json!(150), Some(true));
        check(&list, "qps", json!(100), json!(150), Some(false));
        check(&list, "ttft.avg", json!(100), json!(108), Some(true));
        check(&list, "ttft.max", json!(100), json!(108), Some(false));
        check(
            &["ttft.*=1%", "*.avg=9%"],
            "ttft.avg",
            json!(100),
            json!(108),
            Some(false),
        );
        check(&["*=5%", "*=any"], "tps", json!(1), json!(9), Some(false));
    }

    #[test]
    fn what_is_no_number_is_within_nothing_but_any() {
        check(
            &["*=5%"],
            "complete",
            json!(true),
            json!(false),
            Some(false),
        );
        check(&["*=5%"], "tps", json!(null), json!(1), Some(false));
        check(&["*=any"], "tps", json!(null), json!(1), Some(true));
        check(&["*=5%"], "git_sha", json!("a"), json!("b"), Some(true));
        check(&["*=5%"], "run_config.seed", json!(1), json!(9), Some(true));
        check(
            &["*=5%"],
            "ttft.histogram.counts",
            json!([1]),
            json!([2]),
            Some(true),
        );
        check(
            &["*=2ms"],
            "ttft.histogram.counts",
            json!([1]),
            json!([2]),
            None,
        );
        check(&["*=2ms"], "git_sha", json!("a"), json!("b"), None);
    }

    #[test]
    fn a_tolerance_that_cannot_be_read_says_which_part() {
        for (text, said) in [
            ("tps", "tolerance `tps`: expected METRIC=AMOUNT"),
            ("=5%", "expected METRIC=AMOUNT"),
            ("<=5%", "expected METRIC=AMOUNT"),
            (
                "tps=",
                "`` is not an amount: expected a share of the value before (5%), a time",
            ),
            ("tps=5x", "`5x` is not an amount"),
            ("tps==5", "`=5` is not an amount"),
            (
                "tps=-5%",
                "`=-5%` allows a change either way and cannot be negative",
            ),
            ("tps>=any", "`any` goes with `=` only"),
            ("t[ps=5%", "`t[ps` is not a metric's name or pattern: "),
        ] {
            let error = Tolerances::parse([text]).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn a_tolerance_about_nothing_is_an_error() {
        let check = |text: &str, said: &str| {
            let error = Tolerances::parse([text]).unwrap().must_match(&[]);
            let error = error.map_or_else(|error| error.to_string(), |()| String::new());
            assert!(
                error.contains(said) && error.is_empty() == said.is_empty(),
                "{error}"
            );
        };
        check("*=0.1%", "");
        check("isl.avg=1", "");
        check(
            "tpott.*=5%",
            "tolerance `tpott.*=5%`: no metric is called `tpott.*`",
        );
        check("tps=2ms", "the amount is a time, but the metric is not");
    }
}
