//! Expressions: Jinja2's precedence, each operation whose meaning differs written as a filter of Python's semantics.

use std::fmt::Write as _;

use super::super::lexer::Token;
use super::{ADD, Code, Result, Shape, Translator};
use crate::jinja::builtins::{FILTERS, TESTS};
use crate::jinja::syntax_error;
use crate::python::exception::Exception;
use crate::python::methods::is_method_name;

impl Translator {
    pub(super) fn expression(&mut self) -> Result<Code> {
        self.nested(Self::conditional)
    }

    /// One expression, or a tuple without parentheses.
    pub(super) fn tuple(&mut self, conditional: bool, explicit: bool) -> Result<Code> {
        self.nested(|t| t.tuple_items(conditional, explicit, None))
    }

    pub(super) fn tuple_until(&mut self, end: &str) -> Result<Code> {
        self.nested(|t| t.tuple_items(false, false, Some(end)))
    }

    fn tuple_items(
        &mut self,
        conditional: bool,
        explicit: bool,
        end: Option<&str>,
    ) -> Result<Code> {
        let mut items: Vec<Code> = Vec::new();
        let mut is_tuple = false;
        loop {
            if !items.is_empty() {
                self.expect_op(",")?;
            }
            let ended = matches!(self.peek(), Token::VariableEnd | Token::BlockEnd);
            if ended || self.is_op(")") || end.is_some_and(|end| self.is_name(end)) {
                break;
            }
            items.push(if conditional {
                self.expression()?
            } else {
                self.nested(Self::or)?
            });
            if !self.is_op(",") {
                break;
            }
            is_tuple = true;
        }
        if !is_tuple {
            if let Some(only) = items.pop() {
                return Ok(only);
            }
            if !explicit {
                return Err(self.expected("an expression"));
            }
        }
        let mut text = "(".to_owned();
        for item in &items {
            text += &item.text;
            text += ", ";
        }
        Ok(Code::other(text + ")"))
    }

    fn conditional(&mut self) -> Result<Code> {
        let known = self.unknown.len();
        let mut value = self.or()?;
        while self.skip_name("if") {
            let test = self.or()?;
            let otherwise = if self.skip_name("else") {
                format!(" else {}", self.expression()?.text)
            } else {
                String::new()
            };
            value = Code::other(format!("({} if {}{otherwise})", value.text, test.text));
            self.unknown.truncate(known);
        }
        Ok(value)
    }

    /// `next (word next)*`, kept flat.
    fn words(&mut self, word: &str, next: fn(&mut Self) -> Result<Code>) -> Result<Code> {
        let first = next(self)?;
        if !self.is_name(word) {
            return Ok(first);
        }
        let mut text = format!("({}", first.text);
        while self.skip_name(word) {
            _ = write!(text, " {word} {}", next(self)?.text);
        }
        Ok(Code::other(text + ")"))
    }

    fn or(&mut self) -> Result<Code> {
        self.words("or", Self::and)
    }

    fn and(&mut self) -> Result<Code> {
        self.words("and", Self::not)
    }

    fn not(&mut self) -> Result<Code> {
        if self.skip_name("not") {
            let value = self.nested(Self::not)?;
            return Ok(Code::other(format!("(not {})", value.text)));
        }
        self.compare()
    }

    fn compare(&mut self) -> Result<Code> {
        let first = self.sum()?;
        let mut parts: Vec<String> = Vec::new();
        let mut left = first.text.clone();
        loop {
            let op = match self.peek() {
                Token::Op(op @ ("==" | "!=" | "<" | "<=" | ">" | ">=")) => *op,
                Token::Name(name) if name == "in" => "in",
                Token::Name(name)
                    if name == "not" && matches!(self.look(), Token::Name(n) if n == "in") =>
                {
                    "not in"
                }
                _ => break,
            };
            self.at += if op == "not in" { 2 } else { 1 };
            let right = self.sum()?.text;
            parts.push(match op {
                "==" => format!("({left}|__eq({right}))"),
                "!=" => format!("(not ({left}|__eq({right})))"),
                "<" => format!("({left}|__lt({right}))"),
                "<=" => format!("({left}|__le({right}))"),
                ">" => format!("({left}|__gt({right}))"),
                ">=" => format!("({left}|__ge({right}))"),
                "in" => format!("({left}|__in({right}))"),
                _ => format!("(not ({left}|__in({right})))"),
            });
            left = right;
        }
        Ok(match parts.len() {
            0 => first,
            1 => Code::other(parts.remove(0)),
            _ => Code::other(format!("({})", parts.join(" and "))),
        })
    }

