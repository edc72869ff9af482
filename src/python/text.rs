//! Methods of `str` that differ from Rust's.

use minijinja::Error;

use super::limits::{fits, fits_items};

/// `str.isspace()` of one character: Unicode's white space and the four information separators.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// `markupsafe.escape`.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            c => out.push(c),
        }
    }
    out
}

/// `str.splitlines()`.
pub(crate) fn lines(text: &str, keep_ends: bool) -> Vec<&str> {
    let is_end = |c: char| {
        matches!(
            c,
            '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    let (mut lines, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let Some(end) = rest.find(is_end) else {
            lines.push(rest);
            break;
        };
        let first = rest[end..].chars().next().map_or(0, char::len_utf8);
        let ending = if rest[end..].starts_with("\r\n") {
            2
        } else {
            first
        };
        lines.push(&rest[..if keep_ends { end + ending } else { end }]);
        rest = &rest[end + ending..];
    }
    lines
}

/// The title case of one character: its upper case, except for digraphs, which have their own form.
fn title_char(c: char) -> String {
    match c {
        'Ǆ' | 'ǅ' | 'ǆ' => "ǅ".to_owned(),
        'Ǉ' | 'ǈ' | 'ǉ' => "ǈ".to_owned(),
        'Ǌ' | 'ǋ' | 'ǌ' => "ǋ".to_owned(),
        'Ǳ' | 'ǲ' | 'ǳ' => "ǲ".to_owned(),
        'ა'..='ჿ' => c.to_string(),
        'ß' => "Ss".to_owned(),
        'ﬀ'..='ﬆ' | '\u{587}' | 'ﬓ'..='ﬗ' => {
            let mut upper = c.to_uppercase();
            upper
                .next()
                .into_iter()
                .chain(upper.flat_map(char::to_lowercase))
                .collect()
        }
        _ => c.to_uppercase().collect(),
    }
}

/// Checks whether a character has a case.
pub(crate) fn is_cased(c: char) -> bool {
    c.is_lowercase() || c.is_uppercase() || matches!(c, 'ǅ' | 'ǈ' | 'ǋ' | 'ǲ')
}

/// `str.title()`: a letter that does not follow a letter gets its title case.
pub(crate) fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.push_str(&title_char(c));
        }
        inside = is_cased(c);
    }
    out
}

/// `str.capitalize()`.
pub(crate) fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    let Some(first) = chars.next() else {
        return String::new();
    };
    title_char(first) + &chars.as_str().to_lowercase()
}

/// `str.swapcase()`.
pub(crate) fn swap_case(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_uppercase() {
            out.extend(c.to_lowercase());
        } else if c.is_lowercase() {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
    }
    out
}

/// `str.expandtabs(size)`.
pub(crate) fn expand_tabs(text: &str, size: usize) -> String {
    let (mut out, mut column) = (String::with_capacity(text.len()), 0);
    for c in text.chars() {
        match c {
            '\t' => {
                let width = if size == 0 { 0 } else { size - column % size };
                out.extend(std::iter::repeat_n(' ', width));
                column += width;
            }
            '\n' | '\r' => {
                out.push(c);
                column = 0;
            }
            c => {
                out.push(c);
                column += 1;
            }
        }
    }
    out
}

/// `str.islower()`.
pub(crate) fn is_lower(text: &str) -> bool {
    text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase)
}

/// `str.isupper()`.
pub(crate) fn is_upper(text: &str) -> bool {
    text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase)
}

/// `str.split(sep, count)`: `sep` of `None` splits at runs of white space.
///
/// # Errors
/// Too many parts.
pub(crate) fn split(text: &str, sep: Option<&str>, count: usize) -> Result<Vec<String>, Error> {
    fits_items(max_parts(text, sep).min(count))?;
    Ok(if let Some(sep) = sep {
        text.splitn(count.saturating_add(1), sep)
            .map(str::to_owned)
            .collect()
    } else {
        let (mut parts, mut rest) = (Vec::new(), text.trim_start_matches(is_space));
        while !rest.is_empty() {
            if parts.len() == count {
                parts.push(rest.to_owned());
                break;
            }
            let end = rest.find(is_space).unwrap_or(rest.len());
            parts.push(rest[..end].to_owned());
            rest = rest[end..].trim_start_matches(is_space);
        }
        parts
    })
}

/// An upper bound of the number of parts of a split, exact with a separator.
fn max_parts(text: &str, sep: Option<&str>) -> usize {
    match sep {
        Some(sep) => memchr::memmem::find_iter(text.as_bytes(), sep).count() + 1,
        None => text.len() / 2 + 1,
    }
}

/// `str.rsplit(sep, count)`.
///
/// # Errors
/// Too many parts.
pub(crate) fn rsplit(text: &str, sep: Option<&str>, count: usize) -> Result<Vec<String>, Error> {
    fits_items(max_parts(text, sep).min(count))?;
    let mut parts: Vec<String> = if let Some(sep) = sep {
        text.rsplitn(count.saturating_add(1), sep)
            .map(str::to_owned)
            .collect()
    } else {
        let (mut parts, mut rest) = (Vec::new(), text.trim_end_matches(is_space));
        while !rest.is_empty() {
            if parts.len() == count {
                parts.push(rest.to_owned());
                break;
            }
            let start = rest
                .char_indices()
                .rfind(|(_, c)| is_space(*c))
                .map_or(0, |(i, c)| i + c.len_utf8());
            parts.push(rest[start..].to_owned());
            rest = rest[..start].trim_end_matches(is_space);
        }
        parts
    };
    parts.reverse();
    Ok(parts)
}

/// `str.replace(old, new, count)`; a negative `count` is all.
///
/// # Errors
/// A result of too great a size.
pub(crate) fn replace(text: &str, old: &str, new: &str, count: i64) -> Result<String, Error> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if new.len() > old.len() {
        let found = text.matches(old).take(count).count();
        fits(
            (new.len() - old.len())
                .saturating_mul(found)
                .saturating_add(text.len()),
        )?;
    }
    Ok(text.replacen(old, new, count))
}
