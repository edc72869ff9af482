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

/// `datetime.strftime` in the C locale, with glibc's flags.
fn strftime(time: DateTime, format: &str) -> Result<String, Error> {
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let rest = chars.clone();
        let flag = chars
            .next()
            .filter(|c| matches!(c, '-' | '_' | '0' | '^' | '#'));
        if flag.is_none() {
            chars = rest;
        }
        let Some(kind) = chars.next() else {
            out.push('%');
            break;
        };
        let text = directive(time, kind)?;
        out.push_str(&match (kind, flag) {
            // Flags do not apply to these.
            ('D' | 'P' | 'r' | 'R' | 'T' | 'x' | 'X', Some('-' | '_' | '0' | '^')) => text,
            ('f', Some(_)) => return Err(unsupported("a strftime flag before f")),
            _ => flagged(text, flag)?,
        });
    }
    Ok(out)
}

/// Changes the padding or the case of a directive's text.
fn flagged(text: String, flag: Option<char>) -> Result<String, Error> {
    Ok(match flag {
        Some('-') if text.len() > 1 => {
            let short = text.trim_start_matches(['0', ' ']);
            if short.is_empty() { "0" } else { short }.to_owned()
        }
        Some('_') => {
            let digits = text.trim_start_matches('0');
            format!("{digits:>width$}", width = text.len())
        }
        Some('^') => text.to_uppercase(),
        Some('0') if text.starts_with(' ') => text.replace(' ', "0"),
        Some('#') => return Err(unsupported("the strftime flag #")),
        _ => text,
    })
}

/// The text of one directive. `%f` is Python's microseconds; `%z` and `%Z` are empty for a time without a zone.
fn directive(time: DateTime, kind: char) -> Result<String, Error> {
    let format = match kind {
        'c' => "%a %b %e %H:%M:%S %Y",
        'D' | 'x' => "%m/%d/%y",
        'F' => "%Y-%m-%d",
        'T' | 'X' => "%H:%M:%S",
        'r' => "%I:%M:%S %p",
        'R' => "%H:%M",
        'f' => return Ok(format!("{:06}", time.subsec_nanosecond() / 1000)),
        'z' | 'Z' => return Ok(String::new()),
        // `jiff` writes these as C does.
        'a' | 'A' | 'b' | 'B' | 'C' | 'd' | 'e' | 'g' | 'G' | 'h' | 'H' | 'I' | 'j' | 'k' | 'l'
        | 'm' | 'M' | 'n' | 'p' | 'P' | 'S' | 't' | 'u' | 'U' | 'V' | 'w' | 'W' | 'y' | 'Y'
        | '%' => &format!("%{kind}"),
        _ => return Err(unsupported(format!("the strftime directive %{kind}"))),
    };
    jiff::fmt::strtime::format(format, time).map_err(|_| unsupported("this strftime format"))
}
