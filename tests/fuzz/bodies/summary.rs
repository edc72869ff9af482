//! Rewriting a summary: what we compute is new, everything else is as it was, and doing it twice changes nothing.

use tok_recompute::metric::{Metric, PerMetric};
use tok_recompute::report::{ClientVersion, Report, RunFacts, Snapshot, State};
use tok_recompute::sample::Counters;
use tok_recompute::stats::IntSeries;

use crate::model::json::{Json, parse};

/// What a summary's metrics hold and is computed.
const METRIC_KEYS: [&str; 9] = [
    "total",
    "min",
    "max",
    "median",
    "avg",
    "std_dev",
    "percentiles",
    "early_stopping_percentiles",
    "histogram",
];
const REASONS: [&str; 6] = [
    "stop",
    "length",
    "tool_calls",
    "content_filter",
    "function_call",
    "other",
];
/// Objects at the top, and which of their keys are computed.
const OBJECTS: [(&str, &[&str]); 6] = [
    ("ttft", &METRIC_KEYS),
    ("tpot", &METRIC_KEYS),
    ("latency", &METRIC_KEYS),
    ("output_sequence_lengths", &METRIC_KEYS),
    ("input_sequence_lengths", &METRIC_KEYS),
    ("finish_reason_counts", &REASONS),
];
/// Other keys at the top that are computed.
const VALUES: [&str; 14] = [
    "n_samples_issued",
    "n_samples_completed",
    "n_samples_failed",
    "duration_ns",
    "state",
    "complete",
    "legacy_loadgen_window_duration_ns",
    "qps",
    "tps",
    "e2e_avg_interactivity",
    "output_sequence_lengths_full_run",
    "steady_state",
    "n_samples_succeeded",
    "n_samples_dropped",
];
/// Keys that are given a value where they have none.
const DEFAULTS: [&str; 5] = [
    "version",
    "git_sha",
    "test_started_at",
    "run_config",
    "seeds",
];

fn render(previous: Option<&[u8]>, facts: &RunFacts, snapshot: &Snapshot) -> Option<Vec<u8>> {
    let report = Report::new(previous, facts, snapshot).ok()?;
    Some(report.summary().to_owned())
}

pub fn run(data: &[u8]) {
    let ([values, seed], previous) = super::head(data);
    let snapshot = snapshot(values, seed);
    let facts = RunFacts {
        use_legacy_window: seed & 1 == 1,
        ..RunFacts::default()
    };
    let new = render(None, &facts, &snapshot).expect("a summary");
    let Some(rewritten) = render(Some(previous), &facts, &snapshot) else {
        let fine = std::str::from_utf8(previous)
            .ok()
            .and_then(parse)
            .is_some_and(|it| is_plain(&it, 0));
        assert!(!fine, "refused: {}", String::from_utf8_lossy(previous));
        return;
    };
    let again = render(Some(&rewritten), &facts, &snapshot).expect("a summary of our own");
    assert_eq!(text(&again), text(&rewritten), "twice");

    let [before, after, new] =
        [previous, &rewritten, &new].map(|bytes| members(&parse(&text(bytes)).expect("JSON")));
    // The keys of the other versions are not left standing.
    let foreign = |key: &str| DEFAULTS.contains(&key) && find(&new, key).is_none();
    let computed = |key: &str| {
        VALUES.contains(&key) || OBJECTS.iter().any(|(name, _)| *name == key) || foreign(key)
    };
    let kept = |members: &[(String, Json)]| -> Vec<(String, Json)> {
        members
            .iter()
            .filter(|(key, _)| !computed(key))
            .cloned()
            .collect()
    };
    let had = |key: &str| before.iter().any(|(have, _)| have == key);
    let expected: Vec<_> = kept(&after)
        .into_iter()
        .filter(|(key, _)| had(key) || !DEFAULTS.contains(&key.as_str()))
        .collect();
    assert_eq!(expected, kept(&before), "other keys");
    for key in VALUES {
        assert_eq!(find(&after, key), find(&new, key), "{key}");
    }
    for name in DEFAULTS.into_iter().filter(|name| foreign(name)) {
        assert_eq!(find(&after, name), None, "{name}");
    }
    for (name, keys) in OBJECTS {
        if find(&new, name).is_none() {
            assert_eq!(find(&after, name), None, "{name}");
            continue;
        }
        let [before, after, new] = [&before, &after, &new]
            .map(|it| find(it, name).as_ref().map(members).unwrap_or_default());
        let other = |members: &[(String, Json)]| -> Vec<(String, Json)> {
            members
                .iter()
                .filter(|(key, _)| !keys.contains(&key.as_str()))
                .cloned()
                .collect()
        };
        assert_eq!(other(&after), other(&before), "other keys of {name}");
        for key in keys {
            assert_eq!(find(&after, key), find(&new, key), "{name}.{key}");
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The members of an object; of repeated keys the last value at the first one's place. Nothing for anything else.
fn members(value: &Json) -> Vec<(String, Json)> {
    let mut members: Vec<(String, Json)> = Vec::new();
    if let Json::Object(all) = value {
        for (key, value) in all {
            match members.iter_mut().find(|(have, _)| have == key) {
                Some((_, old)) => *old = value.clone(),
                None => members.push((key.clone(), value.clone())),
            }
        }
    }
    members
}

fn find(members: &[(String, Json)], key: &str) -> Option<Json> {
    members
        .iter()
        .find(|(have, _)| have == key)
        .map(|(_, value)| value.clone())
}

/// An object that every JSON library reads: not nested deeply, every number a double.
fn is_plain(value: &Json, nested: usize) -> bool {
    nested < 100
        && match value {
            Json::Object(members) => members.iter().all(|(_, value)| is_value(value, nested + 1)),
            _ => false,
        }
}

fn is_value(value: &Json, nested: usize) -> bool {
    match value {
        Json::Array(items) => nested < 100 && items.iter().all(|item| is_value(item, nested + 1)),
        Json::Object(_) => is_plain(value, nested),
        Json::Number(number) => number.parse::<f64>().is_ok_and(f64::is_finite),
        _ => true,
    }
}

fn snapshot(values: u8, seed: u8) -> Snapshot {
    let series = |factor: i64| -> IntSeries {
        (0..i64::from(values % 16))
            .map(|i| (i * 37 - i64::from(seed)) * factor)
            .collect()
    };
    let estimates = seed & 2 == 2;
    let client = ClientVersion::ALL[usize::from(values / 16) % ClientVersion::ALL.len()];
    let all = PerMetric::from_fn(|metric| match metric {
        Metric::Latency => Some(series(1_000_003).finish(estimates)),
        Metric::Isl => Some(series(1).finish(false)),
        Metric::Osl => Some(series(3).finish(false)),
        Metric::Ttft if seed & 4 == 4 => Some(series(999_983).finish(estimates)),
        _ => None,
    });
    Snapshot {
        client,
        state: if seed & 8 == 8 {
            State::Complete
        } else {
            State::Interrupted
        },
        n_pending_tasks: u64::from(seed >> 6),
        counter: 1,
        timestamp_ns: 0,
        counters: Counters {
            tracked_samples_issued: u64::from(values),
            tracked_samples_completed: u64::from(values % 16),
            tracked_finish_reasons: [u64::from(seed), 0, 0, 0, 0, 0],
            tracked_duration_ns: i128::from(seed) * 1_000_000_007 - 5,
            legacy_loadgen_window_duration_ns: i128::from(seed) << 66,
            ..Counters::default()
        },
        series: all,
        ..Snapshot::default()
    }
}
