//! Template source → tokens, as Jinja2 3.1 cuts it with `trim_blocks` and `lstrip_blocks` on.
//!
//! The rules are those of `jinja2/lexer.py`: `\r\n` and `\r` are newlines, the last newline of the template is dropped,
//! a `-` at a tag removes all white space on its side, a `+` turns trimming off.

use super::syntax_error;
use crate::python::exception::Exception;
use crate::python::text::is_space;

/// One token inside or between tags.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// Text outside tags.
    Data(String),
    /// `{%`
    BlockBegin,
    /// `%}`
    BlockEnd,
    /// `{{`
    VariableBegin,
    /// `}}`
    VariableEnd,
    /// A word, keywords included.
    Name(String),
    /// A string literal, unescaped.
    Str(String),
    /// An integer literal, in decimal digits.
    Int(String),
    /// A float literal.
    Float(f64),
    /// An operator or a bracket.
    Op(&'static str),
    /// The end of the template.
    Eof,
}

const OPERATORS: [&str; 26] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}",
    ">", "<", "=", ".", ":", "|", ",", ";",
];

type Result<T> = std::result::Result<T, Exception>;

/// The tokens of `source`, ended by [`Token::Eof`].
///
/// # Errors
/// Where Jinja2 raises `TemplateSyntaxError` while it reads: an unclosed comment or raw block, a stray character, an
/// unbalanced bracket, a bad escape.
pub(super) fn tokenize(source: &str) -> Result<Vec<Token>> {
    let mut source = source.replace("\r\n", "\n").replace('\r', "\n");
    if source.ends_with('\n') {
        source.pop();
    }
    let mut lexer = Lexer {
        source: &source,
        at: 0,
        tokens: Vec::new(),
        line_starting: true,
    };
    while lexer.root()? {}
    lexer.tokens.push(Token::Eof);
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    tokens: Vec<Token>,
    /// The last match ended with a newline, so a tag at `at` stands at the start of a line.
    line_starting: bool,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    /// Reads text up to the next tag, then that tag. Returns false at the end.
    fn root(&mut self) -> Result<bool> {
        let rest = self.rest();
        let Some(open) = find_tag(rest) else {
            self.data(rest);
            return Ok(false);
        };
        let text = &rest[..open];
        let tag = &rest[open..open + 2];
        let after = &rest[open + 2..];
        let sign = after.bytes().next().filter(|b| matches!(b, b'-' | b'+'));
        let text = match sign {
            Some(b'-') => text.trim_end_matches(is_space),
            None if tag != "{{" => self.without_indent(text),
            _ => text,
        };
        self.data(text);
        let raw = if tag == "{%" { raw_tag(after) } else { None };
        self.at += open + 2 + usize::from(sign.is_some());
        self.line_starting = false;
        match (tag, raw) {
            (_, Some(length)) => self.raw(open + 2 + length, rest)?,
            ("{#", _) => self.comment()?,
            ("{%", _) => self.tag(Token::BlockBegin)?,
            _ => self.tag(Token::VariableBegin)?,
        }
        Ok(true)
    }

    fn data(&mut self, text: &str) {
        if !text.is_empty() {
            self.tokens.push(Token::Data(text.to_owned()));
        }
    }

    /// `lstrip_blocks`: drops white space between the start of a line and a tag.
    fn without_indent<'t>(&self, text: &'t str) -> &'t str {
        let line = text.rfind('\n').map_or(0, |at| at + 1);
        let indent = &text[line..];
        if (line > 0 || self.line_starting) && !indent.is_empty() && indent.chars().all(is_space) {
            &text[..line]
        } else {
            text
        }
    }

    /// Skips `length` bytes, then the white space or the newline that belongs to the end of a tag.
    fn close(&mut self, length: usize, dash: bool, trim: bool) {
        let start = self.at;
        self.at += length;
        if dash {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start_matches(is_space).len();
        } else if trim && self.rest().starts_with('\n') {
            self.at += 1;
        }
        self.line_starting = self.source[start..self.at].ends_with('\n');
    }

    fn comment(&mut self) -> Result<()> {
        let rest = self.rest();
        let Some(end) = rest.find("#}") else {
            return Err(syntax_error("Missing end of comment tag"));
        };
        let sign = rest[..end].bytes().last();
        self.close(end + 2, sign == Some(b'-'), sign != Some(b'+'));
        Ok(())
    }

    fn raw(&mut self, skip: usize, from: &'a str) -> Result<()> {
        self.at = self.source.len() - from.len() + skip;
        self.line_starting = self.source[..self.at].ends_with('\n');
        let rest = self.rest();
        let mut search = 0;
        while let Some(found) = rest[search..].find("{%") {
            let open = search + found;
            let mut tail = &rest[open + 2..];
            let sign = tail.bytes().next().filter(|b| matches!(b, b'-' | b'+'));
            tail = &tail[usize::from(sign.is_some())..];
            tail = tail.trim_start_matches(is_space);
            search = open + 2;
            let Some(tail) = tail.strip_prefix("endraw") else {
                continue;
            };
            let tail = tail.trim_start_matches(is_space);
            let end_sign = tail.bytes().next().filter(|b| matches!(b, b'-' | b'+'));
            let Some(tail) = tail[usize::from(end_sign.is_some())..].strip_prefix("%}") else {
                continue;
            };
            let text = match sign {
                Some(b'-') => rest[..open].trim_end_matches(is_space),
                None => self.without_indent(&rest[..open]),
                _ => &rest[..open],
            };
            self.data(text);
            self.at = self.source.len() - tail.len();
            self.close(0, end_sign == Some(b'-'), end_sign != Some(b'+'));
            return Ok(());
        }
        Err(syntax_error("Missing end of raw directive"))
    }

    /// Reads one `{% … %}` or `{{ … }}` with its end. Inside brackets the characters of an end are operators.
    fn tag(&mut self, begin: Token) -> Result<()> {
        let block = begin == Token::BlockBegin;
        let end = if block { "%}" } else { "}}" };
        self.tokens.push(begin);
        let mut open: Vec<&'static str> = Vec::new();
        loop {
            let rest = self.rest();
            if open.is_empty() {
                let sign = rest.bytes().next();
                let signed = sign == Some(b'-') || (block && sign == Some(b'+'));
                if rest.starts_with(end) || (signed && rest[1..].starts_with(end)) {
                    self.close(
                        2 + usize::from(signed),
                        sign == Some(b'-'),
                        block && sign != Some(b'+'),
                    );
                    self.tokens.push(if block {
                        Token::BlockEnd
                    } else {
                        Token::VariableEnd
                    });
                    return Ok(());
                }
            }
            let Some(first) = rest.chars().next() else {
                return Ok(());
            };
            if is_space(first) {
                self.at += first.len_utf8();
                continue;
            }
            let (token, length) = literal(rest, self.source[..self.at].ends_with('.'))?;
            if let Token::Op(op) = token {
                balance(&mut open, op)?;
            }
            self.tokens.push(token);
            self.at += length;
        }
    }
}

