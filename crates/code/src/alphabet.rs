//! The characters of codes: Crockford's base32 symbols, and what typing adds to them.

/// The 32 symbols of Crockford's base32 in order of their value: digits and upper-case letters
/// without I, L, O (read as 1, 1, 0) and U.
pub(crate) const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The symbol with the lowest five bits of `value` as its value.
pub(crate) fn symbol(value: u8) -> char {
    char::from(SYMBOLS[usize::from(value & 31)])
}

/// The value, 0 to 31, of a canonical character; `None` for the characters that are not symbols
/// (`U` and `_`, which only own codes contain).
pub(crate) fn value(symbol: u8) -> Option<u8> {
    let position = SYMBOLS.iter().position(|&candidate| candidate == symbol)?;
    u8::try_from(position).ok()
}

/// What one typed character becomes in the canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Folded {
    /// It stands for this canonical character.
    Kept(char),
    /// It only separates or decorates: dropped.
    Dropped,
    /// No code contains it.
    Forbidden,
}

/// Folds one typed character: upper case, O to 0, I and L to 1, spaces and dashes dropped.
pub(crate) fn fold(typed: char) -> Folded {
    match typed {
        'O' | 'o' => Folded::Kept('0'),
        'I' | 'i' | 'L' | 'l' => Folded::Kept('1'),
        'A'..='Z' | 'a'..='z' | '0'..='9' | '_' => Folded::Kept(typed.to_ascii_uppercase()),
        _ if typed.is_whitespace() || is_dash(typed) || is_invisible(typed) => Folded::Dropped,
        _ => Folded::Forbidden,
    }
}

/// Every character of the Unicode category "dash punctuation", and those that word processors put
/// in a hyphen's place: soft hyphen, hyphen bullet, minus sign.
fn is_dash(typed: char) -> bool {
    matches!(
        typed,
        '-' | '\u{00AD}' | '\u{058A}' | '\u{05BE}' | '\u{1400}' | '\u{1806}' | '\u{2010}'
            ..='\u{2015}'
                | '\u{2043}'
                | '\u{2212}'
                | '\u{2E17}'
                | '\u{2E1A}'
                | '\u{2E3A}'
                | '\u{2E3B}'
                | '\u{2E40}'
                | '\u{2E5D}'
                | '\u{301C}'
                | '\u{3030}'
                | '\u{30A0}'
                | '\u{FE31}'
                | '\u{FE32}'
                | '\u{FE58}'
                | '\u{FE63}'
                | '\u{FF0D}'
                | '\u{10D6E}'
                | '\u{10EAD}'
    )
}

/// Spaces without width and direction marks, which come along when text is pasted and which the
/// student cannot see. Unicode does not count them as white space.
fn is_invisible(typed: char) -> bool {
    matches!(
        typed,
        '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_and_values_are_inverse() {
        for expected in 0..32 {
            let letter = u8::try_from(symbol(expected)).expect("symbols are ASCII");
            assert_eq!(value(letter), Some(expected));
            assert_eq!(fold(char::from(letter)), Folded::Kept(char::from(letter)));
        }
        for foreign in *b"ILOU_-a " {
            assert_eq!(value(foreign), None);
        }
    }

    #[test]
    fn look_alikes_and_separators_fold() {
        for (typed, kept) in [
            ('o', '0'),
            ('O', '0'),
            ('i', '1'),
            ('I', '1'),
            ('l', '1'),
            ('L', '1'),
        ] {
            assert_eq!(fold(typed), Folded::Kept(kept));
        }
        for dropped in [
            '-', '–', '—', '−', '\u{2011}', ' ', '\t', '\n', '\u{A0}', '\u{3000}', '\u{200B}',
            '\u{FEFF}',
        ] {
            assert_eq!(fold(dropped), Folded::Dropped, "{dropped:?}");
        }
        // Letters that upper-casing or compatibility folding would turn into ASCII stay outside:
        // long s, dotless i, the Kelvin sign, full-width A.
        for forbidden in ['.', '/', 'é', 'ſ', 'ı', '\u{212A}', 'Ａ', '\0', '٣'] {
            assert_eq!(fold(forbidden), Folded::Forbidden, "{forbidden:?}");
        }
    }
}
