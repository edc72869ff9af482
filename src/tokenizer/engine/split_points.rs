//! The places where a text may be split so that the counts of its parts add up.
//!
//! A *split point* of a text is a place `p` with a character `x` on its left and `c` on its right such that, whatever
//! stands left of `x` and right of `c`, `count(left + right) = count(left) + count(right)` with `left` ending in `x` and
//! `right` starting with `c`. The text after the first chunk is a suffix of the whole, and two renderings of a message
//! share most of their text: a shared part that is bounded by split points is counted once.
//!
//! # The two kinds
//!
//! 1. *Letter, then a character that ends a word*: `x` is one of [`is_plain_letter`], `c` one of [`ends_a_word`]. All families.
//! 2. *Newline, then text*: `x` is `\n`, `c` is alphabetic or ASCII graphic except `/`. All families but GPT-2.
//!
//! # Proof
//!
//! The pipeline is: split on added tokens, normalize, split on normalized added tokens, pre-tokenize, encode every
//! pretoken alone (no special tokens are added;
//! [`family_with_split_points`](super::spec::TokenizerSpec::family_with_split_points) rejects truncation, dropout and
//! the rest). So it is enough that no added token, no normalization and no pretoken crosses `p`, and that
//! the pretokens left of `p` do not depend on what is right of it and the other way round.
//!
//! **Added tokens.** Matching is leftmost-longest over the occurrences of their contents; `lstrip`, `rstrip` and
//! `single_word` are rejected. An occurrence across `p` would hold `x` and `c` side by side, and [`SplitPoints`]
//! excludes the pairs that stand side by side in any content. With no occurrence across `p`, the occurrences left and right of it
//! are chosen independently.
//!
//! **Normalization** is NFC or nothing. `c` in the first kind is ASCII or CJK punctuation: combining class 0 and never
//! the second of a canonical composition, so nothing left of it changes. Every `x` of the first kind keeps its identity
//! under NFC: it is a starter, never the second of a composition, and only composes with a mark after it, which `c` is
//! not. `\n` composes with nothing on either side; in the second kind a `c` that composes does so with what follows.
//! (A vowel or final jamo, alphabetic and second of a composition, composes with a jamo on its left, which `\n` is not.)
//!
//! **Pretokens.** No pattern looks behind or has anchors, so what matches from a place on depends on the text from there
//! on. Hence: if in the whole text a match ends at `p`, the pretokens right of `p` are those of `right` alone. And if
//! every test of a character at `p` made on the way, after consuming `x`, comes out as it does at the end of text, the
//! matches left of `p` are those of `left` alone. Both follow from: *an attempt that has consumed `x` fails every test
//! at `p`, both on `c` and at the end, and some attempt that consumes `x` succeeds.*
//!
//! *First kind*, `x` a letter. What can consume it: a letter run (`\p{L}+`, `[\p{L}\p{M}]+`, `[A-Za-z]+`, o200k's case
//! runs), which next tests for a letter or a mark; a contraction (`'re` after `r`), which next tests for a letter; in
//! o200k, after the run, the apostrophe of a contraction. `c` is no letter, no mark and no apostrophe: all fail, as at
//! the end of text. (`[^\r\n\p{L}\p{N}]?` and ` ?[^\s\p{L}\p{N}]+` do not consume letters.) Every letter is consumed by
//! some alternative of every family, and the match that does can only end at `p`. `DeepSeek`'s first two Splits isolate
//! digits and CJK runs before: a `c` that is a digit starts a piece exactly at `p`; a CJK `x` ends its run at `p` as `c`
//! is not CJK, and an `x` that is not CJK is in the same piece as a `c` that is neither, where the above holds.
//!
//! *Second kind*, `x = \n`, `c` neither white space nor `/`. What can consume `x`: `[\r\n]*` after punctuation (o200k:
//! `[\r\n/]*`), which next tests for those; `\s*[\r\n]+`: `\s*` runs over the white space to `p`, fails there, and
//! gives back one character for `[\r\n]+`, which is the newline before `p`: the match ends at `p`, with `c` and at the
//! end alike. This alternative comes before `\s+(?!\S)` and `\s+`, which are not reached with a newline in the run. The
//! optional first character of a word excludes `\r` and `\n`. `DeepSeek`'s first Splits put `c` in another piece when it
//! is a digit or CJK: then the piece before ends at `p`, which is the end of text for it. GPT-2 has no alternative for
//! newlines and lets `(?!\S)` look at `c`, so this kind excludes it.
//!
//! The tests count both ways with `tokenizers`, split at every place of many texts.

use super::spec::{Family, TokenizerSpec};

/// Finds the split points of texts for one tokenizer.
#[derive(Debug)]
pub(super) struct SplitPoints {
    family: Family,
    /// Pairs of characters that stand side by side in an added token, sorted.
    added_token_pairs: Vec<(char, char)>,
    /// [`Self::splits`] for ASCII: bit `c` of word `x`.
    ascii: [u128; 128],
}

