//! Tolerances, the changes that a check allows: `METRIC=AMOUNT`, `METRIC<=AMOUNT`, `METRIC>=AMOUNT`.
//!
//! With `change` = after − before:
//!
//! * `=5%`: the value changed by at most 5 % of the value before, up or down.
//! * `<=5%`: the value rose by at most 5 %, or fell by any amount.
//! * `>=-2%`: the value fell by at most 2 %, or rose by any amount.
//!
//! An amount is a percentage of the value before (`5%`), a time (`2ms`, which applies only to times), or a number in
//! the metric's own unit. A `total` grows with the number of values, so an amount that is not a percentage applies to
//! each of them. If several tolerances match a field, the most specific one applies; those with the same name apply
//! together.

use serde_json::Value;

use super::amount::{Amount, ROUNDING};
use super::field_path::{is_description, is_histogram, leaf};
use super::flat_summary::FlatSummary;
use super::pattern::{MetricPattern, PatternError};

/// The tolerances of a check.
#[derive(Clone, Debug, Default)]
pub struct Tolerances(Vec<Tolerance>);

#[derive(Clone, Debug)]
struct Tolerance {
    text: String,
    pattern: MetricPattern,
    operator: Operator,
    /// `None`: any amount.
    amount: Option<Amount>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Within,
    AtMost,
    AtLeast,
}

/// A tolerance that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tolerance `{tolerance}`: {problem}")]
pub struct ToleranceError {
    tolerance: String,
    problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error(
        "expected METRIC=AMOUNT, METRIC<=AMOUNT or METRIC>=AMOUNT, such as 'tpot.percentiles.99.0=5%', \
         'ttft.*=2ms' or 'tps>=-2%'"
    )]
    Form,
    #[error(
        "`{0}` is not an amount: expected a percentage of the value before (5%), a time (2ms; ns, us, ms, s), \
         a number in the metric's own unit (20), or `any`"
    )]
    Amount(String),
    #[error("`={0}` allows a change in both directions and cannot be negative; `>=` and `<=` can")]
    Negative(String),
    #[error("`any` is valid only after `=`")]
    AnyOneSided,
    #[error(
        "the amount is a time, but the metric is not: give a percentage (5%) or a plain number"
    )]
    NotATime,
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

/// The answer of the tolerances for one difference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Allowance {
    pub allowed: bool,
    /// The tolerances that apply to the field.
    pub tolerance: Option<String>,
}

impl Tolerances {
    /// Parses tolerances.
    pub fn parse<S: AsRef<str>>(
        texts: impl IntoIterator<Item = S>,
    ) -> Result<Self, ToleranceError> {
        let parsed = texts
            .into_iter()
            .map(|text| Tolerance::parse(text.as_ref()));
        Ok(Self(parsed.collect::<Result<_, _>>()?))
    }

    /// Checks that each tolerance applies to a field: one that the client writes, or one of `summaries`.
    pub fn validate(&self, summaries: &[&FlatSummary]) -> Result<(), ToleranceError> {
        for tolerance in &self.0 {
            let found = tolerance.pattern.find(summaries);
            let found = found.map_err(|error| tolerance.error(error.into()))?;
            if !found.iter().any(|path| tolerance.applies_to(path)) {
                return Err(tolerance.error(Problem::NotATime));
            }
        }
        Ok(())
    }

    /// Judges the change of the field at `path`, whose distribution has `count` values.
    pub(super) fn allowance(
        &self,
        path: &str,
        before: &Value,
        after: &Value,
        count: u64,
    ) -> Allowance {
        let mut applicable: Vec<&Tolerance> = (self.0.iter())
            .filter(|it| it.pattern.matches(path) && it.applies_to(path))
            .collect();
        // If two are equally specific, the later one wins.
        let Some(best) = applicable.iter().max_by_key(|it| it.pattern.literal_len()) else {
            return Allowance::default();
        };
        let name = best.pattern.as_str();
        applicable.retain(|it| it.pattern.as_str() == name);
        let texts: Vec<_> = applicable.iter().map(|it| it.text.as_str()).collect();
        Allowance {
            allowed: (applicable.iter()).all(|it| it.allows(path, before, after, count)),
            tolerance: Some(texts.join(", ")),
        }
    }
}

