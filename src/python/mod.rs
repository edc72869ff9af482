//! Values as CPython 3.11 and msgspec compute and print them: integers, floats, `repr`, truth, JSON, and the methods and
//! operators that templates use.
//!
//! A feature of Python that is missing here raises [`exception::Exception::unsupported`]: a result never differs from
//! Python's in silence.
//!
//! [`value`], [`objects`] and [`methods`] import each other: a value may be an object, an object holds values, and a
//! bound method calls a method of its value.

#![allow(
    clippy::float_cmp,
    clippy::match_same_arms,
    reason = "Python's own comparisons, and one rule an arm"
)]

pub(crate) mod access;
pub(crate) mod arguments;
pub(crate) mod arithmetic;
pub(crate) mod compare;
pub(crate) mod exact;
pub(crate) mod exception;
pub(crate) mod float;
pub(crate) mod format_spec;
pub(crate) mod json;
pub(crate) mod limits;
pub(crate) mod loads;
pub(crate) mod methods;
pub(crate) mod msgspec;
pub(crate) mod objects;
pub(crate) mod percent_format;
pub(crate) mod repr;
pub(crate) mod str_format;
pub(crate) mod string_methods;
pub(crate) mod text;
pub mod value;
