//! Methods of `str`.

use minijinja::{Error, Value};

use super::access::slice_positions;
use super::arguments::bind;
use super::exception::{exception, type_error, unsupported};
use super::limits::fits;
use super::value::{Py, index, iter, list, py, text, tuple};
use super::{repr, str_format, text as strings};

/// The greatest width of padding.
const MAX_WIDTH: usize = 1 << 20;

/// The part of a string between two positions, with the position where it starts; `None` if `start` is past the end.
fn window(
    s: &str,
    start: Option<Value>,
    end: Option<Value>,
) -> Result<Option<(usize, &str)>, Error> {
    let none = || Value::from(());
    let (start, end) = (start.unwrap_or_else(none), end.unwrap_or_else(none));
    if start.is_none() && end.is_none() {
        return Ok(Some((0, s)));
    }
    let len = s.chars().count();
    if !start.is_none() && index(&start)? > i64::try_from(len).unwrap_or(i64::MAX) {
        return Ok(None);
    }
    let at = slice_positions(len, &start, &end, &none())?;
    if at.start > at.stop {
        return Ok(None);
    }
    let byte = |i: i64| {
        s.char_indices()
            .nth(usize::try_from(i).unwrap_or(0))
            .map_or(s.len(), |(b, _)| b)
    };
    Ok(Some((
        usize::try_from(at.start).unwrap_or(0),
        &s[byte(at.start)..byte(at.stop)],
    )))
}

/// A method of a string.
///
/// # Errors
/// As the method.
pub(crate) fn string_method(s: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
    let converted = match name {
        "upper" => s.to_uppercase(),
        "lower" => s.to_lowercase(),
        "title" => strings::title(s),
        "capitalize" => strings::capitalize(s),
        "swapcase" => strings::swap_case(s),
        "casefold"
            if s.is_ascii() || s.chars().all(|c| c.to_lowercase().eq([c])) && !s.contains('ß') =>
        {
            s.to_lowercase()
        }
        _ if name.starts_with("is") => {
            let [] = bind(name, args, [], 0)?;
            return predicate(s, name).map(Value::from);
        }
        _ => return string_method_with_args(s, name, args),
    };
    let [] = bind(name, args, [], 0)?;
    Ok(Value::from(converted))
}

fn string_method_with_args(s: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
    match name {
        "split" | "rsplit" => split(s, name, args),
        "startswith" | "endswith" => {
            let [affix, start, end] = bind(name, args, ["-prefix", "-start", "-end"], 1)?;
            let part = window(s, start, end)?.map(|(_, part)| part);
            let has = |affix: &Value| match (text(affix), name) {
                (Ok(affix), "startswith") => Ok(part.is_some_and(|p| p.starts_with(affix))),
                (Ok(affix), _) => Ok(part.is_some_and(|p| p.ends_with(affix))),
                (Err(error), _) => Err(error),
            };
            let affix = affix.unwrap_or_default();
            let Py::Tuple(affixes) = py(&affix) else {
                return has(&affix).map(Value::from);
            };
            for affix in affixes {
                if has(affix)? {
                    return Ok(Value::from(true));
                }
            }
            Ok(Value::from(false))
        }
        "find" | "rfind" | "index" | "rindex" | "count" => search(s, name, args),
        "replace" => {
            let [old, new, count] = bind(name, args, ["-old", "-new", "-count"], 2)?;
            let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
            let count = count.as_ref().map_or(Ok(-1), index)?;
            strings::replace(s, text(&old)?, text(&new)?, count).map(Value::from)
        }
        "join" => {
            let [items] = bind(name, args, ["-iterable"], 1)?;
            let mut out = String::new();
            for (i, item) in iter(&items.unwrap_or_default())?.iter().enumerate() {
                out.push_str(if i > 0 { s } else { "" });
                out.push_str(text(item)?);
                fits(out.len())?;
            }
            Ok(Value::from(out))
        }
        "splitlines" => {
            let [keep] = bind(name, args, ["keepends"], 0)?;
            let lines = strings::lines(s, keep.is_some_and(|k| k.is_true()));
            Ok(list(lines.into_iter().map(Value::from).collect()))
        }
        "partition" | "rpartition" => {
            let [sep] = bind(name, args, ["-sep"], 1)?;
            let sep = sep.unwrap_or_default();
            let sep = text(&sep)?;
            if sep.is_empty() {
                return Err(exception("ValueError", "empty separator"));
            }
            let parts = match name {
                "partition" => s.split_once(sep).map_or([s, "", ""], |(l, r)| [l, sep, r]),
                _ => s.rsplit_once(sep).map_or(["", "", s], |(l, r)| [l, sep, r]),
            };
            Ok(tuple(parts.into_iter().map(Value::from).collect()))
        }
        "removeprefix" | "removesuffix" => {
            let [affix] = bind(name, args, ["-affix"], 1)?;
            let affix = affix.unwrap_or_default();
            let affix = text(&affix)?;
            let rest = if name == "removeprefix" {
                s.strip_prefix(affix)
            } else {
                s.strip_suffix(affix)
            };
            Ok(Value::from(rest.unwrap_or(s)))
        }
        "ljust" | "rjust" | "center" | "zfill" => pad(s, name, args),
        "expandtabs" => {
            let [size] = bind(name, args, ["tabsize"], 0)?;
            let size = size.as_ref().map_or(Ok(8), index)?;
            let size = usize::try_from(size.min(1000)).unwrap_or(0);
            Ok(Value::from(strings::expand_tabs(s, size)))
        }
        "format" => str_format::format(s, args).map(Value::from),
        _ => Err(unsupported(format!("str.{name}()"))),
    }
}

