//! What a caller should know although the call succeeded.

/// A warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// The event key was turned on while the maximum students is only a default.
    MaximumIsDefault,
    /// The own code is easy to guess.
    CodeGuessable,
    /// More live enrollment keys are handed out than the class has seats.
    KeysExceedSeats {
        /// How many of them can no longer be used.
        keys_without_seat: i64,
    },
}
