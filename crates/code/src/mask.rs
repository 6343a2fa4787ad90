//! Masked forms: enough for people to tell keys apart in a list, too little to guess from.

use crate::generated::{CHECK, GROUP, LENGTH, PREFIX, RANDOM_BITS};

const HIDDEN: char = '•';
/// Bullets in the masked form of an own code, always as many, so that they do not tell its length.
const OWN_BULLETS: usize = 6;

const _: () = assert!(
    RANDOM_BITS - 5 * CHECK >= 100,
    "a masked generated code must leave 100 bits hidden"
);

/// A canonical generated code with everything hidden but prefix and check symbols.
pub(crate) fn generated(canonical: &str) -> String {
    let mut masked = String::with_capacity(LENGTH * HIDDEN.len_utf8());
    for (place, symbol) in canonical.chars().enumerate() {
        if place >= PREFIX && (place - PREFIX).is_multiple_of(GROUP) {
            masked.push('-');
        }
        let hidden = (PREFIX..LENGTH - CHECK).contains(&place);
        masked.push(if hidden { HIDDEN } else { symbol });
    }
    masked
}

/// An own code with at most its first two characters shown: two from 12 canonical characters on
/// (ten stay hidden), one from 8 (seven stay hidden), none below.
pub(crate) fn own(text: &str, canonical: &str) -> String {
    let shown = match canonical.len() {
        ..8 => 0,
        8..12 => 1,
        _ => 2,
    };
    text.chars()
        .take(shown)
        .chain(std::iter::repeat_n(HIDDEN, OWN_BULLETS))
        .collect()
}
