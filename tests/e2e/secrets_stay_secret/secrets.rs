//! What must not be found, and the search for it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use regex::bytes::{Regex, RegexBuilder};

use super::places::Place;
use super::spellings;

/// Secrets by every text that gives one away.
#[derive(Debug, Default)]
pub(super) struct Secrets(BTreeMap<Vec<u8>, String>);

impl Secrets {
    /// A code: as it is shown, as it could be typed, and in its canonical form.
    pub(super) fn code(&mut self, code: &str) {
        for text in spellings(code) {
            self.text("a code", &text);
        }
    }

    /// A text in any case.
    pub(super) fn text(&mut self, what: &str, text: &str) {
        for spelling in [text.to_owned(), text.to_lowercase(), text.to_uppercase()] {
            self.bytes(what, spelling.as_bytes());
        }
    }

    /// Bytes as they are, in hexadecimal and in base64.
    pub(super) fn bytes(&mut self, what: &str, bytes: &[u8]) {
        assert!(bytes.len() >= 8, "{what} would be found by chance");
        let what = what.to_owned();
        self.0.insert(bytes.to_ascii_lowercase(), what.clone());
        self.0.insert(hex::encode(bytes).into_bytes(), what.clone());
        // Without its last characters, which depend on what follows.
        let base64 = STANDARD.encode(&bytes[..bytes.len() / 3 * 3]);
        self.0
            .insert(base64.to_ascii_lowercase().into_bytes(), what);
    }

    /// The keys in a keyring file.
    pub(super) fn keyring(&mut self, file: &Path) {
        let text = std::fs::read_to_string(file).expect("the keyring");
        let keys = text
            .lines()
            .filter_map(|line| line.strip_prefix("key = \""));
        let mut found = 0;
        for key in keys {
            let key = key.trim_end_matches('"');
            self.text("a key of the keyring", key);
            let bytes = STANDARD.decode(key).expect("base64");
            self.bytes("a key of the keyring", &bytes);
            found += 1;
        }
        assert!(found >= 3, "only {found} keys");
    }

    /// A token: each of its parts, of which the first and the last stand for all of its kind and for itself.
    pub(super) fn token(&mut self, token: &str) {
        for part in token.split('.') {
            self.text("a token", part);
        }
    }

    /// Fails if any of them stands in one of these places, whatever the case.
    pub(super) fn are_not_in(&self, places: &[Place]) {
        let pattern = self.pattern();
        for (place, content) in places {
            if let Some(found) = self.found_in(&pattern, content) {
                panic!("{found} stands in {place}");
            }
        }
    }

    fn found_in(&self, pattern: &Regex, haystack: &[u8]) -> Option<String> {
        let lower = haystack.to_ascii_lowercase();
        let found = pattern.find(&lower)?;
        let what = &self.0[found.as_bytes()];
        let start = found.start().saturating_sub(120);
        let before = String::from_utf8_lossy(&haystack[start..found.start()]);
        Some(format!("{what} (behind {before:?})"))
    }

    fn pattern(&self) -> Regex {
        let byte = |text: &mut String, byte: &u8| write!(text, "\\x{byte:02x}").expect("text");
        let alternatives: Vec<String> = self
            .0
            .keys()
            .map(|bytes| {
                let mut text = String::new();
                for one in bytes {
                    byte(&mut text, one);
                }
                text
            })
            .collect();
        RegexBuilder::new(&alternatives.join("|"))
            .unicode(false)
            .size_limit(1 << 28)
            .build()
            .expect("a pattern")
    }
}

#[test]
fn a_secret_is_found_however_it_is_written() {
    let mut secrets = Secrets::default();
    secrets.code("EK-O1234-56789");
    secrets.bytes(
        "bytes",
        &[0x80, 0xff, 0x5a, 0x00, 0x10, 0x61, 0x62, 0x63, 0x64],
    );
    let pattern = secrets.pattern();
    let found_in = |haystack: &[u8]| secrets.found_in(&pattern, haystack);
    for text in [
        "code: EK-O1234-56789.",
        "ek-o1234-56789",
        "EKO123456789",
        "EK0123456789",
        "454b2d4f313233342d3536373839",
        "454B2D4F313233342D3536373839",
        "RUstTzEyMzQtNTY3ODk=",
    ] {
        assert!(found_in(text.as_bytes()).is_some(), "{text}");
    }
    let raw = [
        1, 2, 0x80, 0xff, 0x5a, 0x00, 0x10, 0x61, 0x62, 0x63, 0x64, 3,
    ];
    assert_eq!(
        found_in(&raw).map(|found| found.starts_with("bytes")),
        Some(true)
    );
    assert!(found_in(b"EK-O1234-56788").is_none());
}
