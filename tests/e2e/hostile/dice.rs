//! Randomness that can be had again: each request follows from the run's seed and its own number.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

/// The seed of a run that is told none.
const USUAL_SEED: u64 = 20_260_401;

/// A number that the environment may give.
pub(super) fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// The seed of this run: `LATCHKEY_HOSTILE_SEED`, if it is set.
pub(super) fn seed() -> u64 {
    number("LATCHKEY_HOSTILE_SEED").unwrap_or(USUAL_SEED)
}

/// What is drawn for one request.
pub(super) struct Dice(StdRng);

impl Dice {
    /// The dice of the request with this number.
    pub(super) fn of(seed: u64, number: u64) -> Self {
        // A generator's neighbouring seeds have nothing in common.
        Self(StdRng::seed_from_u64(
            seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number,
        ))
    }

    /// A number below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0.random_range(0..bound)
    }

    /// True in `percent` of 100 cases.
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.0.random_ratio(percent, 100)
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.0.random()
    }

    pub(super) fn word(&mut self) -> u64 {
        self.0.random()
    }

    pub(super) fn one<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        of.choose(&mut self.0).expect("there are some")
    }

    /// Up to `most` bytes, short ones more often.
    pub(super) fn bytes(&mut self, most: usize) -> Vec<u8> {
        let bound = 1 + self.below(most);
        let length = self.below(bound);
        (0..length).map(|_| self.byte()).collect()
    }

    /// Up to `most` characters of all of Unicode, letters that codes have more often.
    pub(super) fn text(&mut self, most: usize) -> String {
        let length = self.below(most);
        (0..length).map(|_| self.character()).collect()
    }

    fn character(&mut self) -> char {
        const TYPED: &[char] = &[
            'E', 'V', 'K', 'P', 'S', '0', 'O', 'o', '1', 'I', 'l', 'Z', '-', '_', ' ', '\u{2003}',
            '\u{200b}', '\u{ad}', '\u{ff10}', '\u{131}', '\u{212a}', 'ß', 'ﬃ', '\u{0}', '\u{202e}',
            '\u{301}',
        ];
        if self.chance(60) {
            return *self.one(TYPED);
        }
        char::from_u32(self.0.random_range(0..0x11_0000)).unwrap_or('\u{fffd}')
    }
}
