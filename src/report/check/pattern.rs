//! Patterns of field names: `tpot.percentiles.99.0`, `ttft.*`, `*`, or a group such as `ttft`.

use glob::Pattern;

use super::field_path::group;
use super::flat_summary::FlatSummary;
use crate::metric::Metric;

/// A pattern that names one field or several.
#[derive(Clone, Debug)]
pub(super) struct MetricPattern {
    text: String,
    pattern: Pattern,
}

/// The reason why a pattern names no field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("`{text}` is not a metric's name or pattern: {reason}")]
    Syntax { text: String, reason: &'static str },
    #[error("no metric is called `{text}`; {known}")]
    Unknown { text: String, known: String },
}

/// The key of a distribution in a summary, of which `name` may be the short form: `osl`.
pub(super) fn distribution_key(name: &str) -> Option<&'static str> {
    let is_short = |metric: &Metric| metric.label().to_lowercase() == name;
    Metric::from_summary_key(name)
        .or_else(|| Metric::REPORTED.into_iter().find(is_short))
        .and_then(Metric::summary_key)
}

impl MetricPattern {
    pub(super) fn new(text: &str) -> Result<Self, PatternError> {
        let (root, rest) = text.split_at(group(text).len());
        let text = format!("{}{rest}", distribution_key(root).unwrap_or(root));
        match Pattern::new(&text) {
            Ok(pattern) => Ok(Self { text, pattern }),
            Err(error) => Err(PatternError::Syntax {
                text,
                reason: error.msg,
            }),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns true if it names the field at `path`, or a group around that field.
    pub(super) fn matches(&self, path: &str) -> bool {
        self.pattern.matches(path) || groups(path).any(|group| self.pattern.matches(group))
    }

    /// The number of characters that are not wildcards. The pattern with more of them is the more specific one.
    pub(super) fn literal_len(&self) -> usize {
        self.text.chars().filter(|c| !"*?[]!".contains(*c)).count()
    }

    /// The matching fields of those that the client writes and those in `summaries`; an error if there are none.
    pub(super) fn find<'a>(
        &self,
        summaries: &[&'a FlatSummary],
    ) -> Result<Vec<&'a str>, PatternError> {
        let all = summaries.iter().copied().chain([FlatSummary::known()]);
        let (found, others): (Vec<&str>, Vec<&str>) = all
            .flat_map(FlatSummary::paths)
            .partition(|path| self.matches(path));
        if found.is_empty() {
            return Err(PatternError::Unknown {
                text: self.text.clone(),
                known: suggestion(&self.text, &others),
            });
        }
        Ok(found)
    }
}

/// The groups around the field at `path`, outermost first. The dot in a percentile, `99.0`, separates nothing.
fn groups(path: &str) -> impl Iterator<Item = &str> {
    let bytes = path.as_bytes();
    let in_number = move |at: usize| {
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        at > 0 && digit(at - 1) && digit(at + 1)
    };
    let dots = path.match_indices('.');
    dots.filter(move |(at, _)| !in_number(*at))
        .map(|(at, _)| &path[..at])
}

/// The fields of the group that `name` begins with, or else the groups of a summary.
fn suggestion(name: &str, known: &[&str]) -> String {
    let prefix = format!("{}.", group(name));
    let mut names: Vec<&str> = (known.iter())
        .filter_map(|path| path.strip_prefix(&prefix))
        .collect();
    let owner = if names.is_empty() {
        names = known.iter().map(|path| group(path)).collect();
        "a summary"
    } else {
        group(name)
    };
    names.sort_unstable();
    names.dedup();
    format!("{owner} has {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> MetricPattern {
        MetricPattern::new(text).unwrap()
    }

    #[test]
    fn patterns_match_names_and_groups() {
        let check = |text: &str, path: &str, expected: bool| {
            assert_eq!(pattern(text).matches(path), expected, "{text} {path}");
        };
        check("tps", "tps", true);
        check("tps", "qps", false);
        check("?ps", "qps", true);
        check("*", "ttft.percentiles.99.0", true);
        check("ttft.*", "ttft.percentiles.99.0", true);
        check("ttft.*", "tpot.percentiles.99.0", false);
        check("ttft", "ttft.avg", true);
        check("ttft.percentiles", "ttft.percentiles.99.0", true);
        check("ttft.percentiles.99", "ttft.percentiles.99.0", false);
        check("*.99.0", "tpot.percentiles.99.0", true);
        check("*.99", "tpot.percentiles.99.9", false);
        check("ttft.histogram", "ttft.histogram.counts", true);
        check("isl.avg", "input_sequence_lengths.avg", true);
        check("osl", "output_sequence_lengths.avg", true);
        check("tt", "ttft.avg", false);
        assert!(MetricPattern::new("a[").is_err());
    }

    #[test]
    fn a_more_specific_pattern_has_more_literal_characters() {
        let lengths = [
            "*",
            "*.99.0",
            "tpot.*",
            "tpot.percentiles.*",
            "tpot.percentiles.99.0",
        ]
        .map(|text| pattern(text).literal_len());
        assert!(lengths.is_sorted() && lengths[0] == 0, "{lengths:?}");
    }

    #[test]
    fn the_error_of_an_unknown_name_lists_known_ones() {
        let check = |text: &str, said: &str| {
            let message = pattern(text).find(&[]).unwrap_err().to_string();
            assert!(message.contains(said), "{message}");
        };
        check(
            "ttft.p99",
            "no metric is called `ttft.p99`; ttft has avg, count, early",
        );
        check("tpto.avg", "a summary has complete, duration_ns, e2e_avg");
        assert_eq!(pattern("t?s").find(&[]).unwrap(), ["tps"]);
        let newer = FlatSummary::of(&serde_json::json!({"gpu": {"watts": 1}}));
        assert_eq!(pattern("gpu.*").find(&[&newer]).unwrap(), ["gpu.watts"]);
    }
}
