//! Own codes: each rule with its own error, and what is shown of them.

use latchkey_code::{Guessable, Kind, OwnCode, OwnCodeError, generate};
use rand::SeedableRng;
use rand::rngs::StdRng;

fn problem(text: &str) -> Option<OwnCodeError> {
    OwnCode::parse(text).err()
}

#[test]
fn each_rule_has_its_error() {
    let forbidden = |position| Some(OwnCodeError::ForbiddenCharacter { position });
    assert_eq!(problem(""), Some(OwnCodeError::TooShort));
    assert_eq!(problem("ABCDE"), Some(OwnCodeError::TooShort));
    assert_eq!(problem(&"A".repeat(65)), Some(OwnCodeError::TooLong));
    assert_eq!(problem(&"é".repeat(129)), Some(OwnCodeError::TooLong));
    assert_eq!(problem("ABC-DE"), Some(OwnCodeError::TooFewBesidesHyphens));
    assert_eq!(
        problem("--------"),
        Some(OwnCodeError::TooFewBesidesHyphens)
    );
    assert_eq!(problem(" PYTHON-7"), forbidden(0));
    assert_eq!(problem("PYTHON 7"), forbidden(6));
    assert_eq!(problem("éPYTHON–7"), forbidden(0));
    assert_eq!(problem("PYTHÖN.7"), forbidden(4));
    assert_eq!(
        OwnCodeError::ForbiddenCharacter { position: 4 }.to_string(),
        "a code consists of letters A to Z, digits, '-' and '_'; character 5 is another"
    );
}

#[test]
fn the_shortest_and_the_longest_are_taken() {
    assert_eq!(problem("abc_d7"), None);
    assert_eq!(problem(&"A".repeat(64)), None);
    assert_eq!(problem("a-b-c-d-e-f"), None);
}

#[test]
fn a_code_that_looks_generated_is_refused() {
    let mut rng = StdRng::seed_from_u64(11);
    for kind in Kind::ALL {
        let code = generate(kind, &mut rng);
        let text = code.expose_text();
        let refused = Some(OwnCodeError::LooksGenerated);
        assert_eq!(problem(text), refused);
        assert_eq!(problem(&text.to_lowercase()), refused);
        assert_eq!(problem(&text[..text.len() - 1]), refused, "a symbol short");
        assert_eq!(
            problem(&format!("{text}777")),
            refused,
            "three symbols long"
        );
        assert_eq!(
            problem(&format!("QQ{}", &text[2..])),
            refused,
            "another prefix before a sound rest"
        );
        assert_eq!(
            problem(&format!("{}-LAB-2026", kind.prefix())),
            None,
            "a prefix alone is no likeness"
        );
    }
}

#[test]
fn the_text_is_kept_and_the_canonical_form_folded() {
    let own = OwnCode::parse("Lab-Of_Olli-26").expect("an own code");
    assert_eq!(own.expose_text(), "Lab-Of_Olli-26");
    assert_eq!(own.canonical().expose(), "1AB0F_011126");
}

#[test]
fn at_most_two_characters_are_shown() {
    for (text, masked) in [
        ("AB-CD-EF-GH", "A••••••"),
        ("ABCDEF", "••••••"),
        ("ABCDEFG", "••••••"),
        ("ABCDEFGH", "A••••••"),
        ("a-b-c-d-e-f-g", "••••••"),
        ("ABCDEFGHIJK", "A••••••"),
        ("ABCDEFGHIJKL", "AB••••••"),
        ("Python-For-Everyone", "Py••••••"),
    ] {
        assert_eq!(OwnCode::parse(text).expect("an own code").masked(), masked);
    }
}

#[test]
fn an_own_code_shows_itself_redacted() {
    let own = OwnCode::parse("Python-For-Everyone").expect("an own code");
    assert_eq!(format!("{own} {own:?}"), "[redacted] OwnCode([redacted])");
}

#[test]
fn a_guessable_code_is_taken_with_a_warning() {
    let guessable = |text| OwnCode::parse(text).expect("an own code").guessable();
    assert_eq!(guessable("WELCOME2026"), Some(Guessable::WordsOrYears));
    assert_eq!(guessable("q7xk-9mzp-2rtw"), None);
}
