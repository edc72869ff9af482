//! The course of a run, super-pass by super-pass, for figures of it.

use super::arithmetic::{percentile, sorted};
use super::collector::{Collector, SuperPass};
use crate::stats::FloatSeries;

/// One super-pass. Points in time are on the log's clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SuperPassPoint {
    /// The time of its first issue.
    pub first_issue_ns: i64,
    /// The time of its last issue.
    pub last_issue_ns: i64,
    /// The median time to first token; `None` if no sample has one.
    pub ttft_p50_ns: Option<f64>,
    /// The median time per output token; `None` if no sample has one.
    pub tpot_p50_ns: Option<f64>,
}

/// Returns every super-pass of a run, warm-up included; none if there are too many to be analyzed.
pub fn points(collector: &Collector) -> Vec<SuperPassPoint> {
    let point = |super_pass: &SuperPass| SuperPassPoint {
        first_issue_ns: super_pass.first_issue_ns,
        last_issue_ns: super_pass.last_issue_ns,
        ttft_p50_ns: median(&super_pass.ttft),
        tpot_p50_ns: median(&super_pass.tpot),
    };
    collector.super_passes().iter().map(point).collect()
}

/// The median as a verdict's trajectories have it.
fn median(values: &FloatSeries) -> Option<f64> {
    let sorted = sorted(values.iter());
    (!sorted.is_empty()).then(|| percentile(&sorted, 0.5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_has_the_medians_of_its_super_pass() {
        let mut collector = Collector::default();
        assert_eq!(points(&collector), []);
        collector.announce_size(2);
        for (issued_ns, tpot_ns) in [(10, 3.0), (30, 5.0)] {
            let id = collector.issued(None, issued_ns).unwrap();
            collector.record_ttft(id, issued_ns, true);
            collector.record_tpot(id, tpot_ns, 7);
        }
        collector.issued(None, 50);
        let expected = [
            SuperPassPoint {
                first_issue_ns: 10,
                last_issue_ns: 30,
                ttft_p50_ns: Some(10.0),
                tpot_p50_ns: Some(3.0),
            },
            SuperPassPoint {
                first_issue_ns: 50,
                last_issue_ns: 50,
                ttft_p50_ns: None,
                tpot_p50_ns: None,
            },
        ];
        assert_eq!(points(&collector), expected);
    }
}