/// `str.strip` and its sides, also the filter `trim`: of `s`, the text of `value`.
///
/// # Errors
/// `TypeError` for characters that are not a string.
pub(crate) fn strip(value: &Value, s: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
    let [chars] = bind(name, args, ["-chars"], 0)?;
    let set = chars.filter(|c| !c.is_none());
    let set = set.as_ref().map(text).transpose()?;
    let strip = |c: char| set.map_or_else(|| strings::is_space(c), |set| set.contains(c));
    let stripped = match name {
        "lstrip" => s.trim_start_matches(strip),
        "rstrip" => s.trim_end_matches(strip),
        _ => s.trim_matches(strip),
    };
    // Most texts have nothing to strip, and some are long.
    let is_whole = stripped.len() == s.len() && value.as_str().is_some() && !value.is_safe();
    Ok(if is_whole {
        value.clone()
    } else {
        Value::from(stripped)
    })
}

fn split(s: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
    let [sep, count] = bind(name, args, ["sep", "maxsplit"], 0)?;
    let sep = sep.filter(|sep| !sep.is_none());
    let sep = sep.as_ref().map(text).transpose()?;
    if sep == Some("") {
        return Err(exception("ValueError", "empty separator"));
    }
    let count = usize::try_from(count.as_ref().map_or(Ok(-1), index)?).unwrap_or(usize::MAX);
    let parts = if name == "rsplit" {
        strings::rsplit(s, sep, count)?
    } else {
        strings::split(s, sep, count)?
    };
    Ok(list(parts.into_iter().map(Value::from).collect()))
}

fn search(s: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
    let [what, start, end] = bind(name, args, ["-sub", "-start", "-end"], 1)?;
    let what = what.unwrap_or_default();
    let what = text(&what)?;
    let part = window(s, start, end)?;
    let found = part.and_then(|(offset, part)| {
        let at = match name {
            "find" | "index" => part.find(what),
            _ => part.rfind(what),
        };
        at.map(|at| offset + part[..at].chars().count())
    });
    match found {
        _ if name == "count" => Ok(Value::from(
            part.map_or(0, |(_, part)| part.matches(what).count()),
        )),
        Some(at) => Ok(Value::from(at)),
        None if name.ends_with("index") => Err(exception("ValueError", "substring not found")),
        None => Ok(Value::from(-1)),
    }
}

