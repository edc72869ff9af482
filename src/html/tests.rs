//! Whole pages: properties that hold for every run.

use std::collections::HashSet;

use serde_json::json;

use super::*;
use crate::metric::PerMetric;
use crate::report::{Report, RunFacts, Snapshot, State};
use crate::sample::Counters;
use crate::stats::steady_state::{Collector, analyze, points};
use crate::stats::{FloatSeries, IntSeries};

const S: i64 = 1_000_000_000;

/// Returns a run of these samples.
fn run(name: &str, samples: &[Sample]) -> PageRun {
    let ints =
        |value: fn(&Sample) -> Option<i64>| samples.iter().filter_map(value).collect::<IntSeries>();
    let tpot: FloatSeries = samples
        .iter()
        .filter_map(|sample| sample.tpot_ns)
        .filter(|ns| !ns.is_nan())
        .collect();
    let snapshot = Snapshot {
        state: State::Complete,
        counters: Counters {
            tracked_samples_issued: samples.len() as u64,
            tracked_samples_completed: samples.len() as u64,
            tracked_finish_reasons: [samples.len() as u64, 0, 0, 0, 0, 0],
            tracked_duration_ns: 60_000_000_000,
            ..Counters::default()
        },
        series: PerMetric::from_fn(|metric| match metric {
            Metric::Latency => Some(ints(|s| s.latency_ns).finish(true)),
            Metric::Isl => Some(ints(|s| s.isl.and_then(|n| n.try_into().ok())).finish(false)),
            Metric::Osl => Some(ints(|s| s.osl.and_then(|n| n.try_into().ok())).finish(false)),
            Metric::Ttft => Some(ints(|s| s.ttft_ns).finish(true)),
            Metric::Tpot => Some(tpot.clone().finish(true)),
            Metric::ChunkDelta => None,
        }),
        ..Snapshot::default()
    };
    let report = Report::new(None, &RunFacts::default(), &snapshot).unwrap();
    let mut stats = PageStats::default();
    for sample in samples {
        stats.add(sample);
    }
    PageRun {
        name: name.to_owned(),
        summary: serde_json::from_slice(report.summary()).unwrap(),
        stats: Some(stats),
        super_passes: Vec::new(),
    }
}

/// Returns samples that differ, the same ones every time.
fn samples(n: i64) -> Vec<Sample> {
    let sample = |i: i64| {
        let (osl, ttft_ns) = (1 + i * 7919 % 700, 20_000_000 + i * 104_729 % 80_000_000);
        let latency_ns = ttft_ns + osl * (15_000_000 + i * 1_299_709 % 4_000_000);
        let issued_ns = 500 * S + i * S / 20;
        Sample {
            issued_ns,
            first_ns: Some(issued_ns + ttft_ns),
            complete_ns: Some(issued_ns + latency_ns),
            ttft_ns: Some(ttft_ns),
            latency_ns: Some(latency_ns),
            isl: u64::try_from(5 + i * 31 % 900).ok(),
            osl: u64::try_from(osl).ok(),
            tpot_ns: Some((latency_ns - ttft_ns) as f64 / osl as f64),
        }
    };
    (0..n).map(sample).collect()
}

fn page(run: PageRun) -> Page {
    Page {
        run,
        before: None,
        baseline: None,
        verdict: PageVerdict {
            complete: true,
            state: "complete".to_owned(),
            ..PageVerdict::default()
        },
        anomalies: Vec::new(),
        check: None,
        facts: vec![("Log", "events.jsonl".to_owned())],
        index: None,
    }
}

