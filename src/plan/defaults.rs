//! Settings that the flags leave open: the run's configuration decides, then its summary, then a default that is noted.

use serde_json::Value;

use super::config::{self, RunConfig};

/// The sources of a run's settings.
pub(super) struct Defaults<'a> {
    pub config: &'a RunConfig,
    /// The run's summary, null without one.
    pub summary: &'a Value,
    /// Settings that had to be assumed; one line each.
    pub assumed: Vec<String>,
}

impl Defaults<'_> {
    /// Returns true if responses were streamed; `None`: the log decides.
    pub fn streaming(&mut self) -> Option<bool> {
        let has_ttft = || {
            let ttft = self.summary.get("ttft").and_then(Value::as_object);
            ttft.is_some_and(|ttft| !ttft.is_empty()).then_some(true)
        };
        let streaming = self.config.streaming().or_else(has_ttft);
        if streaming.is_none() {
            self.assume("responses were streamed if the log has first chunks (--streaming on|off)");
        }
        streaming
    }

    /// Returns true if early-stopping estimates are reported.
    pub fn early_stopping(&mut self) -> bool {
        let in_summary = || {
            let complete = self.summary.get("complete").and_then(Value::as_bool) == Some(true);
            let latency = self.summary.get("latency").and_then(Value::as_object);
            latency
                .filter(|_| complete)
                .map(|latency| latency.contains_key("early_stopping_percentiles"))
        };
        let enabled = self.config.early_stopping().or_else(in_summary);
        enabled.unwrap_or_else(|| {
            self.assume("early-stopping estimates are wanted (--early-stopping on|off)");
            true
        })
    }

    /// Returns true if QPS and TPS use LoadGen's window.
    pub fn legacy_window(&mut self) -> bool {
        let load_pattern = self.summary.pointer("/run_config/load_pattern");
        let duration = self.summary.get("legacy_loadgen_window_duration_ns");
        let legacy = self
            .config
            .legacy_qps_window()
            .or_else(|| load_pattern.and_then(config::legacy_qps_window))
            .or_else(|| duration.is_some_and(Value::is_number).then_some(true));
        legacy.unwrap_or_else(|| {
            self.assume("QPS and TPS use the tracked duration (--qps-window native|legacy)");
            false
        })
    }

    fn assume(&mut self, what: &str) {
        self.assumed.push(format!("assuming that {what}"));
    }
}