    /// Left-associative operators; a run of one operator becomes one call.
    fn operators(
        &mut self,
        ops: &[(&str, &str)],
        next: fn(&mut Self) -> Result<Code>,
    ) -> Result<Code> {
        let mut value = next(self)?;
        let mut last = "";
        while let Some((op, name)) = ops.iter().find(|(op, _)| self.is_op(op)) {
            self.at += 1;
            let right = next(self)?.text;
            if last == *op {
                value.text.truncate(value.text.len() - 2);
                _ = write!(value.text, ", {right}))");
            } else {
                let at = value.text.len() + 2;
                value = Code::other(format!("({}|{name}({right}))", value.text));
                if *name == ADD {
                    value.shape = Shape::Sum(at);
                }
            }
            last = op;
        }
        Ok(value)
    }

    fn sum(&mut self) -> Result<Code> {
        self.operators(&[("+", ADD), ("-", "__sub")], Self::concat)
    }

    fn concat(&mut self) -> Result<Code> {
        self.operators(&[("~", "__concat")], Self::product)
    }

    fn product(&mut self) -> Result<Code> {
        let ops = [
            ("*", "__mul"),
            ("/", "__div"),
            ("//", "__floordiv"),
            ("%", "__mod"),
        ];
        self.operators(&ops, Self::power)
    }

    fn power(&mut self) -> Result<Code> {
        self.operators(&[("**", "__pow")], |t| t.unary(true))
    }

    fn unary(&mut self, with_filter: bool) -> Result<Code> {
        let start = self.at;
        let value = if self.skip_op("-") {
            let value = self.nested(|t| t.unary(false))?;
            Code::other(format!("({}|__neg)", value.text))
        } else if self.skip_op("+") {
            let value = self.nested(|t| t.unary(false))?;
            Code::other(format!("({}|__pos)", value.text))
        } else {
            self.primary()?
        };
        let value = self.postfix(value, start)?;
        if with_filter {
            self.filter_expression(value)
        } else {
            Ok(value)
        }
    }

    fn primary(&mut self) -> Result<Code> {
        match self.next() {
            Token::Name(name) => {
                let constant = match name.as_str() {
                    "true" | "True" => "true",
                    "false" | "False" => "false",
                    "none" | "None" => "none",
                    "self" if !self.is_block_call() => {
                        return Err(Exception::unsupported("self as a value"));
                    }
                    _ => {
                        if matches!(name.as_str(), "varargs" | "kwargs") {
                            return Err(Exception::unsupported("varargs and kwargs in macros"));
                        }
                        if !is_plain(&name) {
                            return Ok(Code::other(format!("({}|__variable)", quote(&name))));
                        }
                        return Ok(Code {
                            text: name,
                            shape: Shape::Name,
                        });
                    }
                };
                Ok(Code {
                    text: constant.to_owned(),
                    shape: Shape::Const,
                })
            }
            Token::Str(mut text) => {
                while let Token::Str(more) = self.peek() {
                    text += more;
                    self.at += 1;
                }
                Ok(Code {
                    text: quote(&text),
                    shape: Shape::Const,
                })
            }
            Token::Int(digits) => Ok(Code {
                text: digits,
                shape: Shape::Const,
            }),
            Token::Float(value) if value.is_finite() => Ok(Code {
                text: format!("{value:?}"),
                shape: Shape::Const,
            }),
            Token::Float(_) => Ok(Code::other("(\"inf\"|float)".to_owned())),
            Token::Op("(") => {
                let value = self.tuple(true, true)?;
                self.expect_op(")")?;
                Ok(Code::other(value.text))
            }
            Token::Op("[") => {
                let items = self.list("]")?;
                Ok(Code::other(format!("[{}]", items.join(", "))))
            }
            Token::Op("{") => self.dict(),
            _ => {
                self.at -= 1;
                Err(self.expected("an expression"))
            }
        }
    }

    /// Checks that `.name(` follows, which after `self` prints a block.
    fn is_block_call(&self) -> bool {
        let call = self.tokens.get(self.at + 2);
        self.is_op(".") && matches!(call, Some(Token::Op("(")))
    }

    fn list(&mut self, end: &'static str) -> Result<Vec<String>> {
        let mut items = Vec::new();
        while !self.is_op(end) {
            if !items.is_empty() {
                self.expect_op(",")?;
            }
            if self.is_op(end) {
                break;
            }
            items.push(self.expression()?.text);
        }
        self.expect_op(end)?;
        Ok(items)
    }

