//! `strftime_now`.

use jiff::civil::DateTime;
use minijinja::{Environment, Error, Value};

use crate::python::arguments::{Arguments, bind};
use crate::python::exception::{type_error, unsupported};
use crate::python::value::text;

/// Puts `strftime_now` into `env`: every call sees `now`, a local time without a zone, as `datetime.now()` gives.
pub(super) fn install(env: &mut Environment<'static>, now: DateTime) {
    env.add_function("strftime_now", move |args: Arguments| {
        let [format] = bind("strftime_now", &args.into_values(), ["format"], 1)?;
        let format = format.unwrap_or_default();
        let format = text(&format).map_err(|_| type_error("strftime() argument 1 must be str"))?;
        strftime(now, format).map(Value::from)
    });
}

/// `datetime.strftime` in the C locale. The directives are those that `jiff` writes as C does.
fn strftime(time: DateTime, format: &str) -> Result<String, Error> {
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            continue;
        }
        let short = chars.next_if_eq(&'-').is_some();
        match chars.next() {
            Some('d' | 'H' | 'I' | 'j' | 'm' | 'M' | 'S' | 'y') => {}
            Some('a' | 'A' | 'b' | 'B' | 'e' | 'F' | 'p' | 'T' | 'Y' | '%') if !short => {}
            _ => return Err(unsupported("this strftime directive")),
        }
    }
    jiff::fmt::strtime::format(format, time).map_err(|_| unsupported("this strftime format"))
}
