//! `config.yaml`: the settings of a run that decide how its report is computed.
//!
//! Any key can be missing, and unknown keys are normal. Defaults are those of the client's schema (`config/schema.py`).

use serde_json::{Value, json};

/// A run's configuration, empty if the run has none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RunConfig(Value);

impl RunConfig {
    /// Parses YAML; the error names the place that is wrong.
    pub fn parse(yaml: &str) -> Result<Self, String> {
        let value: Value = serde_saphyr::from_str(yaml).map_err(|e| e.to_string())?;
        if value.is_object() {
            Ok(Self(value))
        } else {
            Err("expected a mapping of settings".to_owned())
        }
    }

    /// Returns the value at a `/`-separated path, unless it is missing or null.
    fn at(&self, path: &str) -> Option<&Value> {
        self.0.pointer(path).filter(|value| !value.is_null())
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.at(path).and_then(Value::as_str)
    }

    /// Returns `model_params.tokenizer_name`, else `model_params.name`: a repo id or a directory.
    pub fn tokenizer(&self) -> Option<&str> {
        let named = self.text("/model_params/tokenizer_name");
        named.or_else(|| self.text("/model_params/name"))
    }

    /// Returns `model_params.streaming`; `auto`, the default, is on for online runs and off for offline
    /// ones (`BenchmarkConfig`'s resolution of `StreamingMode.AUTO`).
    pub fn streaming(&self) -> Option<bool> {
        match self.at("/model_params/streaming") {
            // YAML 1.1 writes a plain `on` for true.
            Some(Value::Bool(on)) => Some(*on),
            Some(Value::String(mode)) if mode == "on" => Some(true),
            Some(Value::String(mode)) if mode == "off" => Some(false),
            _ => match self.text("/type")? {
                "offline" => Some(false),
                "online" => Some(true),
                _ => None,
            },
        }
    }

    /// Returns `settings.early_stopping.enabled`.
    pub fn early_stopping(&self) -> Option<bool> {
        self.at("/settings/early_stopping/enabled")
            .and_then(Value::as_bool)
    }

    /// Returns true if the file has the setting at a `/`-separated path, even an empty one.
    pub fn has(&self, path: &str) -> bool {
        self.0.pointer(&format!("/{path}")).is_some()
    }

    /// Returns true if the client wrote the file: it then has every setting of its version.
    pub fn is_the_clients(&self) -> bool {
        self.has("settings/client/transport") && self.has("settings/runtime")
    }

    /// `settings.metrics_isl`, on unless it is switched off.
    pub fn metrics_isl(&self) -> bool {
        self.at("/settings/metrics_isl").and_then(Value::as_bool) != Some(false)
    }

    /// Returns true if the run asks for the steady state: `settings.steady_state.enabled`, with a load that is steady by
    /// its pattern and a data set to measure.
    pub fn steady_state(&self) -> bool {
        let enabled = self
            .at("/settings/steady_state/enabled")
            .and_then(Value::as_bool);
        let pattern = self.text("/settings/load_pattern/type");
        let datasets = self.at("/datasets").and_then(Value::as_array);
        let is_accuracy_only = datasets.is_some_and(|datasets| {
            !datasets.is_empty() && datasets.iter().all(|dataset| dataset["type"] == "accuracy")
        });
        enabled == Some(true)
            && matches!(pattern, Some("concurrency" | "poisson"))
            && !is_accuracy_only
    }

    /// The seeds that the client of 2026-06-23 writes into the summary.
    pub fn summary_seeds(&self) -> Option<Value> {
        self.at("/settings")?;
        Some(json!({
            "scheduler_random_seed": self.seed("runtime/scheduler_random_seed"),
            "dataloader_random_seed": self.seed("runtime/dataloader_random_seed"),
            "warmup_random_seed": self.seed("warmup/warmup_random_seed"),
        }))
    }

    /// The seed at a path below the settings, 42 by default.
    fn seed(&self, path: &str) -> Value {
        let seed = self.at(&format!("/settings/{path}"));
        seed.cloned().unwrap_or(json!(42))
    }

    /// Returns true if QPS and TPS use LoadGen's window: Poisson load unless switched off.
    pub fn legacy_qps_window(&self) -> Option<bool> {
        legacy_qps_window(self.at("/settings/load_pattern")?)
    }

