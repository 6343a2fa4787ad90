use latchkey_code::{Kind, generate, parse};
use latchkey_service_kit::ids::os_random;
use proptest::prelude::*;
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::*;

fn keyring() -> Keyring {
    Keyring::generate(&mut os_random())
}

/// What is in use when `current` is the newest version of each purpose, and every one below it may stand somewhere.
fn in_use(current: i16) -> InUse {
    let versions = || Versions {
        current,
        all: (1..=current).collect(),
        rotated: true,
    };
    InUse {
        seal: versions(),
        look_up: versions(),
        fingerprint: versions(),
    }
}

/// The keys of `keyring` while version 1 is current.
fn first(keyring: &Keyring) -> CurrentKeys<'_> {
    keyring.current(&in_use(1)).expect("it has version 1")
}

fn toml(keyring: &Keyring) -> String {
    keyring.to_toml().expose_secret().to_owned()
}

fn place(key: u128, generation: i32) -> CodePlace {
    CodePlace {
        key_id: Uuid::from_u128(key),
        generation,
    }
}

/// `text` with the key tables of `purpose` in `other` added, as version 2.
fn with_second(text: &str, purpose: &str, other: &str) -> String {
    let start = other
        .find(&format!("[[{purpose}]]"))
        .expect("the purpose is there");
    let table = other[start..].split("\n\n").next().expect("a table");
    format!("{text}\n{}\n", table.replace("version = 1", "version = 2"))
}

#[test]
fn a_keyring_comes_back_from_its_text() {
    let made = keyring();
    let read = Keyring::parse(&toml(&made)).unwrap();
    let sealed = first(&made).seal(place(1, 1), "EK-CODE", &mut os_random());
    assert_eq!(
        read.unseal(place(1, 1), &sealed).unwrap().as_str(),
        "EK-CODE"
    );
    let code = parse("SPRING-2030").unwrap();
    assert_eq!(first(&read).hash(&code), first(&made).hash(&code));
    assert_eq!(
        read.fits(&first(&made).fingerprint(&[b"a"]), &[b"a"]),
        Some(true)
    );
}

#[test]
fn nothing_of_a_keyring_is_shown() {
    let made = keyring();
    let sealed = first(&made).seal(place(1, 1), "EK-CODE", &mut os_random());
    let shown = format!(
        "{made:?}{sealed:?}{:?}",
        first(&made).hash(&parse("SPRING-2030").unwrap())
    );
    assert_eq!(
        shown,
        "Keyring([redacted])SealedCode { version: 1, .. }HashedCode { version: 1, .. }"
    );
}

#[test]
fn a_sealed_code_opens_in_its_own_row_only() {
    let made = keyring();
    let sealed = first(&made).seal(place(1, 1), "EK-CODE", &mut os_random());
    for elsewhere in [place(2, 1), place(1, 2)] {
        assert_eq!(made.unseal(elsewhere, &sealed), Err(Unsealable::Damaged));
    }
    assert_eq!(
        keyring().unseal(place(1, 1), &sealed),
        Err(Unsealable::Damaged)
    );
    let relabelled = SealedCode {
        version: 2,
        ..sealed
    };
    assert_eq!(
        made.unseal(place(1, 1), &relabelled),
        Err(Unsealable::NoSuchVersion(2))
    );
}

#[test]
fn a_version_cannot_be_exchanged_for_another() {
    let (one, two) = (keyring(), keyring());
    // The same key bytes under another version: the version is part of what is authenticated.
    let moved = Keyring::parse(&toml(&one).replace("version = 1", "version = 2")).unwrap();
    let sealed = first(&one).seal(place(1, 1), "EK-CODE", &mut os_random());
    assert_eq!(
        moved.unseal(
            place(1, 1),
            &SealedCode {
                version: 2,
                ..sealed.clone()
            }
        ),
        Err(Unsealable::Damaged)
    );
    let both = Keyring::parse(&with_second(&toml(&one), "seal", &toml(&two))).unwrap();
    assert_eq!(
        both.unseal(place(1, 1), &sealed).unwrap().as_str(),
        "EK-CODE"
    );
    // A version that was only added makes nothing yet.
    let seal = |in_use: &InUse| {
        let keys = both.current(in_use).expect("it has them");
        let sealed = keys.seal(place(1, 1), "EK-CODE", &mut os_random());
        sealed.version
    };
    assert_eq!(seal(&in_use(1)), 1);
    let promoted = InUse {
        seal: in_use(2).seal,
        ..in_use(1)
    };
    assert_eq!(seal(&promoted), 2);
}

#[test]
fn the_current_key_hashes_and_every_key_looks_up() {
    let (one, two) = (keyring(), keyring());
    let both = Keyring::parse(&with_second(&toml(&one), "look_up", &toml(&two))).unwrap();
    let code = generate(Kind::Enrollment, &mut os_random());
    let hashes: Vec<HashedCode> = both.hashes(code.canonical()).collect();
    assert_eq!(both.hashes_per_code(), 2);
    let promoted = InUse {
        look_up: in_use(2).look_up,
        ..in_use(1)
    };
    let newest = both.current(&promoted).expect("it has them");
    assert_eq!(hashes[0], newest.hash(code.canonical()));
    assert_eq!(
        (hashes[0].version, hashes[0].hash),
        (2, first(&two).hash(code.canonical()).hash)
    );
    assert_eq!(hashes[1], first(&one).hash(code.canonical()));
}

