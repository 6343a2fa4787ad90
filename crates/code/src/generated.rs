//! Codes made by the service: kind prefix, random symbols, check symbols.

use std::fmt;

use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::alphabet;
use crate::canonical::CanonicalCode;
use crate::{check, mask};

/// Symbols of the kind prefix.
pub(crate) const PREFIX: usize = 2;
/// Random symbols, five bits each.
const RANDOM: usize = 22;
/// Check symbols.
pub(crate) const CHECK: usize = 2;
/// Symbols in a group of the text for people, after the prefix.
pub(crate) const GROUP: usize = 4;
/// By how many symbols a code may be too short or too long and still be taken for a generated one
/// with a typing error.
const SLACK: usize = 3;

/// The characters of a generated code in canonical form.
pub const LENGTH: usize = PREFIX + RANDOM + CHECK;
/// The random bits in a generated code: far beyond guessing, and with 10 of them shown by the
/// masked form still 100.
pub const RANDOM_BITS: usize = RANDOM * 5;

/// The kind of key that a generated code belongs to, as its prefix states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `EK`: an enrollment key, for one student and one class.
    Enrollment,
    /// `EV`: an event key, for everyone in one class.
    Event,
    /// `PK`: a pool key, for one student and one course.
    Pool,
    /// `SK`: a subscription key.
    Subscription,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [
        Self::Enrollment,
        Self::Event,
        Self::Pool,
        Self::Subscription,
    ];

    /// The two symbols that a generated code of this kind begins with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Enrollment => "EK",
            Self::Event => "EV",
            Self::Pool => "PK",
            Self::Subscription => "SK",
        }
    }
}

/// A code fresh from [`generate`].
///
/// Redacted in `Debug`, wiped when dropped.
pub struct GeneratedCode {
    kind: Kind,
    text: Zeroizing<String>,
    canonical: CanonicalCode,
}

impl GeneratedCode {
    /// The kind its prefix states.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The code as it is shown to people: `EK-XXXX-XXXX-XXXX-XXXX-XXXX-XXXX`.
    pub fn expose_text(&self) -> &str {
        &self.text
    }

    /// Its canonical form, the same that [`crate::parse`] finds in its text.
    pub fn canonical(&self) -> &CanonicalCode {
        &self.canonical
    }

    /// The code with all but its prefix and its last two symbols hidden:
    /// `EK-••••-••••-••••-••••-••••-••4M`.
    ///
    /// The two symbols shown are the check symbols. They tell 10 of the 110 random bits; 100 stay
    /// hidden, which showing the whole last group would not leave.
    pub fn masked(&self) -> String {
        mask::generated(self.canonical.expose())
    }
}

impl fmt::Debug for GeneratedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GeneratedCode")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Makes a new code with [`RANDOM_BITS`] bits from `rng`.
///
/// Two codes are equal only by a chance that is never met; the caller still stores them under a
/// unique index.
pub fn generate(kind: Kind, rng: &mut impl CryptoRng) -> GeneratedCode {
    let mut random = Zeroizing::new([0; RANDOM]);
    rng.fill_bytes(random.as_mut_slice());

    let prefix = kind.prefix();
    // 32 symbols divide the 256 values of a byte evenly: the low five bits are unbiased.
    let message = prefix
        .bytes()
        .filter_map(alphabet::value)
        .chain(random.iter().map(|byte| byte & 31));
    let checks = check::check_symbols(message);

    let mut text = Zeroizing::new(String::with_capacity(LENGTH + LENGTH / GROUP + 1));
    text.push_str(prefix);
    for (place, &value) in random.iter().chain(&checks).enumerate() {
        if place % GROUP == 0 {
            text.push('-');
        }
        text.push(alphabet::symbol(value));
    }
    let canonical = CanonicalCode::fold(&text)
        .expect("a generated code consists of symbols and hyphens, within the bounds");
    GeneratedCode {
        kind,
        text,
        canonical,
    }
}

/// How a canonical text relates to generated codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A generated code of this kind.
    Sound(Kind),
    /// Begins like one, and is a little shorter or longer than all of them.
    WrongLength,
    /// Written like one, and cannot be one as it stands.
    Mistyped,
    /// Nothing like one: it can only be an own code.
    Foreign,
}

/// Tells generated codes, typing errors in them, and other texts apart.
pub(crate) fn shape(code: &[u8]) -> Shape {
    match Kind::ALL
        .into_iter()
        .find(|kind| code.starts_with(kind.prefix().as_bytes()))
    {
        Some(_) if code.len().abs_diff(LENGTH) > SLACK => Shape::Foreign,
        Some(_) if code.len() != LENGTH => Shape::WrongLength,
        Some(kind) if check::is_sound(code) => Shape::Sound(kind),
        Some(_) => Shape::Mistyped,
        None if mistyped_prefix(code) => Shape::Mistyped,
        None => Shape::Foreign,
    }
}

/// Whether `code` becomes a generated code when its first two symbols are replaced by a prefix.
/// Other texts of this length and alphabet fit by chance 4 times in 1024; as own codes those are
/// refused, so nobody's code is lost by it.
fn mistyped_prefix(code: &[u8]) -> bool {
    if code.len() != LENGTH {
        return false;
    }
    Kind::ALL.into_iter().any(|kind| {
        let mut corrected = Zeroizing::new([0; LENGTH]);
        corrected.copy_from_slice(code);
        corrected[..PREFIX].copy_from_slice(kind.prefix().as_bytes());
        check::is_sound(corrected.as_slice())
    })
}
