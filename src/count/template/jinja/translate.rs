//! Jinja2 source → `minijinja` source, in one pass.
//!
//! A recursive descent over Jinja2's grammar (`jinja2/parser.py`) that writes what it reads. An operation that means
//! something else in `minijinja` becomes a filter whose name starts with two underscores: filters are found once per
//! template, and no variable can hide them. Text and tags are written between delimiters of control characters, with
//! white space control already applied.

use super::lexer::{Token, tokenize};
use crate::count::template::python;

/// How tags are written, and what `minijinja` must be told to read: block, variable and comment delimiters.
pub const DELIMITERS: [(&str, &str); 3] =
    [("\x02%", "%\x03"), ("\x02{", "}\x03"), ("\x02#", "#\x03")];

/// A template that does not compile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// The Python exception's type.
    pub kind: &'static str,
    /// What is wrong.
    pub message: String,
    /// Jinja2 would take this template; it is us who cannot.
    pub unsupported: bool,
}

impl SyntaxError {
    /// A `TemplateSyntaxError`.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            kind: "TemplateSyntaxError",
            message: message.into(),
            unsupported: false,
        }
    }

    /// Something Jinja2 can do that is not done here.
    pub fn unsupported(what: &str) -> Self {
        Self {
            kind: "Unsupported",
            message: format!("{what} is not supported"),
            unsupported: true,
        }
    }

    fn kind(kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            unsupported: false,
        }
    }
}

type Result<T> = std::result::Result<T, SyntaxError>;

/// Writes a Jinja2 template as a `minijinja` one.
///
/// # Errors
/// Where Jinja2 refuses to compile the template, and where it uses what is not supported here.
pub fn translate(source: &str) -> Result<String> {
    let mut t = Translator {
        tokens: tokenize(source)?,
        ..Translator::default()
    };
    t.statements(&[])?;
    match t.unknown.first() {
        Some(name) => Err(SyntaxError::kind("TemplateAssertionError", name.clone())),
        None => Ok(t.out),
    }
}

/// A written expression, and what of its shape matters to what follows.
struct Code {
    text: String,
    shape: Shape,
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum Shape {
    Name,
    Const,
    Call,
    /// A call written as a filter.
    Method,
    Other,
}

impl Code {
    fn other(text: String) -> Self {
        Self {
            text,
            shape: Shape::Other,
        }
    }
}

#[derive(Default)]
struct Translator {
    tokens: Vec<Token>,
    at: usize,
    out: String,
    /// Nesting of expressions and statements, bounded so that a hostile template cannot exhaust the stack.
    depth: usize,
    /// Whether `break` is inside a loop of the Python function that Jinja2 would make.
    in_loop: bool,
    /// Unknown filters and tests where Jinja2 refuses them when it compiles.
    unknown: Vec<String>,
    blocks: Vec<String>,
}

const MAX_DEPTH: usize = 60;

impl Translator {
    // -- tokens

    fn peek(&self) -> &Token {
        self.tokens.get(self.at).unwrap_or(&Token::Eof)
    }

    fn look(&self) -> &Token {
        self.tokens.get(self.at + 1).unwrap_or(&Token::Eof)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at = (self.at + 1).min(self.tokens.len());
        token
    }

    fn is_op(&self, op: &str) -> bool {
        matches!(self.peek(), Token::Op(o) if *o == op)
    }

    fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Token::Name(n) if n == name)
    }

    fn skip_op(&mut self, op: &str) -> bool {
        let found = self.is_op(op);
        self.at += usize::from(found);
        found
    }

    fn skip_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        self.at += usize::from(found);
        found
    }

    fn expect_op(&mut self, op: &'static str) -> Result<()> {
        if self.skip_op(op) {
            Ok(())
        } else {
            Err(self.expected(op))
        }
    }

    fn expect_name(&mut self) -> Result<String> {
        if let Token::Name(name) = self.next() {
            Ok(name)
        } else {
            self.at -= 1;
            Err(self.expected("name"))
        }
    }

    fn expect(&mut self, token: &Token, what: &str) -> Result<()> {
        if self.peek() == token {
            self.at += 1;
            return Ok(());
        }
        Err(self.expected(what))
    }

    fn expected(&self, what: &str) -> SyntaxError {
        SyntaxError::new(match self.peek() {
            Token::Eof => format!("unexpected end of template, expected '{what}'."),
            token => format!("expected token '{what}', got {token:?}"),
        })
    }

    fn nested<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(SyntaxError::unsupported("a template nested this deeply"));
        }
        let result = f(self);
        self.depth -= 1;
        result
    }

    // -- output

    fn block(&mut self, text: &str) {
        let (open, close) = DELIMITERS[0];
        self.out.extend([open, " ", text, " ", close]);
    }

    fn print(&mut self, text: &str) {
        let (open, close) = DELIMITERS[1];
        self.out.extend([open, " ", text, " ", close]);
    }

    fn data(&mut self, text: &str) {
        for (i, part) in text.split('\x02').enumerate() {
            if i > 0 {
                self.print(r#""\u0002""#);
            }
            self.out.push_str(part);
        }
    }

    // -- statements

    /// Everything up to a tag whose name is one of `ends`; that tag's name, still to be taken. All, when there are none.
    fn statements(&mut self, ends: &[&str]) -> Result<()> {
        loop {
            match self.next() {
                Token::Data(text) => self.data(&text),
                Token::VariableBegin => {
                    let value = self.tuple(true, false)?;
                    self.expect(&Token::VariableEnd, "end of print statement")?;
                    self.print(&value.text);
                }
                Token::BlockBegin => {
                    if let Token::Name(name) = self.peek()
                        && ends.contains(&name.as_str())
                    {
                        return Ok(());
                    }
                    self.nested(Self::statement)?;
                    self.expect(&Token::BlockEnd, "end of statement block")?;
                }
                Token::Eof if ends.is_empty() => return Ok(()),
                Token::Eof => {
                    let ends = ends.join("' or '");
                    return Err(SyntaxError::new(format!(
                        "Unexpected end of template. Jinja was looking for '{ends}'."
                    )));
                }
                _ => return Err(SyntaxError::new("internal parsing error")),
            }
        }
    }

    /// A tag's end, then its body up to one of `ends`.
    fn body(&mut self, ends: &[&str]) -> Result<()> {
        self.skip_op(":");
        self.expect(&Token::BlockEnd, "end of statement block")?;
        self.statements(ends)
    }

    /// A body that is a Python function of its own: no `break` reaches out of it.
    fn function_body(&mut self, ends: &[&str]) -> Result<()> {
        let outer = std::mem::take(&mut self.in_loop);
        self.body(ends)?;
        self.in_loop = outer;
        self.at += 1;
        Ok(())
    }

    fn statement(&mut self) -> Result<()> {
        let Token::Name(tag) = self.next() else {
            return Err(SyntaxError::new("tag name expected"));
        };
        match tag.as_str() {
            "for" => self.for_loop(),
            "if" => self.if_else(),
            "set" => self.set(),
            "with" => self.with(),
            "macro" => self.macro_definition(),
            "call" => self.call_block(),
            "filter" => self.filter_block(),
            "block" => self.named_block(),
            "generation" => {
                self.block("with __generation = 0");
                self.function_body(&["endgeneration"])?;
                self.block("endwith");
                Ok(())
            }
            "print" => {
                let mut first = true;
                while *self.peek() != Token::BlockEnd {
                    if !std::mem::take(&mut first) {
                        self.expect_op(",")?;
                    }
                    let value = self.expression()?;
                    self.print(&value.text);
                }
                Ok(())
            }
            "break" | "continue" if self.in_loop => {
                self.block(&tag);
                Ok(())
            }
            "break" | "continue" => Err(SyntaxError::kind(
                "SyntaxError",
                format!("'{tag}' outside loop"),
            )),
            "autoescape" => {
                let on = self.expression()?;
                self.block(&format!("with __autoescape = ({}|__autoescape)", on.text));
                self.body(&["endautoescape"])?;
                self.at += 1;
                self.block("endwith");
                Ok(())
            }
            "include" | "import" | "extends" | "from" => self.no_loader(&tag),
            _ => Err(SyntaxError::new(format!(
                "Encountered unknown tag '{tag}'."
            ))),
        }
    }

    /// Templates of other files: there is no loader, so Jinja2 raises when it gets there.
    fn no_loader(&mut self, tag: &str) -> Result<()> {
        let name = self.expression()?;
        while *self.peek() != Token::BlockEnd && *self.peek() != Token::Eof {
            self.at += 1;
        }
        self.print(&format!("({}|__no_loader(\"{tag}\"))", name.text));
        Ok(())
    }

    fn for_loop(&mut self) -> Result<()> {
        let (target, is_tuple) = self.target(false)?;
        if target.split(", ").any(|name| name == "loop") {
            return Err(SyntaxError::kind(
                "TemplateAssertionError",
                "Can't assign to special loop variable in for-loop target",
            ));
        }
        if !self.skip_name("in") {
            return Err(self.expected("in"));
        }
        let iter = self.tuple_until("recursive")?;
        let mut tag = format!(
            "for {target} in ({}|{})",
            iter.text,
            if is_tuple { "__rows" } else { "__iter" }
        );
        if self.skip_name("if") {
            let test = self.expression()?;
            tag += &format!(" if {}", test.text);
        }
        let recursive = self.skip_name("recursive");
        if recursive {
            tag += " recursive";
        }
        self.block(&tag);
        let outer = std::mem::replace(&mut self.in_loop, true);
        self.body(&["endfor", "else"])?;
        self.in_loop = outer && !recursive;
        if self.skip_name("else") {
            self.block("else");
            self.body(&["endfor"])?;
        }
        self.at += 1;
        self.in_loop = outer;
        self.block("endfor");
        Ok(())
    }

    fn if_else(&mut self) -> Result<()> {
        let known = self.unknown.len();
        let mut tag = "if";
        loop {
            let test = self.tuple(false, false)?;
            self.block(&format!("{tag} {}", test.text));
            self.body(&["elif", "else", "endif"])?;
            if !self.skip_name("elif") {
                break;
            }
            tag = "elif";
        }
        if self.skip_name("else") {
            self.block("else");
            self.body(&["endif"])?;
        }
        self.at += 1;
        self.block("endif");
        self.unknown.truncate(known);
        Ok(())
    }

    fn set(&mut self) -> Result<()> {
        let (target, is_tuple) = self.target(true)?;
        if self.skip_op("=") {
            let value = self.tuple(true, false)?;
            let row = if is_tuple { "|__row" } else { "" };
            self.block(&format!("set {target} = {}{row}", value.text));
            return Ok(());
        }
        let filters = self.filters()?;
        self.block(&format!("set {target}{filters}"));
        self.body(&["endset"])?;
        self.at += 1;
        self.block("endset");
        Ok(())
    }

    /// Values are all evaluated before any name is bound.
    fn with(&mut self) -> Result<()> {
        let mut names = Vec::new();
        let mut values = String::new();
        while *self.peek() != Token::BlockEnd {
            if !names.is_empty() {
                self.expect_op(",")?;
            }
            let (target, is_tuple) = self.target(false)?;
            if is_tuple {
                return Err(SyntaxError::unsupported("a tuple in a with block"));
            }
            self.expect_op("=")?;
            values += &self.expression()?.text;
            values += ", ";
            names.push(target);
        }
        self.block(&format!("with __with = ({values})"));
        for (i, name) in names.iter().enumerate() {
            self.block(&format!("set {name} = __with[{i}]"));
        }
        self.body(&["endwith"])?;
        self.at += 1;
        self.block("endwith");
        Ok(())
    }

    /// `(a, b=1)`: the signature as written, and what fills in defaults that are not constants.
    fn signature(&mut self) -> Result<(String, String)> {
        let (mut names, mut text, mut fill) = (Vec::new(), String::new(), String::new());
        let mut has_default = false;
        self.expect_op("(")?;
        while !self.is_op(")") {
            if !names.is_empty() {
                self.expect_op(",")?;
                text += ", ";
            }
            let name = self.assignable()?;
            text += &name;
            if self.skip_op("=") {
                has_default = true;
                let default = self.expression()?;
                if default.shape == Shape::Const {
                    text += &format!("={}", default.text);
                } else {
                    let (open, close) = DELIMITERS[0];
                    text += "=(0|__missing)";
                    fill += &format!(
                        "{open} if {name}|__is_missing {close}{open} set {name} = {} {close}{open} endif {close}",
                        default.text
                    );
                }
            } else if has_default {
                return Err(SyntaxError::new(
                    "non-default argument follows default argument",
                ));
            }
            if names.contains(&name) {
                return Err(SyntaxError::kind(
                    "SyntaxError",
                    format!("duplicate argument '{name}' in function definition"),
                ));
            }
            names.push(name);
        }
        self.expect_op(")")?;
        Ok((text, fill))
    }

    fn macro_definition(&mut self) -> Result<()> {
        let name = self.assignable()?;
        let (signature, fill) = self.signature()?;
        self.block(&format!("macro {name}({signature})"));
        self.out += &fill;
        self.function_body(&["endmacro"])?;
        self.block("endmacro");
        Ok(())
    }

    fn call_block(&mut self) -> Result<()> {
        let (signature, fill) = if self.is_op("(") {
            self.signature()?
        } else {
            (String::new(), String::new())
        };
        let call = self.expression()?;
        match call.shape {
            Shape::Call => {}
            Shape::Method => return Err(SyntaxError::unsupported("a call block of a method")),
            _ => return Err(SyntaxError::new("expected call")),
        }
        self.block(&format!("call({signature}) {}", call.text));
        self.out += &fill;
        self.function_body(&["endcall"])?;
        self.block("endcall");
        Ok(())
    }

    fn filter_block(&mut self) -> Result<()> {
        let first = self.filter()?;
        let rest = self.filters()?;
        self.block(&format!("filter {first}{rest}"));
        self.body(&["endfilter"])?;
        self.at += 1;
        self.block("endfilter");
        Ok(())
    }

    fn named_block(&mut self) -> Result<()> {
        let name = self.expect_name()?;
        if self.blocks.contains(&name) {
            return Err(SyntaxError::kind(
                "TemplateAssertionError",
                format!("block '{name}' defined twice"),
            ));
        }
        self.blocks.push(name.clone());
        if self.skip_name("scoped") | self.skip_name("required") {
            return Err(SyntaxError::unsupported("a scoped or required block"));
        }
        self.block(&format!("block {name}"));
        let outer = std::mem::take(&mut self.in_loop);
        self.body(&["endblock"])?;
        self.in_loop = outer;
        self.at += 1;
        self.skip_name(&name);
        self.block("endblock");
        Ok(())
    }

    // -- targets

    /// A name that may be assigned to.
    fn assignable(&mut self) -> Result<String> {
        let name = self.expect_name()?;
        if matches!(
            name.as_str(),
            "true" | "false" | "none" | "True" | "False" | "None"
        ) {
            return Err(SyntaxError::new("can't assign to 'const'"));
        }
        variable(&name)?;
        Ok(name)
    }

    /// What a `for` or a `set` assigns to, and whether it takes a value apart.
    fn target(&mut self, namespaces: bool) -> Result<(String, bool)> {
        self.nested(|t| t.target_list(namespaces))
    }

    fn target_list(&mut self, namespaces: bool) -> Result<(String, bool)> {
        let (mut items, mut is_tuple) = (Vec::new(), false);
        loop {
            if !items.is_empty() {
                self.expect_op(",")?;
            }
            if matches!(self.peek(), Token::BlockEnd)
                || self.is_op(")")
                || (!namespaces && self.is_name("in"))
            {
                break;
            }
            if self.skip_op("(") {
                let (inner, _) = self.target(false)?;
                self.expect_op(")")?;
                items.push(format!("({inner})"));
            } else if matches!(self.peek(), Token::Name(_)) {
                let mut name = self.assignable()?;
                if namespaces && self.skip_op(".") {
                    name = format!("{name}.{}", self.expect_name()?);
                }
                items.push(name);
            } else {
                return Err(SyntaxError::new("can't assign to this"));
            }
            if !self.is_op(",") {
                break;
            }
            is_tuple = true;
        }
        match items.as_slice() {
            [] => Err(SyntaxError::new("Expected an expression")),
            [only] if is_tuple => Ok((format!("{only},"), true)),
            items => Ok((items.join(", "), is_tuple)),
        }
    }

    // -- expressions

    fn expression(&mut self) -> Result<Code> {
        self.nested(Self::conditional)
    }

    /// One expression, or a tuple without parentheses.
    fn tuple(&mut self, conditional: bool, explicit: bool) -> Result<Code> {
        self.nested(|t| t.tuple_items(conditional, explicit, None))
    }

    fn tuple_until(&mut self, end: &str) -> Result<Code> {
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
            text += &format!(" {word} {}", next(self)?.text);
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
                "==" | "!=" => format!("({left} {op} {right})"),
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
                value.text += &format!(", {right}))");
            } else {
                value = Code::other(format!("({}|{name}({right}))", value.text));
            }
            last = op;
        }
        Ok(value)
    }

    fn sum(&mut self) -> Result<Code> {
        self.operators(&[("+", "__add"), ("-", "__sub")], Self::concat)
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
        let value = if self.skip_op("-") {
            let value = self.nested(|t| t.unary(false))?;
            Code::other(format!("({}|__neg)", value.text))
        } else if self.skip_op("+") {
            let value = self.nested(|t| t.unary(false))?;
            Code::other(format!("({}|__pos)", value.text))
        } else {
            self.primary()?
        };
        let value = self.postfix(value)?;
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
                    "self" if !self.is_op(".") => {
                        return Err(SyntaxError::unsupported("self as a value"));
                    }
                    _ => {
                        variable(&name)?;
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

    fn postfix(&mut self, mut value: Code) -> Result<Code> {
        loop {
            if self.skip_op(".") {
                value = self.attribute(&value)?;
            } else if self.skip_op("[") {
                value = self.subscript(&value)?;
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
            _ => return Err(SyntaxError::new("expected name or number")),
        };
        if !name.is_ascii() {
            return Err(SyntaxError::unsupported("a name outside ASCII"));
        }
        let of_loop = value.shape == Shape::Name && value.text == "loop";
        let special = !of_loop && (name.starts_with('_') || python::is_method_name(&name));
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

    fn subscript(&mut self, value: &Code) -> Result<Code> {
        let index = self.subscribed(value)?;
        if self.is_op(",") {
            return Err(SyntaxError::unsupported("a tuple as a subscript"));
        }
        self.expect_op("]")?;
        Ok(Code::other(index))
    }

    /// `value[index]` or `value[start:stop:step]`.
    fn subscribed(&mut self, value: &Code) -> Result<String> {
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
        if value.shape == Shape::Const && !value.text.starts_with('"') {
            // Jinja2 folds this constant, and folding swallows the TypeError.
            return Ok("(0|__undefined)".to_owned());
        }
        Ok(format!("({}|__slice({}))", value.text, parts.join(", ")))
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
        let invalid = || SyntaxError::new("invalid syntax for function call expression");
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
                text += &format!("*({}|__iter)", self.expression()?.text);
            } else if self.skip_op("**") {
                if double_splat {
                    return Err(invalid());
                }
                double_splat = true;
                text += &format!("**({}|__mapping)", self.expression()?.text);
            } else if matches!(self.look(), Token::Op("=")) && matches!(self.peek(), Token::Name(_))
            {
                if double_splat {
                    return Err(invalid());
                }
                named = true;
                let name = self.expect_name()?;
                self.at += 1;
                text += &format!("{name}={}", self.expression()?.text);
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
    fn filter(&mut self) -> Result<String> {
        let name = self.dotted_name()?;
        let args = if self.is_op("(") {
            self.arguments()?
        } else {
            String::new()
        };
        if !python::FILTERS.contains(&name.as_str()) {
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
    fn filters(&mut self) -> Result<String> {
        let mut text = String::new();
        while self.skip_op("|") {
            text += &format!("|{}", self.filter()?);
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
            return Err(SyntaxError::new("You cannot chain multiple tests with is"));
        } else if self.starts_test_argument() {
            let argument = self.primary()?;
            args = self.postfix(argument)?.text;
        }
        let mut text = if python::TESTS.contains(&name.as_str()) {
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

/// Refuses names that are ours or that `minijinja` cannot read.
fn variable(name: &str) -> Result<()> {
    match name {
        "varargs" | "kwargs" => Err(SyntaxError::unsupported("varargs and kwargs in macros")),
        _ if name.starts_with("__") => Err(SyntaxError::unsupported(
            "a variable that starts with two underscores",
        )),
        _ if !name.is_ascii() => Err(SyntaxError::unsupported("a name outside ASCII")),
        _ => Ok(()),
    }
}

/// A string literal that `minijinja` reads as `text`.
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out += "\\n",
            c if c.is_control() => out += &format!("\\u{:04x}", c as u32),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
