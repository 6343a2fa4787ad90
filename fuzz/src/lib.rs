//! The pure parsers of what comes from outside, each with what must hold whatever it is given: that it does not panic, and
//! that what it accepts means the same when it is written and read again.
//!
//! Each function says whether it accepted its input. An ordinary test runs all of them over the corpus.

use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;
use jsonwebtoken::{Algorithm, EncodingKey};
use latchkey_code::OwnCode;
use latchkey_enrollment::domain::notification::fields::Facts;
use latchkey_enrollment::domain::notification::template::{faults, render};
use latchkey_enrollment::domain::notification::{PlanSettings, Trigger};
use latchkey_keys::Keyring;
use latchkey_service_kit::clock::ManualClock;
use latchkey_service_kit::context::RequestId;
use latchkey_service_kit::etag;
use latchkey_service_kit::identity::{KeyPair, TokenVerifier, Trusts, jwks_document};
use latchkey_service_kit::paging::{self, PageRequest};
use latchkey_service_kit::timeout;
use latchkey_service_kit::validation::Violations;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use secrecy::ExposeSecret as _;
use uuid::Uuid;

/// A function that parses bytes, and says whether it accepted them.
pub type Target = fn(&[u8]) -> bool;

/// All of them, by the names of their corpora.
pub const TARGETS: [(&str, Target); 9] = [
    ("codes", codes),
    ("page_tokens", page_tokens),
    ("tokens", tokens),
    ("timeouts", timeouts),
    ("keyrings", keyrings),
    ("etags", etags),
    ("key_sets", key_sets),
    ("templates", templates),
    ("request_ids", request_ids),
];

/// What a student types.
pub fn codes(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(own) = OwnCode::parse(&text) {
        let typed = latchkey_code::parse(own.expose_text()).expect("an own code can be typed");
        assert!(typed == *own.canonical());
        assert!(own.masked().contains('•'));
    }
    let Ok(code) = latchkey_code::parse(&text) else {
        return false;
    };
    let again = latchkey_code::parse(code.expose()).expect("a canonical form is one");
    assert!(again == code, "the canonical form has another");
    true
}

/// The page token of a list, as its caller sends it back.
pub fn page_tokens(bytes: &[u8]) -> bool {
    const QUERY: &[&str] = &["ListThings", "", "class=1"];
    let text = String::from_utf8_lossy(bytes);
    let read = |token: &str| {
        let mut violations = Violations::default();
        let page = PageRequest::<(i64, String)>::read(1, token, QUERY, &mut violations);
        violations.finish().ok().and(page.after)
    };
    // As a token, and as the cursor in one: a digest is not found by chance.
    let cursor = text.parse::<i64>().unwrap_or_default();
    let token = paging::encode(&(cursor, &text), QUERY);
    assert_eq!(read(&token), Some((cursor, text.clone().into_owned())));
    assert_eq!(read(&paging::encode(&text, QUERY)), None);
    let Some(after) = read(&text) else {
        return false;
    };
    assert_eq!(read(&paging::encode(&after, QUERY)), Some(after));
    true
}

/// A bearer token. Of two lines, the first is the header and the second the claims, and the signature is good.
pub fn tokens(bytes: &[u8]) -> bool {
    static VERIFIER: LazyLock<(TokenVerifier, EncodingKey, String)> = LazyLock::new(|| {
        let pair = KeyPair::generate(&mut StdRng::seed_from_u64(1)).expect("a key pair");
        let key = EncodingKey::from_ed_pem(pair.private_pem().expose_secret().as_bytes());
        let now = DateTime::from_timestamp(1_800_000_000, 0).expect("a time");
        let trusts = Trusts::new(&jwks_document([&pair]), vec!["issuer".to_owned()]);
        let clock = Arc::new(ManualClock::at(now));
        let verifier = TokenVerifier::new(trusts.expect("keys"), "audience", clock);
        (verifier, key.expect("a key"), pair.kid())
    });
    let (verifier, key, kid) = &*VERIFIER;
    let text = String::from_utf8_lossy(bytes);
    let token = match text.split_once('\n') {
        None => text.into_owned(),
        Some((header, claims)) => {
            let header = URL_SAFE_NO_PAD.encode(header.replace("KID", kid));
            let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.trim_end()));
            let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), key, Algorithm::EdDSA);
            format!("{signed}.{}", signature.expect("a signature"))
        }
    };
    let Ok(caller) = verifier.verify(&token) else {
        return false;
    };
    assert!((1..=255).contains(&caller.subject.len()));
    assert_eq!(caller.issuer, "issuer");
    let again = verifier.verify(&token).expect("it is remembered");
    assert_eq!(again, caller);
    true
}