    /// Returns the summary's `run_config` as the client writes it (`commands/benchmark/pipeline.py`): load pattern and
    /// warm-up with their defaults, and the two seeds.
    pub fn summary_run_config(&self) -> Option<Value> {
        let mut load_pattern = json!({
            "type": "max_throughput",
            "target_qps": null,
            "target_concurrency": null,
            "use_legacy_loadgen_qps_metrics": true,
        });
        let mut warmup = json!({
            "enabled": false,
            "n_requests": null,
            "salt": false,
            "drain": false,
            "warmup_random_seed": 42,
        });
        self.at("/settings")?;
        overlay(&mut load_pattern, self.at("/settings/load_pattern"));
        overlay(&mut warmup, self.at("/settings/warmup"));
        if let Some(qps) = load_pattern["target_qps"].as_f64() {
            load_pattern["target_qps"] = qps.into();
        }
        if load_pattern["type"] != "poisson"
            && let Some(pattern) = load_pattern.as_object_mut()
        {
            pattern.shift_remove("use_legacy_loadgen_qps_metrics");
        }
        Some(json!({
            "load_pattern": load_pattern,
            "warmup": warmup,
            "scheduler_random_seed": self.seed("runtime/scheduler_random_seed"),
            "dataloader_random_seed": self.seed("runtime/dataloader_random_seed"),
        }))
    }
}

/// Returns true if a load pattern, of config.yaml or of a summary's `run_config`, uses LoadGen's window.
pub(super) fn legacy_qps_window(load_pattern: &Value) -> Option<bool> {
    let poisson = load_pattern.get("type")?.as_str()? == "poisson";
    let enabled = load_pattern
        .get("use_legacy_loadgen_qps_metrics")
        .and_then(Value::as_bool);
    Some(poisson && enabled.unwrap_or(true))
}

/// Copies the values of `given` over those of `defaults`, keys in the order of `defaults`.
fn overlay(defaults: &mut Value, given: Option<&Value>) {
    let (Some(defaults), Some(given)) =
        (defaults.as_object_mut(), given.and_then(Value::as_object))
    else {
        return;
    };
    for (key, value) in given {
        defaults.insert(key.clone(), value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::RunConfig;
    use serde_json::json;

    fn config(yaml: &str) -> RunConfig {
        RunConfig::parse(yaml).unwrap_or_else(|e| panic!("{yaml}: {e}"))
    }

    #[test]
    fn streaming_follows_the_mode_then_the_type() {
        let check = |yaml: &str, expected: Option<bool>| {
            assert_eq!(config(yaml).streaming(), expected, "{yaml}");
        };
        check("model_params: {streaming: 'on'}", Some(true));
        check("model_params: {streaming: on}", Some(true));
        check("model_params: {streaming: off}\ntype: online", Some(false));
        check("model_params: {streaming: auto}\ntype: online", Some(true));
        check("type: offline", Some(false));
        check("model_params: {name: x}", None);
        check("a: 1", None);
    }

    #[test]
    fn the_tokenizer_is_the_named_one_else_the_model() {
        let check = |yaml: &str, expected: Option<&str>| {
            assert_eq!(config(yaml).tokenizer(), expected, "{yaml}");
        };
        check("model_params: {name: m, tokenizer_name: t}", Some("t"));
        check("model_params: {name: m, tokenizer_name: null}", Some("m"));
        check("model_params: {}", None);
        check("x: 1", None);
    }

    #[test]
    fn only_a_poisson_load_uses_loadgens_window() {
        let check = |pattern: &str, expected: Option<bool>| {
            let yaml = format!("settings: {{load_pattern: {pattern}}}");
            assert_eq!(config(&yaml).legacy_qps_window(), expected, "{yaml}");
        };
        check("{type: poisson}", Some(true));
        check(
            "{type: poisson, use_legacy_loadgen_qps_metrics: false}",
            Some(false),
        );
        check(
            "{type: concurrency, use_legacy_loadgen_qps_metrics: true}",
            Some(false),
        );
        check("{}", None);
        check("null", None);
    }

    #[test]
    fn the_summary_s_run_config_has_the_schema_s_defaults() {
        let got = config(
            "settings: {load_pattern: {type: poisson, target_qps: 5}, warmup: {salt: true}}",
        );
        let expected = json!({
            "load_pattern": {
                "type": "poisson", "target_qps": 5.0, "target_concurrency": null,
                "use_legacy_loadgen_qps_metrics": true
            },
            "warmup": {
                "enabled": false, "n_requests": null, "salt": true, "drain": false,
                "warmup_random_seed": 42
            },
            "scheduler_random_seed": 42,
            "dataloader_random_seed": 42
        });
        assert_eq!(got.summary_run_config(), Some(expected));
        assert_eq!(config("x: 1").summary_run_config(), None);
    }

    #[test]
    fn yaml_without_a_mapping_is_refused() {
        for yaml in ["", "- a", "a: [", "just text", "&a [*a, *a"] {
            assert!(RunConfig::parse(yaml).is_err(), "{yaml}");
        }
    }
}
