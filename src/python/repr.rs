//! `str()` and `repr()`.

use std::fmt::Write as _;

use minijinja::{Error, Value};
use serde_json::Value as Json;

use super::exception::unsupported;
use super::float;
use super::limits::fits;
use super::objects::ViewKind;
use super::value::{self, Dict, Py, py};

/// The deepest nesting of a value that is printed; Python's own limit is higher.
pub(crate) const MAX_DEPTH: usize = 200;

/// `str(value)`.
///
/// # Errors
/// Objects that Python prints with their address are not supported.
pub(crate) fn str(value: &Value) -> Result<String, Error> {
    let mut out = String::new();
    match py(value) {
        Py::Str(text) => out.push_str(text),
        Py::Undefined => {}
        _ => repr(value, &mut out, 0)?,
    }
    Ok(out)
}

/// Appends `repr(value)`.
///
/// # Errors
/// As [`str`](fn@str).
pub(crate) fn repr(value: &Value, out: &mut String, depth: usize) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(unsupported("printing a value nested this deeply"));
    }
    fits(out.len())?;
    match py(value) {
        Py::Undefined => out.push_str("Undefined"),
        Py::None => out.push_str("None"),
        Py::Bool(true) => out.push_str("True"),
        Py::Bool(false) => out.push_str("False"),
        Py::Int(i) => _ = write!(out, "{i}"),
        Py::Float(f) => out.push_str(&float::repr(f)),
        Py::Str(text) if value.is_safe() => {
            out.push_str("Markup(");
            quoted(text, out);
            out.push(')');
        }
        Py::Str(text) => quoted(text, out),
        Py::List(items) => sequence(items, ["[", "]"], out, depth)?,
        Py::Tuple(items) => sequence(
            items,
            ["(", if items.len() == 1 { ",)" } else { ")" }],
            out,
            depth,
        )?,
        Py::Dict(dict) => {
            out.push('{');
            for (i, (key, value)) in dict.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                repr(key, out, depth + 1)?;
                out.push_str(": ");
                repr(value, out, depth + 1)?;
            }
            out.push('}');
        }
        Py::View(view) => {
            let name = match view.kind {
                ViewKind::Keys => "dict_keys([",
                ViewKind::Values => "dict_values([",
                ViewKind::Items => "dict_items([",
            };
            sequence(&view.items(), [name, "])"], out, depth)?;
        }
        Py::Range(range) if range.step == 1 => {
            _ = write!(out, "range({}, {})", range.start, range.stop);
        }
        Py::Range(range) => {
            _ = write!(
                out,
                "range({}, {}, {})",
                range.start, range.stop, range.step
            );
        }
        Py::Namespace => {
            // `minijinja` keeps no order of names.
            if value.len().is_some_and(|len| len > 1) {
                return Err(unsupported("printing a namespace"));
            }
            let mut pairs = Dict::new();
            for key in value.try_iter()? {
                let item = value.get_item(&key)?;
                pairs.insert(key, item);
            }
            out.push_str("<Namespace ");
            repr(&value::dict(pairs), out, depth + 1)?;
            out.push('>');
        }
        Py::Generator(_) | Py::Method | Py::Other => {
            return Err(unsupported("printing an object's address"));
        }
    }
    Ok(())
}

fn sequence(
    items: &[Value],
    [open, close]: [&str; 2],
    out: &mut String,
    depth: usize,
) -> Result<(), Error> {
    out.push_str(open);
    for (i, item) in items.iter().enumerate() {
        out.push_str(if i > 0 { ", " } else { "" });
        repr(item, out, depth + 1)?;
    }
    out.push_str(close);
    Ok(())
}

fn quoted(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            c if is_printable(c) => out.push(c),
            c if (c as u32) < 0x100 => _ = write!(out, "\\x{:02x}", c as u32),
            c if (c as u32) < 0x1_0000 => _ = write!(out, "\\u{:04x}", c as u32),
            c => _ = write!(out, "\\U{:08x}", c as u32),
        }
    }
    out.push(quote);
}

/// `str.isprintable()` of one character. After a letter, `escape_debug` leaves exactly the printable ones as they are.
pub(super) fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return c == ' ' || c.is_ascii_graphic();
    }
    let mut pair = String::from("a");
    pair.push(c);
    pair.escape_debug().eq(pair.chars())
}

/// `str(json.loads(text))` of the text that `json` was read from.
pub(crate) fn json_str(json: &Json) -> String {
    match json {
        Json::String(text) => text.clone(),
        other => {
            let mut out = String::new();
            json_repr(other, &mut out);
            out
        }
    }
}

fn json_repr(json: &Json, out: &mut String) {
    match json {
        Json::Null => out.push_str("None"),
        Json::Bool(true) => out.push_str("True"),
        Json::Bool(false) => out.push_str("False"),
        Json::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(f) => out.push_str(&float::repr(f)),
            None => _ = write!(out, "{number}"),
        },
        Json::String(text) => quoted(text, out),
        Json::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                json_repr(item, out);
            }
            out.push(']');
        }
        Json::Object(fields) => {
            out.push('{');
            for (i, (key, value)) in fields.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                quoted(key, out);
                out.push_str(": ");
                json_repr(value, out);
            }
            out.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_as_python_does() {
        for (value, expected) in [
            (json!(null), "None"),
            (json!(true), "True"),
            (json!(80.0), "80.0"),
            (json!(80), "80"),
            (json!(-1e-7), "-1e-07"),
            (json!(1e22), "1e+22"),
            (json!(1e-5), "1e-05"),
            (json!(-1.25e-5), "-1.25e-05"),
            (json!(10.00001), "10.00001"),
            (json!(0.0), "0.0"),
            (json!(5_560_135_655_104_266.0 / 8.0), "695016956888033.2"),
            (json!("it's"), "it's"),
            (
                json!(["it's", "a \"b\"", "'\""]),
                r#"["it's", 'a "b"', '\'"']"#,
            ),
            (
                json!({"a": [1, {"b": false}], "é": {}}),
                "{'a': [1, {'b': False}], 'é': {}}",
            ),
            (
                json!(["\\\n\t\r\u{0}\u{7f}\u{ad}\u{2028}\u{e0001}"]),
                r"['\\\n\t\r\x00\x7f\xad\u2028\U000e0001']",
            ),
            (
                json!(["e\u{301}", "\u{a0}", "😀"]),
                "['e\u{301}', '\\xa0', '😀']",
            ),
        ] {
            assert_eq!(json_str(&value), expected);
            assert_eq!(str(&value::from_json(&value)).unwrap(), expected);
        }
    }
}