    fn dict(&mut self) -> Result<Code> {
        let mut items: Vec<(Code, String)> = Vec::new();
        while !self.is_op("}") {
            if !items.is_empty() {
                self.expect_op(",")?;
            }
            if self.is_op("}") {
                break;
            }
            let key = self.expression()?;
            self.expect_op(":")?;
            items.push((key, self.expression()?.text));
        }
        self.expect_op("}")?;
        let constant = items.iter().all(|(key, _)| key.shape == Shape::Const);
        let join = |between: &str| {
            let pairs = items
                .iter()
                .map(|(key, value)| format!("{}{between}{value}", key.text));
            pairs.collect::<Vec<_>>().join(", ")
        };
        Ok(Code::other(if constant {
            format!("{{{}}}", join(": "))
        } else {
            format!("([{}]|__dict)", join(", "))
        }))
    }

    /// Reads attributes, subscripts and calls after a value whose first token is at `start`.
    fn postfix(&mut self, mut value: Code, start: usize) -> Result<Code> {
        loop {
            if self.skip_op(".") {
                value = self.attribute(&value)?;
            } else if self.skip_op("[") {
                value = self.subscript(&value, start)?;
            } else if self.is_op("(") {
                value = self.call(&value)?;
            } else {
                return Ok(value);
            }
        }
    }

    fn attribute(&mut self, value: &Code) -> Result<Code> {
        let name = match self.next() {
            Token::Name(name) => name,
            Token::Int(digits) => {
                return Ok(Code::other(format!("({}|__item({digits}))", value.text)));
            }
            _ => return Err(syntax_error("expected name or number")),
        };
        if !name.is_ascii() {
            return Err(Exception::unsupported("a name outside ASCII"));
        }
        let of_loop = value.shape == Shape::Name && value.text == "loop";
        let special = !of_loop && (name.starts_with('_') || is_method_name(&name));
        if self.is_op("(") && !name.starts_with('_') {
            let args = self.arguments()?;
            let text = match special {
                true if args.is_empty() => format!("({}|__method(\"{name}\"))", value.text),
                true => format!("({}|__method(\"{name}\", {args}))", value.text),
                false => format!("{}.{name}({args})", value.text),
            };
            return Ok(Code {
                text,
                shape: if special { Shape::Method } else { Shape::Call },
            });
        }
        Ok(Code::other(if special {
            format!("({}|__attr(\"{name}\"))", value.text)
        } else {
            format!("{}.{name}", value.text)
        }))
    }

    fn subscript(&mut self, value: &Code, start: usize) -> Result<Code> {
        let index = self.subscribed(value, start)?;
        if self.is_op(",") {
            return Err(Exception::unsupported("a tuple as a subscript"));
        }
        self.expect_op("]")?;
        Ok(Code::other(index))
    }

    /// `value[index]` or `value[start:stop:step]`.
    fn subscribed(&mut self, value: &Code, start: usize) -> Result<String> {
        let mut parts = Vec::new();
        if self.is_op(":") {
            parts.push("none".to_owned());
        } else {
            let index = self.expression()?;
            if !self.is_op(":") {
                return Ok(format!("({}|__item({}))", value.text, index.text));
            }
            parts.push(index.text);
        }
        while parts.len() < 3 && self.skip_op(":") {
            let absent = self.is_op(":") || self.is_op("]") || self.is_op(",");
            parts.push(if absent {
                "none".to_owned()
            } else {
                self.expression()?.text
            });
        }
        parts.resize(3, "none".to_owned());
        let filter = if self.is_constant(start) {
            "__slice_constant"
        } else {
            "__slice"
        };
        Ok(format!("({}|{filter}({}))", value.text, parts.join(", ")))
    }

    /// Checks that the tokens from `start` on do not name a variable: Jinja2 may then have folded their value.
    fn is_constant(&self, start: usize) -> bool {
        let mut before = &Token::Eof;
        self.tokens[start..self.at].iter().all(|token| {
            let named = matches!(before, Token::Op("|" | ".")) || matches!(before, Token::Name(n) if n == "is");
            if !(named && matches!(token, Token::Name(name) if name == "not")) {
                before = token;
            }
            named || !matches!(token, Token::Name(name) if is_plain(name) && !CONSTANTS.contains(&name.as_str()))
        })
    }

    fn call(&mut self, callee: &Code) -> Result<Code> {
        let args = self.arguments()?;
        let text = match callee.shape {
            Shape::Name if callee.text == "loop" && !args.is_empty() => {
                format!("loop(({args})|__iter)")
            }
            Shape::Name => format!("{}({args})", callee.text),
            _ => format!("({})({args})", callee.text),
        };
        Ok(Code {
            text,
            shape: Shape::Call,
        })
    }

