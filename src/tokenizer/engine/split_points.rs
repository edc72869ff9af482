//! Where a text may be cut so that its parts' counts add up.
//!
//! A *seam* of a text is a place `p` with a character `x` on its left and `c` on its right such that, whatever stands
//! left of `x` and right of `c`, `count(left + right) = count(left) + count(right)` with `left` ending in `x` and
//! `right` starting with `c`. The text after the first chunk is a suffix of the whole, two renderings of a message
//! share most of their text, turn t+1 repeats turn t: with a seam in the shared part it is counted once.
//!
//! # The two kinds
//!
//! 1. *Letter, then no letter*: `x` is one of [`is_plain_letter`], `c` one of [`ends_a_word`]. All families.
//! 2. *Newline, then text*: `x` is `\n`, `c` is alphabetic or ASCII graphic except `/`. All families but GPT-2.
//!
//! # Proof
//!
//! The pipeline is: split on added tokens, normalize, split on normalized added tokens, pre-tokenize, encode every
//! pretoken alone (no special tokens are added, [`Shape::family`](super::spec::Shape::family) refuses truncation,
//! dropout and the rest). So it is enough that no added token, no normalization and no pretoken crosses `p`, and that
//! the pretokens left of `p` do not depend on what is right of it and the other way round.
//!
//! **Added tokens.** Matching is leftmost-longest over the occurrences of their contents; `lstrip`, `rstrip` and
//! `single_word` are refused. An occurrence across `p` would hold `x` and `c` side by side, and [`Seams`] refuses the
//! pairs that stand side by side in any content. With no occurrence across `p`, the occurrences left and right of it
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
//! newlines and lets `(?!\S)` look at `c`: refused.
//!
//! The tests count both ways with the referee over the fixture tokenizers, with cuts at every place of many texts.

use super::spec::{Family, Shape};

/// Finds seams of texts for one tokenizer.
#[derive(Debug)]
pub(super) struct Seams {
    family: Family,
    /// Characters that stand side by side in some added token, sorted.
    inside_added: Vec<(char, char)>,
    /// The answer for ASCII: bit `c` of word `x`.
    ascii: [u128; 128],
}

impl Seams {
    /// The seams of a tokenizer, or why none are proved for it.
    pub(super) fn new(shape: &Shape) -> Result<Self, &'static str> {
        let family = shape.family()?;
        let mut inside_added: Vec<(char, char)> = shape
            .added_tokens
            .iter()
            .flat_map(|token| token.content.chars().zip(token.content.chars().skip(1)))
            .collect();
        inside_added.sort_unstable();
        inside_added.dedup();
        let mut seams = Self {
            family,
            inside_added,
            ascii: [0; 128],
        };
        for x in 0..128_u8 {
            let seen = (0..128_u8).filter(|&c| seams.is_between(x.into(), c.into()));
            seams.ascii[usize::from(x)] = seen.fold(0, |word, c| word | 1 << c);
        }
        Ok(seams)
    }

    /// Whether byte `at` of `text` is a seam. Places that are no character boundary, and both ends, are not.
    pub(super) fn holds(&self, text: &str, at: usize) -> bool {
        let (left, right) = text.as_bytes().split_at(at.min(text.len()));
        match (left.last(), right.first()) {
            (Some(&x @ ..128), Some(&c @ ..128)) => self.ascii[usize::from(x)] >> c & 1 != 0,
            (Some(_), Some(_)) if text.is_char_boundary(at) => {
                let (x, c) = (text[..at].chars().next_back(), text[at..].chars().next());
                x.zip(c).is_some_and(|(x, c)| self.is_between(x, c))
            }
            _ => false,
        }
    }

    /// Whether a seam is between `x` and `c`.
    fn is_between(&self, x: char, c: char) -> bool {
        let cuts = (is_plain_letter(x) && ends_a_word(c))
            || (self.family != Family::Gpt2 && x == '\n' && follows_a_newline(c));
        cuts && self.inside_added.binary_search(&(x, c)).is_err()
    }

    /// The first seam of `text` at or after byte `from`, with both of its characters at or after `from`.
    pub(super) fn first(&self, text: &str, from: usize) -> Option<usize> {
        (from + 1..text.len()).find(|&at| self.holds_inside(text, at, from))
    }

    /// The last seam of `text` before byte `to`, with both of its characters before `to`.
    pub(super) fn last(&self, text: &str, to: usize) -> Option<usize> {
        (1..to).rev().find(|&at| self.holds(&text[..to], at))
    }

    fn holds_inside(&self, text: &str, at: usize, from: usize) -> bool {
        self.holds(&text[from..], at - from)
    }
}

/// Letters (`\p{L}`) in every version of Unicode since 3.0 that NFC leaves alone and that no composition has second:
/// Latin, Cyrillic, Arabic, kana, the first CJK block and Hangul syllables.
fn is_plain_letter(x: char) -> bool {
    matches!(x,
        'a'..='z' | 'A'..='Z'
        | '\u{410}'..='\u{44F}'
        | '\u{621}'..='\u{63A}' | '\u{641}'..='\u{64A}'
        | '\u{3041}'..='\u{3094}' | '\u{30A1}'..='\u{30FA}'
        | '\u{4E00}'..='\u{9FA5}'
        | '\u{AC00}'..='\u{D7A3}')
}

/// ASCII but letters and the apostrophe, and common CJK punctuation: no letters, no marks, inert under NFC.
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

    /// Seams under the family at `index`, the text written with `¦` where they are expected.
    fn check(index: usize, marked: &str) {
        let json = json!({
            "pre_tokenizer": split_by_patterns()[index].1,
            "added_tokens": [added("x, y", 0, false), added("<|im_end|>", 1, false)],
            "model": {"type": "BPE"},
        });
        let seams = Seams::new(&Shape::read(json.to_string().as_bytes()).unwrap()).unwrap();
        let text = marked.replace('¦', "");
        let found: String = text
            .char_indices()
            .map(|(at, c)| {
                if seams.holds(&text, at) {
                    format!("¦{c}")
                } else {
                    c.to_string()
                }
            })
            .collect();
        assert_eq!(found, marked, "family {index}");
    }

    #[test]
    fn seams_are_after_words_and_newlines() {
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
    fn newlines_are_seams_but_for_gpt2() {
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
