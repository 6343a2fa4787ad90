//! Own codes: a text that an organization chooses for an event, pool or subscription key.

use std::fmt;

use zeroize::Zeroizing;

use crate::canonical::{CANONICAL_MIN, CanonicalCode};
use crate::generated::{self, Shape};
use crate::guessable::{self, Guessable};
use crate::mask;

/// The fewest characters of an own code, and the fewest besides its hyphens.
pub const OWN_MIN: usize = 6;
/// The most characters of an own code.
pub const OWN_MAX: usize = 64;

/// A code in an organization's own words: 6 to 64 ASCII letters, digits, `-` and `_`.
///
/// Never looks like a generated code, so it can always be typed: [`crate::parse`] of its text gives
/// its canonical form. Wiped when dropped; shows itself redacted.
#[derive(Clone)]
pub struct OwnCode {
    text: Zeroizing<String>,
    canonical: CanonicalCode,
}

/// Why a text cannot be an own code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OwnCodeError {
    /// Fewer than [`OWN_MIN`] characters.
    #[error("a code has at least {OWN_MIN} characters")]
    TooShort,
    /// More than [`OWN_MAX`] characters.
    #[error("a code has at most {OWN_MAX} characters")]
    TooLong,
    /// The character at this place, counted from 0, is not allowed.
    #[error("a code consists of letters A to Z, digits, '-' and '_'; character {} is another", .position + 1)]
    ForbiddenCharacter {
        /// Counted in characters from 0.
        position: usize,
    },
    /// Fewer than [`OWN_MIN`] characters when the hyphens, which nobody needs to type, are dropped.
    #[error("a code has at least {OWN_MIN} characters besides its hyphens")]
    TooFewBesidesHyphens,
    /// It would be taken for a generated code, or for one with a typing error.
    #[error("the code looks like a generated one")]
    LooksGenerated,
}

impl OwnCode {
    /// Takes `text` as an own code. Nothing is trimmed or repaired: what is stored is what people
    /// will be shown.
    ///
    /// # Errors
    ///
    /// The first rule, in the order of [`OwnCodeError`], that `text` breaks; a forbidden character
    /// comes first of all, except in a text too long to be looked at.
    pub fn parse(text: &str) -> Result<Self, OwnCodeError> {
        // Four bytes are the longest character: more bytes are more characters, whatever they are.
        if text.len() > OWN_MAX * 4 {
            return Err(OwnCodeError::TooLong);
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if let Some(position) = text.chars().position(|c| !allowed(c)) {
            return Err(OwnCodeError::ForbiddenCharacter { position });
        }
        match text.len() {
            ..OWN_MIN => return Err(OwnCodeError::TooShort),
            OWN_MIN..=OWN_MAX => {}
            _ => return Err(OwnCodeError::TooLong),
        }
        // The characters and the length are right: only hyphens can have made it too short.
        let canonical =
            CanonicalCode::fold(text).map_err(|_| OwnCodeError::TooFewBesidesHyphens)?;
        if generated::shape(canonical.expose().as_bytes()) != Shape::Foreign {
            return Err(OwnCodeError::LooksGenerated);
        }
        Ok(Self {
            text: Zeroizing::new(text.to_owned()),
            canonical,
        })
    }

    /// The code as it was chosen, in clear.
    pub fn expose_text(&self) -> &str {
        &self.text
    }

    /// Its canonical form: unique among the codes that are not retired.
    pub fn canonical(&self) -> &CanonicalCode {
        &self.canonical
    }

    /// At most the first two characters, and bullets that do not tell the length: `PY••••••`.
    ///
    /// Two characters (about 10 bits) are shown of a code of 12 or more besides hyphens, one
    /// of 8 or more, none of a shorter one.
    pub fn masked(&self) -> String {
        mask::own(&self.text, self.canonical.expose())
    }

    /// Why someone could guess this code, for a warning to who sets it; `None` if nothing obvious
    /// speaks against it. An estimate, not a proof.
    pub fn guessable(&self) -> Option<Guessable> {
        guessable::judge(&self.text)
    }
}

const _: () = assert!(
    OWN_MIN == CANONICAL_MIN,
    "what may be chosen must be possible to type"
);

impl fmt::Debug for OwnCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnCode([redacted])")
    }
}

impl fmt::Display for OwnCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
