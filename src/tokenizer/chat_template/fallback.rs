//! The text that the client counts when a template raises.

use minijinja::Value;
use serde::ser::{Error as _, Serialize, SerializeMap};
use serde_json::Value as Json;

use crate::python::msgspec::{FloatStyle, compact};
use crate::python::value::{Py, py};

/// The non-empty parts of a message, one a line: content, reasoning, and the original tool calls as JSON.
pub fn fallback_message(
    content: &str,
    reasoning: Option<&str>,
    tool_calls: Option<&[Json]>,
) -> String {
    let calls = tool_calls
        .filter(|calls| !calls.is_empty())
        .map(|calls| compact(&calls, FloatStyle::Msgspec));
    let parts = [Some(content), reasoning, calls.as_deref()];
    parts
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The JSON of a prompt's normalized messages and, if given, its tools.
pub fn fallback_prompt(messages: &[Value], tools: Option<&[Json]>) -> String {
    #[derive(serde::Serialize)]
    struct PromptJson<'a> {
        messages: Vec<Normalized<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        tools: Option<&'a [Json]>,
    }
    let prompt = PromptJson {
        messages: messages.iter().map(Normalized).collect(),
        tools,
    };
    compact(&prompt, FloatStyle::Msgspec)
}

/// A value that was read from JSON. msgspec writes `null` for a double that is not finite.
struct Normalized<'a>(&'a Value);

impl Serialize for Normalized<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match py(self.0) {
            Py::Bool(b) => serializer.serialize_bool(b),
            Py::Int(n) => serializer.serialize_i128(n),
            Py::Float(f) if f.is_finite() => serializer.serialize_f64(f),
            Py::None | Py::Float(_) => serializer.serialize_none(),
            Py::Str(s) => serializer.serialize_str(s),
            Py::List(items) => serializer.collect_seq(items.iter().map(Normalized)),
            Py::Dict(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key.as_str().unwrap_or_default(), &Normalized(value))?;
                }
                map.end()
            }
            _ => Err(S::Error::custom("a value that no JSON decodes to")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{fallback_message, fallback_prompt};
    use crate::python::value::from_json;

    #[test]
    fn texts() {
        assert_eq!(
            fallback_message("a", Some("b"), Some(&[json!({"x": 1e-5})])),
            "a\nb\n[{\"x\":0.00001}]"
        );
        assert_eq!(fallback_message("", Some(""), Some(&[])), "");
        assert_eq!(fallback_message("", Some("r"), None), "r");
        let messages = [from_json(
            &json!({"role": "user", "content": "\u{7f}\u{1f}\u{2028}é\"\\/\n"}),
        )];
        let text = "{\"messages\":[{\"role\":\"user\",\"content\":\"\u{7f}\\u001f\u{2028}é\\\"\\\\/\\n\"}]";
        assert_eq!(fallback_prompt(&messages, None), format!("{text}}}"));
        assert_eq!(
            fallback_prompt(&messages, Some(&[])),
            format!("{text},\"tools\":[]}}")
        );
    }
}
