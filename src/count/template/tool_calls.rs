//! Tool calls as the reference prepares them for a template: merged from streamed deltas, arguments parsed.
//!
//! The rules are `merge_tool_calls` of the reference's `core/types.py` and the two `_normalize_…` functions of its
//! `token_metrics.py`. Both run outside the reference's fallback, so what raises here has no count at all.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use super::engine::Raised;

type Result<T> = std::result::Result<T, Raised>;

fn no_get(value: &Value) -> Raised {
    let name = match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    };
    Raised::new(
        "AttributeError",
        format!("'{name}' object has no attribute 'get'"),
    )
}

/// Python's truth of a JSON value.
pub fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(b) => *b,
        Value::Number(n) => n.as_f64() != Some(0.0),
        Value::String(s) => !s.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

fn given<'v>(map: &'v Map<String, Value>, key: &str) -> Option<&'v Value> {
    map.get(key).filter(|value| is_true(value))
}

/// `x.get("function") or {}`.
fn function(call: &Map<String, Value>) -> Result<Option<&Map<String, Value>>> {
    match given(call, "function") {
        None => Ok(None),
        Some(Value::Object(function)) => Ok(Some(function)),
        Some(other) => Err(no_get(other)),
    }
}

/// Merges streamed deltas, an array of arrays, into tool calls in the order of their `index`. Tool calls that are not
/// streamed are returned as they are; `None` when there are none.
///
/// # Errors
/// Where the reference raises while it reads the event: a delta that is no object, indices that do not sort, arguments
/// that are no string. The reference then drops the rest of that batch of events, of which a log keeps no trace, so
/// such a run cannot be recounted exactly.
pub fn merge_tool_calls(tool_calls: &[Value]) -> Result<Option<Cow<'_, [Value]>>> {
    match tool_calls.first() {
        None => return Ok(None),
        Some(Value::Array(_)) => {}
        Some(_) => return Ok(Some(Cow::Borrowed(tool_calls))),
    }
    let mut merged: Vec<(Value, Map<String, Value>)> = Vec::new();
    for chunk in tool_calls {
        match chunk {
            Value::Array(partials) => {
                for partial in partials {
                    merge_partial(&mut merged, partial)?;
                }
            }
            Value::Object(map) if map.is_empty() => {}
            Value::String(text) if text.is_empty() => {}
            Value::Object(_) | Value::String(_) => return Err(no_get(&json!(""))),
            _ => return Err(Raised::new("TypeError", "chunk object is not iterable")),
        }
    }
    let mut unordered = false;
    merged.sort_by(|(a, _), (b, _)| {
        compare_index(a, b).unwrap_or_else(|| {
            unordered = true;
            Ordering::Equal
        })
    });
    if unordered {
        return Err(Raised::new(
            "TypeError",
            "'<' not supported between these indices",
        ));
    }
    Ok(Some(Cow::Owned(
        merged
            .into_iter()
            .map(|(_, call)| Value::Object(call))
            .collect(),
    )))
}

fn merge_partial(merged: &mut Vec<(Value, Map<String, Value>)>, partial: &Value) -> Result<()> {
    let Value::Object(partial) = partial else {
        return Err(no_get(partial));
    };
    let index = partial.get("index").cloned().unwrap_or_else(|| json!(0));
    if matches!(index, Value::Array(_) | Value::Object(_)) {
        return Err(Raised::new("TypeError", "unhashable index"));
    }
    let known = merged
        .iter()
        .position(|(at, _)| *at == index || compare_index(at, &index) == Some(Ordering::Equal));
    let at = known.unwrap_or_else(|| {
        let mut call = Map::new();
        call.insert("type".to_owned(), json!("function"));
        call.insert("function".to_owned(), json!({"arguments": ""}));
        merged.push((index, call));
        merged.len() - 1
    });
    let call = &mut merged[at].1;
    for key in ["id", "type"] {
        if let Some(value) = given(partial, key) {
            call.insert(key.to_owned(), value.clone());
        }
    }
    let Some(delta) = function(partial)? else {
        return Ok(());
    };
    let Some(Value::Object(function)) = call.get_mut("function") else {
        return Ok(());
    };
    if let Some(name) = given(delta, "name") {
        function.insert("name".to_owned(), name.clone());
    }
    if let Some(more) = given(delta, "arguments") {
        match (function.get_mut("arguments"), more) {
            (Some(Value::String(arguments)), Value::String(more)) => arguments.push_str(more),
            _ => return Err(Raised::new("TypeError", "can only concatenate str to str")),
        }
    }
    Ok(())
}

