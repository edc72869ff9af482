//! The client version of a run, recognized from the run's own files.
//!
//! Each piece of evidence bounds the version from below, from above, or both. A summary is a proof in both directions: it
//! has exactly the keys of its version. A snapshot and config.yaml bound more loosely, and the log shows a version only
//! where it has something that older clients do not write.

use serde::Serialize;
use serde_json::Value;

use super::config::RunConfig;
use super::log_shape::LogShape;
use crate::report::ClientVersion;
use crate::report::schema::{KeyRow, SUMMARY_KEYS};

/// The client version of a run and why it is that one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Client {
    /// The version whose rules and formats are used.
    pub version: ClientVersion,
    /// The evidence, in a few words.
    pub evidence: String,
    /// Older versions that the evidence does not exclude.
    pub ambiguous_with: Vec<ClientVersion>,
    /// True if there is no evidence at all.
    #[serde(skip)]
    is_unknown: bool,
    /// The version that the run shows, where the command line forces another one.
    #[serde(rename = "overrides")]
    pub overridden: Option<ClientVersion>,
}

/// The files of a run that can show its client version.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traces<'a> {
    pub summary: Option<&'a Value>,
    pub snapshot: Option<&'a Value>,
    pub config: &'a RunConfig,
    /// True if the run has a folder `performance`, false if its summary lies beside the log; `None` if neither is known.
    pub has_performance_folder: Option<bool>,
    pub log: Option<&'a LogShape>,
}

/// The versions that are still possible, and the evidence so far.
struct VersionRange {
    min: ClientVersion,
    max: ClientVersion,
    evidence: Vec<String>,
}

impl VersionRange {
    /// Narrows the range, unless nothing would be left: then earlier evidence wins.
    fn narrow(&mut self, min: ClientVersion, max: ClientVersion, evidence: &str) {
        let (min, max) = (self.min.max(min), self.max.min(max));
        if min <= max && (min, max) != (self.min, self.max) {
            (self.min, self.max) = (min, max);
            self.evidence.push(evidence.to_owned());
        }
    }

    fn at_least(&mut self, min: ClientVersion, evidence: &str) {
        self.narrow(min, ClientVersion::NEWEST, evidence);
    }

    fn at_most(&mut self, max: ClientVersion, evidence: &str) {
        self.narrow(ClientVersion::V0_5, max, evidence);
    }
}

impl Client {
    /// Recognizes the version from `traces`; `forced` overrides it.
    pub(super) fn recognize(traces: &Traces, forced: Option<ClientVersion>) -> Self {
        let mut range = VersionRange {
            min: ClientVersion::V0_5,
            max: ClientVersion::NEWEST,
            evidence: Vec::new(),
        };
        if let Some(summary) = traces.summary {
            from_summary(&mut range, summary, traces.config);
        }
        if let Some(snapshot) = traces.snapshot {
            from_snapshot(&mut range, snapshot);
        }
        match traces.has_performance_folder {
            Some(true) => range.at_least(ClientVersion::July14, "the run has a folder performance"),
            Some(false) => range.at_most(ClientVersion::July9, "the summary lies beside the log"),
            None => {}
        }
        from_config(&mut range, traces.config);
        if let Some(log) = traces.log {
            from_log(&mut range, log);
        }
        let evidence = match range.evidence.as_slice() {
            [] => "the run does not show a version, so the newest is assumed".to_owned(),
            evidence => evidence.join(", "),
        };
        let is_unknown = range.evidence.is_empty();
        match forced {
            Some(version) => Self {
                version,
                overridden: Some(range.max).filter(|recognized| *recognized != version),
                evidence: format!("--client; the run shows {} ({evidence})", range.max.label()),
                ambiguous_with: Vec::new(),
                is_unknown: false,
            },
            None => Self {
                version: range.max,
                evidence,
                ambiguous_with: (ClientVersion::ALL.into_iter())
                    .filter(|version| range.min <= *version && *version < range.max)
                    .collect(),
                overridden: None,
                is_unknown,
            },
        }
    }

    /// The version that the run shows, even if another one is forced.
    pub fn shown(&self) -> ClientVersion {
        self.overridden.unwrap_or(self.version)
    }