/// The position of the next `{{`, `{%` or `{#`.
fn find_tag(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'{', bytes)
        .find(|&at| matches!(bytes.get(at + 1), Some(b'{' | b'%' | b'#')))
}

/// The length of `raw %}` and its white space, if `after`, the text after a `{%`, begins a raw block.
fn raw_tag(after: &str) -> Option<usize> {
    let name = after
        .strip_prefix(['-', '+'])
        .unwrap_or(after)
        .trim_start_matches(is_space)
        .strip_prefix("raw")?;
    let end = name.trim_start_matches(is_space);
    let rest = match end.strip_prefix("-%}") {
        Some(rest) => rest.trim_start_matches(is_space),
        None => end.strip_prefix("%}")?,
    };
    Some(after.len() - rest.len())
}

fn balance(open: &mut Vec<&'static str>, op: &'static str) -> Result<()> {
    match op {
        "{" => open.push("}"),
        "(" => open.push(")"),
        "[" => open.push("]"),
        "}" | ")" | "]" => match open.pop() {
            None => return Err(syntax_error(format!("unexpected '{op}'"))),
            Some(expected) if expected != op => {
                return Err(syntax_error(format!(
                    "unexpected '{op}', expected '{expected}'"
                )));
            }
            Some(_) => {}
        },
        _ => {}
    }
    Ok(())
}

/// The token at the start of `rest`, in Jinja2's order: float, integer, name, string, operator.
fn literal(rest: &str, after_dot: bool) -> Result<(Token, usize)> {
    if let Some(length) = float_length(rest).filter(|_| !after_dot) {
        let digits = rest[..length].replace('_', "");
        let value = digits.parse().map_err(|_| syntax_error("invalid number"))?;
        return Ok((Token::Float(value), length));
    }
    if let Some((digits, length)) = integer(rest)? {
        return Ok((Token::Int(digits), length));
    }
    let first = rest.chars().next().unwrap_or_default();
    if first == '_' || first.is_alphabetic() {
        let length = rest
            .find(|c: char| c != '_' && !c.is_alphanumeric())
            .unwrap_or(rest.len());
        return Ok((Token::Name(rest[..length].to_owned()), length));
    }
    if (first == '\'' || first == '"')
        && let Some(length) = string_length(rest, first)
    {
        return Ok((Token::Str(unescape(&rest[1..length - 1])?), length));
    }
    match OPERATORS.into_iter().find(|op| rest.starts_with(op)) {
        Some(op) => Ok((Token::Op(op), op.len())),
        None => Err(syntax_error(format!("unexpected char {first:?}"))),
    }
}

