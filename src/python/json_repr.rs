//! Values as Python formats them, for the files that Python writes.

use serde_json::Value;

use crate::python::double;

/// `format(value, ".{digits}g")` of a double: so many significant digits, without trailing zeros.
pub(crate) fn general(value: f64, digits: usize) -> String {
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let decimals = i64::try_from(digits).unwrap_or(i64::MAX) - 1 - i64::from(exponent);
    match usize::try_from(decimals) {
        Ok(decimals) if exponent >= -4 => {
            without_trailing_zeros(&format!("{value:.decimals$}")).to_owned()
        }
        _ => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!(
                "{}e{sign}{:02}",
                without_trailing_zeros(mantissa),
                exponent.unsigned_abs()
            )
        }
    }
}

/// `str(value)` of what Python reads from this JSON.
pub(crate) fn str(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => repr(other),
    }
}

/// `repr(value)` of what Python reads from this JSON.
fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) if number.is_f64() => {
            double::python(number.as_f64().unwrap_or(f64::NAN))
        }
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", join(items.iter().map(repr))),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(key, value)| format!("{}: {}", quoted(key), repr(value)));
            format!("{{{}}}", join(fields))
        }
    }
}

/// The items with a comma and a space between them.
pub(crate) fn join(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

/// A string in quotes: single ones unless it has those and no double ones.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if is_printable(c) => out.push(c),
            c => out += &escaped(c),
        }
    }
    out.push(quote);
    out
}

fn escaped(c: char) -> String {
    match u32::from(c) {
        code @ ..=0xff => format!("\\x{code:02x}"),
        code @ ..=0xffff => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    }
}

/// `str.isprintable`, which the standard library asks too before it escapes, but only reveals by escaping.
fn is_printable(c: char) -> bool {
    // Combining marks are escaped only where a string begins; quotes are escaped too, but by no such letter.
    !matches!(format!("a{c}").escape_debug().nth(2), Some('u' | '0'))
}

fn without_trailing_zeros(number: &str) -> &str {
    if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
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
            assert_eq!(str(&value), expected);
        }
    }

    #[test]
    fn general_format_keeps_significant_digits() {
        for (value, digits, expected) in [
            (0.0, 4, "0"),
            (1.0, 4, "1"),
            (0.83, 4, "0.83"),
            (83.127_4, 4, "83.13"),
            (9999.5, 4, "1e+04"),
            (9999.4, 4, "9999"),
            (12_345.0, 4, "1.234e+04"),
            (0.000_123_456, 4, "0.0001235"),
            (0.000_012_345_6, 4, "1.235e-05"),
            (-2.5, 3, "-2.5"),
            (100.0, 3, "100"),
            (0.001, 3, "0.001"),
        ] {
            assert_eq!(general(value, digits), expected, "{value}");
        }
    }
}
