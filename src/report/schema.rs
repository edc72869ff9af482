//! The formats of every client version: which keys a summary has and in which order, which counters a snapshot has,
//! where the summary lies, and by which rules the client computes them.
//!
//! A version here is a state of `mlcommons/endpoints` after a change that a report shows. Everything that depends on
//! the version asks this file; a new version is a variant, its keys are rows, and its values go into `summary.rs`.

use serde::{Serialize, Serializer};

/// A client version, from the oldest to the newest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientVersion {
    /// Tag v0.5, 2026-06-10.
    V0_5,
    /// 2026-06-23 (pull request 353): rates and seeds in the summary.
    June23,
    /// 2026-07-09 (377): LoadGen's window, the run's configuration.
    July9,
    /// 2026-07-14 (400): the summary moves to `performance/`.
    July14,
    /// 2026-07-17 (417): MLPerf Inference v6.1, early-stopping estimates.
    V6_1,
    /// 2026-07-20 (422): finish reasons.
    July20,
    /// 2026-08-13 (441): input lengths, reasoning through the chat template.
    August13,
    /// 2026-08-21 (commit ea332753).
    August21,
    /// 2026-09-24 (514): MLPerf Endpoints v1.0, steady state, accounting.
    #[default]
    September24,
}

impl ClientVersion {
    /// Every version, the oldest first.
    pub const ALL: [Self; 9] = [
        Self::V0_5,
        Self::June23,
        Self::July9,
        Self::July14,
        Self::V6_1,
        Self::July20,
        Self::August13,
        Self::August21,
        Self::September24,
    ];

    /// The version that is assumed where a run shows none.
    pub const NEWEST: Self = Self::September24;

    /// Its name on the command line and in messages.
    pub fn label(self) -> &'static str {
        match self {
            Self::V0_5 => "v0.5",
            Self::June23 => "2026-06-23",
            Self::July9 => "2026-07-09",
            Self::July14 => "2026-07-14",
            Self::V6_1 => "v6.1",
            Self::July20 => "2026-07-20",
            Self::August13 => "2026-08-13",
            Self::August21 => "2026-08-21",
            Self::September24 => "2026-09-24",
        }
    }

    /// The version named `label`.
    pub fn from_label(label: &str) -> Option<Self> {
        (Self::ALL.into_iter()).find(|version| version.label() == label)
    }

    /// The place of the summary in a run directory.
    pub fn summary_path(self) -> &'static str {
        if self >= Self::July14 {
            "performance/result_summary.json"
        } else {
            "result_summary.json"
        }
    }

    /// Returns true if reasoning without tool calls is counted as plain text, put before the output.
    /// Source: `token_metrics.py` before and after pull request 441.
    pub fn counts_reasoning_as_text(self) -> bool {
        self < Self::August13
    }

    /// Returns true if TPOT is summed over plain texts first and over messages after them, as one flush of the batched
    /// tokenization of July records them. Floating-point sums depend on the order.
    pub fn sums_messages_last(self) -> bool {
        (Self::July9..=Self::July20).contains(&self)
    }

    /// Returns true if `other` counts texts, or sums what it counts, by other rules.
    pub fn counts_unlike(self, other: Self) -> bool {
        let rules = |version: Self| {
            (
                version.counts_reasoning_as_text(),
                version.sums_messages_last(),
            )
        };
        rules(self) != rules(other)
    }

    /// Returns true if percentiles can have early-stopping estimates.
    pub fn has_early_stopping(self) -> bool {
        self >= Self::V6_1
    }

    /// Returns true if a summary shows the empty estimates of a series without values; older ones show `{}`.
    pub fn shows_empty_estimates(self) -> bool {
        self >= Self::August21
    }

    /// Returns true if rates can be taken over LoadGen's window.
    pub fn has_legacy_window(self) -> bool {
        self >= Self::July9
    }

    /// Returns true if a run is complete only when every issued sample completed.
    pub fn accounts_for_samples(self) -> bool {
        self >= Self::September24
    }

    /// Returns true if report.txt has a TPS line without a value too.
    pub fn shows_missing_tps(self) -> bool {
        self >= Self::July14
    }

    /// Returns true if a summary of this version has `key`.
    pub fn has(self, key: SummaryKey) -> bool {
        let row = SUMMARY_KEYS.iter().find(|row| row.key == key);
        row.is_some_and(|row| row.is_in(self))
    }

    /// Returns true if a snapshot of this version has the counter `name`.
    pub fn has_counter(self, name: &str) -> bool {
        match name {
            "legacy_loadgen_window_duration_ns" => self.has_legacy_window(),
            name if name.starts_with("tracked_finish_reason_") => {
                self.has(SummaryKey::FinishReasons)
            }
            _ => true,
        }
    }

    /// Returns true if a report of `other` can differ: in its keys, its lines or its figures. The summary lies elsewhere
    /// in older versions, which does not matter for a summary that exists.
    pub fn differs_from(self, other: Self) -> bool {
        let (older, newer) = (self.min(other), self.max(other));
        // Only a series without values shows the difference between these two.
        (older, newer) != (Self::August13, Self::August21)
    }

    /// Returns true if a snapshot of this version ends in the steady-state verdict.
    pub fn snapshot_has_steady_state(self) -> bool {
        self >= Self::September24
    }
}

impl Serialize for ClientVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}