#[test]
fn a_version_is_added_above_the_highest_and_taken_away_alone() {
    let one = keyring();
    let seal = |version| KeyVersion {
        purpose: Purpose::Seal,
        version,
    };
    let (two, added) = one
        .with_another(Purpose::Seal, &mut os_random())
        .expect("there is room");
    assert_eq!(added, seal(2));
    assert_eq!(
        (one.newest(Purpose::Seal), two.newest(Purpose::Seal)),
        (1, 2)
    );
    assert_eq!(two.newest(Purpose::LookUp), 1);
    let read = Keyring::parse(&toml(&two)).unwrap();
    assert_eq!(read.held(), two.held());
    let left = two.without(seal(1)).expect("another is left");
    assert_eq!(left.held()[0], two.held()[1]);
    assert!(!left.has(seal(1)));
    assert!(left.without(seal(2)).is_none(), "the last one stays");
    assert!(left.without(seal(1)).is_none(), "it is not there");
}

#[test]
fn a_keyring_says_what_it_lacks() {
    let one = keyring();
    assert_eq!(one.covers(&in_use(1)), Ok(()));
    let lacking = |purpose| {
        Lacking(KeyVersion {
            purpose,
            version: 2,
        })
    };
    assert_eq!(one.covers(&in_use(2)), Err(lacking(Purpose::Seal)));
    let looked_up = InUse {
        look_up: in_use(2).look_up,
        ..in_use(1)
    };
    let refused = one.current(&looked_up).expect_err("it lacks one");
    assert_eq!(refused, lacking(Purpose::LookUp));
}

#[test]
fn digests_tell_keys_apart_and_nothing_of_them() {
    let (one, other) = (keyring(), keyring());
    let digests = |keyring: &Keyring| -> Vec<String> {
        keyring.held().into_iter().map(|held| held.digest).collect()
    };
    assert_eq!(
        digests(&one),
        digests(&Keyring::parse(&toml(&one)).unwrap())
    );
    assert!(
        digests(&one)
            .iter()
            .all(|digest| !digests(&other).contains(digest))
    );
    let moved = Keyring::parse(&toml(&one).replace("version = 1", "version = 2")).unwrap();
    assert!(
        digests(&one)
            .iter()
            .all(|digest| !digests(&moved).contains(digest))
    );
}

#[test]
fn every_spelling_has_one_hash() {
    let made = keyring();
    let hash = |typed: &str| first(&made).hash(&parse(typed).unwrap());
    assert_eq!(hash("Spring-2o3o"), hash("SPR1NG 2030"));
    assert_ne!(hash("SPRING2030"), hash("SPRING2031"));
}

#[test]
fn fingerprints_tell_every_division_into_parts_apart() {
    let made = keyring();
    let print = first(&made).fingerprint(&[b"ab", b"c"]);
    assert_eq!(made.fits(&print, &[b"ab", b"c"]), Some(true));
    for other in [
        &[b"a".as_slice(), b"bc"][..],
        &[b"abc"],
        &[b"ab", b"c", b""],
        &[b"c", b"ab"],
    ] {
        assert_eq!(made.fits(&print, other), Some(false));
    }
    assert_eq!(keyring().fits(&print, &[b"ab", b"c"]), Some(false));
    assert_eq!(
        made.fits(
            &Fingerprint {
                version: 9,
                ..print
            },
            &[b"ab", b"c"]
        ),
        None
    );
}

#[test]
fn a_bad_keyring_is_refused_without_repeating_it() {
    let good = toml(&keyring());
    let key = good.split('"').nth(1).expect("a key").to_owned();
    let last = good.rfind("[[fingerprint]]").expect("the last table");
    let cases = [
        (String::new(), KeyringError::NoKey { purpose: "seal" }),
        (
            good[..last].to_owned(),
            KeyringError::NoKey {
                purpose: "fingerprint",
            },
        ),
        (
            good.replacen("version = 1", "version = 0", 1),
            KeyringError::BadVersion {
                purpose: "seal",
                version: 0,
            },
        ),
        (
            good.replacen(&key, "c2hvcnQ=", 1),
            KeyringError::BadKey {
                purpose: "seal",
                version: 1,
            },
        ),
        (
            good.replacen(&key, &key.replace('=', "!"), 1),
            KeyringError::BadKey {
                purpose: "seal",
                version: 1,
            },
        ),
        (
            with_second(&good, "seal", &good),
            KeyringError::KeyReused {
                purpose: "seal",
                version: 2,
            },
        ),
        (
            good.replacen("[[seal]]", "[[seel]]", 1),
            KeyringError::NotADocument { line: Some(4) },
        ),
        (
            good.replacen("version = 1", "version = 99999", 1),
            KeyringError::NotADocument { line: Some(5) },
        ),
        (
            good.replacen(&format!("\"{key}\""), &key, 1),
            KeyringError::NotADocument { line: Some(6) },
        ),
    ];
    for (text, expected) in cases {
        let error = Keyring::parse(&text).expect_err("the keyring is bad");
        assert_eq!(error, expected);
        assert!(!format!("{error} {error:?}").contains(&key[..8]), "{error}");
    }
}

proptest! {
    #[test]
    fn no_change_of_a_single_bit_goes_unnoticed(text in "[A-Z0-9-]{6,64}", bit in 0_usize..8 * 40) {
        let made = keyring();
        let mut sealed = first(&made).seal(place(1, 1), &text, &mut os_random());
        let opened = made.unseal(place(1, 1), &sealed).expect("it opens");
        prop_assert_eq!(opened.as_str(), text.as_str());
        let length = sealed.bytes.len() * 8;
        sealed.bytes[bit % length / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(made.unseal(place(1, 1), &sealed), Err(Unsealable::Damaged));
    }

    #[test]
    fn no_text_makes_parsing_panic(text: String) {
        let _ = Keyring::parse(&text);
    }
}
