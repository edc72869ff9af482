//! `str.format`.

use minijinja::{Error, Value};

use super::access::{attribute, item};
use super::arguments::split;
use super::exception::{exception, unsupported};
use super::format_spec::{format_value, value_error};
use super::limits::fits;
use super::repr;

/// `template.format(args)`, as the sandbox runs it.
///
/// # Errors
/// `IndexError`, `KeyError` for a missing value, `ValueError` for a bad template.
pub(super) fn format(template: &str, args: &[Value]) -> Result<String, Error> {
    let mut fields = Fields {
        args,
        next: 0,
        is_given: None,
    };
    fields.format(template, 3)
}

/// The numbering of fields, which is either automatic or given, not both.
struct Fields<'a> {
    args: &'a [Value],
    next: usize,
    is_given: Option<bool>,
}

impl Fields<'_> {
    /// Formats a template. The specification of a field is a template too, one level deeper.
    fn format(&mut self, template: &str, depth: usize) -> Result<String, Error> {
        if depth == 0 {
            return Err(value_error("Max string recursion exceeded"));
        }
        let (mut out, mut rest) = (String::new(), template);
        while let Some(at) = rest.find(['{', '}']) {
            out.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(tail) = rest.strip_prefix(brace) {
                out.push_str(brace);
                rest = tail;
                continue;
            }
            if brace == "}" {
                return Err(value_error("Single '}' encountered in format string"));
            }
            let mut open = 1;
            let end = rest.find(|c| {
                open += i32::from(c == '{') - i32::from(c == '}');
                open == 0
            });
            let end = end.ok_or_else(|| value_error("expected '}' before end of string"))?;
            out.push_str(&self.field(&rest[..end], depth)?);
            fits(out.len())?;
            rest = &rest[end + 1..];
        }
        out.push_str(rest);
        Ok(out)
    }

    /// Formats one field: a name, `!` and a conversion, `:` and a specification.
    fn field(&mut self, field: &str, depth: usize) -> Result<String, Error> {
        let bracket = field.find('[').map_or(0, |open| {
            field[open..].find(']').map_or(0, |close| open + close)
        });
        let colon = field[bracket..].find([':', '!']).map(|at| at + bracket);
        let (name, tail) = colon.map_or((field, ""), |at| field.split_at(at));
        let (conversion, spec) = match tail.strip_prefix('!') {
            Some(tail) => {
                let kind = tail
                    .chars()
                    .next()
                    .ok_or_else(|| value_error("unmatched '{' in format spec"))?;
                (Some(kind), &tail[kind.len_utf8()..])
            }
            None => (None, tail),
        };
        let mut value = self.lookup(name)?;
        match conversion {
            None => {}
            Some('s') => value = Value::from(repr::str(&value)?),
            Some('r') => {
                let mut text = String::new();
                repr::repr(&value, &mut text, 0)?;
                value = Value::from(text);
            }
            Some(_) => return Err(unsupported("this conversion")),
        }
        let spec = self.format(spec.strip_prefix(':').unwrap_or(""), depth - 1)?;
        format_value(&value, &spec)
    }

    /// The value of a field's name: an argument, then its attributes and items.
    fn lookup(&mut self, name: &str) -> Result<Value, Error> {
        let first_end = name.find(['.', '[']).unwrap_or(name.len());
        let (first, mut rest) = name.split_at(first_end);
        let mut value = self.argument(first)?;
        while !rest.is_empty() {
            if let Some(tail) = rest.strip_prefix('.') {
                let end = tail.find(['.', '[']).unwrap_or(tail.len());
                value = attribute(&value, &tail[..end])?;
                rest = &tail[end..];
            } else if let Some(tail) = rest.strip_prefix('[') {
                let (key, tail) = tail
                    .split_once(']')
                    .ok_or_else(|| value_error("Missing ']' in format string"))?;
                let key = key
                    .parse::<i64>()
                    .map_or_else(|_| Value::from(key), Value::from);
                value = item(&value, &key)?;
                rest = tail;
            } else {
                return Err(value_error(
                    "Only '.' or '[' may follow ']' in format field specifier",
                ));
            }
        }
        Ok(value)
    }

    fn argument(&mut self, name: &str) -> Result<Value, Error> {
        let (positional, keywords) = split(self.args);
        if !name.bytes().all(|b| b.is_ascii_digit()) {
            return keywords
                .filter(|keywords| keywords.has(name))
                .and_then(|keywords| keywords.peek(name).ok())
                .ok_or_else(|| exception("KeyError", name));
        }
        let given = !name.is_empty();
        if *self.is_given.get_or_insert(given) != given {
            return Err(value_error(
                "cannot switch between automatic and manual field numbering",
            ));
        }
        let index = if given {
            name.parse().unwrap_or(usize::MAX)
        } else {
            self.next
        };
        self.next += usize::from(!given);
        positional.get(index).cloned().ok_or_else(|| {
            exception(
                "IndexError",
                format!("Replacement index {index} out of range for positional args tuple"),
            )
        })
    }
}
