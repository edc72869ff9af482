//! The text that the reference counts when a template raises.

use std::io;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

/// The parts of a message that are not empty, a line each: content, reasoning, and its original tool calls as JSON.
pub fn fallback_message(
    content: &str,
    reasoning: Option<&str>,
    tool_calls: Option<&[Value]>,
) -> String {
    let calls = tool_calls
        .filter(|calls| !calls.is_empty())
        .map(|calls| msgspec_json(&calls));
    let parts = [Some(content), reasoning, calls.as_deref()];
    parts
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The JSON of a prompt's normalized messages and, if given, its tools.
pub fn fallback_prompt(messages: &[Value], tools: Option<&[Value]>) -> String {
    #[derive(Serialize)]
    struct Prompt<'a> {
        messages: &'a [Value],
        #[serde(skip_serializing_if = "Option::is_none")]
        tools: Option<&'a [Value]>,
    }
    msgspec_json(&Prompt { messages, tools })
}

/// JSON as msgspec 0.20 writes it. It escapes what `serde_json` escapes; floats have their own form.
fn msgspec_json(value: &impl Serialize) -> String {
    let mut out = Vec::new();
    let written = value.serialize(&mut Serializer::with_formatter(&mut out, Msgspec));
    debug_assert!(written.is_ok(), "a JSON value is always serializable");
    String::from_utf8(out).unwrap_or_default()
}

struct Msgspec;

impl Formatter for Msgspec {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(float(value).as_bytes())
    }
}

/// The shortest digits that read back the same, with an exponent from 1e16 and below 1e-5.
fn float(f: f64) -> String {
    let shortest = format!("{f:e}");
    let exponent = shortest
        .split_once('e')
        .and_then(|(_, e)| e.parse::<i32>().ok())
        .unwrap_or(0);
    if !(-5..16).contains(&exponent) {
        return shortest;
    }
    let plain = format!("{f}");
    if plain.contains('.') {
        plain
    } else {
        plain + ".0"
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{fallback_message, fallback_prompt, float};

    #[test]
    fn floats() {
        // What `msgspec.json.encode` of msgspec 0.20.0 writes.
        let check = |f: f64, want: &str| assert_eq!(float(f), want);
        check(1.0, "1.0");
        check(1e16, "1e16");
        check(1e15, "1000000000000000.0");
        check(0.00001, "0.00001");
        check(1e-6, "1e-6");
        check(0.1, "0.1");
        check(-0.0, "-0.0");
        check(123_456_789_012_345_680.0, "1.2345678901234568e17");
        check(5e-324, "5e-324");
        check(1.5e-10, "1.5e-10");
        check(12_345_678.9, "12345678.9");
    }

    #[test]
    fn texts() {
        assert_eq!(
            fallback_message("a", Some("b"), Some(&[json!({"x": 1e-5})])),
            "a\nb\n[{\"x\":0.00001}]"
        );
        assert_eq!(fallback_message("", Some(""), Some(&[])), "");
        assert_eq!(fallback_message("", Some("r"), None), "r");
        let messages = [json!({"role": "user", "content": "\u{7f}\u{1f}\u{2028}é\"\\/\n"})];
        let text = "{\"messages\":[{\"role\":\"user\",\"content\":\"\u{7f}\\u001f\u{2028}é\\\"\\\\/\\n\"}]";
        assert_eq!(fallback_prompt(&messages, None), format!("{text}}}"));
        assert_eq!(
            fallback_prompt(&messages, Some(&[])),
            format!("{text},\"tools\":[]}}")
        );
    }
}
