//! Generated codes: their form, and that every error of one or two symbols is caught.

use std::collections::HashSet;

use latchkey_code::{CanonicalCode, Kind, LENGTH, Malformed, RANDOM_BITS, generate, parse};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const SYMBOLS: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

fn codes(of_each_kind: usize) -> impl Iterator<Item = (Kind, String)> {
    let mut rng = StdRng::seed_from_u64(7);
    Kind::ALL
        .into_iter()
        .cycle()
        .take(of_each_kind * Kind::ALL.len())
        .map(move |kind| {
            (
                kind,
                generate(kind, &mut rng).canonical().expose().to_owned(),
            )
        })
}

fn with(code: &str, changes: &[(usize, char)]) -> String {
    let mut symbols: Vec<char> = code.chars().collect();
    for &(place, symbol) in changes {
        symbols[place] = symbol;
    }
    symbols.into_iter().collect()
}

fn problem(code: &str) -> Option<Malformed> {
    parse(code).err()
}

#[test]
fn the_text_has_its_groups_and_parses_to_the_canonical_code() {
    let mut rng = StdRng::seed_from_u64(1);
    for kind in Kind::ALL {
        let code = generate(kind, &mut rng);
        let groups: Vec<&str> = code.expose_text().split('-').collect();
        assert_eq!(groups[0], kind.prefix());
        assert_eq!(
            groups[1..]
                .iter()
                .map(|group| group.len())
                .collect::<Vec<_>>(),
            [4; 6]
        );
        assert!(
            groups
                .concat()
                .chars()
                .all(|symbol| SYMBOLS.contains(symbol))
        );

        let parsed = parse(code.expose_text()).expect("a generated code parses");
        assert_eq!(&parsed, code.canonical());
        assert_eq!(parsed.expose(), groups.concat());
        assert_eq!(parsed.expose().len(), LENGTH);
        assert_eq!(parsed.generated_kind(), Some(kind));
        assert_eq!(code.kind(), kind);
    }
}

/// Made by the definition of the check symbols, not by this crate: the sum of all symbols is zero
/// in GF(32), and so is the sum of each symbol times α to the power of its place from the end.
const KNOWN: [&str; 4] = [
    "EK-0000-0000-0000-0000-0000-002Z",
    "EV-0000-0000-0000-0000-0000-003P",
    "PK-0123-4567-89AB-CDEF-GHJK-MNTY",
    "SK-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZD7",
];

/// The form is fixed: codes on paper outlive a release.
#[test]
fn a_known_code_stays_a_code() {
    for (text, kind) in KNOWN.into_iter().zip(Kind::ALL) {
        assert_eq!(
            parse(text).expect("a sound code").generated_kind(),
            Some(kind),
            "{text}"
        );
    }
}

#[test]
fn every_random_symbol_takes_every_value() {
    let mut seen: Vec<HashSet<char>> = vec![HashSet::new(); LENGTH];
    for (_, code) in codes(200) {
        for (place, symbol) in code.chars().enumerate() {
            seen[place].insert(symbol);
        }
    }
    for (place, symbols) in seen.iter().enumerate().skip(2) {
        assert_eq!(symbols.len(), 32, "place {place}");
    }
}

#[test]
fn every_single_wrong_symbol_is_caught() {
    for (_, code) in codes(3) {
        for (place, right) in code.chars().enumerate() {
            for wrong in SYMBOLS
                .chars()
                .chain(['U', '_'])
                .filter(|&wrong| wrong != right)
            {
                let typed = with(&code, &[(place, wrong)]);
                assert_eq!(
                    problem(&typed),
                    Some(Malformed::Mistyped),
                    "{code} typed {typed}"
                );
            }
        }
    }
}

#[test]
fn every_exchange_of_two_symbols_is_caught_near_or_far() {
    for (_, code) in codes(5) {
        let symbols: Vec<char> = code.chars().collect();
        for one in 0..LENGTH {
            for other in one + 1..LENGTH {
                if symbols[one] == symbols[other] {
                    continue;
                }
                let typed = with(&code, &[(one, symbols[other]), (other, symbols[one])]);
                // An exchange between prefix and payload can leave no trace of a prefix: then the
                // text is only known not to be a generated code.
                let caught = problem(&typed) == Some(Malformed::Mistyped);
                let is_none = parse(&typed).is_ok_and(|code| code.generated_kind().is_none());
                assert!(
                    caught || (one < 2 && other >= 2 && is_none),
                    "{code} typed {typed}"
                );
            }
        }
    }
}

/// Every pair of places, each with random wrong symbols. (That no choice of symbols escapes follows
/// from the field, which the unit tests of the check symbols prove.)
#[test]
fn every_pair_of_wrong_symbols_after_the_prefix_is_caught() {
    let mut rng = StdRng::seed_from_u64(9);
    let mut other_than = |right: char| loop {
        let wrong = SYMBOLS.as_bytes()[rng.random_range(..32_usize)];
        if char::from(wrong) != right {
            return char::from(wrong);
        }
    };
    for (_, code) in codes(5) {
        let symbols: Vec<char> = code.chars().collect();
        for one in 2..LENGTH {
            for other in one + 1..LENGTH {
                let typed = with(
                    &code,
                    &[
                        (one, other_than(symbols[one])),
                        (other, other_than(symbols[other])),
                    ],
                );
                assert_eq!(
                    problem(&typed),
                    Some(Malformed::Mistyped),
                    "{code} typed {typed}"
                );
            }
        }
    }
}

/// With one or both errors in the prefix a text may not look generated any more; it never passes
/// for another generated code.
#[test]
fn no_pair_of_wrong_symbols_makes_another_code() {
    let (_, code) = codes(1).next().expect("one code");
    for one in 0..2 {
        for other in one + 1..LENGTH {
            for wrong_one in "EKPSVZ0".chars() {
                for wrong_other in SYMBOLS.chars() {
                    let typed = with(&code, &[(one, wrong_one), (other, wrong_other)]);
                    let kind = parse(&typed).ok().and_then(|code| code.generated_kind());
                    assert!(typed == code || kind.is_none(), "{code} typed {typed}");
                }
            }
        }
    }
}

#[test]
fn missing_and_surplus_symbols_are_caught() {
    for (_, code) in codes(1) {
        for change in 1..=3 {
            assert_eq!(
                problem(&code[..LENGTH - change]),
                Some(Malformed::WrongLength)
            );
            let longer = format!("{code}{}", "7".repeat(change));
            assert_eq!(problem(&longer), Some(Malformed::WrongLength));
        }
        // Further off, a text is no attempt at a generated code.
        assert!(parse(&code[..LENGTH - 4]).is_ok());
    }
}

#[test]
fn a_masked_code_shows_its_prefix_and_two_symbols() {
    let mut rng = StdRng::seed_from_u64(3);
    for kind in Kind::ALL {
        let code = generate(kind, &mut rng);
        let last = &code.expose_text()[code.expose_text().len() - 2..];
        assert_eq!(
            code.masked(),
            format!("{}-••••-••••-••••-••••-••••-••{last}", kind.prefix())
        );
    }
    assert_eq!(RANDOM_BITS, 110);
}

#[test]
fn a_code_shows_itself_redacted() {
    let code = generate(Kind::Event, &mut StdRng::seed_from_u64(4));
    let canonical: &CanonicalCode = code.canonical();
    assert_eq!(format!("{canonical}"), "[redacted]");
    assert_eq!(format!("{canonical:?}"), "CanonicalCode([redacted])");
    assert_eq!(format!("{code:?}"), "GeneratedCode { kind: Event, .. }");
}
