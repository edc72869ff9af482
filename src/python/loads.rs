//! `json.loads`, which reads more than JSON: also `NaN`, `Infinity` and integers of any length.

use minijinja::Value;

use super::value::{Dict, dict, list};

/// The reason why a text was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LoadsError {
    /// Python raises `JSONDecodeError` too.
    Decode,
    /// Python reads the text, but a value here cannot hold it.
    Unsupported(&'static str),
}

/// The deepest nesting; beyond it Python itself may run out of stack.
const MAX_DEPTH: usize = 900;

/// Reads JSON text as Python does (CPython 3.11, `json/decoder.py` and `json/scanner.py`, strict).
///
/// # Errors
/// [`LoadsError`]; lone surrogates and integers beyond 128 bits are not supported.
pub(crate) fn loads(text: &str) -> Result<Value, LoadsError> {
    let mut reader = Reader { text, at: 0 };
    reader.space();
    let value = reader.value(0)?;
    reader.space();
    if reader.at == text.len() {
        Ok(value)
    } else {
        Err(LoadsError::Decode)
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.text[self.at..].starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value, LoadsError> {
        if depth > MAX_DEPTH {
            return Err(LoadsError::Unsupported("JSON nested this deeply"));
        }
        match self.peek() {
            Some(b'"') => self.string().map(Value::from),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'-' | b'0'..=b'9' | b'N' | b'I') => self.number(),
            _ if self.eat("null") => Ok(Value::from(())),
            _ if self.eat("true") => Ok(Value::from(true)),
            _ if self.eat("false") => Ok(Value::from(false)),
            _ => Err(LoadsError::Decode),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, LoadsError> {
        let mut entries = Dict::new();
        self.at += 1;
        self.space();
        if self.eat("}") {
            return Ok(dict(entries));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(LoadsError::Decode);
            }
            let key = self.string()?;
            self.space();
            if !self.eat(":") {
                return Err(LoadsError::Decode);
            }
            self.space();
            let value = self.value(depth + 1)?;
            entries.insert(Value::from(key), value);
            self.space();
            if self.eat("}") {
                return Ok(dict(entries));
            }
            if !self.eat(",") {
                return Err(LoadsError::Decode);
            }
            self.space();
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, LoadsError> {
        let mut items = Vec::new();
        self.at += 1;
        self.space();
        if self.eat("]") {
            return Ok(list(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.space();
            if self.eat("]") {
                return Ok(list(items));
            }
            if !self.eat(",") {
                return Err(LoadsError::Decode);
            }
            self.space();
        }
    }

    /// `-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?` or one of Python's three words.
    fn number(&mut self) -> Result<Value, LoadsError> {
        for (word, value) in [
            ("NaN", f64::NAN),
            ("Infinity", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
        ] {
            if self.eat(word) {
                return Ok(Value::from(value));
            }
        }
        let start = self.at;
        self.eat("-");
        if !self.eat("0") && self.digits() == 0 {
            return Err(LoadsError::Decode);
        }
        let integer_end = self.at;
        let mut end = integer_end;
        if self.eat(".") && self.digits() > 0 {
            end = self.at;
        }
        self.at = end;
        if self.eat("e") || self.eat("E") {
            let _sign = self.eat("-") || self.eat("+");
            if self.digits() > 0 {
                end = self.at;
            }
        }
        self.at = end;
        let text = &self.text[start..end];
        if end == integer_end {
            let integer = text.parse::<i128>();
            return integer
                .map(Value::from)
                .map_err(|_| LoadsError::Unsupported("an integer of more than 128 bits"));
        }
        text.parse::<f64>()
            .map(Value::from)
            .map_err(|_| LoadsError::Decode)
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn string(&mut self) -> Result<String, LoadsError> {
        let mut out = String::new();
        self.at += 1;
        loop {
            let rest = &self.text[self.at..];
            let stop = rest
                .find(|c| c == '"' || c == '\\' || c < ' ')
                .ok_or(LoadsError::Decode)?;
            out.push_str(&rest[..stop]);
            self.at += stop + 1;
            match rest.as_bytes()[stop] {
                b'"' => return Ok(out),
                b'\\' => out.push(self.escape()?),
                _ => return Err(LoadsError::Decode),
            }
        }
    }

    fn escape(&mut self) -> Result<char, LoadsError> {
        let escape = self.peek().ok_or(LoadsError::Decode)?;
        let c = match escape {
            b'"' | b'\\' | b'/' => char::from(escape),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.unicode();
            }
            _ => return Err(LoadsError::Decode),
        };
        self.at += 1;
        Ok(c)
    }

    /// The character of `XXXX` or `XXXX\uXXXX`.
    fn unicode(&mut self) -> Result<char, LoadsError> {
        const LONE: LoadsError = LoadsError::Unsupported("a lone surrogate");
        let high = self.hex()?;
        if !(0xD800..0xDC00).contains(&high) {
            return char::from_u32(high).ok_or(LONE);
        }
        if !self.eat("\\u") {
            return Err(LONE);
        }
        let low = self.hex()?;
        if !(0xDC00..0xE000).contains(&low) {
            return Err(LONE);
        }
        char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)).ok_or(LONE)
    }

    fn hex(&mut self) -> Result<u32, LoadsError> {
        let digits = self
            .text
            .get(self.at..self.at + 4)
            .filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let value = digits
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or(LoadsError::Decode)?;
        self.at += 4;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::repr::repr;
    use super::{LoadsError, loads};

    #[test]
    fn texts_are_read_as_python_reads_them() {
        // `repr(json.loads(text))` of CPython 3.11; None: `JSONDecodeError`.
        let check = |text: &str, expected: Option<&str>| {
            let got = loads(text).map(|value| {
                let mut shown = String::new();
                repr(&value, &mut shown, 0).expect("a plain value");
                shown
            });
            assert_eq!(
                got,
                expected.map(str::to_owned).ok_or(LoadsError::Decode),
                "{text}"
            );
        };
        check("{}", Some("{}"));
        check(
            " {\"a\" : 1.0, \"b\":1e5, \"a\":2, \"n\":NaN} ",
            Some("{'a': 2, 'b': 100000.0, 'n': nan}"),
        );
        check("[-Infinity, Infinity, 1e400]", Some("[-inf, inf, inf]"));
        check(
            "123456789012345678901234567890",
            Some("123456789012345678901234567890"),
        );
        check("[-0, -0.0, 1E-2]", Some("[0, -0.0, 0.01]"));
        check("[true, false, null]", Some("[True, False, None]"));
        check("\"\\u6771\\ud83d\\ude00\\n\\/\"", Some("'東😀\\n/'"));
        check("\"\u{7f}\"", Some("'\\x7f'"));
        for bad in [
            "",
            " ",
            "{",
            "{\"a\"}",
            "{\"a\":1,}",
            "[1,]",
            "[1 2]",
            "01",
            "-",
            "1.",
            "1.e5",
            ".5",
            "+1",
            "nan",
            "\"a",
            "\"\t\"",
            "\"\\x\"",
            "\"\\u12\"",
            "{}x",
            "'a'",
            "\u{feff}{}",
            "-NaN",
            "1e",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn values_that_do_not_fit_are_unsupported() {
        for (text, why) in [
            ("\"\\ud83d\"", "a lone surrogate"),
            ("\"\\ud83d\\u0041\"", "a lone surrogate"),
            ("\"\\ude00\"", "a lone surrogate"),
            (&"[".repeat(1000), "JSON nested this deeply"),
            (&"9".repeat(40), "an integer of more than 128 bits"),
        ] {
            assert_eq!(loads(text), Err(LoadsError::Unsupported(why)), "{text}");
        }
    }
}
