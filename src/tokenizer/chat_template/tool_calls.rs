//! Tool calls as the client prepares them for a template: merged from streamed deltas, arguments parsed.
//!
//! The rules are `merge_tool_calls` of the client's `core/types.py` and the two `_normalize_…` functions of its
//! `token_metrics.py`. Both run outside the client's fallback, so an exception here means that the text has no count.

use std::borrow::Cow;
use std::cmp::Ordering;

use minijinja::Value;
use serde_json::{Map, Value as Json, json};

use crate::python::exception::Exception;
use crate::python::loads::{LoadsError, loads};
use crate::python::value::{Dict, Py, dict, from_json, is_true_json, list, py, string};

type Result<T> = std::result::Result<T, Exception>;

fn no_get(value: &Json) -> Exception {
    let name = match value {
        Json::Null => "NoneType",
        Json::Bool(_) => "bool",
        Json::Number(n) if n.is_f64() => "float",
        Json::Number(_) => "int",
        Json::String(_) => "str",
        Json::Array(_) => "list",
        Json::Object(_) => "dict",
    };
    Exception::new(
        "AttributeError",
        format!("'{name}' object has no attribute 'get'"),
    )
}

fn given<'v>(map: &'v Map<String, Json>, key: &str) -> Option<&'v Json> {
    map.get(key).filter(|value| is_true_json(value))
}

/// `x.get("function") or {}`.
fn function(call: &Map<String, Json>) -> Result<Option<&Map<String, Json>>> {
    match given(call, "function") {
        None => Ok(None),
        Some(Json::Object(function)) => Ok(Some(function)),
        Some(other) => Err(no_get(other)),
    }
}

/// Merges streamed deltas, an array of arrays, into tool calls in the order of their `index`. Tool calls that are not
/// streamed are returned as they are; `None` when there are none.
///
/// # Errors
/// Where the client raises while it reads the event: a delta that is not an object, indices that do not sort, arguments
/// that are not a string. The client then drops the rest of that batch of events, and the log does not show where the
/// batch ended, so such a run cannot be recounted exactly.
pub fn merge_tool_calls(tool_calls: &[Json]) -> Result<Option<Cow<'_, [Json]>>> {
    match tool_calls.first() {
        None => return Ok(None),
        Some(Json::Array(_)) => {}
        Some(_) => return Ok(Some(Cow::Borrowed(tool_calls))),
    }
    let mut merged: Vec<(Json, Map<String, Json>)> = Vec::new();
    for chunk in tool_calls {
        match chunk {
            Json::Array(partials) => {
                for partial in partials {
                    merge_partial(&mut merged, partial)?;
                }
            }
            Json::Object(map) if map.is_empty() => {}
            Json::String(text) if text.is_empty() => {}
            Json::Object(_) | Json::String(_) => return Err(no_get(&json!(""))),
            _ => return Err(Exception::new("TypeError", "chunk object is not iterable")),
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
        return Err(Exception::new(
            "TypeError",
            "'<' not supported between these indices",
        ));
    }
    Ok(Some(Cow::Owned(
        merged
            .into_iter()
            .map(|(_, call)| Json::Object(call))
            .collect(),
    )))
}

