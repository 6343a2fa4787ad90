use std::sync::Arc;

use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use super::*;
use crate::clock::{Clock, SystemClock};

/// The private half of the key, of 2048 bits; it is nobody's but these tests'.
const PRIVATE: &[u8] = include_bytes!("rsa_test_key.pem");

/// The modulus of its public half.
const MODULUS: &str = "\
    n2rn9ehUue0t1jGSIX9NCVFkwc-ceY-xaoFq0MHUz9LEHErZE-0ZPnhR-afB1Lv1aTuadzmHjo57JmwjMbLad4VwW9Jnz1mFeK9fEU_6kjT0Hh4r6t\
    2PHC5MJ7Uc6JPDm8gY7vD0Rxv-p7oFyPs7WAfkRLQC2ywcFcB9UxbsMTswIQxnvXJN-wGRnxfgIwWLi0R6MpnUWl2vSzbMmAuLFpKrkwtTIh96tFie\
    Rx078OUzm7rMWCr71tlBY7VrfAkAAHueF7ky4xEtdyfOWFgtjd34oXF0iSgpJ9-MIAiUo3rZcU73IZy8crjFSdDo3UVhevHC80xMVuizLCfVv5NEew";

/// Believes the key, whose set says nothing of an algorithm, or this one.
fn believing(stated: Option<&str>) -> TokenVerifier {
    let mut jwk = json!({"kty": "RSA", "kid": "rsa", "n": MODULUS, "e": "AQAB"});
    if let Some(algorithm) = stated {
        jwk["alg"] = json!(algorithm);
    }
    let document = json!({ "keys": [jwk] }).to_string();
    let trusts = Trusts::new(&document, vec!["i".into()]).unwrap();
    TokenVerifier::new(trusts, "a", Arc::new(SystemClock))
}

fn signed(algorithm: Algorithm) -> String {
    let mut header = Header::new(algorithm);
    header.kid = Some("rsa".into());
    let lifetime = TimeDelta::minutes(5);
    let claims = Claims::new("i", "a", "someone", SystemClock.now(), lifetime);
    let key = EncodingKey::from_rsa_pem(PRIVATE).unwrap();
    jsonwebtoken::encode(&header, &claims, &key).unwrap()
}

#[test]
fn an_rsa_key_verifies_rs256_and_nothing_else() {
    for stated in [None, Some("RS256")] {
        let verifier = believing(stated);
        let good = signed(Algorithm::RS256);
        assert_eq!(verifier.verify(&good).unwrap().subject, "someone");
        // Good signatures of the same key, by algorithms that it is not for here.
        for other in [
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
        ] {
            let refused = verifier.verify(&signed(other));
            let wrong = matches!(refused, Err(TokenError::WrongAlgorithm));
            assert!(wrong, "{other:?}: {refused:?}");
        }
    }
}

#[test]
fn a_changed_rs256_token_is_refused() {
    let verifier = believing(None);
    let mut token = signed(Algorithm::RS256);
    token.replace_range(token.len() - 6.., "AAAAAA");
    let refused = verifier.verify(&token);
    assert!(matches!(refused, Err(TokenError::Invalid(_))));
}

#[test]
fn an_rsa_key_for_another_algorithm_is_none_for_tokens() {
    for other in ["RS384", "PS256", "RSA-OAEP"] {
        let jwk = json!({"kty": "RSA", "kid": "rsa", "n": MODULUS, "e": "AQAB", "alg": other});
        let document = json!({ "keys": [jwk] }).to_string();
        let refused = Trusts::new(&document, vec!["i".into()]).unwrap_err();
        assert!(matches!(refused, JwksError::Empty), "{other}: {refused}");
    }
}
