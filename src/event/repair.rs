//! Integers beyond 64 bits: Python reads them, simd-json refuses the line.
//!
//! No metric uses the value of such an integer (a timestamp of that size is damaged by our own
//! rule), so a refused line is read once more with those integers shortened to `u64::MAX`.

/// The longest integer that CPython converts by default (`sys.get_int_max_str_digits`).
const MAX_DIGITS: usize = 4300;
const STAND_IN: &[u8] = b"18446744073709551615";

/// `line` with every integer that needs more than 64 bits replaced; `None` if there is none.
pub(super) fn shorten_huge_integers(line: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(line.len());
    let mut found = false;
    let mut at = 0;
    while let Some(&byte) = line.get(at) {
        let end = match byte {
            b'"' => string_end(line, at),
            b'-' | b'0'..=b'9' => number_end(line, at),
            _ => at + 1,
        };
        let token = &line[at..end];
        if is_huge_integer(token) {
            out.extend_from_slice(STAND_IN);
            found = true;
        } else {
            out.extend_from_slice(token);
        }
        at = end;
    }
    found.then_some(out)
}

/// Where the string that opens at `start` ends, its closing quote included.
fn string_end(line: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = line.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    line.len()
}

fn number_end(line: &[u8], start: usize) -> usize {
    let rest = &line[start + 1..];
    let more = rest
        .iter()
        .take_while(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    start + 1 + more.count()
}

fn is_huge_integer(token: &[u8]) -> bool {
    let digits = token.strip_prefix(b"-").unwrap_or(token);
    let is_integer = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    if !is_integer || digits[0] == b'0' || digits.len() > MAX_DIGITS {
        return false;
    }
    // Both parse into i128 up to 38 digits; more digits than that are beyond 64 bits anyway.
    let value = std::str::from_utf8(token)
        .ok()
        .and_then(|t| t.parse::<i128>().ok());
    value.is_none_or(|v| v > i128::from(u64::MAX) || v < i128::from(i64::MIN))
}

#[cfg(test)]
mod tests {
    use super::shorten_huge_integers;

    #[test]
    fn only_integers_beyond_64_bits_are_shortened() {
        let check = |line: &str, expected: Option<&str>| {
            let got = shorten_huge_integers(line.as_bytes());
            assert_eq!(got.as_deref(), expected.map(str::as_bytes), "{line}");
        };
        let short = "18446744073709551615";
        check("", None);
        check(
            r#"{"a":18446744073709551615,"b":-9223372036854775808}"#,
            None,
        );
        check(
            r#"{"a":18446744073709551616}"#,
            Some(&format!(r#"{{"a":{short}}}"#)),
        );
        check("[-9223372036854775809]", Some(&format!("[{short}]")));
        check(r#"["99999999999999999999999"]"#, None);
        check(
            r#"["\"",99999999999999999999999]"#,
            Some(&format!(r#"["\"",{short}]"#)),
        );
        check("[99999999999999999999999.5]", None);
        check("[0099999999999999999999999]", None);
        check(&format!("[{}]", "1".repeat(4301)), None);
        check(
            &format!("[{}]", "1".repeat(4300)),
            Some(&format!("[{short}]")),
        );
    }
}