/// A key at the top of a summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "SUMMARY_KEYS has their names")]
pub enum SummaryKey {
    Version,
    GitSha,
    TestStartedAt,
    Issued,
    Completed,
    Failed,
    Duration,
    State,
    Complete,
    Ttft,
    Tpot,
    Latency,
    Osl,
    Isl,
    LegacyWindow,
    Qps,
    Tps,
    Interactivity,
    FinishReasons,
    RunConfig,
    Seeds,
    FullRunOsl,
    SteadyState,
    Succeeded,
    Dropped,
}

/// A key of a summary and the versions that write it.
#[derive(Clone, Copy, Debug)]
pub struct KeyRow {
    /// The key.
    pub key: SummaryKey,
    /// Its name in the file.
    pub name: &'static str,
    since: ClientVersion,
    until: ClientVersion,
}

impl KeyRow {
    const fn new(key: SummaryKey, name: &'static str, since: ClientVersion) -> Self {
        Self {
            key,
            name,
            since,
            until: ClientVersion::NEWEST,
        }
    }

    const fn until(self, until: ClientVersion) -> Self {
        Self { until, ..self }
    }

    /// The first version that writes the key.
    pub fn since(&self) -> ClientVersion {
        self.since
    }

    /// Returns true if summaries of `version` have the key.
    pub fn is_in(&self, version: ClientVersion) -> bool {
        (self.since..=self.until).contains(&version)
    }
}

/// The keys of a summary in the order in which every version writes them (`metrics/report.py`, `Report`).
pub const SUMMARY_KEYS: [KeyRow; 25] = {
    use ClientVersion::{August13, July9, July20, June23, September24, V0_5};
    use SummaryKey as Key;
    [
        KeyRow::new(Key::Version, "version", V0_5),
        KeyRow::new(Key::GitSha, "git_sha", V0_5),
        KeyRow::new(Key::TestStartedAt, "test_started_at", V0_5),
        KeyRow::new(Key::Issued, "n_samples_issued", V0_5),
        KeyRow::new(Key::Completed, "n_samples_completed", V0_5),
        KeyRow::new(Key::Failed, "n_samples_failed", V0_5),
        KeyRow::new(Key::Duration, "duration_ns", V0_5),
        KeyRow::new(Key::State, "state", V0_5),
        KeyRow::new(Key::Complete, "complete", V0_5),
        KeyRow::new(Key::Ttft, "ttft", V0_5),
        KeyRow::new(Key::Tpot, "tpot", V0_5),
        KeyRow::new(Key::Latency, "latency", V0_5),
        KeyRow::new(Key::Osl, "output_sequence_lengths", V0_5),
        KeyRow::new(Key::Isl, "input_sequence_lengths", August13),
        KeyRow::new(
            Key::LegacyWindow,
            "legacy_loadgen_window_duration_ns",
            July9,
        ),
        KeyRow::new(Key::Qps, "qps", June23),
        KeyRow::new(Key::Tps, "tps", June23),
        KeyRow::new(Key::Interactivity, "e2e_avg_interactivity", September24),
        KeyRow::new(Key::FinishReasons, "finish_reason_counts", July20),
        KeyRow::new(Key::RunConfig, "run_config", July9),
        KeyRow::new(Key::Seeds, "seeds", June23).until(June23),
        KeyRow::new(
            Key::FullRunOsl,
            "output_sequence_lengths_full_run",
            September24,
        ),
        KeyRow::new(Key::SteadyState, "steady_state", September24),
        KeyRow::new(Key::Succeeded, "n_samples_succeeded", September24),
        KeyRow::new(Key::Dropped, "n_samples_dropped", September24),
    ]
};

impl SummaryKey {
    /// Its name in the file.
    pub fn name(self) -> &'static str {
        let row = SUMMARY_KEYS.iter().find(|row| row.key == self);
        row.map_or("", |row| row.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_lead_back_to_their_versions() {
        for version in ClientVersion::ALL {
            assert_eq!(ClientVersion::from_label(version.label()), Some(version));
        }
        assert!(ClientVersion::ALL.is_sorted());
        assert_eq!(ClientVersion::ALL.last(), Some(&ClientVersion::NEWEST));
    }

    #[test]
    fn each_version_has_its_keys() {
        let check = |version: ClientVersion, expected: &[&str]| {
            let keys = SUMMARY_KEYS.iter().filter(|row| row.is_in(version));
            let names: Vec<_> = keys.skip(13).map(|row| row.name).collect();
            assert_eq!(names, expected, "{}", version.label());
        };
        let july = [
            "legacy_loadgen_window_duration_ns",
            "qps",
            "tps",
            "run_config",
        ];
        check(ClientVersion::V0_5, &[]);
        check(ClientVersion::June23, &["qps", "tps", "seeds"]);
        check(ClientVersion::July9, &july);
        check(ClientVersion::V6_1, &july);
        check(
            ClientVersion::August21,
            &[
                "input_sequence_lengths",
                "legacy_loadgen_window_duration_ns",
                "qps",
                "tps",
                "finish_reason_counts",
                "run_config",
            ],
        );
        check(
            ClientVersion::September24,
            &[
                "input_sequence_lengths",
                "legacy_loadgen_window_duration_ns",
                "qps",
                "tps",
                "e2e_avg_interactivity",
                "finish_reason_counts",
                "run_config",
                "output_sequence_lengths_full_run",
                "steady_state",
                "n_samples_succeeded",
                "n_samples_dropped",
            ],
        );
    }
}
