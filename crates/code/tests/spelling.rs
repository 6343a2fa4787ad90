//! Every spelling of a code has one canonical form; what is no code is told apart.

use latchkey_code::{Kind, Malformed, OwnCode, TYPED_MAX_BYTES, generate, parse};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

/// Own codes, few of which look generated.
fn own_text() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_][A-Za-z0-9_-]{5,40}[A-Za-z0-9_]"
}

fn generated_text() -> impl Strategy<Value = String> {
    (any::<u64>(), 0..Kind::ALL.len()).prop_map(|(seed, kind)| {
        generate(Kind::ALL[kind], &mut StdRng::seed_from_u64(seed))
            .expose_text()
            .to_owned()
    })
}

/// Another way to write `character`, picked by `choice`.
fn respelled(character: char, choice: u8) -> String {
    let alike: &[char] = match character.to_ascii_uppercase() {
        '0' | 'O' => &['0', 'O', 'o'],
        '1' | 'I' | 'L' => &['1', 'I', 'i', 'L', 'l'],
        '-' => {
            return ["", "-", "–", " ", "\u{A0}", "\u{2011}"][usize::from(choice) % 6].to_owned();
        }
        _ => &[],
    };
    let between = ["", "", "", "-", " ", "\u{200B}", "\u{2009}"][usize::from(choice >> 4) % 7];
    let written = match alike {
        [] if choice.is_multiple_of(2) => character.to_ascii_uppercase(),
        [] => character.to_ascii_lowercase(),
        alike => alike[usize::from(choice) % alike.len()],
    };
    format!("{written}{between}")
}

proptest! {
    #[test]
    fn every_spelling_of_a_code_has_one_canonical_form(
        text in prop_oneof![generated_text(), own_text()],
        choices in proptest::collection::vec(any::<u8>(), 64),
    ) {
        let typed: String = text.chars().zip(choices).map(|(character, choice)| respelled(character, choice)).collect();
        prop_assume!(typed.len() <= TYPED_MAX_BYTES);
        prop_assert_eq!(parse(&typed), parse(&text));
    }

    #[test]
    fn the_canonical_form_is_its_own(text in prop_oneof![generated_text(), own_text()]) {
        if let Ok(code) = parse(&text) {
            let again = parse(code.expose()).expect("a canonical code parses");
            prop_assert_eq!(again.expose(), code.expose());
            prop_assert!((6..=64).contains(&code.expose().len()));
            prop_assert!(code.expose().bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'));
            prop_assert!(!code.expose().contains(['O', 'I', 'L']));
        }
    }

    #[test]
    fn different_codes_stay_different(one in generated_text(), other in generated_text()) {
        prop_assert_eq!(one == other, parse(&one) == parse(&other));
    }

    #[test]
    fn an_own_code_can_be_typed(text in own_text()) {
        if let Ok(own) = OwnCode::parse(&text) {
            let typed = parse(&text).expect("an own code parses");
            prop_assert_eq!(&typed, own.canonical());
            prop_assert_eq!(typed.generated_kind(), None);
        }
    }

    #[test]
    fn nothing_typed_panics(typed in any::<String>()) {
        let _ = parse(&typed);
        let _ = OwnCode::parse(&typed).map(|own| (own.guessable(), own.masked()));
    }
}

#[test]
fn what_no_code_contains_is_malformed() {
    for (typed, problem) in [
        ("", Malformed::TooShort),
        ("ABCDE", Malformed::TooShort),
        ("------", Malformed::TooShort),
        ("A-B-C-D-E", Malformed::TooShort),
        ("WELCOME!", Malformed::ForbiddenCharacter),
        ("WELCOMÉ", Malformed::ForbiddenCharacter),
        ("WELCOME\0", Malformed::ForbiddenCharacter),
        ("ＷＥＬＣＯＭＥ", Malformed::ForbiddenCharacter),
    ] {
        assert_eq!(parse(typed).err(), Some(problem), "{typed:?}");
    }
}

#[test]
fn length_is_bounded_before_and_after_folding() {
    assert!(parse(&"7".repeat(64)).is_ok());
    assert_eq!(parse(&"7".repeat(65)).err(), Some(Malformed::TooLong));
    let spaced = format!("WELCOME{}", " ".repeat(TYPED_MAX_BYTES - 7));
    assert!(parse(&spaced).is_ok());
    assert_eq!(parse(&format!("{spaced} ")).err(), Some(Malformed::TooLong));
    // Too long even where its content is forbidden: nothing beyond the bound is looked at.
    assert_eq!(
        parse(&"!".repeat(TYPED_MAX_BYTES + 1)).err(),
        Some(Malformed::TooLong)
    );
}

#[test]
fn underscores_are_kept() {
    let code = parse("lab_one-x").expect("a code");
    assert_eq!(code.expose(), "1AB_0NEX");
    assert_ne!(parse("lab_one-x"), parse("labonex"));
}
