//! JSON by recursive descent, as strict as the reference's decoder: no trailing commas, no raw control characters, no
//! lone surrogates. Numbers keep their text, objects keep repeated keys.

use serde_json::Value;

/// The deepest nesting of a line.
const MAX_DEPTH: usize = 1024;
/// The longest integer that Python reads.
const MAX_DIGITS: usize = 4300;

#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// Parses the only value in `text`; `None` if it is not JSON.
pub fn parse(text: &str) -> Option<Json> {
    let mut parser = Parser {
        rest: text,
        nested: 0,
    };
    parser.space();
    let value = parser.value()?;
    parser.space();
    parser.rest.is_empty().then_some(value)
}

struct Parser<'t> {
    rest: &'t str,
    nested: usize,
}

impl Parser<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, expected: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(expected)?;
        Some(())
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    fn value(&mut self) -> Option<Json> {
        match self.rest.chars().next()? {
            'n' => self.take("null").map(|()| Json::Null),
            't' => self.take("true").map(|()| Json::Bool(true)),
            'f' => self.take("false").map(|()| Json::Bool(false)),
            '"' => self.text().map(Json::Text),
            '[' => self.nested(Self::array),
            '{' => self.nested(Self::object),
            _ => self.number().map(Json::Number),
        }
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Option<Json>) -> Option<Json> {
        self.nested += 1;
        if self.nested > MAX_DEPTH {
            return None;
        }
        let value = read(self)?;
        self.nested -= 1;
        Some(value)
    }

    fn array(&mut self) -> Option<Json> {
        let mut items = Vec::new();
        self.take("[")?;
        self.space();
        if self.take("]").is_some() {
            return Some(Json::Array(items));
        }
        loop {
            self.space();
            items.push(self.value()?);
            self.space();
            match self.next()? {
                ',' => {}
                ']' => return Some(Json::Array(items)),
                _ => return None,
            }
        }
    }

    fn object(&mut self) -> Option<Json> {
        let mut members = Vec::new();
        self.take("{")?;
        self.space();
        if self.take("}").is_some() {
            return Some(Json::Object(members));
        }
        loop {
            self.space();
            let key = self.text()?;
            self.space();
            self.take(":")?;
            self.space();
            members.push((key, self.value()?));
            self.space();
            match self.next()? {
                ',' => {}
                '}' => return Some(Json::Object(members)),
                _ => return None,
            }
        }
    }

    fn text(&mut self) -> Option<String> {
        self.take("\"")?;
        let mut text = String::new();
        loop {
            match self.next()? {
                '"' => return Some(text),
                '\\' => text.push(self.escaped()?),
                '\0'..='\x1f' => return None,
                plain => text.push(plain),
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        Some(match self.next()? {
            '"' => '"',
            '\\' => '\\',
            '/' => '/',
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let first = self.four_digits()?;
                if !(0xD800..0xDC00).contains(&first) {
                    return char::from_u32(first);
                }
                self.take("\\u")?;
                let second = self.four_digits()?;
                if !(0xDC00..0xE000).contains(&second) {
                    return None;
                }
                return char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00));
            }
            _ => return None,
        })
    }

    fn four_digits(&mut self) -> Option<u32> {
        let mut value = 0;
        for _ in 0..4 {
            value = value * 16 + self.next()?.to_digit(16)?;
        }
        Some(value)
    }

    fn digits(&mut self) -> Option<String> {
        let rest = self.rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = &self.rest[..self.rest.len() - rest.len()];
        self.rest = rest;
        (!digits.is_empty()).then(|| digits.to_owned())
    }

    fn number(&mut self) -> Option<String> {
        let mut text = String::new();
        if self.take("-").is_some() {
            text.push('-');
        }
        let whole = self.digits()?;
        if whole.len() > 1 && whole.starts_with('0') {
            return None;
        }
        text += &whole;
        if self.take(".").is_some() {
            text.push('.');
            text += &self.digits()?;
        }
        if self.rest.starts_with(['e', 'E']) {
            text.push(self.next()?);
            if self.rest.starts_with(['+', '-']) {
                text.push(self.next()?);
            }
            text += &self.digits()?;
        }
        Some(text)
    }
}

impl Json {
    /// Returns true for an integer that Python reads.
    pub fn is_integer(&self) -> bool {
        match self {
            Self::Number(text) => {
                let digits = text.trim_start_matches('-');
                digits.len() <= MAX_DIGITS && digits.chars().all(|c| c.is_ascii_digit())
            }
            _ => false,
        }
    }

    /// Converts to the value that the tool's templates take; `None` if a number fits neither 64 bits nor a double.
    pub fn to_value(&self) -> Option<Value> {
        Some(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Text(text) => Value::String(text.clone()),
            Self::Number(text) if self.is_integer() => match text.parse::<i64>() {
                Ok(number) => number.into(),
                Err(_) => text.parse::<u64>().ok()?.into(),
            },
            Self::Number(text) => {
                let number: f64 = text.parse().ok()?;
                serde_json::Number::from_f64(number)?.into()
            }
            Self::Array(items) => {
                Value::Array(items.iter().map(Self::to_value).collect::<Option<_>>()?)
            }
            Self::Object(members) => {
                let mut map = serde_json::Map::new();
                for (key, value) in members {
                    map.insert(key.clone(), value.to_value()?);
                }
                Value::Object(map)
            }
        })
    }
}