    /// A line about a version that had to be chosen.
    pub(super) fn assumption(&self) -> Option<String> {
        let others = self
            .ambiguous_with
            .iter()
            .filter(|other| other.differs_from(self.version));
        let others: Vec<_> = others.map(|version| version.label()).collect();
        if self.is_unknown {
            return Some(format!(
                "assuming that the client is {}, the newest that is known: the run does not show its version (--client VERSION)",
                self.version.label()
            ));
        }
        (!others.is_empty()).then(|| {
            format!(
                "assuming that the client is {}; the run does not tell it from {} (--client VERSION)",
                self.version.label(),
                others.join(", ")
            )
        })
    }

    /// A line about a version that the command line forces on a run of another one.
    pub(super) fn warning(&self) -> Option<String> {
        let recognized = self.overridden?;
        Some(format!(
            "--client {} overrides {}, which the run shows: keys and rules of the report are those of {}",
            self.version.label(),
            recognized.label(),
            self.version.label()
        ))
    }
}

/// The keys of a summary prove the version in both directions: it has each of them, and no newer one.
fn from_summary(range: &mut VersionRange, summary: &Value, config: &RunConfig) {
    let has = |row: &&KeyRow| summary.get(row.name).is_some();
    let present = SUMMARY_KEYS.iter().filter(has);
    let Some(newest) = present.max_by_key(|row| row.since()) else {
        return;
    };
    let is_whole = |version: &ClientVersion| {
        let mut keys = SUMMARY_KEYS.iter().filter(|row| row.is_in(*version));
        keys.all(|row| has(&row))
    };
    let whole = ClientVersion::ALL.into_iter().rev().find(is_whole);
    let max = whole.unwrap_or(ClientVersion::NEWEST).max(newest.since());
    range.narrow(
        newest.since(),
        max,
        &format!("the summary has {}", newest.name),
    );
    let series = ["ttft", "tpot", "latency"].map(|name| &summary[name]);
    let estimates = |metric: &Value| metric.get("early_stopping_percentiles").is_some();
    let is_empty = |metric: &Value| metric.is_object() && metric.get("total").is_none();
    if series.into_iter().any(estimates) {
        range.at_least(
            ClientVersion::V6_1,
            "the summary has early_stopping_percentiles",
        );
    }
    if series
        .into_iter()
        .any(|metric| estimates(metric) && is_empty(metric))
    {
        range.at_least(
            ClientVersion::August21,
            "an empty metric of the summary has early_stopping_percentiles",
        );
    }
    let [ttft, tpot, latency] = series;
    let is_enabled = series.into_iter().any(estimates) || config.early_stopping() == Some(true);
    let is_bare = |metric: &Value| is_empty(metric) && !estimates(metric);
    // Without streaming TTFT and TPOT are bare in every version.
    if is_enabled && (is_bare(latency) || (is_bare(tpot) && !is_empty(ttft))) {
        range.at_most(
            ClientVersion::August13,
            "an empty metric of the summary lacks early_stopping_percentiles",
        );
    }
}

/// The version before `version`.
fn before(version: ClientVersion) -> ClientVersion {
    let older = ClientVersion::ALL
        .into_iter()
        .rev()
        .find(|it| *it < version);
    older.unwrap_or(version)
}

fn from_snapshot(range: &mut VersionRange, snapshot: &Value) {
    if snapshot.get("steady_state").is_some() {
        range.at_least(ClientVersion::September24, "the snapshot has steady_state");
    } else {
        range.at_most(ClientVersion::August21, "the snapshot lacks steady_state");
    }
    let metrics = || snapshot["metrics"].as_array().into_iter().flatten();
    let has = |name: &str| metrics().any(|metric| metric["name"] == name);
    for (counter, since) in [
        ("tracked_finish_reason_stop", ClientVersion::July20),
        ("legacy_loadgen_window_duration_ns", ClientVersion::July9),
    ] {
        if has(counter) {
            range.at_least(since, &format!("the snapshot has {counter}"));
        } else {
            range.at_most(before(since), &format!("the snapshot lacks {counter}"));
        }
    }
    if metrics().any(|metric| metric.get("early_stopping_percentiles").is_some()) {
        range.at_least(
            ClientVersion::V6_1,
            "the snapshot has early_stopping_percentiles",
        );
    }
}

