//! The few figures of a summary that a comparison shows, from any summary, however little is in it.

use serde::Serialize;
use serde_json::Value;

use super::summary::SummaryError;

/// The headline figures of a summary; what it does not say is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Headline {
    /// How far the run came, by the name of its state.
    pub state: Option<String>,
    /// Whether the run ended and every text was counted.
    pub complete: Option<bool>,
    /// Samples issued in tracking windows.
    pub n_samples_issued: Option<u64>,
    /// Samples of those that completed.
    pub n_samples_completed: Option<u64>,
    /// Samples of those that failed.
    pub n_samples_failed: Option<u64>,
    /// Time to first token, ns.
    pub ttft: Figures,
    /// Time per output token, ns.
    pub tpot: Figures,
    /// Time from issue to completion, ns.
    pub latency: Figures,
    /// Output tokens.
    pub output_sequence_lengths: Figures,
    /// Input tokens.
    pub input_sequence_lengths: Figures,
    /// Samples a second.
    pub qps: Option<f64>,
    /// Output tokens a second.
    pub tps: Option<f64>,
}

/// The headline figures of one metric, in its own unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Number of values: what its histogram counts. 0 if the metric says nothing.
    pub count: u64,
    /// Mean.
    pub mean: Option<f64>,
    /// Median.
    pub p50: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
}

/// The headline figures of the summary whose bytes are `summary`.
pub fn headline(summary: &[u8]) -> Result<Headline, SummaryError> {
    let summary: Value = serde_json::from_slice(summary)?;
    let count = |key: &str| summary[key].as_u64();
    let figures = |key: &str| Figures::of(&summary[key]);
    Ok(Headline {
        state: summary["state"].as_str().map(str::to_owned),
        complete: summary["complete"].as_bool(),
        n_samples_issued: count("n_samples_issued"),
        n_samples_completed: count("n_samples_completed"),
        n_samples_failed: count("n_samples_failed"),
        ttft: figures("ttft"),
        tpot: figures("tpot"),
        latency: figures("latency"),
        output_sequence_lengths: figures("output_sequence_lengths"),
        input_sequence_lengths: figures("input_sequence_lengths"),
        qps: summary["qps"].as_f64(),
        tps: summary["tps"].as_f64(),
    })
}

impl Figures {
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
            ttft: Figures {
                count: 3,
                mean: Some(2.5),
                p50: Some(2.0),
                p99: Some(4.0),
            },
            tpot: Figures {
                p50: Some(7.0),
                ..Figures::default()
            },
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
