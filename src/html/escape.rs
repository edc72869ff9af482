//! Escapes text, so that nothing a log or a path contains can become markup.

use std::fmt::{self, Display, Write};

/// Appends to a `String`. The format string is markup; the argument of every `{}` is escaped as [`Text`], while an
/// inlined `{name}` is inserted as it is and must be markup itself.
macro_rules! write_html {
    ($out:expr, $markup:literal $(, $text:expr)* $(,)?) => {{
        use ::std::fmt::Write as _;
        // Writing to a String does not fail.
        _ = write!($out, $markup $(, $crate::html::escape::Text(&$text))*);
    }};
}
pub(super) use write_html;

/// Text as element content or as a quoted attribute.
pub(super) struct Text<T>(pub T);

impl<T: Display> Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaper(f), "{}", self.0)
    }
}

struct Escaper<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaper<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut plain = 0;
        for (at, c) in text.char_indices() {
            let Some(escaped) = escape(c) else { continue };
            self.0.write_str(&text[plain..at])?;
            self.0.write_str(escaped)?;
            plain = at + c.len_utf8();
        }
        self.0.write_str(&text[plain..])
    }
}

/// Returns the replacement of a character that is markup, that HTML forbids, or that turns the reading direction.
fn escape(c: char) -> Option<&'static str> {
    match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '"' => Some("&quot;"),
        '\'' => Some("&#39;"),
        '\n' | '\t' => None,
        c if c.is_control() => Some("\u{fffd}"),
        '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{fdd0}'..='\u{fdef}'
        | '\u{fffe}'
        | '\u{ffff}' => Some("\u{fffd}"),
        _ => None,
    }
}

/// Replaces the hyphen of a formatted number with a minus sign, which screen readers read out.
pub(super) fn typographic(number: &str) -> String {
    number.replace('-', "−")
}

/// Escapes a path and allows a line break after each `/` and `_`.
pub(super) fn breakable(path: &str) -> String {
    let parts = path.split_inclusive(['/', '_']);
    let parts: Vec<String> = parts.map(|part| Text(part).to_string()).collect();
    parts.join("<wbr>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_never_becomes_markup() {
        let check = |text, expected: &str| assert_eq!(Text(text).to_string(), expected);
        check("", "");
        check("p99 < 5 ms & more", "p99 &lt; 5 ms &amp; more");
        check(
            "\"><script>alert('x')</script>",
            "&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;",
        );
        check("é漢𝄞\n", "é漢𝄞\n");
        check(
            "\0a\x1b[31m\u{202e}b\u{7f}",
            "\u{fffd}a\u{fffd}[31m\u{fffd}b\u{fffd}",
        );
        check("&amp;", "&amp;amp;");
        assert_eq!(breakable("a/b_<i>"), "a/<wbr>b_<wbr>&lt;i&gt;");
        assert_eq!(breakable(""), "");
    }

    #[test]
    fn arguments_are_escaped_and_inlined_names_are_not() {
        let mut html = String::new();
        let markup = "<br>";
        write_html!(
            html,
            "<p title=\"{}\">{}{markup}</p>",
            "\"",
            format!("{}<", 5)
        );
        assert_eq!(html, "<p title=\"&quot;\">5&lt;<br></p>");
    }
}
