//! The written form of a code: what a student types to open a class.
//!
//! Pure: no I/O, no clock, no randomness of its own. Both services need the same canonical form
//! (one to look a code up, one to fingerprint a request), so it lives here and nowhere else.
//!
//! * [`parse`] turns what was typed into its one [`CanonicalCode`], or says that no code can be
//!   spelled that way, before any database is asked.
//! * [`generate`] makes a code from a random source, with check symbols.
//! * [`OwnCode`] is a text that an organization chose itself.
//!
//! A code is a secret. Its types redact `Debug` and `Display`, wipe their memory when dropped and
//! compare in constant time; the clear text leaves by a method whose name begins with `expose`.

mod alphabet;
mod canonical;
mod check;
mod generated;
mod guessable;
mod mask;
mod own;
mod words;

pub use canonical::{
    CANONICAL_MAX, CANONICAL_MIN, CanonicalCode, Malformed, TYPED_MAX_BYTES, parse,
};
pub use generated::{GeneratedCode, Kind, LENGTH, RANDOM_BITS, generate};
pub use guessable::Guessable;
pub use own::{OWN_MAX, OWN_MIN, OwnCode, OwnCodeError};