impl Tolerance {
    fn parse(text: &str) -> Result<Self, ToleranceError> {
        let error = |problem| ToleranceError {
            tolerance: text.to_owned(),
            problem,
        };
        let (left, amount) = text.split_once('=').ok_or_else(|| error(Problem::Form))?;
        let (name, operator) = match (left.strip_suffix('<'), left.strip_suffix('>')) {
            (Some(name), _) => (name, Operator::AtMost),
            (_, Some(name)) => (name, Operator::AtLeast),
            _ => (left, Operator::Within),
        };
        if name.trim().is_empty() {
            return Err(error(Problem::Form));
        }
        Ok(Self {
            text: text.trim().to_owned(),
            pattern: MetricPattern::new(name.trim()).map_err(|it| error(it.into()))?,
            operator,
            amount: parse_amount(operator, amount.trim()).map_err(error)?,
        })
    }

    fn error(&self, problem: Problem) -> ToleranceError {
        ToleranceError {
            tolerance: self.text.clone(),
            problem,
        }
    }

    fn applies_to(&self, path: &str) -> bool {
        self.amount.is_none_or(|amount| amount.applies_to(path))
    }

    fn allows(&self, path: &str, before: &Value, after: &Value, count: u64) -> bool {
        let Some(amount) = self.amount else {
            return true;
        };
        // A percentage of a version or of a histogram means nothing; the figures beside a histogram are judged.
        if is_histogram(path) || is_description(path) {
            return true;
        }
        let Some((before, after)) = before.as_f64().zip(after.as_f64()) else {
            return false;
        };
        let values = if leaf(path) == "total" {
            count.max(1)
        } else {
            1
        };
        let limit = match amount {
            Amount::Percent(percent) => before.abs() * percent / 100.0,
            Amount::Time(amount) | Amount::Plain(amount) => amount * values as f64,
        };
        let rounding = ROUNDING * before.abs().max(after.abs());
        let change = after - before;
        match self.operator {
            Operator::Within => change.abs() <= limit + rounding,
            Operator::AtMost => change <= limit + rounding,
            Operator::AtLeast => change >= limit - rounding,
        }
    }
}

