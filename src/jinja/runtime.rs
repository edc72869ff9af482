//! A compiled chat template: Jinja2 source in, text or an exception out, within limits.

use std::fmt::Write;

use jiff::civil::DateTime;
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};

use super::builtins;
use super::limits::{Limits, limit_reached};
use super::translate::{DELIMITERS, translate};
use crate::python::exception::Exception;

/// Python gives up after some 196 nested macros; here a macro costs four, and each of its blocks one more.
const MAX_RECURSION: usize = 1300;

impl From<Error> for Exception {
    fn from(error: Error) -> Self {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(current) = cause {
            if let Some(exception) = current.downcast_ref::<Exception>() {
                return exception.clone();
            }
            if current
                .downcast_ref::<Error>()
                .is_some_and(|e| e.kind() == ErrorKind::OutOfFuel)
            {
                return limit_reached("the template uses up its fuel");
            }
            cause = current.source();
        }
        let detail = error.detail().unwrap_or_default().to_owned();
        match error.kind() {
            ErrorKind::UndefinedError | ErrorKind::UnknownMethod | ErrorKind::UnknownFunction => {
                Self::new("UndefinedError", detail)
            }
            ErrorKind::TooManyArguments | ErrorKind::MissingArgument => {
                Self::new("TypeError", detail)
            }
            ErrorKind::CannotUnpack => Self::new("ValueError", detail),
            ErrorKind::InvalidOperation if detail.contains("recursion") => {
                Self::new("RecursionError", detail)
            }
            ErrorKind::InvalidOperation if detail.contains("can only assign to namespaces") => {
                Self::new(
                    "TemplateRuntimeError",
                    "cannot assign attribute on non-namespace object",
                )
            }
            ErrorKind::InvalidOperation => Self::new("TypeError", detail),
            _ => Self::unsupported(error.to_string()),
        }
    }
}

/// A template, compiled once, rendered from any thread.
pub struct Template {
    env: Environment<'static>,
    limits: Limits,
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Template")
    }
}

impl Template {
    /// Compiles Jinja2 `source`; `now` is the time of `strftime_now`.
    ///
    /// # Errors
    /// Where Jinja2 refuses to compile, and where the template uses a feature that is not supported.
    pub fn new(source: &str, now: DateTime, limits: Limits) -> Result<Self, Exception> {
        let mut env = Environment::empty();
        builtins::install(&mut env, now);
        let [block, variable, comment] = DELIMITERS;
        let syntax = SyntaxConfig::builder()
            .block_delimiters(block.0, block.1)
            .variable_delimiters(variable.0, variable.1)
            .comment_delimiters(comment.0, comment.1)
            .keep_trailing_newline(true)
            .build();
        env.set_syntax(syntax.map_err(|e| Exception::unsupported(e.to_string()))?);
        env.set_undefined_behavior(UndefinedBehavior::Lenient);
        env.set_auto_escape_callback(|_| AutoEscape::None);
        env.set_debug(false);
        env.set_recursion_limit(MAX_RECURSION);
        env.set_fuel(Some(limits.fuel));
        let translated = translate(source)?;
        env.add_template_owned(NAME, translated)
            .map_err(|e| Exception::unsupported(e.to_string()))?;
        Ok(Self { env, limits })
    }

    /// Appends the rendering with `variables` to `out`. On an error `out` is as it was.
    ///
    /// # Errors
    /// The exceptions of Jinja2; features that are not supported; limits.
    pub fn render(&self, variables: Value, out: &mut String) -> Result<(), Exception> {
        let template = self.env.get_template(NAME)?;
        let start = out.len();
        let mut bounded = BoundedWriter {
            out,
            left: self.limits.output_bytes,
        };
        let result = template.render_captured_to(variables, &mut bounded);
        let overrun = bounded.left == 0;
        match result {
            Ok(_) => Ok(()),
            Err(error) => {
                out.truncate(start);
                Err(if overrun {
                    limit_reached("the rendering is too long")
                } else {
                    error.into()
                })
            }
        }
    }
}

const NAME: &str = "chat";

/// A writer that appends to a string, up to a number of bytes.
struct BoundedWriter<'a> {
    out: &'a mut String,
    left: usize,
}

impl std::io::Write for BoundedWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = simdutf8::basic::from_utf8(bytes).map_err(std::io::Error::other)?;
        if text.len() > self.left {
            self.left = 0;
            return Err(std::io::Error::other("too long"));
        }
        self.left -= text.len();
        self.out.write_str(text).map_err(std::io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