/// The key set of an issuer, as it is fetched.
pub fn key_sets(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Ok(trusts) = Trusts::new(&text, vec!["issuer".to_owned()]) else {
        return false;
    };
    let now = DateTime::from_timestamp(1_800_000_000, 0).expect("a time");
    let verifier = TokenVerifier::new(trusts, "audience", Arc::new(ManualClock::at(now)));
    let claims = r#"{"iss":"issuer","aud":"audience","sub":"ada","exp":1800000100}"#;
    // Whatever keys there are: a token that nobody signed, or that was signed with what everybody can read, is not believed.
    let public = EncodingKey::from_secret(text.as_bytes());
    for algorithm in ["none", "HS256", "EdDSA", "ES256", "RS256"] {
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{algorithm}","kid":"k"}}"#));
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
        let forged = jsonwebtoken::crypto::sign(signed.as_bytes(), &public, Algorithm::HS256);
        let forged = forged.expect("a signature");
        let zeros = URL_SAFE_NO_PAD.encode([0; 64]);
        for signature in ["", &forged, &zeros] {
            let believed = verifier.verify(&format!("{signed}.{signature}"));
            assert!(believed.is_err(), "{algorithm}: {signature:?}");
        }
    }
    true
}

/// The templates of a notification plan: the subject is the first line.
pub fn templates(bytes: &[u8]) -> bool {
    const VALUE: &str = "<Ada> & Co";
    let text = String::from_utf8_lossy(bytes);
    let now = DateTime::from_timestamp(1_800_000_000, 0).expect("a time");
    let accepted = |trigger| {
        let settings = PlanSettings {
            display_name: "Plan".to_owned(),
            trigger,
            hours: 0,
            days: 0,
            class_statuses: Vec::new(),
            enrollment_statuses: Vec::new(),
            course_id: None,
            only_organization_id: None,
            recipients: Vec::new(),
            from: None,
            cc: Vec::new(),
            subject: text.split('\n').next().unwrap_or_default().to_owned(),
            text: text.clone().into_owned(),
            html: text.clone().into_owned(),
        };
        if !faults(&settings).is_empty() {
            return false;
        }
        let mut facts = Facts::sample(trigger, None, VALUE.to_owned(), None, now);
        facts.student = Some(("Sam\r\nBcc: eve@example.com".to_owned(), VALUE.to_owned()));
        let letter = render(&settings, &facts).expect("what has no faults can be written");
        assert!(
            !letter.subject.contains(['\r', '\n']),
            "a header of its own"
        );
        let markup = letter.html.contains(VALUE) && !text.contains('<');
        assert!(!markup, "a value is markup");
        true
    };
    let all = [Trigger::Enrolled, Trigger::AssignmentExpiring].map(accepted);
    all.contains(&true)
}

/// The header `x-request-id`.
pub fn request_ids(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some(id) = RequestId::accept(&text) else {
        return false;
    };
    assert_eq!(id.as_str(), text);
    // It stands in headers, in log lines and in the trail as it is.
    assert!(text.len() <= RequestId::MAX_LEN);
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
    assert_eq!(RequestId::accept(&id.to_string()), Some(id));
    true
}

/// The header `grpc-timeout`.
pub fn timeouts(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some(given) = timeout::read(&text) else {
        return false;
    };
    let written = timeout::format(given);
    let again = timeout::read(&written).expect("what is written can be read");
    assert!(again <= given, "{text:?} became longer");
    true
}

/// The document of a keyring file.
pub fn keyrings(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    match Keyring::parse(&text) {
        Ok(keyring) => {
            let written = keyring.to_toml();
            let again = Keyring::parse(written.expose_secret()).expect("what is written is read");
            assert!(again.to_toml().expose_secret() == written.expose_secret());
            true
        }
        Err(error) => {
            // Never repeats anything of the text, which is secret.
            assert!(!error.to_string().contains("AAAAAAAA"));
            false
        }
    }
}

/// The version of a resource, as its caller sends it back.
pub fn etags(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let id = Uuid::from_u128(7);
    // Versions count up from one.
    if let Some(version) = text.parse::<i64>().ok().filter(|version| *version > 0) {
        assert_eq!(etag::parse(id, &etag::format(id, version)), Some(version));
        assert_eq!(
            etag::parse(Uuid::from_u128(8), &etag::format(id, version)),
            None
        );
    }
    match etag::parse(id, &text) {
        Some(version) => {
            assert_eq!(etag::format(id, version), text, "two etags for one version");
            true
        }
        None => false,
    }
}
