//! The kind of a difference: other samples, another tokenizer, other times.

use serde::Serialize;

use super::field_path::{group, is_description, metric};
use crate::metric::{Metric, PerMetric};

/// The reason why two values of a field differ, as far as the other fields tell. The order is that of precedence: if
/// the population differs, everything else differs with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DifferenceKind {
    /// One of the two runs did not end, or not every text was counted.
    Incomplete,
    /// The numbers of samples, or of a distribution's values, differ.
    Population,
    /// Token counts differ while samples and times agree.
    Tokenizer,
    /// Token counts and times differ: other outputs, perhaps also another tokenizer.
    Tokens,
    /// Times differ.
    Timing,
    /// A field that is not measured differs: the client's version, the run's configuration.
    Description,
    /// A value does not meet an expectation. The two summaries need not differ.
    Expectation,
}

impl DifferenceKind {
    /// The name in every output.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::Population => "population",
            Self::Tokenizer => "tokenizer",
            Self::Tokens => "tokens",
            Self::Timing => "timing",
            Self::Description => "description",
            Self::Expectation => "expectation",
        }
    }
}

/// Classifies a difference by all differences of a comparison.
pub(super) struct Classifier {
    /// The numbers of samples differ, and with them everything else.
    population: bool,
    /// The number of a distribution's values differs.
    count_differs: PerMetric<bool>,
    times: Times,
    /// The lengths of inputs or outputs differ.
    lengths: bool,
}

/// The agreement of the times that do not depend on token counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Times {
    Same,
    /// They differ within tolerance, or because a distribution has other values.
    Similar,
    Different,
}

impl Classifier {
    /// Takes the paths of the fields that differ beyond tolerance, and of those that differ within tolerance.
    pub(super) fn new(beyond: &[&str], within: &[&str]) -> Self {
        let count_differs = PerMetric::from_fn(|it| {
            let count = it.summary_key().map(|key| format!("{key}.count"));
            count.is_some_and(|count| beyond.contains(&count.as_str()))
        });
        let sample_counts = ["n_samples_issued", "n_samples_completed"];
        let same_values = |path: &str| !metric(path).is_some_and(|it| count_differs[it]);
        let times = if beyond
            .iter()
            .any(|path| is_clock(path) && same_values(path))
        {
            Times::Different
        } else if beyond.iter().chain(within).any(|path| is_clock(path)) {
            Times::Similar
        } else {
            Times::Same
        };
        Self {
            population: count_differs[Metric::Latency]
                || sample_counts.iter().any(|path| beyond.contains(path)),
            times,
            lengths: (beyond.iter())
                .any(|path| matches!(metric(path), Some(Metric::Isl | Metric::Osl))),
            count_differs,
        }
    }

    pub(super) fn kind(&self, path: &str) -> DifferenceKind {
        use DifferenceKind::{Description, Incomplete, Population, Timing, Tokenizer, Tokens};
        use Metric::{Isl, Osl, Tpot};

        let metric = metric(path);
        let other_values = metric.is_some_and(|metric| self.count_differs[metric]);
        match (group(path), metric) {
            ("state" | "complete", _) => Incomplete,
            _ if is_description(path) => Description,
            _ if self.population => Population,
            (
                "n_samples_issued"
                | "n_samples_completed"
                | "n_samples_failed"
                | "finish_reason_counts",
                _,
            ) => Population,
            (_, Some(Isl | Osl)) if other_values => Population,
            (_, Some(Isl | Osl)) if self.times == Times::Different => Tokens,
            (_, Some(Isl | Osl)) => Tokenizer,
            ("tps", _) | (_, Some(Tpot)) if self.count_differs[Osl] => Population,
            // An output of 0 tokens counts as a length, but TPOT cannot be divided by it. So another tokenizer can
            // change the number of TPOT's values.
            (_, Some(Tpot)) if other_values && !self.lengths => Population,
            ("tps", _) | (_, Some(Tpot)) if self.times_explain_rates() => Timing,
            ("tps", _) | (_, Some(Tpot)) => Tokenizer,
            _ if other_values => Population,
            _ => Timing,
        }
    }

    /// Returns true if times, not lengths, explain different rates of tokens.
    fn times_explain_rates(&self) -> bool {
        match self.times {
            Times::Same => false,
            Times::Similar => !self.lengths,
            Times::Different => true,
        }
    }
}

/// Returns true for a time, or a rate of samples, that does not depend on token counts.
fn is_clock(path: &str) -> bool {
    let clocks = ["duration_ns", "legacy_loadgen_window_duration_ns", "qps"];
    matches!(metric(path), Some(Metric::Ttft | Metric::Latency)) || clocks.contains(&group(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the kinds of the fields that differ, in their order; `+` marks a difference within tolerance.
    #[track_caller]
    fn check(differ: &str, expected: &str) {
        let long = differ
            .replace("isl", "input_sequence_lengths")
            .replace("osl", "output_sequence_lengths");
        let (within, beyond): (Vec<&str>, Vec<&str>) = long
            .split_whitespace()
            .partition(|path| path.starts_with('+'));
        let within: Vec<&str> = within.iter().map(|path| &path[1..]).collect();
        let classifier = Classifier::new(&beyond, &within);
        let kinds: Vec<_> = beyond.iter().map(|p| classifier.kind(p).name()).collect();
        assert_eq!(kinds.join(" "), expected, "{differ}");
    }

    #[test]
    fn kinds_follow_from_all_differences_together() {
        check("", "");
        check(
            "n_samples_completed ttft.avg qps osl.avg",
            "population population population population",
        );
        check("latency.count tpot.avg", "population population");
        check(
            "isl.avg osl.total tpot.avg tps",
            "tokenizer tokenizer tokenizer tokenizer",
        );
        check(
            "ttft.avg latency.total tpot.avg qps tps duration_ns",
            "timing timing timing timing timing timing",
        );
        check(
            "latency.avg osl.avg tpot.avg tps",
            "timing tokens timing timing",
        );
        // The drain timed out.
        check(
            "complete tpot.count tpot.avg osl.count osl.avg tps",
            "incomplete population population population population population",
        );
        check("tpot.count tpot.avg", "population population");
        check(
            "tpot.count tpot.avg osl.avg",
            "tokenizer tokenizer tokenizer",
        );
        check(
            "ttft.count ttft.avg osl.avg",
            "population population tokenizer",
        );
        check(
            "finish_reason_counts.stop n_samples_failed git_sha state gpu.watts",
            "population population description incomplete description",
        );
        check("tps +qps", "timing");
        check("tps +osl.avg", "tokenizer");
        check("tpot.avg tps +ttft.max +n_samples_failed", "timing timing");
        check("isl.avg tps +ttft.max", "tokenizer tokenizer");
        check(
            "run_config.load_pattern.target_qps ttft.max",
            "description timing",
        );
    }
}
