//! Jinja2 3.1 as transformers 5.5.0 runs it (`utils/chat_template_utils.py`).
//!
//! `minijinja` runs the templates, but its operators, its white space rules and the templates it takes are not quite
//! Jinja2's, and operators have no hook. So a template is first translated: [`lexer`] reads it as Jinja2 does,
//! [`translate`] writes each operation that differs as a call of a filter of [`builtins`], which computes what Python
//! does.
//!
//! A feature that is missing here raises [`Exception::unsupported`] when it runs. The names of all filters and tests are
//! known, so that an unknown name raises when the template is compiled, as in Jinja2.

mod builtins;
mod lexer;
pub(crate) mod limits;
pub mod runtime;
mod translate;

use crate::python::exception::Exception;

/// A `TemplateSyntaxError`.
fn syntax_error(message: impl Into<String>) -> Exception {
    Exception::new("TemplateSyntaxError", message)
}
