//! Text that stays text: whatever a log or a path says cannot become markup.

use std::fmt;

/// Text for element content and quoted attributes.
pub(super) struct Text<'a>(pub &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut plain = 0;
        for (at, c) in self.0.char_indices() {
            let Some(escaped) = escape(c) else { continue };
            f.write_str(&self.0[plain..at])?;
            f.write_str(escaped)?;
            plain = at + c.len_utf8();
        }
        f.write_str(&self.0[plain..])
    }
}

/// A path that may break after each of its parts.
pub(super) struct Breaking<'a>(pub &'a str);

impl fmt::Display for Breaking<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.0.split_inclusive(['/', '_']);
        parts.enumerate().try_for_each(|(i, part)| {
            write!(f, "{}{}", if i > 0 { "<wbr>" } else { "" }, Text(part))
        })
    }
}

/// What stands for `c`, if it may not stand for itself: markup, what no page may hold, what turns the reading direction.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_becomes_markup() {
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
        assert_eq!(Breaking("a/b_<i>").to_string(), "a/<wbr>b_<wbr>&lt;i&gt;");
        assert_eq!(Breaking("").to_string(), "");
    }
}
