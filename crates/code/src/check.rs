//! Two check symbols: a Reed–Solomon code over GF(32), the field whose elements are the symbols.
//!
//! The generator polynomial (x + 1)(x + α) = x² + 3x + 2 has two consecutive powers of α as roots,
//! so two sound codes of at most 31 symbols differ in at least three places. Every error in one or
//! two symbols is therefore caught, and with it every exchange of two symbols, near or far. Of
//! wilder errors 1 in 1024 passes.

use crate::alphabet;

/// The field's element α, the polynomial x; its powers are all 31 elements but zero.
const ALPHA: u8 = 2;
/// 1 + α, the other coefficient of the generator polynomial.
const ALPHA_PLUS_ONE: u8 = 3;
/// What x⁵ reduces to: GF(32) is taken modulo the primitive polynomial x⁵ + x² + 1.
const REDUCTION: u8 = 0b0_0101;

/// The product of two elements of GF(32). Without tables or branches on the operands, so that its
/// time says nothing about a code.
fn multiply(left: u8, right: u8) -> u8 {
    let mut product = 0;
    let mut shifted = left;
    for bit in 0..5 {
        product ^= shifted * ((right >> bit) & 1);
        let carry = (shifted >> 4) & 1;
        shifted = ((shifted << 1) & 31) ^ (REDUCTION * carry);
    }
    product
}

/// The remainder of the polynomial with these coefficients (highest first) divided by the
/// generator polynomial, after multiplying it by x²: the two check symbols of a message.
pub(crate) fn check_symbols(message: impl Iterator<Item = u8>) -> [u8; 2] {
    let [mut high, mut low] = [0, 0];
    for value in message {
        let feedback = value ^ high;
        high = low ^ multiply(ALPHA_PLUS_ONE, feedback);
        low = multiply(ALPHA, feedback);
    }
    [high, low]
}

/// Whether `code`, in canonical characters, ends in the check symbols of what precedes them. A
/// character that is not a symbol makes it unsound.
pub(crate) fn is_sound(code: &[u8]) -> bool {
    if code.iter().any(|&byte| alphabet::value(byte).is_none()) {
        return false;
    }
    check_symbols(code.iter().filter_map(|&byte| alphabet::value(byte))) == [0, 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every element but zero is a power of α: what the distance of the code rests on.
    #[test]
    fn alpha_generates_the_field() {
        let mut seen = [false; 32];
        let mut element = 1;
        for _ in 0..31 {
            assert!(!seen[usize::from(element)]);
            seen[usize::from(element)] = true;
            element = multiply(element, ALPHA);
        }
        assert_eq!(element, 1);
        assert!(!seen[0]);
    }

    #[test]
    fn multiplication_is_that_of_a_field() {
        for a in 0..32 {
            assert_eq!(multiply(a, 1), a);
            assert_eq!(multiply(a, 0), 0);
            for b in 0..32 {
                assert_eq!(multiply(a, b), multiply(b, a));
                for c in 0..32 {
                    assert_eq!(multiply(a, b ^ c), multiply(a, b) ^ multiply(a, c));
                    assert_eq!(multiply(a, multiply(b, c)), multiply(multiply(a, b), c));
                }
            }
        }
    }

    /// A message followed by its check symbols leaves no remainder.
    #[test]
    fn a_message_with_its_check_symbols_is_sound() {
        for seed in 0..32u8 {
            let mut code: Vec<u8> = (0..24u8)
                .map(|place| (place.wrapping_mul(7) ^ seed) & 31)
                .collect();
            let checks = check_symbols(code.iter().copied());
            code.extend(checks);
            let text: String = code.iter().map(|&value| alphabet::symbol(value)).collect();
            assert!(is_sound(text.as_bytes()), "{text}");
        }
    }
}
