//! JSON with the floats of msgspec or of Python's `json`.

use std::io;

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

use super::float;

/// The library whose floats are written.
#[derive(Clone, Copy)]
pub(crate) enum FloatStyle {
    /// `msgspec`: shortest digits, plain from 0.00001 to below 1e16, else `1.5e16` and `1e-6`.
    Msgspec,
    /// Python: shortest digits, plain from 0.0001 to below 1e16, else `1.5e+16` and `1e-06`.
    Python,
}

impl Formatter for FloatStyle {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        let text = match self {
            Self::Msgspec => float::msgspec(value),
            Self::Python => float::repr(value),
        };
        writer.write_all(text.as_bytes())
    }
}

/// `value` on one line, without spaces; floats that are not finite become `null`.
pub(crate) fn compact(value: &impl Serialize, floats: FloatStyle) -> String {
    let mut bytes = Vec::new();
    value
        .serialize(&mut Serializer::with_formatter(&mut bytes, floats))
        .expect("writing to memory, with strings for keys");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

/// `json`, which must be valid, indented by two spaces a level; strings and numbers keep their text.
pub(crate) fn indented(json: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() * 2);
    let mut depth = 0;
    let mut bytes = json.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {}
            b'"' => {
                out.push(byte);
                let mut escaped = false;
                for byte in bytes.by_ref() {
                    out.push(byte);
                    if byte == b'"' && !escaped {
                        break;
                    }
                    escaped = byte == b'\\' && !escaped;
                }
            }
            b'{' | b'[' => {
                out.push(byte);
                while bytes.next_if(u8::is_ascii_whitespace).is_some() {}
                if let Some(close) = bytes.next_if(|next| matches!(next, b'}' | b']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                new_line(&mut out, depth);
            }
            b':' => out.extend(b": "),
            _ => out.push(byte),
        }
    }
    out
}

fn new_line(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.extend(std::iter::repeat_n(b' ', depth * 2));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn floats_are_written_as_their_library_does() {
        for (value, msgspec, python) in [
            (0.0, "0.0", "0.0"),
            (-0.0, "-0.0", "-0.0"),
            (1.0, "1.0", "1.0"),
            (1e15, "1000000000000000.0", "1000000000000000.0"),
            (
                9_007_199_254_740_993.0,
                "9007199254740992.0",
                "9007199254740992.0",
            ),
            (
                9.999_999_999_999_998e15,
                "9999999999999998.0",
                "9999999999999998.0",
            ),
            (1e16, "1e16", "1e+16"),
            (1.25e16, "1.25e16", "1.25e+16"),
            (
                123_456_789_012_345_678.0,
                "1.2345678901234568e17",
                "1.2345678901234568e+17",
            ),
            (1e22, "1e22", "1e+22"),
            (1e100, "1e100", "1e+100"),
            (0.1, "0.1", "0.1"),
            (0.000_1, "0.0001", "0.0001"),
            (0.000_099, "0.000099", "9.9e-05"),
            (0.000_01, "0.00001", "1e-05"),
            (0.000_009_9, "9.9e-6", "9.9e-06"),
            (1.25e-7, "1.25e-7", "1.25e-07"),
            (-1e-10, "-1e-10", "-1e-10"),
            (5e-324, "5e-324", "5e-324"),
            (
                f64::MAX,
                "1.7976931348623157e308",
                "1.7976931348623157e+308",
            ),
            (f64::INFINITY, "null", "null"),
            (f64::NAN, "null", "null"),
        ] {
            assert_eq!(compact(&value, FloatStyle::Msgspec), msgspec);
            assert_eq!(compact(&value, FloatStyle::Python), python);
        }
    }

    #[test]
    fn indenting_touches_only_the_space_between_tokens() {
        for (json, expected) in [
            ("{}", "{}"),
            ("[ \n]", "[]"),
            ("-0", "-0"),
            (r#" {"a" :1} "#, "{\n  \"a\": 1\n}"),
            (
                r#"{"a":{ },"b":[1 ,2.50]}"#,
                "{\n  \"a\": {},\n  \"b\": [\n    1,\n    2.50\n  ]\n}",
            ),
            (
                r#"["a,b:{[\"]\\","\u00e9é"]"#,
                "[\n  \"a,b:{[\\\"]\\\\\",\n  \"\\u00e9é\"\n]",
            ),
            ("[[[]],{}]", "[\n  [\n    []\n  ],\n  {}\n]"),
        ] {
            assert_eq!(String::from_utf8(indented(json)).unwrap(), expected);
        }
    }

    proptest! {
        #[test]
        fn floats_parse_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            for floats in [FloatStyle::Msgspec, FloatStyle::Python] {
                prop_assert_eq!(compact(&value, floats).parse::<f64>().unwrap().to_bits(), bits);
            }
        }
    }
}
