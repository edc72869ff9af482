//! The properties of a field that its dotted path tells.

use super::flat_summary::FlatSummary;
use crate::metric::Metric;

/// The first part of a path: a distribution such as `ttft`, or a field that stands alone.
pub(super) fn group(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

/// The last part of a path. Of `percentiles.99.0` it is the `0`.
pub(super) fn leaf(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// The metric whose distribution the field belongs to.
pub(super) fn metric(path: &str) -> Option<Metric> {
    Metric::from_summary_key(group(path))
}

/// Returns true for a time in ns.
pub(crate) fn is_time(path: &str) -> bool {
    let timed = metric(path).is_some_and(Metric::is_time);
    (timed && leaf(path) != "count" && !is_histogram(path)) || path.ends_with("_ns")
}

/// Returns true for an array of a histogram.
pub(super) fn is_histogram(path: &str) -> bool {
    path.contains(".histogram.")
}

/// Returns true for a field that describes the run and is not measured from the log: the client's version, the run's
/// configuration, and keys that our version of the client does not write.
pub(super) fn is_description(path: &str) -> bool {
    const DESCRIPTION: [&str; 4] = ["version", "git_sha", "test_started_at", "run_config"];
    let root = group(path);
    DESCRIPTION.contains(&root)
        || !FlatSummary::known()
            .paths()
            .any(|known| group(known) == root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_what_the_field_is() {
        let check = |path, time, histogram, description| {
            let got = (is_time(path), is_histogram(path), is_description(path));
            assert_eq!(got, (time, histogram, description), "{path}");
        };
        check("ttft.percentiles.99.0", true, false, false);
        check("tpot.total", true, false, false);
        check("latency.count", false, false, false);
        check("ttft.histogram.buckets", false, true, false);
        check("output_sequence_lengths.avg", false, false, false);
        check("duration_ns", true, false, false);
        check("qps", false, false, false);
        check("git_sha", false, false, true);
        check("run_config.load_pattern.target_qps", false, false, true);
        check("gpu.watts", false, false, true);
        check("state", false, false, false);
    }
}