/// How two indices sort; `None` where Python does not order them.
fn compare_index(a: &Value, b: &Value) -> Option<Ordering> {
    let number = |value: &Value| match value {
        Value::Bool(b) => Some(f64::from(u8::from(*b))),
        Value::Number(n) => n.as_f64(),
        _ => None,
    };
    match (a, b) {
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Number(x), Value::Number(y)) if x.is_i64() && y.is_i64() => {
            Some(x.as_i64().cmp(&y.as_i64()))
        }
        _ => number(a)?.partial_cmp(&number(b)?),
    }
}

/// Tool calls whose `function.arguments`, a JSON string of an object, became that object.
///
/// # Errors
/// A call that is no object, or whose function is none: the reference has no count for such a text. Also, as not
/// supported, arguments that Python's `json` reads and `serde_json` does not.
pub fn normalize_tool_calls(tool_calls: &[Value]) -> Result<Vec<Value>> {
    tool_calls.iter().map(normalize).collect()
}

fn normalize(call: &Value) -> Result<Value> {
    let Value::Object(map) = call else {
        return Err(no_get(call));
    };
    let Some(Value::String(text)) = function(map)?.and_then(|f| f.get("arguments")) else {
        return Ok(call.clone());
    };
    let Some(arguments) = parse_object(text)? else {
        return Ok(call.clone());
    };
    let mut normalized = map.clone();
    if let Some(Value::Object(function)) = normalized.get_mut("function") {
        function.insert("arguments".to_owned(), Value::Object(arguments));
    }
    Ok(Value::Object(normalized))
}

/// The messages of a prompt, with their historical tool calls normalized.
///
/// # Errors
/// As [`normalize_tool_calls`]; also a message that is no object.
pub fn normalize_messages(messages: &[Value]) -> Result<Vec<Value>> {
    let normalize = |message: &Value| {
        let Value::Object(map) = message else {
            return Err(no_get(message));
        };
        let Some(Value::Array(calls)) = given(map, "tool_calls") else {
            return Ok(message.clone());
        };
        let mut normalized = map.clone();
        normalized.insert(
            "tool_calls".to_owned(),
            Value::Array(normalize_tool_calls(calls)?),
        );
        Ok(Value::Object(normalized))
    };
    messages.iter().map(normalize).collect()
}

/// `json.loads(text)` when that is an object.
fn parse_object(text: &str) -> Result<Option<Map<String, Value>>> {
    let body = text.trim_start_matches([' ', '\t', '\n', '\r']);
    if !body.starts_with('{') {
        return Ok(None);
    }
    let unsupported = |what| {
        Err(Raised::unsupported(format!(
            "{what} in a tool call's arguments is not supported"
        )))
    };
    match serde_json::from_str(body) {
        Ok(Value::Object(_)) if has_long_integer(body) => {
            unsupported("an integer of more than 64 bits")
        }
        Ok(Value::Object(map)) => Ok(Some(map)),
        Ok(_) => Ok(None),
        Err(error) => {
            let message = error.to_string();
            let special = ["NaN", "Infinity"].iter().any(|word| body.contains(word));
            if message.contains("out of range")
                || message.contains("recursion")
                || message.contains("surrogate")
                || special
            {
                return unsupported("what Python's JSON reader takes and ours does not");
            }
            Ok(None)
        }
    }
}

