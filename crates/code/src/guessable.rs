//! Whether an own code is easy to guess: a warning, never a refusal.
//!
//! The code is cut into predictable pieces (known words, pronounceable runs, years, repetitions,
//! sequences) and single characters. Each piece counts for as many characters as it is worth to
//! somebody who guesses; a code worth fewer than [`WORTH_MIN`] is guessable.

use zeroize::Zeroizing;

use crate::words;

/// The worth, in random characters, below which predictable pieces make a code guessable: eight
/// random letters and digits are 41 bits, more than can be tried against a limit on wrong guesses.
const WORTH_MIN: usize = 8;
/// Fewer characters than this are short even at random: ten are 52 bits.
const SHORT: usize = 10;
/// A code of only digits or only letters needs as many (16 digits are 53 bits).
const ONE_CLASS_SHORT: usize = 16;
/// The shortest run of letters that is called pronounceable; shorter ones appear at random.
const PRONOUNCEABLE_MIN: usize = 5;

/// The letters of a usual word.
const WORD: usize = 8;
/// One word of some hundred thousand is worth as much as three random characters.
const WORD_WORTH: usize = 3;

/// What makes a code easy to guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Guessable {
    /// Fewer than ten characters besides hyphens.
    #[error("it is short")]
    Short,
    /// Only digits, or only letters, and not many.
    #[error("it consists of one kind of character only")]
    OneClass,
    /// Mostly words or years: `WELCOME2026`.
    #[error("it consists mostly of words or years")]
    WordsOrYears,
    /// Mostly repetitions or sequences: `ABCD1111`.
    #[error("it consists mostly of repeated or consecutive characters")]
    RepeatsOrSequences,
}

/// A predictable piece at some place of a code.
struct Piece {
    length: usize,
    /// In random characters.
    worth: usize,
    reason: Guessable,
}

/// The most telling reason why `text` (letters, digits, `-`, `_`) is guessable, if there is one.
pub(crate) fn judge(text: &str) -> Option<Guessable> {
    let code: Zeroizing<Vec<u8>> = Zeroizing::new(
        text.bytes()
            .filter(|byte| *byte != b'-')
            .map(|byte| byte.to_ascii_uppercase())
            .collect(),
    );
    let (mut worth, mut in_words, mut in_repeats, mut place) = (0, 0, 0, 0);
    while place < code.len() {
        let Some(piece) = predictable(&code[place..]) else {
            worth += 1;
            place += 1;
            continue;
        };
        worth += piece.worth;
        place += piece.length;
        match piece.reason {
            Guessable::RepeatsOrSequences => in_repeats += piece.length,
            _ => in_words += piece.length,
        }
    }
    let one_class = code.iter().all(u8::is_ascii_digit) || code.iter().all(u8::is_ascii_alphabetic);
    if worth < WORTH_MIN && in_words + in_repeats > 0 {
        Some(if in_words >= in_repeats {
            Guessable::WordsOrYears
        } else {
            Guessable::RepeatsOrSequences
        })
    } else if code.len() < SHORT {
        Some(Guessable::Short)
    } else if one_class && code.len() < ONE_CLASS_SHORT {
        Some(Guessable::OneClass)
    } else {
        None
    }
}

/// The longest predictable piece that `rest` begins with.
fn predictable(rest: &[u8]) -> Option<Piece> {
    let piece = |length, worth, reason| {
        (length > 0).then_some(Piece {
            length,
            worth,
            reason,
        })
    };
    [
        piece(words::known(rest), 1, Guessable::WordsOrYears),
        piece(year(rest), 1, Guessable::WordsOrYears),
        piece(repetition(rest), 1, Guessable::RepeatsOrSequences),
        piece(sequence(rest), 1, Guessable::RepeatsOrSequences),
        piece(
            pronounceable(rest),
            pronounceable(rest).div_ceil(WORD) * WORD_WORTH,
            Guessable::WordsOrYears,
        ),
    ]
    .into_iter()
    .flatten()
    // The first of the longest: the cheapest, in the order above.
    .rev()
    .max_by_key(|piece| piece.length)
}

