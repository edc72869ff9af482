//! `json.dumps`, with which transformers replaces Jinja2's `tojson`.

use std::fmt::Write as _;

use minijinja::{Error, Value};

use super::arguments::bind;
use super::compare::sort;
use super::exception::{exception, type_error, unsupported};
use super::float;
use super::limits::fits;
use super::repr::MAX_DEPTH;
use super::value::{Py, iter, py, text, type_name};

/// The widest indent of one level, in bytes.
const MAX_INDENT: usize = 1000;

struct Style {
    ascii: bool,
    sort_keys: bool,
    indent: Option<String>,
    item: String,
    key: String,
}

/// `json.dumps(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False)`.
///
/// # Errors
/// `TypeError` for values without a JSON form: undefined values, generators, views.
pub(crate) fn dumps(args: &[Value]) -> Result<Value, Error> {
    let names = ["x", "ensure_ascii", "indent", "separators", "sort_keys"];
    let [value, ascii, indent, separators, sort_keys] = bind("tojson", args, names, 1)?;
    let indent = match indent.as_ref().map(py) {
        None | Some(Py::None) => None,
        Some(Py::Str(s)) if s.len() > MAX_INDENT => return Err(unsupported("an indent this wide")),
        Some(Py::Str(s)) => Some(s.to_owned()),
        Some(Py::Int(n)) if n > MAX_INDENT as i128 => {
            return Err(unsupported("an indent this wide"));
        }
        Some(Py::Int(n)) => Some(" ".repeat(usize::try_from(n.max(0)).unwrap_or(0))),
        Some(Py::Bool(b)) => Some(" ".repeat(usize::from(b))),
        Some(_) => return Err(type_error("can't multiply sequence by non-int")),
    };
    let (item, key) = match separators.filter(|s| !s.is_none()) {
        None => (
            if indent.is_some() { "," } else { ", " }.to_owned(),
            ": ".to_owned(),
        ),
        Some(pair) => match &iter(&pair)?[..] {
            [item, key] => (text(item)?.to_owned(), text(key)?.to_owned()),
            _ => return Err(exception("ValueError", "separators must be a pair")),
        },
    };
    let is_true = |value: Option<Value>| value.is_some_and(|v| v.is_true());
    let style = Style {
        ascii: is_true(ascii),
        sort_keys: is_true(sort_keys),
        indent,
        item,
        key,
    };
    let mut out = String::new();
    style.write(&value.unwrap_or_default(), &mut out, 0)?;
    Ok(Value::from(out))
}

impl Style {
    fn write(&self, value: &Value, out: &mut String, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(unsupported("JSON nested this deeply"));
        }
        fits(out.len())?;
        match py(value) {
            Py::Str(s) => quote(s, self.ascii, out),
            Py::List([]) | Py::Tuple([]) => out.push_str("[]"),
            Py::List(items) | Py::Tuple(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    self.between(i, out, depth + 1);
                    self.write(item, out, depth + 1)?;
                }
                self.newline(out, depth);
                out.push(']');
            }
            Py::Dict(dict) if dict.is_empty() => out.push_str("{}"),
            Py::Dict(dict) => {
                let mut entries: Vec<_> = dict.iter().map(|(k, v)| (k.clone(), v)).collect();
                if self.sort_keys {
                    entries = sort(entries, false)?;
                }
                out.push('{');
                for (i, (key, item)) in entries.into_iter().enumerate() {
                    self.between(i, out, depth + 1);
                    quote(&name(&key)?, self.ascii, out);
                    out.push_str(&self.key);
                    self.write(item, out, depth + 1)?;
                }
                self.newline(out, depth);
                out.push('}');
            }
            _ => match scalar(value) {
                Some(text) => out.push_str(&text),
                None => return Err(not_serializable(value)),
            },
        }
        Ok(())
    }

    fn between(&self, i: usize, out: &mut String, depth: usize) {
        if i > 0 {
            out.push_str(&self.item);
        }
        self.newline(out, depth);
    }

    fn newline(&self, out: &mut String, depth: usize) {
        if let Some(indent) = &self.indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(indent.as_str(), depth));
        }
    }
}

fn not_serializable(value: &Value) -> Error {
    type_error(format!(
        "Object of type {} is not JSON serializable",
        type_name(value)
    ))
}

fn scalar(value: &Value) -> Option<String> {
    Some(match py(value) {
        Py::None => "null".to_owned(),
        Py::Bool(b) => b.to_string(),
        Py::Int(i) => i.to_string(),
        Py::Float(f) if f.is_nan() => "NaN".to_owned(),
        Py::Float(f) if f.is_infinite() => {
            if f > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
        }
        Py::Float(f) => float::repr(f),
        _ => return None,
    })
}

fn name(key: &Value) -> Result<String, Error> {
    match py(key) {
        Py::Str(s) => Ok(s.to_owned()),
        _ => scalar(key).ok_or_else(|| {
            type_error(format!(
                "keys must be str, int, float, bool or None, not {}",
                type_name(key)
            ))
        }),
    }
}

/// Appends a JSON string as Python's encoder writes it. It escapes quotes, backslashes and control characters, and with
/// `ascii` everything outside ASCII.
fn quote(text: &str, ascii: bool, out: &mut String) {
    out.push('"');
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        let escape = match c {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\u{8}' => "\\b",
            '\u{c}' => "\\f",
            c if c < ' ' || (ascii && c > '~') => "",
            _ => continue,
        };
        out.push_str(&text[plain..at]);
        plain = at + c.len_utf8();
        out.push_str(escape);
        if escape.is_empty() {
            for unit in c.encode_utf16(&mut [0; 2]) {
                _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out.push_str(&text[plain..]);
    out.push('"');
}
