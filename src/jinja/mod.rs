//! Jinja2's syntax, read exactly, and written again for `minijinja`.
//!
//! `minijinja` runs the templates, but its operators, its white space rules and the templates it takes are not quite
//! Jinja2's, and operators have no hook. So a template is first translated: [`lexer`] reads it as Jinja2 3.1 does,
//! [`translate`] writes it with every operation whose meaning differs as a call of a function of [`crate::python`].

pub mod lexer;
pub mod runtime;
pub mod translate;
