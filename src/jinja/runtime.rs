//! A compiled chat template: Jinja2 source in, text or an exception out, within limits.

use std::fmt::Write;

use jiff::civil::DateTime;
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};

use super::translate::{DELIMITERS, SyntaxError, translate};
use crate::python::{self, Exception};

/// Python gives up after some 196 macros inside each other; here a macro costs four and each of its blocks one more.
const RECURSION: usize = 1300;

/// The kind of an exception of ours: a template used up what it may.
pub const LIMIT: &str = "Limit";

/// What a template may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Steps of the interpreter, about one an instruction and one every 64 bytes made.
    pub fuel: u64,
    /// Bytes of the rendering.
    pub output_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel: 10_000_000,
            output_bytes: 64 << 20,
        }
    }
}

/// Why a rendering raised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct Raised {
    /// The exception's type as Python names it. `Unsupported` and `Limit` are ours.
    pub kind: &'static str,
    /// Its message: close to Python's, not equal.
    pub message: String,
    /// Whether Python raises here too. When false the reference may have rendered: what it counted is not known.
    pub as_reference: bool,
}

impl Raised {
    /// An exception that Python raises too.
    pub fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            as_reference: true,
        }
    }

    /// Something that Python does and we do not.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self {
            kind: "Unsupported",
            message: message.into(),
            as_reference: false,
        }
    }
}

impl From<SyntaxError> for Raised {
    fn from(error: SyntaxError) -> Self {
        Self {
            kind: error.kind,
            message: error.message,
            as_reference: !error.unsupported,
        }
    }
}

impl From<Error> for Raised {
    fn from(error: Error) -> Self {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(current) = cause {
            if let Some(exception) = current.downcast_ref::<Exception>() {
                return Self {
                    kind: exception.kind,
                    message: exception.message.clone(),
                    as_reference: !exception.unsupported,
                };
            }
            if current
                .downcast_ref::<Error>()
                .is_some_and(|e| e.kind() == ErrorKind::OutOfFuel)
            {
                return Self {
                    kind: LIMIT,
                    message: "the template uses up its fuel".to_owned(),
                    as_reference: false,
                };
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
    /// Compiles Jinja2 `source`; `now` is what `strftime_now` shows.
    ///
    /// # Errors
    /// Where Jinja2 refuses to compile, and where the template uses what is not supported.
    pub fn new(source: &str, now: DateTime, limits: Limits) -> Result<Self, Raised> {
        let mut env = Environment::empty();
        python::install(&mut env, now);
        let [block, variable, comment] = DELIMITERS;
        let syntax = SyntaxConfig::builder()
            .block_delimiters(block.0, block.1)
            .variable_delimiters(variable.0, variable.1)
            .comment_delimiters(comment.0, comment.1)
            .keep_trailing_newline(true)
            .build();
        env.set_syntax(syntax.map_err(|e| Raised::unsupported(e.to_string()))?);
        env.set_undefined_behavior(UndefinedBehavior::Lenient);
        env.set_auto_escape_callback(|_| AutoEscape::None);
        env.set_debug(false);
        env.set_recursion_limit(RECURSION);
        env.set_fuel(Some(limits.fuel));
        let translated = translate(source)?;
        env.add_template_owned(NAME, translated)
            .map_err(|e| Raised::unsupported(e.to_string()))?;
        Ok(Self { env, limits })
    }

    /// Appends the rendering with `variables` to `out`. On an error `out` is as it was.
    ///
    /// # Errors
    /// What Jinja2 raises, what is not supported, and limits.
    pub fn render(&self, variables: Value, out: &mut String) -> Result<(), Raised> {
        let template = self.env.get_template(NAME)?;
        let start = out.len();
        let mut bounded = Bounded {
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
                    Raised {
                        kind: LIMIT,
                        message: "the rendering is too long".to_owned(),
                        as_reference: false,
                    }
                } else {
                    error.into()
                })
            }
        }
    }
}

const NAME: &str = "chat";

/// Appends to a string, up to a number of bytes.
struct Bounded<'a> {
    out: &'a mut String,
    left: usize,
}

impl std::io::Write for Bounded<'_> {
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
