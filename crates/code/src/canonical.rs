//! The one canonical form that every spelling of a code has.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::alphabet::{self, Folded};
use crate::generated::{self, Kind, Shape};

/// The longest text, in bytes, that [`parse`] looks at: a code of 64 characters with a hyphen or
/// space between every two, some of them of several bytes, and room to spare.
pub const TYPED_MAX_BYTES: usize = 256;
/// The fewest characters of a canonical code: those of the shortest own code.
pub const CANONICAL_MIN: usize = 6;
/// The most characters of a canonical code: those of the longest own code.
pub const CANONICAL_MAX: usize = 64;

/// A code in canonical form: upper case, without hyphens and spaces, O read as 0, I and L as 1.
///
/// Two spellings are the same code exactly when their canonical codes are equal. Contains only
/// `A-Z`, `0-9` and `_`, 6 to 64 of them. Wiped when dropped; shows itself redacted; equality takes
/// the same time wherever two codes of one length differ.
#[derive(Clone)]
pub struct CanonicalCode(Zeroizing<String>);

impl CanonicalCode {
    /// The code in clear, to be hashed or sealed; never to be logged or stored as it is.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The kind that a generated code states in its prefix; `None` for an own code.
    pub fn generated_kind(&self) -> Option<Kind> {
        match generated::shape(self.0.as_bytes()) {
            Shape::Sound(kind) => Some(kind),
            _ => None,
        }
    }

    /// Folds `typed` without asking whether the result can be a code.
    pub(crate) fn fold(typed: &str) -> Result<Self, Malformed> {
        if typed.len() > TYPED_MAX_BYTES {
            return Err(Malformed::TooLong);
        }
        // As long as the input, so that it never grows and leaves a copy behind in freed memory.
        let mut canonical = Zeroizing::new(String::with_capacity(typed.len()));
        for typed in typed.chars() {
            match alphabet::fold(typed) {
                Folded::Kept(kept) => canonical.push(kept),
                Folded::Dropped => {}
                Folded::Forbidden => return Err(Malformed::ForbiddenCharacter),
            }
        }
        match canonical.len() {
            ..CANONICAL_MIN => Err(Malformed::TooShort),
            CANONICAL_MIN..=CANONICAL_MAX => Ok(Self(canonical)),
            _ => Err(Malformed::TooLong),
        }
    }
}

impl PartialEq for CanonicalCode {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for CanonicalCode {}

impl fmt::Debug for CanonicalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CanonicalCode([redacted])")
    }
}

impl fmt::Display for CanonicalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Why a text is no spelling of any code. Says nothing about which codes exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// More than [`TYPED_MAX_BYTES`] typed, or more than [`CANONICAL_MAX`] characters of a code.
    #[error("the code is too long")]
    TooLong,
    /// Fewer than [`CANONICAL_MIN`] characters besides hyphens and spaces.
    #[error("the code is too short")]
    TooShort,
    /// A character that is neither an ASCII letter or digit, nor `_`, a hyphen or a space.
    #[error("the code contains a character that no code contains")]
    ForbiddenCharacter,
    /// It begins like a generated code, and characters are missing or too many.
    #[error("the code has too few or too many characters")]
    WrongLength,
    /// It is written like a generated code, and its check symbols do not fit the rest.
    #[error("the code is mistyped")]
    Mistyped,
}

/// The canonical form of a typed code.
///
/// Bounded work, and no look-up: a generated code with a typing error is recognised by its length
/// and check symbols.
///
/// # Errors
///
/// [`Malformed`] if no code can be spelled like that.
pub fn parse(typed: &str) -> Result<CanonicalCode, Malformed> {
    let code = CanonicalCode::fold(typed)?;
    match generated::shape(code.0.as_bytes()) {
        Shape::Sound(_) | Shape::Foreign => Ok(code),
        Shape::WrongLength => Err(Malformed::WrongLength),
        Shape::Mistyped => Err(Malformed::Mistyped),
    }
}
