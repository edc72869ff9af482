//! The few figures of a summary that a comparison shows, read from any summary, however incomplete.

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::schema::SUMMARY_KEYS;
use super::summary::SummaryError;
use crate::metric::{Metric, PerMetric};

/// The headline figures of a summary; a figure that the summary lacks is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Headline {
    /// The name of the run's state.
    pub state: Option<String>,
    /// True if the run ended and every text was counted.
    pub complete: Option<bool>,
    /// Samples issued in tracking windows.
    pub n_samples_issued: Option<u64>,
    /// Samples of those that completed.
    pub n_samples_completed: Option<u64>,
    /// Samples of those that failed.
    pub n_samples_failed: Option<u64>,
    /// The figures of each metric.
    #[serde(flatten, serialize_with = "by_summary_key")]
    pub metrics: PerMetric<MetricHeadline>,
    /// Samples a second.
    pub qps: Option<f64>,
    /// Output tokens a second.
    pub tps: Option<f64>,
    /// The steady state, where the run asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steady_state: Option<SteadyHeadline>,
}

/// The headline figures of the steady state: the official ones of the benchmark's rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SteadyHeadline {
    /// True if a steady state was found.
    pub found: bool,
    /// The reason why not.
    pub reason: Option<String>,
    /// Output tokens a second of the system.
    pub system_tps: Option<f64>,
    /// Output tokens a second for each user.
    pub per_user_tps: Option<f64>,
}

impl SteadyHeadline {
    /// The headline of a verdict; `None` for null.
    pub fn of(verdict: &Value) -> Option<Self> {
        verdict.is_object().then(|| Self {
            found: verdict["found"] == true,
            reason: verdict["reason"].as_str().map(str::to_owned),
            system_tps: verdict["tps"]["system"].as_f64(),
            per_user_tps: verdict["tps"]["per_user"].as_f64(),
        })
    }
}

/// The headline figures of one metric, in its own unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct MetricHeadline {
    /// Number of values: the sum over its histogram. 0 for a metric without values.
    pub count: u64,
    /// Mean.
    pub mean: Option<f64>,
    /// Median.
    pub p50: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
}

/// Writes the figures under the metrics' keys, in the order of a summary.
fn by_summary_key<S: Serializer>(
    metrics: &PerMetric<MetricHeadline>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let keys = SUMMARY_KEYS.iter().map(|row| row.name);
    serializer.collect_map(keys.filter_map(|key| {
        let metric = Metric::from_summary_key(key)?;
        Some((key, metrics[metric]))
    }))
}

/// The headline figures of the summary whose bytes are `summary`.
pub fn headline(summary: &[u8]) -> Result<Headline, SummaryError> {
    let summary: Value = serde_json::from_slice(summary)?;
    let count = |key: &str| summary[key].as_u64();
    Ok(Headline {
        state: summary["state"].as_str().map(str::to_owned),
        complete: summary["complete"].as_bool(),
        n_samples_issued: count("n_samples_issued"),
        n_samples_completed: count("n_samples_completed"),
        n_samples_failed: count("n_samples_failed"),
        metrics: PerMetric::from_fn(|metric| {
            let key = metric.summary_key();
            key.map(|key| MetricHeadline::of(&summary[key]))
                .unwrap_or_default()
        }),
        qps: summary["qps"].as_f64(),
        tps: summary["tps"].as_f64(),
        steady_state: SteadyHeadline::of(&summary["steady_state"]),
    })
}

impl MetricHeadline {
    fn of(metric: &Value) -> Self {
        let counts = metric["histogram"]["counts"].as_array();
        Self {
            count: counts
                .into_iter()
                .flatten()
                .filter_map(Value::as_u64)
                .fold(0, u64::saturating_add),
            mean: metric["avg"].as_f64(),
            p50: metric["percentiles"]["50.0"]
                .as_f64()
                .or(metric["median"].as_f64()),
            p99: metric["percentiles"]["99.0"].as_f64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headlines_take_what_is_there() {
        let full = br#"{"state":"complete","complete":true,"n_samples_issued":3,"n_samples_completed":2,"n_samples_failed":1,
            "qps":1.5,"tps":null,"ttft":{"avg":2.5,"median":9.0,"percentiles":{"99.0":4.0,"50.0":2.0},
            "histogram":{"buckets":[[1,2],[2,3]],"counts":[2,1]}},"tpot":{"median":7,"percentiles":{}}}"#;
        let expected = Headline {
            state: Some("complete".to_owned()),
            complete: Some(true),
            n_samples_issued: Some(3),
            n_samples_completed: Some(2),
            n_samples_failed: Some(1),
            qps: Some(1.5),
            metrics: PerMetric::from_fn(|metric| match metric {
                Metric::Ttft => MetricHeadline {
                    count: 3,
                    mean: Some(2.5),
                    p50: Some(2.0),
                    p99: Some(4.0),
                },
                Metric::Tpot => MetricHeadline {
                    p50: Some(7.0),
                    ..MetricHeadline::default()
                },
                _ => MetricHeadline::default(),
            }),
            ..Headline::default()
        };
        for (summary, expected) in [
            (&full[..], expected),
            (b"{}", Headline::default()),
            (b"[1]", Headline::default()),
            (br#"{"ttft":null,"qps":"x","complete":1,"latency":{"histogram":{"counts":[null]}}}"#, Headline::default()),
        ] {
            assert_eq!(headline(summary).unwrap(), expected);
        }
        assert!(headline(b"{").is_err());
    }
}