/// Whether some number outside strings has 19 digits or more in a row: `serde_json` may keep it as a double.
fn has_long_integer(json: &str) -> bool {
    let (mut in_string, mut escaped, mut digits, mut whole) = (false, false, 0, true);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'0'..=b'9' if !in_string && whole => digits += 1,
            b'.' | b'e' | b'E' if !in_string => (digits, whole) = (0, false),
            _ if in_string => {}
            _ => {
                if digits > 19 {
                    return true;
                }
                (digits, whole) = (0, true);
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{merge_tool_calls, normalize_tool_calls};

    #[test]
    fn merge() {
        let check = |deltas: Value, want: Result<Value, &str>| {
            let deltas = deltas.as_array().cloned().unwrap_or_default();
            let got = merge_tool_calls(&deltas)
                .map(|m| m.map_or(Value::Null, |m| Value::Array(m.into_owned())));
            let got = got.map(|v| v.to_string());
            assert_eq!(
                got.as_deref().map_err(|e| e.kind),
                want.as_ref()
                    .map(ToString::to_string)
                    .as_deref()
                    .map_err(|e| **e),
                "{deltas:?}"
            );
        };
        check(json!([]), Ok(Value::Null));
        check(json!([{"id": "a"}, 3]), Ok(json!([{"id": "a"}, 3])));
        check(
            json!([[{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{"}}], [{"id": "a"}], [{"index": 1, "function": {"arguments": "}"}}]]),
            Ok(json!([
                {"type": "function", "function": {"arguments": ""}, "id": "a"},
                {"type": "function", "function": {"arguments": "{}", "name": "g"}, "id": "b"},
            ])),
        );
        check(
            json!([[{"index": 1.0}], [{"index": true}]]),
            Ok(json!([{"type": "function", "function": {"arguments": ""}}])),
        );
        check(json!([[], "", {}]), Ok(json!([])));
        check(
            json!([[{"type": "", "id": null}]]),
            Ok(json!([{"type": "function", "function": {"arguments": ""}}])),
        );
        check(json!([[], "x"]), Err("AttributeError"));
        check(json!([[], null]), Err("TypeError"));
        check(json!([[null]]), Err("AttributeError"));
        check(json!([[{"index": "a"}, {"index": 1}]]), Err("TypeError"));
        check(
            json!([[{"index": null}]]),
            Ok(json!([{"type": "function", "function": {"arguments": ""}}])),
        );
        check(json!([[{"index": null}, {"index": 0}]]), Err("TypeError"));
        check(json!([[{"index": []}]]), Err("TypeError"));
        check(
            json!([[{"function": {"arguments": {"a": 1}}}]]),
            Err("TypeError"),
        );
        check(json!([[{"function": "f"}]]), Err("AttributeError"));
    }

    #[test]
    fn normalize() {
        let check = |call: Value, want: Result<Value, &str>| {
            let got = normalize_tool_calls(std::slice::from_ref(&call)).map(|v| v[0].to_string());
            assert_eq!(
                got.as_deref().map_err(|e| e.kind),
                want.as_ref()
                    .map(ToString::to_string)
                    .as_deref()
                    .map_err(|e| **e),
                "{call}"
            );
        };
        let call =
            |arguments: &str| json!({"id": "1", "function": {"arguments": arguments, "name": "f"}});
        check(
            call(" {\"b\": 1, \"a\": 1.0}\n"),
            Ok(json!({"id": "1", "function": {"arguments": {"b": 1, "a": 1.0}, "name": "f"}})),
        );
        for unparsed in ["", "x", "[1]", "{", "1", "\"{}\"", "{} x", "{'a': 1}"] {
            check(call(unparsed), Ok(call(unparsed)));
        }
        check(json!({"function": null}), Ok(json!({"function": null})));
        check(
            json!({"function": {"arguments": {"a": 1}}}),
            Ok(json!({"function": {"arguments": {"a": 1}}})),
        );
        check(call("{\"a\": NaN}"), Err("Unsupported"));
        check(call("{\"a\": 12345678901234567890123}"), Err("Unsupported"));
        check(
            call("{\"a\": \"12345678901234567890123\"}"),
            Ok(
                json!({"id": "1", "function": {"arguments": {"a": "12345678901234567890123"}, "name": "f"}}),
            ),
        );
        check(json!("x"), Err("AttributeError"));
        check(json!({"function": "x"}), Err("AttributeError"));
    }
}
