//! Whole verdicts: the client's for recorded runs, and ours.
//!
//! `fixtures/stats/steady_state` holds a few; the environment variable `STEADY_STATE_CASES` names a folder with more,
//! which `fixtures/stats/make_steady_state.py` writes.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::{Collector, SuperPassId, analyze};

/// The values that a collector receives of a run, and the verdict of the client.
#[derive(Deserialize)]
struct Case {
    calls: Vec<Call>,
    verdict: Value,
}

/// One call; samples are known by a number.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Call {
    AnnounceSize(u64),
    Issued(usize, i64),
    Ttft(usize, i64, bool),
    Latency(usize, i64),
    Tpot(usize, f64, u64),
}

/// Replays the calls that are `wanted`, and all issues.
fn collect(calls: &[Call], wanted: impl Fn(&Call) -> bool) -> Collector {
    let mut collector = Collector::default();
    let mut assigned = HashMap::<usize, SuperPassId>::new();
    for call in calls {
        match *call {
            Call::AnnounceSize(size) => collector.announce_size(size),
            Call::Issued(sample, now_ns) => {
                let id = collector.issued(assigned.get(&sample).copied(), now_ns);
                assigned.extend(id.map(|id| (sample, id)));
            }
            Call::Ttft(..) | Call::Latency(..) | Call::Tpot(..) if !wanted(call) => {}
            Call::Ttft(sample, ttft_ns, first_turn) => {
                if let Some(&id) = assigned.get(&sample) {
                    collector.record_ttft(id, ttft_ns, first_turn);
                }
            }
            Call::Latency(sample, latency_ns) => {
                if let Some(&id) = assigned.get(&sample) {
                    collector.record_latency(id, latency_ns);
                }
            }
            Call::Tpot(sample, tpot_ns, tokens) => {
                if let Some(&id) = assigned.get(&sample) {
                    collector.record_tpot(id, tpot_ns, tokens);
                }
            }
        }
    }
    collector
}

/// Asserts that the verdict is the client's: keys, their order, the type and every bit of each number.
fn check(path: &Path) {
    let case: Case = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let is_tokens = |call: &Call| matches!(call, Call::Tpot(..));
    let whole = collect(&case.calls, |_| true);
    let joined = Collector::join(
        collect(&case.calls, |call| !is_tokens(call)),
        collect(&case.calls, is_tokens),
    );
    let expected = serde_json::to_string_pretty(&case.verdict).unwrap();
    for collector in [whole, joined] {
        let got = serde_json::to_string_pretty(&analyze(&collector)).unwrap();
        for (i, (got, expected)) in got.lines().zip(expected.lines()).enumerate() {
            assert_eq!(got, expected, "line {} of {}", i + 1, path.display());
        }
        assert_eq!(got.len(), expected.len(), "{}", path.display());
    }
}

fn check_folder(folder: &Path) -> usize {
    let mut paths: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in &paths {
        check(path);
    }
    paths.len()
}

#[test]
fn verdicts_equal_the_client_bit_for_bit() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/stats/steady_state");
    assert!(check_folder(&fixtures) > 0);
    if let Some(more) = std::env::var_os("STEADY_STATE_CASES") {
        println!("{} more cases", check_folder(Path::new(&more)));
    }
}
