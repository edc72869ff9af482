//! A live run in one line, for a log file.

use super::units;
use crate::command::follow::figures::{Distribution, Figures};

/// What is known, the most important first.
pub(super) fn line(figures: &Figures) -> String {
    let mut parts = vec![format!(
        "{} {}",
        super::name(figures.phase),
        units::clock(figures.elapsed_ns)
    )];
    let counts = [
        ("issued", figures.issued),
        ("completed", figures.completed),
        ("failed", figures.failed),
        ("in flight", figures.in_flight),
        ("counted", figures.counted),
        ("pending", figures.pending),
    ];
    parts.extend(counts.map(|(name, count)| format!("{name} {}", units::count(count))));
    if let Some(behind) = units::megabytes(figures.behind_bytes) {
        parts.push(format!("{behind} behind"));
    }
    let times = [
        ("TTFT", figures.ttft_ns),
        ("TPOT", figures.tpot_ns),
        ("latency", figures.latency_ns),
    ];
    let tokens = [("ISL", figures.isl), ("OSL", figures.osl)];
    parts.extend(
        times
            .iter()
            .filter_map(|(name, of)| percentiles(name, *of, units::time)),
    );
    parts.extend(
        tokens
            .iter()
            .filter_map(|(name, of)| percentiles(name, *of, units::rounded)),
    );
    for (name, rate) in [("last 10 s", figures.recent), ("run", figures.whole)] {
        let Some(rate) = rate else { continue };
        let tps = rate.tps.map(|tps| format!(", {} TPS", units::number(tps)));
        parts.push(format!(
            "{name} {} QPS{}",
            units::number(rate.qps),
            tps.unwrap_or_default()
        ));
    }
    parts.join(" · ")
}

fn percentiles(name: &str, of: Option<Distribution>, unit: fn(f64) -> String) -> Option<String> {
    let of = of?;
    Some(format!(
        "{name} p50 {}, p99 {}",
        unit(of.p50).trim_end(),
        unit(of.p99).trim_end()
    ))
}