/// Length of a year from 1900 to 2099 that `rest` begins with.
fn year(rest: &[u8]) -> usize {
    match rest {
        [b'1', b'9', d1, d2, ..] | [b'2', b'0', d1, d2, ..]
            if d1.is_ascii_digit() && d2.is_ascii_digit() =>
        {
            4
        }
        _ => 0,
    }
}

/// Length of a block of up to eight characters and its repetitions: `AAA`, `ABAB`, `123123`.
fn repetition(rest: &[u8]) -> usize {
    (1..=8)
        .map(|period| {
            let repeated = rest
                .iter()
                .zip(rest.iter().skip(period))
                .take_while(|(one, next)| one == next)
                .count();
            let length = repeated + period;
            if length >= (2 * period).max(3) {
                length
            } else {
                0
            }
        })
        .max()
        .unwrap_or(0)
}

/// Length of a run of at least four neighbours in the alphabet, among the digits or on a keyboard,
/// forwards or backwards.
fn sequence(rest: &[u8]) -> usize {
    const ROWS: [&[u8]; 5] = [
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        b"01234567890",
        b"QWERTYUIOP",
        b"ASDFGHJKL",
        b"ZXCVBNM",
    ];
    let next_in_row = |one: u8, next: u8| {
        ROWS.iter()
            .any(|row| row.windows(2).any(|pair| pair == [one, next]))
    };
    let length = |forwards: bool| {
        1 + rest
            .windows(2)
            .take_while(|pair| {
                if forwards {
                    next_in_row(pair[0], pair[1])
                } else {
                    next_in_row(pair[1], pair[0])
                }
            })
            .count()
    };
    let longest = length(true).max(length(false));
    if longest >= 4 { longest } else { 0 }
}

/// Length of the letters that `rest` begins with, if they could be spoken: vowels are between a
/// quarter and two thirds of them, and no more than three consonants stand together.
fn pronounceable(rest: &[u8]) -> usize {
    let letters: &[u8] = &rest[..rest
        .iter()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count()];
    let is_vowel = |letter: &u8| b"AEIOUY".contains(letter);
    let vowels = letters.iter().filter(|letter| is_vowel(letter)).count();
    let consonants_together = letters
        .split(|letter| is_vowel(letter))
        .map(<[u8]>::len)
        .max()
        .unwrap_or(0);
    let spoken =
        vowels * 4 >= letters.len() && vowels * 3 <= letters.len() * 2 && consonants_together <= 3;
    if letters.len() >= PRONOUNCEABLE_MIN && spoken {
        letters.len()
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn obvious_codes_are_guessable_each_for_its_reason() {
        use Guessable::{OneClass, RepeatsOrSequences, Short, WordsOrYears};
        for (code, reason) in [
            ("WELCOME2026", WordsOrYears),
            ("welcome-2026", WordsOrYears),
            ("W3lc0me-2026", WordsOrYears),
            ("P455w0rd", WordsOrYears),
            ("kubernetes-2026", WordsOrYears),
            ("Spring_Training_2027", WordsOrYears),
            ("AAAAAAAA", RepeatsOrSequences),
            ("ABABABABABAB", RepeatsOrSequences),
            ("123123123123", RepeatsOrSequences),
            ("1234567890", RepeatsOrSequences),
            ("9876543210", RepeatsOrSequences),
            ("qwertyuiop", RepeatsOrSequences),
            ("abcdefgh1111", RepeatsOrSequences),
            ("Q7X9KM", Short),
            ("Q-7-X-9-K-M-2", Short),
            ("4829105736", OneClass),
            ("XKQZRTWMBFPD", OneClass),
        ] {
            assert_eq!(judge(code), Some(reason), "{code}");
        }
    }

    #[test]
    fn codes_that_need_many_guesses_are_not() {
        for code in [
            "Q7XK9MZP2RTW",
            "q7xk-9mzp-2rtw",
            "82649105736149285073",
            "correct-horse-battery-staple-7",
            "PYTHON-7XK2-9QZM-4R",
        ] {
            assert_eq!(judge(code), None, "{code}");
        }
    }

    #[test]
    fn nothing_but_separators_is_guessable() {
        assert_eq!(judge("__________"), Some(Guessable::RepeatsOrSequences));
    }
}
