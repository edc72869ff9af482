//! Numbers that Python reads or passes over, and simd-json refuses with their line: integers beyond 64 bits, and in places
//! that nobody reads, integers and doubles of any size.
//!
//! No metric uses the value of such a number (a timestamp of that size is damaged by our own rule), so a refused line is
//! read once more with stand-ins. A double stands for what Python would not read itself: the fields of an event take none.

use simd_json::StaticNode;

/// The longest integer that CPython converts by default (`sys.get_int_max_str_digits`).
const MAX_DIGITS: usize = 4300;
const INTEGER: &[u8] = b"18446744073709551615";
const DOUBLE: &[u8] = b"1.7976931348623157e308";

/// Returns true if a value is, or may be, a stand-in.
pub(super) fn is_placeholder(value: StaticNode) -> bool {
    match value {
        StaticNode::U64(integer) => integer == u64::MAX,
        StaticNode::F64(double) => double >= f64::MAX,
        _ => false,
    }
}

/// `line` with every number that is too large replaced; `None` if there is none.
pub(super) fn replace_huge_numbers(line: &[u8]) -> Option<Vec<u8>> {
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
        let stand_in = stand_in(token);
        out.extend_from_slice(stand_in.unwrap_or(token));
        found |= stand_in.is_some();
        at = end;
    }
    found.then_some(out)
}

/// The end of the string that opens at `start`, its closing quote included.
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

/// The placeholder of a number that is too large; `None` for other numbers and for other text.
fn stand_in(token: &[u8]) -> Option<&'static [u8]> {
    // More than 64 bits need 19 digits, and an exponent can be short.
    let can_be_large = token.len() > 18 || token.iter().any(|byte| matches!(byte, b'e' | b'E'));
    if !can_be_large {
        return None;
    }
    let text = std::str::from_utf8(token).ok()?;
    serde_json::from_str::<&serde_json::value::RawValue>(text).ok()?;
    let digits = text.trim_start_matches('-');
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let fits = text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok();
        match digits.len() {
            _ if fits => None,
            ..=MAX_DIGITS => Some(INTEGER),
            _ => Some(DOUBLE),
        }
    } else {
        let double: f64 = text.parse().ok()?;
        double.is_infinite().then_some(DOUBLE)
    }
}

#[cfg(test)]
mod tests {
    use super::replace_huge_numbers;

    #[test]
    fn only_numbers_that_are_too_large_are_shortened() {
        let check = |line: &str, expected: Option<&str>| {
            let got = replace_huge_numbers(line.as_bytes());
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
        let large = "1.7976931348623157e308";
        check(
            &format!("[{}]", "1".repeat(4301)),
            Some(&format!("[{large}]")),
        );
        check(
            "[1e308,-1E+400,1e-999,01e999,1.e999,1e999x]",
            Some(&format!("[1e308,{large},1e-999,01e999,1.e999,{large}x]")),
        );
        check("[-]", None);
        check(
            &format!("[{}]", "1".repeat(4300)),
            Some(&format!("[{short}]")),
        );
    }
}
