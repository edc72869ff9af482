//! Tests of the table on terminals of many sizes, and of the other formats.

use anstream::adapter::strip_str;
use console::measure_text_width;

use super::*;
use crate::command::follow::live_stats::{LiveDistribution, Rate};
use crate::metric::{Metric, PerMetric};
use crate::report::State;

const NAME: &str = "/dev/shm/benchmark_ab12cd34/events/events.jsonl";

fn distribution(count: u64, unit: f64) -> LiveDistribution {
    LiveDistribution {
        count,
        mean: 124.4 * unit,
        p50: 98.0 * unit,
        p90: 260.0 * unit,
        p99: 1709.0 * unit,
    }
}

fn running() -> LiveStats {
    LiveStats {
        phase: State::Live,
        elapsed_ns: 3_723_456_789_000,
        issued: 12_213,
        completed: 11_573,
        failed: 1,
        in_flight: 639,
        counted: 10_994,
        pending: 579,
        behind_bytes: 1_234_567,
        metrics: PerMetric::from_fn(|metric| match metric {
            Metric::Ttft => Some(distribution(11_573, 1e6)),
            Metric::Tpot => Some(distribution(10_900, 1e5)),
            Metric::Latency => Some(distribution(11_573, 1e8)),
            Metric::Isl => Some(distribution(12_213, 10.0)),
            Metric::Osl => Some(distribution(10_994, 1.0)),
            Metric::ChunkDelta => None,
        }),
        recent: Some(Rate {
            qps: 9.5,
            tps: Some(12_345.6),
        }),
        whole: Some(Rate {
            qps: 41.23,
            tps: None,
        }),
    }
}

fn largest() -> LiveStats {
    let most = Some(LiveDistribution {
        count: u64::MAX,
        mean: -1e300,
        p50: i64::MAX as f64,
        p90: u64::MAX as f64,
        p99: f64::INFINITY,
    });
    let rate = Some(Rate {
        qps: 1e300,
        tps: Some(f64::NAN),
    });
    LiveStats {
        phase: State::Interrupted,
        elapsed_ns: u64::MAX,
        issued: u64::MAX,
        completed: u64::MAX,
        failed: u64::MAX,
        in_flight: u64::MAX,
        counted: u64::MAX,
        pending: u64::MAX,
        behind_bytes: u64::MAX,
        metrics: PerMetric::from_fn(|_| most),
        recent: rate,
        whole: rate,
    }
}

fn plain(lines: &[String]) -> Vec<String> {
    let plain = |line: &String| strip_str(line).to_string().trim_end().to_owned();
    lines.iter().map(plain).collect()
}

#[track_caller]
fn check(stats: &LiveStats, size: (usize, usize), expected: &str) {
    let expected: Vec<&str> = expected.trim_matches('\n').lines().collect();
    let shown = plain(&table::table(stats, NAME, size));
    assert_eq!(shown, expected, "\n{}", shown.join("\n"));
}

#[test]
fn a_wide_terminal_shows_everything() {
    check(
        &running(),
        (99, 30),
        "
live  1:02:03  1.2 MB behind  /dev/shm/benchmark_ab12cd34/events/events.jsonl

     issued   completed      failed   in flight     counted     pending
     12,213      11,573           1         639      10,994         579

                  count        mean         p50         p90         p99
TTFT             11,573      124 ms     98.0 ms      260 ms     1.71 s
TPOT             10,900     12.4 ms     9.80 ms     26.0 ms      171 ms
latency          11,573     12.4 s      9.80 s      26.0 s       171 s
ISL              12,213       1,244         980       2,600      17,090
OSL              10,994         124          98         260       1,709

                    QPS         TPS
last 10 s          9.50      12,346
run                41.2           –
",
    );
}

#[test]
fn sixty_columns_show_everything() {
    check(
        &running(),
        (59, 30),
        "
live  1:02:03  1.2 MB behind  /dev/shm/benchmark_ab12cd34/…

   issued completed    failed in flight   counted   pending
   12,213    11,573         1       639    10,994       579

              count      mean       p50       p90       p99
TTFT         11,573    124 ms   98.0 ms    260 ms   1.71 s
TPOT         10,900   12.4 ms   9.80 ms   26.0 ms    171 ms
latency      11,573   12.4 s    9.80 s    26.0 s     171 s
ISL          12,213     1,244       980     2,600    17,090
OSL          10,994       124        98       260     1,709

                QPS       TPS
last 10 s      9.50    12,346
run            41.2         –
",
    );
}

#[test]
fn narrow_terminals_show_fewer_columns() {
    check(
        &running(),
        (58, 30),
        "
live  1:02:03  1.2 MB behind  /dev/shm/benchmark_ab12cd34…

   issued completed    failed
   12,213    11,573         1
in flight   counted   pending
      639    10,994       579

              count      mean       p50       p99
TTFT         11,573    124 ms   98.0 ms   1.71 s
TPOT         10,900   12.4 ms   9.80 ms    171 ms
latency      11,573   12.4 s    9.80 s     171 s
ISL          12,213     1,244       980    17,090
OSL          10,994       124        98     1,709

                QPS       TPS
last 10 s      9.50    12,346
run            41.2         –
",
    );
    let header = |width| plain(&table::table(&running(), NAME, (width, 30)))[7].clone();
    assert_eq!(
        header(49),
        "              count      mean       p50       p99"
    );
    assert_eq!(header(48), "              count       p50       p99");
    assert_eq!(header(39), "              count       p50       p99");
    assert_eq!(header(38), "                p50       p99");
    assert_eq!(header(29), "                p50       p99");
}

