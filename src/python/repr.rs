//! `str()` and `repr()`.

use std::fmt::Write as _;

use minijinja::{Error, Value};

use super::limits::fits;
use super::objects::ViewKind;
use super::unsupported;
use super::value::{Py, py};

/// Python nests deeper, but not a template that is read in earnest.
pub const MAX_DEPTH: usize = 200;

/// `str(value)`.
///
/// # Errors
/// Objects that Python prints with their address cannot be printed as Python does.
pub fn str(value: &Value) -> Result<String, Error> {
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
pub fn repr(value: &Value, out: &mut String, depth: usize) -> Result<(), Error> {
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
        Py::Float(f) => out.push_str(&float(f)),
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
            let mut pairs = super::value::Dict::new();
            for key in value.try_iter()? {
                let item = value.get_item(&key)?;
                pairs.insert(key, item);
            }
            out.push_str("<Namespace ");
            repr(&super::value::dict(pairs), out, depth + 1)?;
            out.push('>');
        }
        Py::Generator(_) | Py::Method(_) | Py::Other => {
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

/// `str.isprintable()` of one character. After a letter, `escape_debug` leaves alone just what is printable.
pub fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return c == ' ' || c.is_ascii_graphic();
    }
    let mut pair = String::from("a");
    pair.push(c);
    pair.escape_debug().eq(pair.chars())
}

/// `repr()` of a float: the shortest digits that read back the same, an exponent from 1e16 and below 1e-4.
pub fn float(f: f64) -> String {
    if f.is_nan() {
        return "nan".to_owned();
    }
    if f.is_infinite() {
        return if f > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    crate::python::double::python(f)
}
