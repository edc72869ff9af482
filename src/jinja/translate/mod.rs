//! Jinja2 source → `minijinja` source, in one pass.
//!
//! A recursive descent over Jinja2's grammar (`jinja2/parser.py`) that writes the template again. An operation that
//! differs in `minijinja` becomes a filter whose name starts with two underscores: filters are found once per
//! template, and no variable can hide them. Text and tags are written between delimiters of control characters, with
//! white space control already applied.

mod expression;

use std::fmt::Write as _;

use self::expression::is_plain;
use super::lexer::{Token, tokenize};
use super::syntax_error;
use crate::python::exception::Exception;

/// The block, variable and comment delimiters that the translation writes and `minijinja` reads.
pub(super) const DELIMITERS: [(&str, &str); 3] =
    [("\x02%", "%\x03"), ("\x02{", "}\x03"), ("\x02#", "#\x03")];

type Result<T> = std::result::Result<T, Exception>;

/// Writes a Jinja2 template as a `minijinja` one.
///
/// # Errors
/// Where Jinja2 refuses to compile the template, and where it uses a feature that is not supported.
pub(super) fn translate(source: &str) -> Result<String> {
    let mut t = Translator {
        tokens: tokenize(source)?,
        ..Translator::default()
    };
    t.statements(&[])?;
    match t.unknown.first() {
        Some(name) => Err(Exception::new("TemplateAssertionError", name.clone())),
        None => Ok(t.out),
    }
}

/// A translated expression, and the shape that decides how the next part is written.
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
    /// Operands of `+`; where in the text its filter's name is.
    Sum(usize),
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
    /// `break` is inside a loop of the Python function that Jinja2 would make.
    in_loop: bool,
    /// A `break` or `continue` can leave the body of the innermost loop.
    jumps: bool,
    /// Unknown filters and tests where Jinja2 refuses them when it compiles.
    unknown: Vec<String>,
    blocks: Vec<String>,
}

const MAX_DEPTH: usize = 60;
/// The filters that `a + b` becomes, and that it becomes where it is only printed.
const ADD: &str = "__add";
const PRINTED_SUM: &str = "__printed_sum";

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

    fn expected(&self, what: &str) -> Exception {
        syntax_error(match self.peek() {
            Token::Eof => format!("unexpected end of template, expected '{what}'."),
            token => format!("expected token '{what}', got {token:?}"),
        })
    }

    fn nested<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Exception::unsupported("a template nested this deeply"));
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
                    let mut text = value.text;
                    if let Shape::Sum(at) = value.shape {
                        text.replace_range(at..at + ADD.len(), PRINTED_SUM);
                    }
                    self.print(&text);
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
                    return Err(syntax_error(format!(
                        "Unexpected end of template. Jinja was looking for '{ends}'."
                    )));
                }
                _ => return Err(syntax_error("internal parsing error")),
            }
        }
    }

    /// A tag's end, then its body up to one of `ends`.
    fn body(&mut self, ends: &[&str]) -> Result<()> {
        self.skip_op(":");
        self.expect(&Token::BlockEnd, "end of statement block")?;
        self.statements(ends)
    }

    /// A body whose assignments end with it, and its end.
    fn scoped_body(&mut self, end: &str) -> Result<()> {
        self.block("with __scope = 0");
        self.body(&[end])?;
        self.at += 1;
        self.block("endwith");
        Ok(())
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
            return Err(syntax_error("tag name expected"));
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
                self.jumps = true;
                self.block(&tag);
                Ok(())
            }
            "break" | "continue" => Err(Exception::new(
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
            _ => Err(syntax_error(format!("Encountered unknown tag '{tag}'."))),
        }
    }

    /// Translates a tag that loads another template: there is no loader, so Jinja2 raises when it runs the tag.
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
            return Err(Exception::new(
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
            _ = write!(tag, " if {}", test.text);
        }
        let recursive = self.skip_name("recursive");
        if recursive {
            tag += " recursive";
        }
        let start = self.out.len();
        self.block(&tag);
        let outer = std::mem::replace(&mut self.in_loop, true);
        let outer_jumps = std::mem::take(&mut self.jumps);
        self.body(&["endfor", "else"])?;
        let jumps = std::mem::replace(&mut self.jumps, outer_jumps);
        self.in_loop = outer && !recursive;
        match self.skip_name("else") {
            true if jumps && recursive => {
                return Err(Exception::unsupported("this form of a recursive loop"));
            }
            true if jumps => self.else_of_unfinished(start)?,
            true => {
                self.block("else");
                self.body(&["endfor"])?;
                self.block("endfor");
            }
            false => self.block("endfor"),
        }
        self.at += 1;
        self.in_loop = outer;
        Ok(())
    }

    /// Jinja2 runs the `else` of a loop unless the end of its body was reached, so also when every round was left by
    /// `break` or `continue`. The loop was written from byte `start` on.
    fn else_of_unfinished(&mut self, start: usize) -> Result<()> {
        let (open, close) = DELIMITERS[0];
        let flag = format!("{open} with __loop = (0|__flag) {close}");
        self.out.insert_str(start, &flag);
        self.block("set __loop.finished = true");
        self.block("endfor");
        self.block("if not __loop.finished");
        self.body(&["endfor"])?;
        self.block("endif");
        self.block("endwith");
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
        self.scoped_body("endset")?;
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
                return Err(Exception::unsupported("a tuple in a with block"));
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

    /// Reads `(a, b=1)`. Returns the signature, and the code that computes defaults that are not constants.
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
                    _ = write!(text, "={}", default.text);
                } else {
                    let (open, close) = DELIMITERS[0];
                    text += "=(0|__missing)";
                    _ = write!(
                        fill,
                        "{open} if {name}|__is_missing {close}{open} set {name} = {} {close}{open} endif {close}",
                        default.text
                    );
                }
            } else if has_default {
                return Err(syntax_error(
                    "non-default argument follows default argument",
                ));
            }
            if names.contains(&name) {
                return Err(Exception::new(
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
            Shape::Method => return Err(Exception::unsupported("a call block of a method")),
            _ => return Err(syntax_error("expected call")),
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
        self.scoped_body("endfilter")?;
        self.block("endfilter");
        Ok(())
    }

    fn named_block(&mut self) -> Result<()> {
        let name = self.expect_name()?;
        if self.blocks.contains(&name) {
            return Err(Exception::new(
                "TemplateAssertionError",
                format!("block '{name}' defined twice"),
            ));
        }
        self.blocks.push(name.clone());
        if self.skip_name("scoped") | self.skip_name("required") {
            return Err(Exception::unsupported("a scoped or required block"));
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
            return Err(syntax_error("can't assign to 'const'"));
        }
        if !is_plain(&name) || matches!(name.as_str(), "varargs" | "kwargs") {
            return Err(Exception::unsupported("assigning to a name like this"));
        }
        Ok(name)
    }

    /// The target of a `for` or a `set`, and whether it unpacks a value.
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
                return Err(syntax_error("can't assign to this"));
            }
            if !self.is_op(",") {
                break;
            }
            is_tuple = true;
        }
        match items.as_slice() {
            [] => Err(syntax_error("Expected an expression")),
            [only] if is_tuple => Ok((format!("{only},"), true)),
            items => Ok((items.join(", "), is_tuple)),
        }
    }
}
