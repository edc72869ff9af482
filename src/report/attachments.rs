//! The parts of `report.txt` that come from files of their own: accuracy scores and the profiler's requests.

use serde_json::Value;

use super::text::{ReportText, is_true};
use crate::python::float::general;
use crate::python::repr::json_str;

impl ReportText {
    /// The scores in `results`. Source: `metrics/report.py`, `Report.display`.
    pub(super) fn accuracy(&mut self, results: &Value) {
        let Some(entries) = results
            .get("accuracy_scores")
            .and_then(Value::as_array)
            .filter(|list| !list.is_empty())
        else {
            return;
        };
        self.line("Accuracy:");
        for entry in entries {
            self.accuracy_entry(entry);
        }
        let scores: Vec<f64> = entries
            .iter()
            .filter(|entry| entry["dataset_type"] != "performance")
            .filter_map(|entry| entry["score"].as_f64())
            .collect();
        if !scores.is_empty() {
            let average = scores.iter().sum::<f64>() / scores.len() as f64;
            self.line(&format!("  Average: {}", general(average, 4)));
        }
        if entries
            .iter()
            .any(|entry| entry.get("osl_tokenize_s").is_some())
        {
            let seconds: f64 = entries
                .iter()
                .filter_map(|entry| entry["osl_tokenize_s"].as_f64())
                .sum();
            self.line(&format!("  OSL tokenization: {}s", general(seconds, 3)));
        }
    }

    fn accuracy_entry(&mut self, entry: &Value) {
        let name = entry.get("dataset_name").map_or("?".to_owned(), json_str);
        let score = match &entry["score"] {
            Value::Null => "N/A".to_owned(),
            Value::Number(score) => general(score.as_f64().unwrap_or(f64::NAN), 4),
            other => json_str(other),
        };
        let [unit, repeats, total] =
            ["unit_samples", "num_repeats", "total_samples"].map(|key| json_str(&entry[key]));
        let duration = entry["duration_s"]
            .as_f64()
            .map_or(String::new(), |s| format!(", duration={s:.2}s"));
        self.line(&format!(
            "  {name}: {score} (unit={unit}, repeats={repeats}, total={total}{duration})"
        ));
        if let Value::Object(responses) = &entry["response_counts"] {
            let [scored, issued, empty, missing] = ["scored", "issued", "empty", "missing"]
                .map(|key| responses.get(key).map_or("0".to_owned(), json_str));
            self.line(&format!(
                "    responses: {scored}/{issued} scored ({empty} empty, {missing} missing)"
            ));
        }
        if let Value::Object(osl) = &entry["output_sequence_lengths"] {
            let avg = osl.get("avg").and_then(Value::as_f64).unwrap_or(0.0);
            let [min, max] =
                ["min", "max"].map(|key| json_str(osl.get(key).unwrap_or(&Value::Null)));
            self.line(&format!(
                "    output tokens (avg/min/max): {avg:.1}/{min}/{max}"
            ));
        }
        if let Value::Object(scores) = &entry["breakdown"]["subset_scores"] {
            for (subset, score) in scores {
                self.line(&format!(
                    "    {subset}: {:.2}%",
                    score.as_f64().unwrap_or(f64::NAN)
                ));
            }
        }
        if entry["complete"] == false {
            self.line("    (incomplete)");
        }
    }

    /// The profiler's requests. Source: `commands/benchmark/profiling.py`, `write_profiling_section`.
    pub(super) fn profiling(&mut self, profiling: &Value) {
        let records = |key: &str| profiling[key].as_array().map_or(&[][..], Vec::as_slice);
        let (starts, stops) = (records("starts"), records("stops"));
        let engine = profiling
            .get("engine")
            .map_or("unknown".to_owned(), json_str);
        self.line(&format!(
            "\n------------------- Profiling -------------------\nEngine: {engine}\nStart:"
        ));
        for record in starts {
            self.profiling_request(record, "");
        }
        if !stops.is_empty() {
            self.line("Stop:");
        }
        for record in stops {
            self.profiling_request(
                record,
                if record["stop_reason"] == "abort" {
                    " (from abort handler)"
                } else {
                    ""
                },
            );
        }
        let sent = |records: &[Value]| {
            records
                .iter()
                .filter_map(|r| r["sent_at_ns"].as_i64())
                .collect::<Vec<_>>()
        };
        if let (Some(first), Some(last)) = (
            sent(starts).into_iter().min(),
            sent(stops).into_iter().max(),
        ) {
            let seconds = (i128::from(last) - i128::from(first)) as f64 / 1e9;
            self.line(&format!("Trigger span: {seconds:.2} s"));
        }
        self.line(
            "\nNote: actual trace window is bounded by server-side --profiler-config.delay_iterations and \
             --profiler-config.max_iterations.\nTrace artifact path is in server stdout.",
        );
    }

    fn profiling_request(&mut self, record: &Value, suffix: &str) {
        let outcome = match (record["status"].as_i64(), &record["error"]) {
            (Some(200), _) => "200 OK".to_owned(),
            (Some(404), _) => {
                "404 (profiling not enabled on server — pass --profiler-config.profiler=... to server)".to_owned()
            }
            (_, error) if is_true(error) => json_str(error),
            (Some(status), _) => status.to_string(),
            (None, _) => "ERROR".to_owned(),
        };
        let [url, sent_at] = ["url", "sent_at_iso"].map(|key| json_str(&record[key]));
        self.line(&format!("  POST {url} @ {sent_at} → {outcome}{suffix}"));
    }
}
