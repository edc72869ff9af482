//! The statistics of a live run on one line, for a log file.

use super::lag;
use crate::command::follow::live_stats::{LiveDistribution, LiveStats};
use crate::metric::{Metric, Unit};
use crate::number;

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
    parts.extend(Metric::REPORTED.iter().filter_map(|&metric| {
        let format = |value| match metric.unit() {
            Unit::Nanoseconds => number::time(value, 3),
            Unit::Tokens => number::fixed(value, 0),
        };
        percentiles(metric.label(), stats.metrics[metric], format)
    }));
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

fn percentiles(
    name: &str,
    of: Option<LiveDistribution>,
    format: impl Fn(f64) -> String,
) -> Option<String> {
    let of = of?;
    Some(format!(
        "{name} p50 {}, p99 {}",
        format(of.p50),
        format(of.p99)
    ))
}