    /// Call arguments as written between parentheses.
    fn arguments(&mut self) -> Result<String> {
        let invalid = || syntax_error("invalid syntax for function call expression");
        self.expect_op("(")?;
        let (mut text, mut first) = (String::new(), true);
        let (mut named, mut splat, mut double_splat) = (false, false, false);
        while !self.is_op(")") {
            if !std::mem::take(&mut first) {
                self.expect_op(",")?;
                if self.is_op(")") {
                    break;
                }
                text += ", ";
            }
            if self.skip_op("*") {
                if splat || double_splat {
                    return Err(invalid());
                }
                splat = true;
                _ = write!(text, "*({}|__iter)", self.expression()?.text);
            } else if self.skip_op("**") {
                if double_splat {
                    return Err(invalid());
                }
                double_splat = true;
                _ = write!(text, "**({}|__mapping)", self.expression()?.text);
            } else if matches!(self.look(), Token::Op("=")) && matches!(self.peek(), Token::Name(_))
            {
                if double_splat {
                    return Err(invalid());
                }
                named = true;
                let name = self.expect_name()?;
                self.at += 1;
                _ = write!(text, "{name}={}", self.expression()?.text);
            } else {
                if named || splat || double_splat {
                    return Err(invalid());
                }
                text += &self.expression()?.text;
            }
        }
        self.expect_op(")")?;
        Ok(text)
    }

    fn filter_expression(&mut self, mut value: Code) -> Result<Code> {
        loop {
            if self.skip_op("|") {
                value = Code::other(format!("({}|{})", value.text, self.filter()?));
            } else if self.skip_name("is") {
                value = self.test(&value)?;
            } else if self.is_op("(") {
                value = self.call(&value)?;
            } else {
                return Ok(value);
            }
        }
    }

    fn dotted_name(&mut self) -> Result<String> {
        let mut name = self.expect_name()?;
        while self.skip_op(".") {
            name = format!("{name}.{}", self.expect_name()?);
        }
        Ok(name)
    }

    /// `name` or `name(args)` after a bar.
    pub(super) fn filter(&mut self) -> Result<String> {
        let name = self.dotted_name()?;
        let args = if self.is_op("(") {
            self.arguments()?
        } else {
            String::new()
        };
        if !FILTERS.contains(&name.as_str()) {
            self.unknown.push(format!("No filter named '{name}'."));
            return Ok(format!("__unknown({})", quote(&name)));
        }
        Ok(if args.is_empty() {
            name
        } else {
            format!("{name}({args})")
        })
    }

    /// `|name…`, none or more times.
    pub(super) fn filters(&mut self) -> Result<String> {
        let mut text = String::new();
        while self.skip_op("|") {
            _ = write!(text, "|{}", self.filter()?);
        }
        Ok(text)
    }

    fn test(&mut self, value: &Code) -> Result<Code> {
        let negated = self.skip_name("not");
        let name = self.dotted_name()?;
        let mut args = String::new();
        if self.is_op("(") {
            args = self.arguments()?;
        } else if self.is_name("is") {
            return Err(syntax_error("You cannot chain multiple tests with is"));
        } else if self.starts_test_argument() {
            let start = self.at;
            let argument = self.primary()?;
            args = self.postfix(argument, start)?.text;
        }
        let mut text = if TESTS.contains(&name.as_str()) {
            format!("({} is {name}({args}))", value.text)
        } else {
            self.unknown.push(format!("No test named '{name}'."));
            format!("({}|__unknown({}))", value.text, quote(&name))
        };
        if negated {
            text = format!("(not {text})");
        }
        Ok(Code::other(text))
    }

    fn starts_test_argument(&self) -> bool {
        match self.peek() {
            Token::Name(name) => !matches!(name.as_str(), "else" | "or" | "and"),
            Token::Str(_) | Token::Int(_) | Token::Float(_) | Token::Op("[" | "{") => true,
            _ => false,
        }
    }
}

/// Names that are constants.
const CONSTANTS: [&str; 6] = ["true", "True", "false", "False", "none", "None"];

/// Checks whether `minijinja` reads the name as a variable, and it is not one that the translation adds.
pub(super) fn is_plain(name: &str) -> bool {
    let keyword = matches!(name, "not" | "and" | "or" | "if" | "else" | "in" | "is");
    name.is_ascii() && !name.starts_with("__") && !keyword
}

/// A string literal that `minijinja` reads as `text`.
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out += "\\n",
            c if c.is_control() => _ = write!(out, "\\u{:04x}", c as u32),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