/// Asserts what holds for every page; returns the names of its figures.
fn check(html: &str) -> Vec<String> {
    for elsewhere in [
        "<script",
        "http:",
        "https:",
        "url(",
        "@import",
        " src=",
        "<iframe",
        "<object",
        "javascript:",
        "style=",
    ] {
        assert!(!html.contains(elsewhere), "{elsewhere}");
    }
    for number in ["NaN", "inf ", ">inf", "null"] {
        assert!(!html.contains(number), "{number}");
    }
    assert!(html.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
    assert!(
        html.contains("content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
    );
    assert!(html.contains(GENERATOR_PREFIX));
    assert!(html.len() < 1 << 20, "{} bytes", html.len());
    balanced(html);
    let ids: Vec<&str> = html
        .split(" id=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    let figures: Vec<&str> = html
        .split("<figure>")
        .skip(1)
        .map(|rest| rest.split("</figure>").next().unwrap())
        .collect();
    for figure in &figures {
        assert!(figure.contains("role=\"img\" aria-label=\""), "{figure}");
    }
    assert_eq!(
        html.matches("<svg ").count(),
        html.matches("role=\"img\"").count()
    );
    let name = |figure: &&str| {
        figure
            .split_once("<b>")
            .unwrap()
            .1
            .split('<')
            .next()
            .unwrap()
            .to_owned()
    };
    figures.iter().map(name).collect()
}

/// Asserts that every element that is opened is closed, in order.
fn balanced(html: &str) {
    let mut open = Vec::new();
    for (at, _) in html.match_indices('<') {
        let tag = &html[at + 1..at + html[at..].find('>').unwrap()];
        let name = tag
            .trim_start_matches('/')
            .split([' ', '\n'])
            .next()
            .unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "at byte {at}");
        } else if !tag.ends_with('/') && !["!DOCTYPE", "meta", "link", "wbr"].contains(&name) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

const ALL: [&str; 10] = [
    "TTFT",
    "TPOT",
    "latency",
    "ISL",
    "OSL",
    "Latency",
    "Samples",
    "Output tokens",
    "In flight",
    "TTFT",
];

#[test]
fn a_page_has_every_figure_with_its_numbers() {
    let html = page(run("run", &samples(500))).render();
    assert_eq!(check(&html), ALL);
    // The figures over time share one table.
    assert_eq!(html.matches("<details>").count(), 7);
    assert!(html.contains("<th scope=\"col\">est.</th>"));
}

#[test]
fn two_runs_share_figures() {
    let mut page = page(run("run", &samples(5000)));
    page.baseline = Some(Rc::new(run("other", &samples(3000))));
    let html = page.render();
    assert_eq!(check(&html), ALL);
    let both = html.matches("class=\"l a\"").count() + html.matches("class=\"l b\"").count();
    assert!(both >= 20, "{both}");
    let other = Rc::get_mut(page.baseline.as_mut().unwrap()).unwrap();
    other.stats = None;
    let html = page.render();
    assert_eq!(check(&html), ALL);
    assert!(html.contains("class=\"l b\"") && html.contains("class=\"l bl\""));
}

#[test]
fn a_page_is_bounded_and_the_same_every_time() {
    let many = samples(100_000);
    let mut page = page(run("run", &many));
    page.baseline = Some(Rc::new(run("other", &many)));
    let html = page.render();
    check(&html);
    assert_eq!(html, page.render());
    assert!(html.len() < 400_000, "{}", html.len());
}

#[test]
fn any_samples_make_a_page() {
    let one = samples(1);
    let equal: Vec<Sample> = (0..100).map(|_| one[0]).collect();
    let lost = [Sample {
        issued_ns: 5,
        ..Sample::default()
    }];
    let odd = |tpot_ns: f64| Sample {
        tpot_ns: Some(tpot_ns),
        ..one[0]
    };
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 1e300].map(odd);
    let huge = [i64::MIN, -1, 0, 1, i64::MAX].map(|ns| Sample {
        issued_ns: ns,
        first_ns: Some(ns),
        complete_ns: Some(ns),
        ttft_ns: Some(ns),
        latency_ns: Some(ns),
        isl: Some(ns.unsigned_abs()),
        osl: Some(u64::MAX),
        tpot_ns: Some(ns as f64),
    });
    let offline: Vec<Sample> = samples(50)
        .into_iter()
        .map(|sample| Sample {
            first_ns: None,
            ttft_ns: None,
            tpot_ns: None,
            ..sample
        })
        .collect();
    let cases: [(&str, &[Sample]); 7] = [
        ("none", &[]),
        ("one", &one),
        ("equal", &equal),
        ("lost", &lost),
        ("odd", &odd),
        ("huge", &huge),
        ("offline", &offline),
    ];
    for (name, samples) in cases {
        for (other_name, others) in cases {
            let mut page = page(run(name, samples));
            check(&page.render());
            page.baseline = Some(Rc::new(run(other_name, others)));
            check(&page.render());
        }
    }
    assert!(check(&page(run("none", &[])).render()).is_empty());
    let figures = check(&page(run("offline", &offline)).render());
    assert_eq!(
        figures,
        [
            "latency",
            "ISL",
            "OSL",
            "Latency",
            "Samples",
            "Output tokens",
            "In flight"
        ]
    );
}

#[test]
fn any_summary_makes_a_page() {
    let histogram = json!({"buckets": [[1e308, 1.7e308], [5, 6]], "counts": [u64::MAX, 1]});
    for summary in [
        json!(null),
        json!([1, 2]),
        json!({"ttft": "x", "latency": {"avg": 1e308, "percentiles": {"50.0": -1e308}, "histogram": histogram}}),
        json!({"qps": -1, "tps": "many", "duration_ns": 1e300, "finish_reason_counts": {"<stop>": 3}}),
    ] {
        let alone = |name: &str| PageRun {
            name: name.to_owned(),
            summary: summary.clone(),
            stats: None,
            super_passes: Vec::new(),
        };
        let mut page = page(alone("run"));
        page.before = Some(summary.clone());
        page.baseline = Some(Rc::new(alone("other")));
        check(&page.render());
        page.run = run("run", &samples(30));
        check(&page.render());
    }
}

/// Adds super-passes of 100 s to a run: one for each TPOT, in ms. Their samples all have it.
fn with_super_passes(mut run: PageRun, tpot_ms: &[f64]) -> PageRun {
    let mut collector = Collector::default();
    collector.announce_size(10);
    for (i, tpot_ms) in (0..).zip(tpot_ms) {
        for sample in 0..10 {
            let issued_ns = 500 * S + (i * 100 + sample * 10) * S;
            let id = collector.issued(None, issued_ns).unwrap();
            collector.record_ttft(id, 50_000_000, true);
            collector.record_latency(id, S);
            collector.record_tpot(id, tpot_ms * 1e6, 100);
        }
    }
    run.super_passes = points(&collector);
    run.summary["steady_state"] = serde_json::to_value(analyze(&collector)).unwrap();
    run
}

/// The TPOT of a run that warms up in its first two super-passes and is steady from then on.
const STEADY: [f64; 12] = [
    40.0, 30.0, 20.0, 20.2, 19.9, 20.1, 20.0, 20.1, 19.9, 20.0, 20.2, 20.0,
];

#[test]
fn the_steady_state_is_marked_and_has_its_figures() {
    let mut page = page(with_super_passes(run("run", &samples(30)), &STEADY));
    let html = page.render();
    assert_eq!(check(&html)[10..], ["TPOT", "TTFT"]);
    for shown in [
        "<h2>Steady state</h2>",
        "Found: super-passes 0 to 9, 100 samples issued within",
        "The run has 12 of them, 2 of which are warm-up",
        "steady TPS per user",
        "Figures in the steady state",
        "The super-passes of the run",
        "<td>warm-up</td>",
        "<td>window</td>",
    ] {
        assert!(html.contains(shown), "{shown}");
    }
    // Both sizes of both figures.
    for band in ["warm-up", "window"] {
        assert_eq!(
            html.matches(&format!("<path class=\"f {band}\"")).count(),
            4
        );
    }
    let slower: Vec<f64> = STEADY.iter().map(|tpot_ms| tpot_ms * 2.0).collect();
    page.baseline = Some(Rc::new(with_super_passes(
        run("other", &samples(30)),
        &slower,
    )));
    let html = page.render();
    check(&html);
    let (_, section) = html.split_once("<h2>Steady state</h2>").unwrap();
    assert!(section.contains("+100 % vs ") && section.contains("class=\"l b\""));
}

#[test]
fn a_run_without_a_steady_state_says_why() {
    let rising: Vec<f64> = (0..12).map(|i| 20.0 * 1.2_f64.powi(i)).collect();
    let html = page(with_super_passes(run("run", &samples(30)), &rising)).render();
    check(&html);
    assert!(html.contains("✗</span> Not found: no admissible steady plateau: tpot_p50"));
    assert!(!html.contains("Figures in the steady state") && !html.contains("\"f window\""));

    // Plateaus that are too short are shown, and so is what follows the window.
    let mut short = with_super_passes(run("run", &samples(30)), &STEADY[..7]);
    short.summary["steady_state"]["drifting_up"] = json!(["ttft_p50", "tpot_p90"]);
    short.summary["steady_state"]["anomaly"] =
        json!({"detected": true, "change_point_sp": 3, "delta_pct": -7.25});
    let html = page(short).render();
    check(&html);
    for shown in [
        "too short: longest",
        "those of the longest plateau",
        "Drifting up over the rest of the run: TTFT p50, TPOT p90.",
        "TPOT changes by −7.25 % from super-pass 3 on",
    ] {
        assert!(html.contains(shown), "{shown}");
    }

    let mut without_verdict = with_super_passes(run("run", &samples(30)), &STEADY);
    without_verdict.summary["steady_state"] = Value::Null;
    let html = page(without_verdict).render();
    assert_eq!(check(&html).len(), 12);
    assert!(html.contains("Without a verdict"));
    let html = page(run("run", &samples(30))).render();
    assert!(!html.contains("Steady state"));
}

#[test]
fn any_super_passes_make_a_page() {
    let many: Vec<f64> = (0..2000).map(|i| 20.0 + f64::from(i % 7)).collect();
    let html = page(with_super_passes(run("run", &samples(30)), &many)).render();
    check(&html);
    assert!(html.contains("1 of 5 super-passes is shown"));
    assert!(html.len() < 400_000, "{}", html.len());
    for verdict in [
        json!({}),
        json!({"found": true, "window": {}}),
        json!({"found": true, "warmup": u64::MAX, "window": {"sp_lo": -1, "sp_hi": 1e300, "start_ns": i64::MIN, "end_ns": i64::MAX}}),
        json!({"reason": 3, "drifting_up": [null, "<b>"], "tps": "x", "window": {"sp_lo": 3}}),
    ] {
        let mut run = run("run", &samples(30));
        run.summary["steady_state"] = verdict;
        check(&page(run).render());
    }
    let odd = [i64::MIN, 0, i64::MAX].map(|at_ns| SuperPassPoint {
        first_issue_ns: at_ns,
        last_issue_ns: at_ns,
        ttft_p50_ns: Some(f64::NEG_INFINITY),
        tpot_p50_ns: Some(at_ns as f64),
    });
    let mut run = run("run", &samples(30));
    run.super_passes = odd.into();
    check(&page(run).render());
}

#[test]
fn text_from_elsewhere_is_text() {
    let evil = "\"><script src=x onerror='alert(1)'>&\u{202e}\u{1b}[31m";
    let text = || evil.to_owned();
    let mut page = page(run(evil, &samples(30)));
    page.run.summary["finish_reason_counts"] = json!({evil: 3});
    page.run.summary["steady_state"] =
        json!({"found": false, "reason": evil, "drifting_up": [evil]});
    page.baseline = Some(Rc::new(run(evil, &samples(20))));
    page.verdict = PageVerdict {
        complete: false,
        state: text(),
        reasons: vec![text()],
        damaged_lines: vec![text()],
    };
    page.anomalies = vec![AnomalyRow {
        description: text(),
        count: 1,
        first_offset: None,
    }];
    page.facts = vec![("Log", text())];
    page.index = Some(text());
    page.check = Some(PageCheck {
        outcome: text(),
        passed: false,
        remarks: vec![text()],
        columns: vec!["metric", "before"],
        rows: vec![vec![text(), text()]],
        rows_left_out: 3,
    });
    let html = page.render().replace(" src=x", "");
    check(&html);
    assert!(!html.contains("onerror='") && !html.contains('\u{202e}') && !html.contains('\u{1b}'));
    let entry = |link| IndexRow {
        name: text(),
        link,
        outcome: text(),
        good: false,
        summary: page.run.summary.clone(),
    };
    let index = Index {
        runs: vec![entry(Some(text())), entry(None)],
    };
    let html = index.render().replace(" src=x", "");
    check(&html);
    assert!(!html.contains("onerror='"));
}

#[test]
fn an_index_has_a_row_for_every_run() {
    let entry = |name: &str, link: Option<&str>, good| IndexRow {
        name: name.to_owned(),
        link: link.map(str::to_owned),
        outcome: if good { "complete" } else { "no event log" }.to_owned(),
        good,
        summary: if good {
            run(name, &samples(40)).summary
        } else {
            Value::Null
        },
    };
    let index = Index {
        runs: vec![
            entry("a/run_1", Some("all.runs/1-run_1.html"), true),
            entry("b", None, false),
        ],
    };
    let html = index.render();
    check(&html);
    assert!(html.contains("<a href=\"all.runs/1-run_1.html\">a/run_1</a>"));
    assert_eq!(html.matches("<tr>").count(), 3);
    assert!(html.contains("✗ no event log"));
}