/// Parses an amount; `None` is `any`.
fn parse_amount(operator: Operator, text: &str) -> Result<Option<Amount>, Problem> {
    if text == "any" {
        return match operator {
            Operator::Within => Ok(None),
            Operator::AtMost | Operator::AtLeast => Err(Problem::AnyOneSided),
        };
    }
    let amount: Amount = text
        .parse()
        .map_err(|()| Problem::Amount(text.to_owned()))?;
    if operator == Operator::Within && amount.number() < 0.0 {
        return Err(Problem::Negative(text.to_owned()));
    }
    Ok(Some(amount))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks a table: tolerances between commas, a field, its values before and after, and the answer.
    #[track_caller]
    fn check(table: &str) {
        for row in table.lines().filter(|line| !line.trim().is_empty()) {
            let cells: Vec<&str> = row.split_whitespace().collect();
            let [tolerances, path, before, after, expected] = cells[..] else {
                panic!("{row}");
            };
            let tolerances = Tolerances::parse(tolerances.split(',')).unwrap();
            let value = |text: &str| serde_json::from_str(text).unwrap();
            let allowance = tolerances.allowance(path, &value(before), &value(after), 10);
            let got = match (allowance.tolerance, allowance.allowed) {
                (None, _) => "none_applies",
                (Some(_), true) => "allowed",
                (Some(_), false) => "beyond",
            };
            assert_eq!(got, expected, "{row}");
        }
    }

    #[test]
    fn amounts_are_percentages_of_the_value_before_or_absolute() {
        check(
            "
            ttft.*=5%    ttft.percentiles.99.0  100.0   105.0     allowed
            ttft.*=5%    ttft.percentiles.99.0  100.0   95.0      allowed
            ttft.*=5%    ttft.percentiles.99.0  100.0   105.01    beyond
            ttft.*=5%    ttft.percentiles.99.0  105.01  100       allowed
            tpot.*=5%    ttft.percentiles.99.0  100.0   105.0     none_applies
            ttft.*=2ms   ttft.percentiles.99.0  1e6     3e6       allowed
            ttft.*=2ms   ttft.percentiles.99.0  1e6     3000001   beyond
            *=2ms        tps                    1       2         none_applies
            *=2          tps                    1       3         allowed
            *=2%         tps                    0.1     0.102     allowed
            *=50%        tps                    0       1         beyond
            *=50%        ttft.min               -100    -149      allowed
            ttft=2ms     ttft.total             0       20000000  allowed
            ttft=2ms     ttft.total             0       20000001  beyond
            ",
        );
    }

    #[test]
    fn a_one_sided_tolerance_allows_any_change_in_the_other_direction() {
        check(
            "
            tps>=-2%            tps       100  98    allowed
            tps>=-2%            tps       100  97.9  beyond
            tps>=-2%            tps       100  900   allowed
            ttft.avg<=5%        ttft.avg  100  105   allowed
            ttft.avg<=5%        ttft.avg  100  106   beyond
            ttft.avg<=5%        ttft.avg  100  1     allowed
            tps>=2%             tps       100  101   beyond
            tps>=-2%,tps<=10%   tps       100  111   beyond
            tps>=-2%,tps<=10%   tps       100  97    beyond
            tps>=-2%,tps<=10%   tps       100  109   allowed
            ",
        );
        assert!(Tolerances::parse(["ttft.avg <= 5%"]).is_ok());
    }

    #[test]
    fn the_most_specific_name_applies() {
        check(
            "
            tps>=-2%,*=0.1%,ttft.avg=9%,ttft.*=1%  tps       100  150  allowed
            tps>=-2%,*=0.1%,ttft.avg=9%,ttft.*=1%  qps       100  150  beyond
            tps>=-2%,*=0.1%,ttft.avg=9%,ttft.*=1%  ttft.avg  100  108  allowed
            tps>=-2%,*=0.1%,ttft.avg=9%,ttft.*=1%  ttft.max  100  108  beyond
            ttft.*=1%,*.avg=9%                     ttft.avg  100  108  beyond
            *=5%,*=any                             tps       1    9    beyond
            ",
        );
    }

    #[test]
    fn only_any_allows_a_change_of_a_value_that_is_not_a_number() {
        check(
            r#"
            *=5%   complete               true  false  beyond
            *=5%   tps                    null  1      beyond
            *=any  tps                    null  1      allowed
            *=5%   git_sha                "a"   "b"    allowed
            *=5%   run_config.seed        1     9      allowed
            *=5%   ttft.histogram.counts  [1]   [2]    allowed
            *=2ms  ttft.histogram.counts  [1]   [2]    none_applies
            *=2ms  git_sha                "a"   "b"    none_applies
            "#,
        );
    }

    #[test]
    fn errors_name_the_bad_part() {
        for (text, said) in [
            ("tps", "tolerance `tps`: expected METRIC=AMOUNT"),
            ("=5%", "expected METRIC=AMOUNT"),
            ("<=5%", "expected METRIC=AMOUNT"),
            ("tps=", "`` is not an amount: expected a percentage"),
            ("tps=5x", "`5x` is not an amount"),
            ("tps==5", "`=5` is not an amount"),
            ("tps=-5%", "`=-5%` allows a change in both directions"),
            ("tps>=any", "`any` is valid only after `=`"),
            ("t[ps=5%", "`t[ps` is not a metric's name or pattern: "),
            (
                "tpott.*=5%",
                "tolerance `tpott.*=5%`: no metric is called `tpott.*`",
            ),
            ("tps=2ms", "the amount is a time, but the metric is not"),
        ] {
            let error = Tolerances::parse([text]).and_then(|it| it.validate(&[]));
            let error = error.unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        for text in ["*=0.1%", "isl.avg=1"] {
            let tolerances = Tolerances::parse([text]).unwrap();
            assert_eq!(tolerances.validate(&[]), Ok(()), "{text}");
        }
    }
}