impl SplitPoints {
    /// Returns the split points of a tokenizer, or the reason why none are proved for it.
    pub(super) fn new(spec: &TokenizerSpec) -> Result<Self, &'static str> {
        let family = spec.family_with_split_points()?;
        let mut added_token_pairs: Vec<(char, char)> = spec
            .added_tokens
            .iter()
            .flat_map(|token| token.content.chars().zip(token.content.chars().skip(1)))
            .collect();
        added_token_pairs.sort_unstable();
        added_token_pairs.dedup();
        let mut split_points = Self {
            family,
            added_token_pairs,
            ascii: [0; 128],
        };
        for x in 0..128_u8 {
            let after_x = (0..128_u8).filter(|&c| split_points.splits(x.into(), c.into()));
            split_points.ascii[usize::from(x)] = after_x.fold(0, |word, c| word | 1 << c);
        }
        Ok(split_points)
    }

    /// Returns true if byte `at` of `text` is a split point. Both ends of a text are not.
    pub(super) fn contains(&self, text: &str, at: usize) -> bool {
        let (left, right) = text.as_bytes().split_at(at.min(text.len()));
        match (left.last(), right.first()) {
            (Some(&x @ ..128), Some(&c @ ..128)) => self.ascii[usize::from(x)] >> c & 1 != 0,
            (Some(_), Some(_)) if text.is_char_boundary(at) => {
                let (x, c) = (text[..at].chars().next_back(), text[at..].chars().next());
                x.zip(c).is_some_and(|(x, c)| self.splits(x, c))
            }
            _ => false,
        }
    }

    /// Returns true if there is a split point between `x` and `c`.
    fn splits(&self, x: char, c: char) -> bool {
        let proved = (is_plain_letter(x) && ends_a_word(c))
            || (self.family != Family::Gpt2 && x == '\n' && follows_a_newline(c));
        proved && self.added_token_pairs.binary_search(&(x, c)).is_err()
    }

    /// The first split point of `text` whose two characters are at or after byte `from`.
    pub(super) fn first_from(&self, text: &str, from: usize) -> Option<usize> {
        let rest = &text[from..];
        (1..rest.len())
            .find(|&at| self.contains(rest, at))
            .map(|at| from + at)
    }

    /// The last split point of `text` whose two characters are before byte `to`.
    pub(super) fn last_before(&self, text: &str, to: usize) -> Option<usize> {
        (1..to).rev().find(|&at| self.contains(&text[..to], at))
    }
}

/// Returns true for letters (`\p{L}`) of every Unicode version since 3.0 that NFC leaves alone and that are second in
/// no canonical composition: Latin, Cyrillic, Arabic, kana, the first CJK block and Hangul syllables.
fn is_plain_letter(x: char) -> bool {
    matches!(x,
        'a'..='z' | 'A'..='Z'
        | '\u{410}'..='\u{44F}'
        | '\u{621}'..='\u{63A}' | '\u{641}'..='\u{64A}'
        | '\u{3041}'..='\u{3094}' | '\u{30A1}'..='\u{30FA}'
        | '\u{4E00}'..='\u{9FA5}'
        | '\u{AC00}'..='\u{D7A3}')
}

/// Returns true for ASCII except letters and the apostrophe, and for common CJK punctuation. None of them is a letter
/// or a mark, and NFC leaves them alone.
fn ends_a_word(c: char) -> bool {
    match c {
        '\'' => false,
        _ if c.is_ascii() => !c.is_ascii_alphabetic(),
        _ => matches!(
            c,
            '、' | '。' | '「' | '」' | '，' | '！' | '？' | '：' | '；' | '（' | '）'
        ),
    }
}

fn follows_a_newline(c: char) -> bool {
    (c.is_ascii_graphic() && c != '/') || c.is_alphabetic()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::spec::tests::{added, split_by_patterns};
    use super::*;

    /// Checks the split points of a text under the family at `index`; `¦` marks them.
    fn check(index: usize, marked: &str) {
        let json = json!({
            "pre_tokenizer": split_by_patterns()[index].1,
            "added_tokens": [added("x, y", 0, false), added("<|im_end|>", 1, false)],
            "model": {"type": "BPE"},
        });
        let split_points =
            SplitPoints::new(&TokenizerSpec::read(json.to_string().as_bytes()).unwrap()).unwrap();
        let text = marked.replace('¦', "");
        let found: String = text
            .char_indices()
            .map(|(at, c)| {
                if split_points.contains(&text, at) {
                    format!("¦{c}")
                } else {
                    c.to_string()
                }
            })
            .collect();
        assert_eq!(found, marked, "family {index}");
    }

    #[test]
    fn split_points_are_after_words_and_newlines() {
        let families = split_by_patterns().len();
        for index in 0..families {
            check(index, "");
            check(index, "one¦ two¦, three¦_four¦ 12 a¦1");
            check(index, "it's¦ he¦-is¦ e\u{301}");
            check(index, "中文¦。字¦ 한국¦ й¦!");
            check(index, "x, y¦ x,y¦ <|im_end|> im¦-_e");
        }
    }

    #[test]
    fn newlines_are_split_points_except_for_gpt2() {
        for index in 0..split_by_patterns().len() {
            let gpt2 = split_by_patterns()[index].0 == Family::Gpt2;
            let marked = "!\n¦a¦\n\n¦1\r\n¦中¦ \n \n/\n\u{a0}\n";
            check(
                index,
                &if gpt2 {
                    marked.replace("\n¦", "\n")
                } else {
                    marked.to_owned()
                },
            );
        }
    }
}