fn pad(s: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
    let [width, fill] = if name == "zfill" {
        bind(name, args, ["-width"], 1).map(|[width]| [width, None])?
    } else {
        bind(name, args, ["-width", "-fillchar"], 1)?
    };
    let width = usize::try_from(index(&width.unwrap_or_default())?).unwrap_or(0);
    if width > MAX_WIDTH {
        return Err(unsupported("padding this wide"));
    }
    let fill = fill.as_ref().map_or(Ok(" "), text)?;
    let mut chars = fill.chars();
    let (Some(fill), None) = (chars.next(), chars.next()) else {
        return Err(type_error(
            "The fill character must be exactly one character long",
        ));
    };
    let missing = width.saturating_sub(s.chars().count());
    let left = match name {
        "ljust" => 0,
        "rjust" | "zfill" => missing,
        _ => missing / 2 + (missing & width & 1),
    };
    let run = |n: usize, c: char| std::iter::repeat_n(c, n).collect::<String>();
    Ok(Value::from(if name == "zfill" {
        let sign = s.len() - s.strip_prefix(['+', '-']).map_or(s.len(), str::len);
        format!("{}{}{}", &s[..sign], run(missing, '0'), &s[sign..])
    } else {
        format!("{}{s}{}", run(left, fill), run(missing - left, fill))
    }))
}

/// `str.is…()`.
fn predicate(s: &str, name: &str) -> Result<bool, Error> {
    let all = |test: fn(char) -> bool| Ok(!s.is_empty() && s.chars().all(test));
    let all_numeric = |kind| {
        s.chars().try_fold(
            !s.is_empty(),
            |so_far, c| Ok(is_numeric(c, kind)? && so_far),
        )
    };
    match name {
        "isascii" => Ok(s.is_ascii()),
        "isspace" => all(strings::is_space),
        "islower" => Ok(strings::is_lower(s)),
        "isupper" => Ok(strings::is_upper(s)),
        "isalpha" => all(|c| c.is_alphabetic() && !c.is_numeric()),
        "isalnum" => all(|c| c.is_alphabetic() || c.is_numeric()),
        "isdecimal" => all_numeric(Numeral::Decimal),
        "isdigit" => all_numeric(Numeral::Digit),
        "isnumeric" => all_numeric(Numeral::Numeric),
        "isprintable" => Ok(s.chars().all(repr::is_printable)),
        "isidentifier" => is_identifier(s),
        _ => Ok(s.chars().any(strings::is_cased) && strings::title(s) == s),
    }
}

/// `str.isidentifier()`. Outside ASCII only letters are known.
fn is_identifier(s: &str) -> Result<bool, Error> {
    let is_letter = |c: char| c.is_alphabetic() && !c.is_numeric();
    if s.contains(|c: char| !c.is_ascii() && !is_letter(c)) {
        return Err(unsupported("identifiers with this character"));
    }
    Ok(!s.starts_with(|c: char| c.is_ascii_digit())
        && !s.is_empty()
        && s.chars()
            .all(|c| c == '_' || c.is_ascii_digit() || is_letter(c)))
}

/// Unicode's kinds of numerals, each within the next one.
#[derive(Clone, Copy, PartialEq)]
enum Numeral {
    Decimal,
    Digit,
    Numeric,
}

/// Checks whether a character is a numeral of the kind. Outside ASCII only common superscripts and fractions are known.
fn is_numeric(c: char, kind: Numeral) -> Result<bool, Error> {
    if c.is_ascii() {
        return Ok(c.is_ascii_digit());
    }
    let superscript = matches!(c, '²' | '³' | '¹' | '⁰' | '⁴'..='⁹' | '₀'..='₉');
    if superscript || matches!(c, '¼'..='¾') {
        return Ok(kind == Numeral::Numeric || (superscript && kind == Numeral::Digit));
    }
    let ideograph = matches!(c, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{2_0000}'..='\u{3_ffff}');
    if c.is_numeric() || (ideograph && kind == Numeral::Numeric) {
        return Err(unsupported(
            "asking for the kind of a numeral outside ASCII",
        ));
    }
    Ok(false)
}
