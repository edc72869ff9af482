//! Patterns of metric names: `tpot.percentiles.99.0`, `ttft.*`, `*`, or a group such as `ttft`.

use glob::Pattern;

use super::fields::{Fields, root};

/// A pattern that names one metric or several.
#[derive(Clone, Debug)]
pub(super) struct MetricPattern {
    text: String,
    pattern: Pattern,
}

/// A name that no field of a summary has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no metric is called `{name}`; {known}")]
pub struct NoSuchMetric {
    name: String,
    known: String,
}

impl MetricPattern {
    /// `isl` and `osl` may be short for what they are in the summary. The error says what is wrong with the pattern.
    pub(super) fn new(text: &str) -> Result<Self, &'static str> {
        let long = match root(text) {
            "isl" => "input_sequence_lengths",
            "osl" => "output_sequence_lengths",
            other => other,
        };
        let text = format!("{long}{}", &text[root(text).len()..]);
        let pattern = Pattern::new(&text).map_err(|error| error.msg)?;
        Ok(Self { text, pattern })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it names the field at `path`, or a group that the field is in.
    pub(super) fn matches(&self, path: &str) -> bool {
        self.pattern.matches(path) || groups(path).any(|group| self.pattern.matches(group))
    }

    /// How much of a name it spells out: of two patterns that match, the one with more is about fewer metrics.
    pub(super) fn literal_len(&self) -> usize {
        self.text.chars().filter(|c| !"*?[]!".contains(*c)).count()
    }

    /// The fields it matches of those that the client writes or that `have` has; there must be one.
    pub(super) fn find<'a>(&self, have: &[&'a Fields]) -> Result<Vec<&'a str>, NoSuchMetric> {
        let all = have.iter().copied().chain([Fields::known()]);
        let known: Vec<&str> = all.flat_map(Fields::paths).collect();
        let found: Vec<&str> = known
            .iter()
            .copied()
            .filter(|path| self.matches(path))
            .collect();
        if found.is_empty() {
            return Err(NoSuchMetric {
                name: self.text.clone(),
                known: suggestion(&self.text, &known),
            });
        }
        Ok(found)
    }
}

/// The groups around the field at `path`, outermost first. The dot in the name of a percentile, `99.0`, is none that
/// separates.
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

/// What could have been meant: the fields of the group, or else the groups.
fn suggestion(name: &str, known: &[&str]) -> String {
    let group = root(name);
    let prefix = format!("{group}.");
    let mut names: Vec<&str> = known
        .iter()
        .filter_map(|path| path.strip_prefix(&prefix))
        .collect();
    let what = if names.is_empty() {
        names = known.iter().map(|path| root(path)).collect();
        "a summary has".to_owned()
    } else {
        format!("{group} has")
    };
    names.sort_unstable();
    names.dedup();
    format!("{what} {}", names.join(", "))
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
    fn the_more_a_pattern_spells_out_the_more_it_counts() {
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
    fn a_name_that_nothing_has_is_an_error_that_helps() {
        let fail = |text: &str| pattern(text).find(&[]).unwrap_err().to_string();
        let message = fail("ttft.p99");
        assert!(
            message.starts_with("no metric is called `ttft.p99`; ttft has avg, count, early"),
            "{message}"
        );
        let message = fail("tpto.avg");
        assert!(
            message.contains("a summary has complete, duration_ns, finish_"),
            "{message}"
        );
        assert_eq!(pattern("t?s").find(&[]).unwrap(), ["tps"]);
        let newer = Fields::of(&serde_json::json!({"gpu": {"watts": 1}}));
        assert_eq!(pattern("gpu.*").find(&[&newer]).unwrap(), ["gpu.watts"]);
    }
}
