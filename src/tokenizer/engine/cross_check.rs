//! The strings on which `fastokens` is compared with `tokenizers`, and the choice of a run's texts to count with both.
//!
//! Engines that split by the same pattern can differ at rare characters, at the ends of runs, around added tokens, or in
//! how the merges build a word. So the strings are hard ones, written by hand, and texts made of the tokenizer's own
//! vocabulary, in which each token stands next to others that it may merge with.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::EngineError;
use super::fastokens_engine::{FastokensEngine, is_split_differently};
use super::spec::TokenizerSpec;
use super::tokenizers_engine::TokenizersEngine;

/// Number of texts made of the vocabulary, and of tokens in each.
const VOCABULARY_TEXTS: u32 = 96;
const TOKENS_PER_TEXT: u32 = 20;
/// Number of added tokens that are compared in context.
const ADDED_TOKENS: usize = 48;
/// Both engines count one of this many texts of a run.
const SAMPLED_ONE_IN: u64 = 2048;
/// The part of a sampled text that both engines count, in bytes.
pub(super) const MAX_SAMPLED_BYTES: usize = 16 << 10;

/// Compares the ids of both engines on the hard strings and on those made of the vocabulary. Returns the number of
/// strings on which they agree.
pub(super) fn compare_engines(
    fastokens: &FastokensEngine,
    tokenizers: &TokenizersEngine,
    spec: &TokenizerSpec,
) -> Result<usize, EngineError> {
    let texts = hard_texts()
        .chain(added_token_texts(spec))
        .chain(vocabulary_texts(tokenizers));
    let mut agreed = 0;
    for text in texts.filter(|text| !is_split_differently(text, spec.family())) {
        let (ids, expected) = (fastokens.ids(&text)?, tokenizers.ids(&text)?);
        if ids != expected {
            return Err(EngineError::disagreement(&text, ids.len(), expected.len()));
        }
        agreed += 1;
    }
    Ok(agreed)
}

/// Returns true if both engines count `text`. The choice depends on its content only, so it is the same in any order
/// and on any number of threads.
pub(super) fn is_sampled(text: &str) -> bool {
    let bytes = text.as_bytes();
    let edge = bytes.len().min(48);
    // The hasher's keys are fixed, so a build samples the same texts everywhere.
    let mut hasher = DefaultHasher::new();
    (bytes.len(), &bytes[..edge], &bytes[bytes.len() - edge..]).hash(&mut hasher);
    hasher.finish().is_multiple_of(SAMPLED_ONE_IN)
}

fn hard_texts() -> impl Iterator<Item = String> {
    const CONTEXTS: [&str; 7] = ["{}", "a{}b", " {} ", "{}{}", "\n{}1", "中{}é", "'{}'s"];
    let pieces = HARD_TEXTS
        .iter()
        .chain(&["\u{0}", "\u{7f}", "\u{85}", "\u{a0}", "\u{feff}"]);
    pieces.flat_map(|piece| CONTEXTS.map(|context| context.replace("{}", piece)))
}

fn added_token_texts(spec: &TokenizerSpec) -> impl Iterator<Item = String> {
    let every = (spec.added_tokens.len() / ADDED_TOKENS).max(1);
    spec.added_tokens.iter().step_by(every).map(|token| {
        let it = &token.content;
        format!("{it}a {it} \n{it}{it}, {it}'s é{it}\u{301} 1{it}2\t{it}\n\n  {it}")
    })
}

fn vocabulary_texts(tokenizers: &TokenizersEngine) -> impl Iterator<Item = String> {
    let size = u64::from(tokenizers.vocabulary_size().max(1));
    let mut state = 1_u64;
    (0..VOCABULARY_TEXTS).filter_map(move |_| {
        let ids: Vec<u32> = (0..TOKENS_PER_TEXT)
            .map(|_| {
                // Knuth's MMIX generator: any fixed sequence serves.
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                u32::try_from((state >> 33) % size).unwrap_or(0)
            })
            .collect();
        tokenizers.decode(&ids)
    })
}

const HARD_TEXTS: &[&str] = &[
    " ",
    "  ",
    "   x",
    "\t",
    " \t ",
    "\n",
    "\r\n",
    "\r",
    "\n\n \n",
    " \n x",
    "\u{b}\u{c}",
    "\u{2028}",
    "\u{3000}",
    "\u{200b}\u{200d}",
    "'s",
    "'S",
    "'re",
    "'Re",
    "'LL",
    "'lL've",
    "''d",
    "\u{2019}s",
    "'\u{212a}",
    "\u{17f}",
    "don't",
    "I'M'll",
    "0",
    "12",
    "123",
    "1234567",
    "1,234.5",
    "٣٤٥",
    "²³",
    "Ⅷ",
    "௧௨௩",
    "𝟘𝟙",
    "Hello",
    "HELLO",
    "hELLo",
    "iPhoneXS",
    "ǅ",
    "ʰa",
    "ßẞ",
    "İi",
    "ﬁﬆ",
    "Ω",
    "Å",
    "e\u{301}",
    "\u{301}",
    "a\u{323}\u{307}",
    "q\u{307}\u{323}",
    "Привет, мир",
    "ñandú",
    "שָׁלוֹם",
    "مَرحبا",
    "नमस्ते",
    "กำลัง",
    "ខ្មែរ",
    "ქართული",
    "한국어",
    "ᄒ\u{1161}\u{11ab}",
    "가\u{11a8}",
    "中文，字。",
    "日本語かなカナ",
    "\u{9fa6}\u{9fef}",
    "㐀𠀀",
    "ー゛゜",
    "「」",
    "!",
    "!!!\n",
    "?!\r\n\n",
    "/\n/",
    "()[]{}",
    "<|>",
    "<|im_start|",
    "#include",
    "x=1;//",
    "a.b_c-d",
    "https://a.b/c?d=1&e=2",
    "$€¥",
    "…—–",
    "™©",
    "👍",
    "👍🏽",
    "👩\u{200d}👩\u{200d}👧",
    "🇩🇪🇫",
    "☃\u{fe0f}",
    "\u{e000}",
    "\u{10ffff}",
    "\u{fffd}",
    "\u{ad}",
    "\u{600}",
    "\u{1f1e6}",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "                                                                                        x",
    "----------------------------------------------------",
    "def f(x):\n\treturn x\n\n\n",
    "{\"a\": [1, 2.5e-3, null]}",
    "\\frac{a}{b}",
    "pneumonoultramicroscopicsilicovolcanoconiosis",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_one_text_in_two_thousand_is_sampled() {
        let sampled = (0..200_000)
            .filter(|n| is_sampled(&format!("text number {n}, and more")))
            .count();
        assert!((50..150).contains(&sampled), "{sampled} of 200000");
    }

    #[test]
    fn sampling_looks_at_both_ends_and_the_length() {
        // Among many texts that differ in one place only, some are sampled and some are not.
        let check = |vary: &dyn Fn(usize) -> String| {
            let sampled = (0..40_000).filter(|n| is_sampled(&vary(*n))).count();
            assert!((1..40_000).contains(&sampled), "{sampled}");
        };
        let middle = "m".repeat(200);
        check(&|n| format!("{n:06}{middle}"));
        check(&|n| format!("{middle}{n:06}"));
        check(&|n| "l".repeat(n));
    }
}