/// Settings of config.yaml and the version since which the client writes them. The client writes every setting, so
/// one that is missing counts as well, unless the file was not written by the client.
const SETTINGS: [(&str, ClientVersion); 7] = [
    ("settings/timeouts", ClientVersion::September24),
    ("settings/steady_state", ClientVersion::September24),
    ("settings/metrics_isl", ClientVersion::September24),
    ("settings/early_stopping", ClientVersion::V6_1),
    (
        "settings/client/auto_warmup_budget_fraction",
        ClientVersion::V6_1,
    ),
    ("settings/profiling", ClientVersion::July9),
    ("settings/service_ready_timeout_s", ClientVersion::July9),
];

fn from_config(range: &mut VersionRange, config: &RunConfig) {
    for (setting, since) in SETTINGS {
        if config.has(setting) {
            let setting = setting.replace('/', ".");
            range.at_least(since, &format!("config.yaml has {setting}"));
        }
    }
    if !config.is_the_clients() {
        return;
    }
    for since in [
        ClientVersion::September24,
        ClientVersion::V6_1,
        ClientVersion::July9,
    ] {
        let mut settings = SETTINGS.iter().filter(|(_, version)| *version == since);
        let first = settings.clone().next().map_or("", |(setting, _)| *setting);
        if !settings.any(|(setting, _)| config.has(setting)) {
            let setting = first.replace('/', ".");
            range.at_most(before(since), &format!("config.yaml lacks {setting}"));
        }
    }
}

fn from_log(range: &mut VersionRange, log: &LogShape) {
    if log.has_phases {
        range.at_least(
            ClientVersion::September24,
            "the log has session.phase_start",
        );
    } else if log.is_tracking {
        range.at_most(ClientVersion::August21, "the log lacks session.phase_start");
    }
    match log.prompt_elements {
        Some(8..) => range.at_least(
            ClientVersion::August13,
            "prompts of the log have 8 elements",
        ),
        Some(3) => range.at_most(ClientVersion::July20, "prompts of the log have 3 elements"),
        // The client writes every element, so a shorter prompt is of another writer.
        Some(_) | None => {}
    }
    if log.has_finish_reasons {
        range.at_least(ClientVersion::July20, "the log has finish_reason");
    } else if log.has_outputs() && log.prompt_elements == Some(3) {
        // A server may give no reasons, so this only decides between the versions that the prompts leave.
        range.at_most(ClientVersion::V6_1, "the log lacks finish_reason");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(traces: &Traces, version: ClientVersion, ambiguous_with: &[ClientVersion]) {
        let client = Client::recognize(traces, None);
        assert_eq!(
            (client.version, client.ambiguous_with.as_slice()),
            (version, ambiguous_with),
            "{traces:?}: {}",
            client.evidence
        );
    }

    fn traces(config: &RunConfig) -> Traces<'_> {
        Traces {
            summary: None,
            snapshot: None,
            config,
            has_performance_folder: None,
            log: None,
        }
    }

    #[test]
    fn a_summary_proves_its_version() {
        use ClientVersion as V;
        let config = RunConfig::default();
        let check = |of: ClientVersion, version, ambiguous: &[ClientVersion]| {
            let rows = SUMMARY_KEYS.iter().filter(|row| row.is_in(of));
            let summary = Value::Object(rows.map(|row| (row.name.to_owned(), json!({}))).collect());
            let traces = Traces {
                summary: Some(&summary),
                ..traces(&config)
            };
            check(&traces, version, ambiguous);
        };
        check(V::V0_5, V::V0_5, &[]);
        check(V::June23, V::June23, &[]);
        check(V::July9, V::V6_1, &[V::July9, V::July14]);
        check(V::July20, V::July20, &[]);
        check(V::August13, V::August21, &[V::August13]);
        check(V::September24, V::September24, &[]);
    }
}