fn merge_partial(merged: &mut Vec<(Json, Map<String, Json>)>, partial: &Json) -> Result<()> {
    let Json::Object(partial) = partial else {
        return Err(no_get(partial));
    };
    let index = partial.get("index").cloned().unwrap_or_else(|| json!(0));
    if matches!(index, Json::Array(_) | Json::Object(_)) {
        return Err(Exception::new("TypeError", "unhashable index"));
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
    let Some(Json::Object(function)) = call.get_mut("function") else {
        return Ok(());
    };
    if let Some(name) = given(delta, "name") {
        function.insert("name".to_owned(), name.clone());
    }
    if let Some(more) = given(delta, "arguments") {
        match (function.get_mut("arguments"), more) {
            (Some(Json::String(arguments)), Json::String(more)) => arguments.push_str(more),
            _ => {
                return Err(Exception::new(
                    "TypeError",
                    "can only concatenate str to str",
                ));
            }
        }
    }
    Ok(())
}

/// The order of two indices; `None` where Python does not order them.
fn compare_index(a: &Json, b: &Json) -> Option<Ordering> {
    let number = |value: &Json| match value {
        Json::Bool(b) => Some(f64::from(u8::from(*b))),
        Json::Number(n) => n.as_f64(),
        _ => None,
    };
    match (a, b) {
        (Json::String(a), Json::String(b)) => Some(a.cmp(b)),
        (Json::Number(x), Json::Number(y)) if x.is_i64() && y.is_i64() => {
            Some(x.as_i64().cmp(&y.as_i64()))
        }
        _ => number(a)?.partial_cmp(&number(b)?),
    }
}

/// Tool calls for a template: `function.arguments` that are the JSON string of an object become that object.
///
/// # Errors
/// A call that is not an object, or whose function is not one: the client has no count for such a text. Arguments that
/// Python's `json` reads and [`loads`] does not are not supported.
pub fn normalize_tool_calls(tool_calls: &[Json]) -> Result<Vec<Value>> {
    tool_calls.iter().map(normalize).collect()
}

fn normalize(call: &Json) -> Result<Value> {
    let Json::Object(map) = call else {
        return Err(no_get(call));
    };
    let function = function(map)?;
    let arguments = match function.and_then(|f| f.get("arguments")) {
        Some(Json::String(text)) => parse_object(text)?,
        _ => None,
    };
    let (Some(function), Some(arguments)) = (function, arguments) else {
        return Ok(from_json(call));
    };
    let mut parsed = entries(function);
    parsed.insert(string("arguments"), arguments);
    let mut normalized = entries(map);
    normalized.insert(string("function"), dict(parsed));
    Ok(dict(normalized))
}

/// The messages of a prompt for a template, with their historical tool calls normalized.
///
/// # Errors
/// As [`normalize_tool_calls`]; also a message that is not an object.
pub fn normalize_messages(messages: &[Json]) -> Result<Vec<Value>> {
    let normalize = |message: &Json| {
        let Json::Object(map) = message else {
            return Err(no_get(message));
        };
        let Some(Json::Array(calls)) = given(map, "tool_calls") else {
            return Ok(from_json(message));
        };
        let mut normalized = entries(map);
        normalized.insert(string("tool_calls"), list(normalize_tool_calls(calls)?));
        Ok(dict(normalized))
    };
    messages.iter().map(normalize).collect()
}

fn entries(map: &Map<String, Json>) -> Dict {
    map.iter()
        .map(|(key, value)| (string(key), from_json(value)))
        .collect()
}

/// `json.loads(text)`, if that is an object.
fn parse_object(text: &str) -> Result<Option<Value>> {
    match loads(text) {
        Ok(value) if matches!(py(&value), Py::Dict(_)) => Ok(Some(value)),
        Ok(_) | Err(LoadsError::Decode) => Ok(None),
        Err(LoadsError::Unsupported(what)) => Err(Exception::unsupported(format!(
            "{what} in the arguments of a tool call"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{merge_tool_calls, normalize_tool_calls};
    use crate::python::repr::repr;
    use crate::python::value::from_json;

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
        let shown = |value: &minijinja::Value| {
            let mut text = String::new();
            repr(value, &mut text, 0).unwrap();
            text
        };
        let check = |call: Value, want: Result<Value, &str>| {
            let got = normalize_tool_calls(std::slice::from_ref(&call)).map(|v| shown(&v[0]));
            let want = want.map(|value| shown(&from_json(&value)));
            assert_eq!(
                got.as_deref().map_err(|e| e.kind),
                want.as_deref().map_err(|e| *e),
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
        let long =
            normalize_tool_calls(&[call("{\"a\": NaN, \"b\": 12345678901234567890123}")]).unwrap();
        assert!(shown(&long[0]).contains("{'a': nan, 'b': 12345678901234567890123}"));
        check(call("{\"a\": \"\\ud800\"}"), Err("Unsupported"));
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