/// Bytes of `digits(_digits)*` at the start.
fn digits_length(text: &str, digit: fn(u8) -> bool) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let next = if bytes[at] == b'_' && at > 0 {
            at + 1
        } else {
            at
        };
        match bytes.get(next) {
            Some(&b) if digit(b) => at = next + 1,
            _ => break,
        }
    }
    at
}

fn decimal(b: u8) -> bool {
    b.is_ascii_digit()
}

fn float_length(rest: &str) -> Option<usize> {
    let whole = Some(digits_length(rest, decimal)).filter(|&n| n > 0)?;
    let fraction = match rest[whole..].strip_prefix('.') {
        Some(tail) => Some(digits_length(tail, decimal))
            .filter(|&n| n > 0)
            .map_or(0, |n| n + 1),
        None => 0,
    };
    let exponent = match rest[whole + fraction..].strip_prefix(['e', 'E']) {
        Some(tail) => {
            let sign = usize::from(tail.starts_with(['+', '-']));
            Some(digits_length(&tail[sign..], decimal))
                .filter(|&n| n > 0)
                .map_or(0, |n| n + sign + 1)
        }
        None => 0,
    };
    (fraction + exponent > 0).then_some(whole + fraction + exponent)
}

fn integer(rest: &str) -> Result<Option<(String, usize)>> {
    let radix = match rest.as_bytes() {
        [b'0', b'b' | b'B', ..] => 2,
        [b'0', b'o' | b'O', ..] => 8,
        [b'0', b'x' | b'X', ..] => 16,
        _ => 10,
    };
    if radix != 10 {
        let body = rest[2..].strip_prefix('_').unwrap_or(&rest[2..]);
        let digit = match radix {
            2 => |b: u8| matches!(b, b'0' | b'1'),
            8 => |b: u8| matches!(b, b'0'..=b'7'),
            _ => |b: u8| b.is_ascii_hexdigit(),
        };
        let length = digits_length(body, digit);
        if length > 0 {
            let value = u128::from_str_radix(&body[..length].replace('_', ""), radix)
                .map_err(|_| Exception::unsupported("an integer literal of more than 128 bits"))?;
            return Ok(Some((value.to_string(), rest.len() - body.len() + length)));
        }
    }
    let zero: fn(u8) -> bool = |b| b == b'0';
    let length = digits_length(rest, if rest.starts_with('0') { zero } else { decimal });
    Ok((length > 0).then(|| (rest[..length].replace('_', ""), length)))
}

fn string_length(rest: &str, quote: char) -> Option<usize> {
    let bytes = rest.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1 + rest[at + 1..].chars().next()?.len_utf8(),
            b if b == quote as u8 => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

/// Decodes Python's `unicode-escape`, with which Jinja2 reads string literals.
fn unescape(text: &str) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('\n') => {}
            Some(c @ ('\\' | '\'' | '"')) => out.push(c),
            Some('a') => out.push('\x07'),
            Some('b') => out.push('\x08'),
            Some('f') => out.push('\x0c'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('v') => out.push('\x0b'),
            Some(kind @ ('x' | 'u' | 'U')) => {
                let length = [2, 4, 8][usize::from(kind == 'u') + 2 * usize::from(kind == 'U')];
                let digits: String = chars.by_ref().take(length).collect();
                let code = Some(&digits)
                    .filter(|d| d.len() == length && d.bytes().all(|b| b.is_ascii_hexdigit()))
                    .and_then(|d| u32::from_str_radix(d, 16).ok())
                    .filter(|&code| code <= 0x0010_ffff)
                    .ok_or_else(|| syntax_error("truncated or illegal escape"))?;
                out.push(
                    char::from_u32(code)
                        .ok_or_else(|| Exception::unsupported("a lone surrogate"))?,
                );
            }
            Some(first @ '0'..='7') => {
                let mut code = first as u32 - 48;
                for _ in 0..2 {
                    let mut ahead = chars.clone();
                    let Some(digit @ '0'..='7') = ahead.next() else {
                        break;
                    };
                    code = code * 8 + (digit as u32 - 48);
                    chars = ahead;
                }
                out.extend(char::from_u32(code));
            }
            Some('N') => return Err(Exception::unsupported("a named character escape")),
            Some(c) => {
                out.push('\\');
                out.push(c);
            }
            None => return Err(syntax_error("\\ at end of string")),
        }
    }
    Ok(out)
}
