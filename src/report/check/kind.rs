//! What kind of difference it is: other samples, another tokenizer, other times.

use serde::Serialize;

use super::fields::{is_description, root};

const ISL: &str = "input_sequence_lengths";
const OSL: &str = "output_sequence_lengths";

/// Why two values of a metric differ, as far as the other metrics tell. The order is that of telling: a population
/// that differs moves everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// One of the two says that the run did not end, or that not every text was counted.
    Incomplete,
    /// The numbers of samples, or of a distribution's values, differ.
    Population,
    /// Token counts differ while samples and times agree.
    Tokenizer,
    /// Token counts and times differ: other outputs, perhaps also another tokenizer.
    Tokens,
    /// Times differ.
    Timing,
    /// Not measured: the client's version, the run's configuration.
    Description,
    /// No difference between two: a value is not what is expected of it.
    Expectation,
}

impl Kind {
    /// Its name in every output.
    pub fn name(self) -> &'static str {
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

/// The metrics that differ, taken together.
pub(super) struct Evidence<'a> {
    /// By more than they may.
    differ: Vec<&'a str>,
    /// Other samples: then nothing else tells anything.
    population: bool,
    times: bool,
    /// Whether a time differs at all.
    moved: bool,
}

impl<'a> Evidence<'a> {
    /// `differ`: the paths of the fields that differ by more than they may; `allowed`: of those that differ by less.
    pub(super) fn new(differ: Vec<&'a str>, allowed: &[&str]) -> Self {
        let counts = ["n_samples_issued", "n_samples_completed", "latency.count"];
        let mut evidence = Self {
            population: counts.iter().any(|count| differ.contains(count)),
            moved: differ.iter().chain(allowed).any(|path| is_timed(path)),
            differ,
            times: false,
        };
        evidence.times = !evidence.population
            && evidence
                .differ
                .iter()
                .any(|path| is_timed(path) && !evidence.other_values(root(path)));
        evidence
    }

    /// Whether a distribution has another number of values.
    fn other_values(&self, distribution: &str) -> bool {
        self.differ
            .iter()
            .any(|path| path.strip_prefix(distribution) == Some(".count"))
    }

    fn has(&self, distribution: &str) -> bool {
        self.differ.iter().any(|path| root(path) == distribution)
    }

    pub(super) fn kind(&self, path: &str) -> Kind {
        let root = root(path);
        let tokens = if self.times {
            Kind::Tokens
        } else {
            Kind::Tokenizer
        };
        let lengths = [ISL, OSL].iter().any(|length| self.has(length));
        match root {
            "state" | "complete" => Kind::Incomplete,
            _ if is_description(path) => Kind::Description,
            _ if self.population => Kind::Population,
            "n_samples_issued"
            | "n_samples_completed"
            | "n_samples_failed"
            | "finish_reason_counts" => Kind::Population,
            ISL | OSL if self.other_values(root) => Kind::Population,
            ISL | OSL => tokens,
            "tps" | "tpot" if self.other_values(OSL) => Kind::Population,
            // A count of no tokens is recorded as an output's length, but not as a divisor: another tokenizer can
            // change the number of TPOT's values.
            "tpot" if self.other_values(root) && !lengths => Kind::Population,
            "tps" | "tpot" if self.times || (self.moved && !lengths) => Kind::Timing,
            "tps" | "tpot" => Kind::Tokenizer,
            _ if self.other_values(root) => Kind::Population,
            _ => Kind::Timing,
        }
    }
}

/// Whether the field is a time, or a rate of samples, that token counts have no part in.
fn is_timed(path: &str) -> bool {
    let timed = [
        "ttft",
        "latency",
        "duration_ns",
        "legacy_loadgen_window_duration_ns",
        "qps",
    ];
    timed.contains(&root(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kinds of some differing fields, by name, in their order; `+` marks one that may differ as it does.
    #[track_caller]
    fn check(differ: &[&str], expected: &str) {
        let (allowed, beyond): (Vec<&str>, Vec<&str>) =
            differ.iter().partition(|path| path.starts_with('+'));
        let allowed: Vec<&str> = allowed.iter().map(|path| &path[1..]).collect();
        let evidence = Evidence::new(beyond.clone(), &allowed);
        let kinds: Vec<_> = beyond.iter().map(|p| evidence.kind(p).name()).collect();
        assert_eq!(kinds.join(" "), expected, "{differ:?}");
    }

    #[test]
    fn kinds_follow_from_all_differences_together() {
        check(&[], "");
        check(
            &[
                "n_samples_completed",
                "ttft.avg",
                "qps",
                "output_sequence_lengths.avg",
            ],
            "population population population population",
        );
        check(&["latency.count", "tpot.avg"], "population population");
        check(
            &[
                "input_sequence_lengths.avg",
                "output_sequence_lengths.total",
                "tpot.avg",
                "tps",
            ],
            "tokenizer tokenizer tokenizer tokenizer",
        );
        check(
            &[
                "ttft.avg",
                "latency.total",
                "tpot.avg",
                "qps",
                "tps",
                "duration_ns",
            ],
            "timing timing timing timing timing timing",
        );
        check(
            &[
                "latency.avg",
                "output_sequence_lengths.avg",
                "tpot.avg",
                "tps",
            ],
            "timing tokens timing timing",
        );
        // A drain that ran out of time.
        check(
            &[
                "complete",
                "tpot.count",
                "tpot.avg",
                "output_sequence_lengths.count",
                "output_sequence_lengths.avg",
                "tps",
            ],
            "incomplete population population population population population",
        );
        check(&["tpot.count", "tpot.avg"], "population population");
        check(
            &["tpot.count", "tpot.avg", "output_sequence_lengths.avg"],
            "tokenizer tokenizer tokenizer",
        );
        check(
            &["ttft.count", "ttft.avg", "output_sequence_lengths.avg"],
            "population population tokenizer",
        );
        check(
            &[
                "finish_reason_counts.stop",
                "n_samples_failed",
                "git_sha",
                "state",
                "gpu.watts",
            ],
            "population population description incomplete description",
        );
        check(&["tps", "+qps"], "timing");
        check(&["tps", "+output_sequence_lengths.avg"], "tokenizer");
        check(
            &["tpot.avg", "tps", "+ttft.max", "+n_samples_failed"],
            "timing timing",
        );
        check(
            &["input_sequence_lengths.avg", "tps", "+ttft.max"],
            "tokenizer tokenizer",
        );
        check(
            &["run_config.load_pattern.target_qps", "ttft.max"],
            "description timing",
        );
    }
}
