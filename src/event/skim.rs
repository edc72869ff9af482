//! A line without its long texts, for whoever does not read them: most of a log is texts, and unescaping them is most of
//! decoding.
//!
//! Only elements of arrays are left out, which is where events have their texts; no name of anything stands there. What
//! is left out has been found to be a string that a decoder takes, so the rest is JSON if the line is, and else it is not:
//! up to the first text left out both are the same bytes, hence inside the same strings, and so on behind it.
//!
//! Quotes are found as simdjson does it, by a bit for each of 64 bytes (G. Langdale and D. Lemire, "Parsing gigabytes of
//! JSON per second", 2019, section 3.1).

use simdutf8::basic::from_utf8;
use wide::u8x64;

/// No shorter string is left out, in bytes with its quotes.
const LONG_BYTES: usize = 64;
/// The placeholder of a text: a string that is not empty.
const STAND_IN: &[u8] = br#""-""#;
const BLOCK: usize = 64;

/// Appends `line` to `out`, most of its long texts replaced by [`STAND_IN`].
pub(super) fn drop_long_texts(line: &[u8], out: &mut Vec<u8>) {
    let (blocks, rest) = line.as_chunks::<BLOCK>();
    let mut last = [b' '; BLOCK];
    last[..rest.len()].copy_from_slice(rest);
    let (mut at, mut copied) = (0, 0);
    // Where a string opened, and up to where there are bytes that only a decoder should judge.
    let (mut opened, mut odd_until) = (None, 0);
    let mut escape = Escape::default();
    for block in blocks.iter().chain([&last]) {
        let (quotes, is_odd) = escape.quotes(block);
        if is_odd {
            odd_until = at + BLOCK;
        }
        for quote in ones(quotes).map(|place| at + place) {
            let Some(start) = opened.take() else {
                opened = Some(quote);
                continue;
            };
            let end = quote + 1;
            let is_plain = end - start >= LONG_BYTES && odd_until <= start;
            if is_plain && is_element(line, start, end) && from_utf8(&line[start..end]).is_ok() {
                out.extend_from_slice(&line[copied..start]);
                out.extend_from_slice(STAND_IN);
                copied = end;
            }
        }
        at += BLOCK;
    }
    out.extend_from_slice(&line[copied..]);
}

/// Returns true if a string is an element of an array, if the line is JSON: behind a comma in an object stands a key, and behind
/// a key no comma.
fn is_element(line: &[u8], start: usize, end: usize) -> bool {
    let is_something = |byte: &&u8| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let before = line[..start].iter().rfind(is_something);
    let behind = line[end..].iter().find(is_something);
    matches!((before, behind), (Some(b'[' | b','), Some(b',' | b']')))
}

/// True if a block ended in a backslash that escapes the first byte of the next.
#[derive(Default)]
struct Escape(bool);

impl Escape {
    /// The unescaped quotes of the next block, and whether it has control characters or escapes other than
    /// by a letter.
    #[inline]
    fn quotes(&mut self, bytes: &[u8; BLOCK]) -> (u64, bool) {
        let block = u8x64::new(*bytes);
        let of = |byte| block.simd_eq(u8x64::splat(byte)).to_bitmask();
        let (quotes, backslashes) = (of(b'"'), of(b'\\'));
        let controls = block.min(u8x64::splat(0x1F)).simd_eq(block).to_bitmask();
        if backslashes == 0 && !self.0 {
            return (quotes, controls != 0);
        }
        let escaped = self.escaped(backslashes);
        let unusual = escaped & !(of(b'n') | quotes | backslashes);
        let is_odd = controls != 0 || ones(unusual).any(|at| !b"bfrt/".contains(&bytes[at]));
        (quotes & !escaped, is_odd)
    }

    /// The bytes that a backslash escapes: those behind an odd number of backslashes. In a run that starts at an even place
    /// every second one escapes from its first on; subtracting them from all odd places at once borrows through a run.
    fn escaped(&mut self, backslashes: u64) -> u64 {
        const ODD_PLACES: u64 = 0xAAAA_AAAA_AAAA_AAAA;
        let first = u64::from(self.0);
        let escaping = backslashes & !first;
        let alternating = ((escaping << 1) | ODD_PLACES).wrapping_sub(escaping) ^ ODD_PLACES;
        self.0 = (alternating & backslashes) >> 63 != 0;
        alternating ^ (backslashes | first)
    }
}

/// The places of the ones of `word`, from the lowest.
fn ones(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = (word != 0).then(|| word.trailing_zeros() as usize);
        word &= word.wrapping_sub(1);
        at
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn left(line: &str) -> String {
        let mut out = Vec::new();
        drop_long_texts(line.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn long_elements_are_left_out_and_nothing_else() {
        let check = |line: &str, expected: &str| {
            let long = "é\\n".repeat(20);
            let (line, expected) = (line.replace('L', &long), expected.replace('L', &long));
            assert_eq!(left(&line), expected);
        };
        check("", "");
        check("[]", "[]");
        check(r#"["L"]"#, r#"["-"]"#);
        check(r#"["a","L", "L" ,"b"]"#, r#"["a","-", "-" ,"b"]"#);
        check(
            r#"{"L":"L","a":["L",["L"]]}"#,
            r#"{"L":"L","a":["-",["-"]]}"#,
        );
        check(r#"{"a":1,"L":["b"]}"#, r#"{"a":1,"L":["b"]}"#);
        check(r#"["L\"","\\L\\","\\\"L"]"#, r#"["-","-","-"]"#);
        // What may be wrong is left to the decoder.
        check(
            "[\"L\\u0041\", \"L\\x\", \"L\t\"]",
            "[\"L\\u0041\", \"L\\x\", \"L\t\"]",
        );
        check(r#"["L"#, r#"["L"#);
        check(r#"["L\"]"#, r#"["L\"]"#);
        check(r#""L""#, r#""L""#);
    }

    #[test]
    fn bytes_that_are_no_text_stay() {
        let line = [&b"[\""[..], &[0xFF; 70], b"\"]"].concat();
        let mut out = Vec::new();
        drop_long_texts(&line, &mut out);
        assert_eq!(out, line);
    }

    proptest! {
        /// Runs of backslashes at every place of a block, against counting them.
        #[test]
        fn a_quote_is_escaped_behind_an_odd_number_of_backslashes(
            parts in proptest::collection::vec(("[a-z ]{0,70}", 0..5_usize), 0..12),
        ) {
            let text: String = parts
                .iter()
                .map(|(letters, backslashes)| letters.clone() + &"\\".repeat(*backslashes) + "\"")
                .collect();
            let bytes = text.as_bytes();
            let expected = (0..bytes.len()).filter(|&at| {
                let before = bytes[..at].iter().rev().take_while(|&&byte| byte == b'\\');
                bytes[at] == b'"' && before.count() % 2 == 0
            });
            let mut escape = Escape::default();
            let found = bytes.chunks(BLOCK).enumerate().flat_map(|(index, chunk)| {
                let mut block = [b' '; BLOCK];
                block[..chunk.len()].copy_from_slice(chunk);
                let (quotes, _) = escape.quotes(&block);
                ones(quotes).map(move |at| index * BLOCK + at)
            });
            prop_assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        }
    }
}