#[test]
fn very_narrow_terminals_show_two_lines() {
    check(
        &running(),
        (27, 30),
        "live  1:02:03  1.2 MB behi…\n11,573 of 12,213",
    );
    check(&running(), (12, 30), "live  1:02:…\n11,573 of 1…");
    check(&running(), (1, 30), "…\n…");
}

#[test]
fn low_terminals_show_the_first_rows() {
    let rows = |rows| plain(&table::table(&running(), NAME, (59, rows)));
    assert_eq!(rows(15).len(), 15);
    assert_eq!(rows(15)[1], "");
    assert_eq!(rows(14).len(), 12);
    assert!(!rows(14).contains(&String::new()));
    assert_eq!(rows(9), rows(14)[..9]);
    assert_eq!(rows(1), [rows(14)[0].clone()]);
    assert!(rows(0).is_empty());
}

#[test]
fn unknown_numbers_are_dashes() {
    check(
        &LiveStats::default(),
        (59, 30),
        "
initialize  0:00:00  /dev/shm/benchmark_ab12cd34/events/ev…

   issued completed    failed in flight   counted   pending
        0         0         0         0         0         0

              count      mean       p50       p90       p99
TTFT              –         –         –         –         –
TPOT              –         –         –         –         –
latency           –         –         –         –         –
ISL               –         –         –         –         –
OSL               –         –         –         –         –

                QPS       TPS
last 10 s         –         –
run               –         –
",
    );
}

#[test]
fn nothing_is_wider_or_higher_than_the_terminal() {
    let odd = "日本語の長い名前".repeat(9);
    for stats in [LiveStats::default(), running(), largest()] {
        for width in 0..130 {
            for rows in 0..20 {
                let lines = table::table(&stats, &odd, (width, rows));
                assert!(lines.len() <= rows);
                for line in plain(&lines) {
                    let wide = measure_text_width(&line);
                    assert!(wide <= width, "{width}: {line}");
                }
            }
        }
    }
}

#[test]
fn columns_do_not_move() {
    let ends = |stats: &LiveStats, width| {
        let lines = plain(&table::table(stats, NAME, (width, 30)));
        lines
            .into_iter()
            .skip(1)
            .map(|line| measure_text_width(&line))
            .collect::<Vec<_>>()
    };
    for width in [99, 71, 70, 59] {
        let some = ends(&LiveStats::default(), width);
        let mut busy = LiveStats {
            whole: running().recent,
            ..running()
        };
        busy.metrics[Metric::Ttft] = Some(distribution(9_999_999, 1e6));
        busy.metrics[Metric::Latency] = Some(distribution(1, 1e6));
        busy.metrics[Metric::Osl] = Some(distribution(9_999_999, 1e3));
        busy.issued = 9_999_999;
        busy.metrics[Metric::Latency].as_mut().unwrap().p99 = 709e6;
        busy.metrics[Metric::Ttft].as_mut().unwrap().p99 = 709e6;
        assert_eq!(ends(&busy, width), some);
    }
}

#[test]
fn only_failures_are_red() {
    let red = |stats: &LiveStats| {
        let lines = table::table(stats, NAME, (99, 30));
        lines.join("\n").matches("\u{1b}[31m").count()
    };
    assert_eq!(red(&running()), 1);
    assert_eq!(
        red(&LiveStats {
            failed: 0,
            ..running()
        }),
        0
    );
}

#[test]
fn lines_have_the_known_statistics() {
    let check = |stats: &LiveStats, expected: &str| assert_eq!(line::line(stats), expected);
    check(
        &LiveStats::default(),
        "initialize 0:00:00 · issued 0 · completed 0 · failed 0 · in flight 0 · counted 0 · pending 0",
    );
    check(
        &running(),
        "live 1:02:03 · issued 12,213 · completed 11,573 · failed 1 · in flight 639 · counted 10,994 · pending 579 \
         · 1.2 MB behind · TTFT p50 98.0 ms, p99 1.71 s · TPOT p50 9.80 ms, p99 171 ms · latency p50 9.80 s, p99 171 s \
         · ISL p50 980, p99 17,090 · OSL p50 98, p99 1,709 · last 10 s 9.50 QPS, 12,346 TPS · run 41.2 QPS",
    );
    assert!(!line::line(&largest()).contains('\n'));
}

#[test]
fn json_is_one_object_a_line() {
    let now: Timestamp = "2026-01-02T03:04:05.678901Z".parse().unwrap();
    let text = json(&running(), now).unwrap();
    assert_eq!(text.find('\n'), Some(text.len() - 1));
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["time"], "2026-01-02T03:04:05.678Z");
    assert_eq!(value["phase"], "live");
    assert_eq!(value["pending"], 579);
    assert_eq!(value["osl"]["p50"], 98.0);
    assert_eq!(value["recent"]["qps"], 9.5);
    assert_eq!(value["whole"]["tps"], serde_json::Value::Null);
    let odd = json(&largest(), now).unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(&odd).is_ok());
}
