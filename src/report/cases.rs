//! Whole reports: the reference's files for given counters and values, and ours.
//!
//! `fixtures/report` holds a few small cases; the environment variable `REPORT_CASES` names a folder with more.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::{Attachments, ClientVersion, Report, RunFacts, Snapshot, State};
use crate::metric::{Metric, PerMetric};
use crate::sample::{Counters, FinishReason};
use crate::stats::{FloatSeries, IntSeries, Stat};

/// Counters and values of a run, and the text of the files that the reference wrote for them.
#[derive(Deserialize)]
struct Case {
    state: String,
    n_pending_tasks: u64,
    counter: u64,
    timestamp_ns: i64,
    counters: HashMap<String, i64>,
    streaming: bool,
    early_stopping: bool,
    legacy: bool,
    series: HashMap<String, Vec<serde_json::Number>>,
    run_config: Option<Value>,
    accuracy: Option<Value>,
    profiling: Option<Value>,
    previous: Option<String>,
    summary: String,
    report: Option<String>,
    snapshot: Option<String>,
}

impl Case {
    fn stat(&self, metric: Metric) -> Stat {
        let values = self.series.get(metric.series()).into_iter().flatten();
        let early_stopping = self.early_stopping && metric.has_early_stopping();
        if metric == Metric::Tpot {
            values
                .map(|v| v.as_f64().unwrap())
                .collect::<FloatSeries>()
                .finish(early_stopping)
        } else {
            values
                .map(|v| v.as_i64().unwrap())
                .collect::<IntSeries>()
                .finish(early_stopping)
        }
    }

    fn snapshot(&self) -> Snapshot {
        let value = |name: &str| self.counters.get(name).copied().unwrap_or(0);
        let count = |name: &str| u64::try_from(value(name)).unwrap();
        Snapshot {
            state: if self.state == "complete" {
                State::Complete
            } else {
                State::Interrupted
            },
            n_pending_tasks: self.n_pending_tasks,
            counter: self.counter,
            timestamp_ns: self.timestamp_ns,
            counters: Counters {
                total_samples_issued: count("total_samples_issued"),
                total_samples_completed: count("total_samples_completed"),
                total_samples_failed: count("total_samples_failed"),
                tracked_samples_issued: count("tracked_samples_issued"),
                tracked_samples_completed: count("tracked_samples_completed"),
                tracked_samples_failed: count("tracked_samples_failed"),
                tracked_finish_reasons: FinishReason::ALL
                    .map(|reason| count(&format!("tracked_finish_reason_{}", reason.name()))),
                tracked_duration_ns: value("tracked_duration_ns").into(),
                legacy_loadgen_window_duration_ns: value("legacy_loadgen_window_duration_ns")
                    .into(),
                total_duration_ns: value("total_duration_ns").into(),
            },
            series: PerMetric::from_fn(|metric| {
                let exists = self.streaming || !metric.is_streaming_only();
                exists.then(|| self.stat(metric))
            }),
            client: ClientVersion::August21,
            ..Snapshot::default()
        }
    }

    fn check(&self, name: &str) {
        let snapshot = self.snapshot();
        let run = RunFacts {
            run_config: self.run_config.clone(),
            use_legacy_window: self.legacy,
            ..RunFacts::default()
        };
        let previous = self.previous.as_ref().map(String::as_bytes);
        let report = Report::new(previous, &run, &snapshot).unwrap();
        same(report.summary(), &self.summary, name, "summary");
        let again = Report::new(Some(report.summary()), &run, &snapshot).unwrap();
        same(
            again.summary(),
            &self.summary,
            name,
            "summary, written twice",
        );
        if let Some(expected) = &self.report {
            let attachments = Attachments {
                accuracy: self.accuracy.as_ref(),
                profiling: self.profiling.as_ref(),
            };
            let text = report.text(attachments).unwrap();
            same(text.as_bytes(), expected, name, "report text");
        }
        if let Some(expected) = &self.snapshot {
            same(&snapshot.render(), expected, name, "snapshot");
        }
    }
}

/// Asserts equality by naming the first line that differs.
fn same(got: &[u8], expected: &str, case: &str, file: &str) {
    let got = std::str::from_utf8(got).unwrap();
    for (i, (got, expected)) in got.lines().zip(expected.lines()).enumerate() {
        assert_eq!(got, expected, "{case}: line {} of the {file}", i + 1);
    }
    assert_eq!(got.len(), expected.len(), "{case}: length of the {file}");
}

fn check_folder(folder: &Path) -> usize {
    let mut paths: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in &paths {
        let case: Case = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        case.check(&path.file_stem().unwrap().to_string_lossy());
    }
    paths.len()
}

#[test]
fn reports_equal_the_reference_byte_for_byte() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/report");
    assert!(check_folder(&fixtures) > 0);
    if let Some(more) = std::env::var_os("REPORT_CASES") {
        println!("{} more cases", check_folder(Path::new(&more)));
    }
}
