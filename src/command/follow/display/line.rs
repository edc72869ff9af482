//! The statistics of a live run on one line, for a log file.

use super::lag;
use crate::command::follow::live_stats::{Distribution, LiveStats};
use crate::terminal::number;

/// Formats the statistics that are known, the most important first.
pub(super) fn line(stats: &LiveStats) -> String {
    let mut parts = vec![format!(
        "{} {}",
        stats.phase.name(),
        number::clock(stats.elapsed_ns)
    )];
    let counts = [
        ("issued", stats.issued),
        ("completed", stats.completed),
        ("failed", stats.failed),
        ("in flight", stats.in_flight),
        ("counted", stats.counted),
        ("pending", stats.pending),
    ];
    parts.extend(counts.map(|(name, count)| format!("{name} {}", number::count(count))));
    parts.extend(lag(stats));
    let times = [
        ("TTFT", stats.ttft_ns),
        ("TPOT", stats.tpot_ns),
        ("latency", stats.latency_ns),
    ];
    let tokens = [("ISL", stats.isl), ("OSL", stats.osl)];
    parts.extend(
        times
            .iter()
            .filter_map(|(name, of)| percentiles(name, *of, |ns| number::time(ns, 3))),
    );
    parts.extend(
        tokens
            .iter()
            .filter_map(|(name, of)| percentiles(name, *of, |tokens| number::fixed(tokens, 0))),
    );
    for (name, rate) in [("last 10 s", stats.recent), ("run", stats.whole)] {
        let Some(rate) = rate else { continue };
        let tps = rate
            .tps
            .map(|tps| format!(", {} TPS", number::digits(tps, 3)));
        parts.push(format!(
            "{name} {} QPS{}",
            number::digits(rate.qps, 3),
            tps.unwrap_or_default()
        ));
    }
    parts.join(" · ")
}

fn percentiles(name: &str, of: Option<Distribution>, format: fn(f64) -> String) -> Option<String> {
    let of = of?;
    Some(format!(
        "{name} p50 {}, p99 {}",
        format(of.p50),
        format(of.p99)
    ))
}
