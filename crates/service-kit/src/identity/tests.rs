use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::ExposeSecret;
use serde_json::json;

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::ids::os_random;

const ISSUER: &str = "https://issuer.test";
const AUDIENCE: &str = "latchkey";

struct World {
    clock: Arc<ManualClock>,
    pair: KeyPair,
    verifier: TokenVerifier,
    signer: TokenSigner,
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn trusts(pair: &KeyPair) -> Trusts {
    Trusts::new(&jwks_document([pair]), vec![ISSUER.into()]).unwrap()
}

fn believing(trusts: Trusts, clock: &Arc<ManualClock>) -> TokenVerifier {
    TokenVerifier::new(trusts, AUDIENCE, Arc::clone(clock) as _)
}

fn world() -> World {
    let clock = Arc::new(ManualClock::at(now()));
    let pair = KeyPair::generate(&mut os_random()).unwrap();
    let verifier = believing(trusts(&pair), &clock);
    let options = SignerOptions {
        issuer: ISSUER.into(),
        audience: AUDIENCE.into(),
        subject: "enrollment".into(),
        roles: vec![Role::EnrollmentService],
        organization: None,
        lifetime: TimeDelta::minutes(10),
    };
    let signer = TokenSigner::new(pair.private_pem(), options, Arc::clone(&clock) as _).unwrap();
    World {
        clock,
        pair,
        verifier,
        signer,
    }
}

fn claims() -> Claims {
    Claims::new(ISSUER, AUDIENCE, "someone", now(), TimeDelta::minutes(5))
        .with_roles(&[Role::Administrator])
}

/// A token put together by hand, with the parts as JSON and any signature.
fn forged(header: &serde_json::Value, claims: &Claims, signature: &[u8]) -> String {
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let claims = serde_json::to_vec(claims).unwrap();
    format!(
        "{}.{}.{}",
        part(header.to_string().as_bytes()),
        part(&claims),
        part(signature)
    )
}

#[test]
fn a_good_token_proves_its_caller() {
    let world = world();
    let organization = Uuid::from_u128(7);
    let claims = claims()
        .with_organization(organization)
        .with_roles(&[Role::Operator]);
    let token = world.signer.sign(&claims).unwrap();
    let caller = world.verifier.verify(&token).unwrap();
    assert_eq!(caller.subject, "someone");
    assert_eq!(caller.organization, Some(organization));
    assert_eq!(caller.roles, [Role::Operator, Role::Administrator]);
    assert_eq!(
        world.verifier.verify(&token).unwrap(),
        caller,
        "from memory"
    );
}

#[test]
fn unknown_roles_are_ignored_and_one_of_several_audiences_is_enough() {
    let world = world();
    let mut claims = claims();
    claims.roles.push("root".into());
    claims.aud = claims::Audience::Many(vec!["other".into(), AUDIENCE.into()]);
    let caller = world
        .verifier
        .verify(&world.signer.sign(&claims).unwrap())
        .unwrap();
    assert_eq!(caller.roles, [Role::Administrator]);
}

#[test]
fn alg_none_is_refused() {
    let world = world();
    for alg in ["none", "None", "NONE", ""] {
        let header = json!({"alg": alg, "typ": "JWT", "kid": world.pair.kid()});
        let token = forged(&header, &claims(), b"");
        assert!(
            matches!(world.verifier.verify(&token), Err(TokenError::Malformed)),
            "{alg:?}"
        );
    }
}

#[test]
fn hs256_keyed_with_the_public_key_is_refused() {
    let world = world();
    let public = world.pair.public_jwk()["x"].as_str().unwrap().to_owned();
    let raw = URL_SAFE_NO_PAD.decode(&public).unwrap();
    for secret in [
        raw.as_slice(),
        public.as_bytes(),
        jwks_document([&world.pair]).as_bytes(),
    ] {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(world.pair.kid());
        let token =
            jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(secret)).unwrap();
        assert!(matches!(
            world.verifier.verify(&token),
            Err(TokenError::WrongAlgorithm)
        ));
    }
}

#[test]
fn another_kid_no_kid_and_a_key_in_the_header_are_refused() {
    let world = world();
    let other = KeyPair::generate(&mut os_random()).unwrap();
    let key = EncodingKey::from_ed_pem(other.private_pem().expose_secret().as_bytes()).unwrap();
    let mut header = Header::new(Algorithm::EdDSA);
    for kid in [Some(other.kid()), None] {
        header.kid = kid;
        let token = jsonwebtoken::encode(&header, &claims(), &key).unwrap();
        assert!(matches!(
            world.verifier.verify(&token),
            Err(TokenError::UnknownKey)
        ));
    }
    // The right kid, signed by another key that the header brings along.
    header.kid = Some(world.pair.kid());
    header.jwk = Some(serde_json::from_value(other.public_jwk()).unwrap());
    let token = jsonwebtoken::encode(&header, &claims(), &key).unwrap();
    assert!(matches!(
        world.verifier.verify(&token),
        Err(TokenError::Invalid(_))
    ));
}

#[test]
fn a_changed_claim_breaks_the_signature() {
    let world = world();
    let good = world.signer.sign(&claims()).unwrap();
    let signature = URL_SAFE_NO_PAD
        .decode(good.rsplit('.').next().unwrap())
        .unwrap();
    let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": world.pair.kid()});
    let changed = claims().with_roles(&[Role::Operator]);
    assert!(matches!(
        world
            .verifier
            .verify(&forged(&header, &changed, &signature)),
        Err(TokenError::Invalid(_))
    ));
}

#[test]
fn a_critical_extension_is_refused() {
    let world = world();
    let key =
        EncodingKey::from_ed_pem(world.pair.private_pem().expose_secret().as_bytes()).unwrap();
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(world.pair.kid());
    header.crit = Some(vec!["b64".into()]);
    let token = jsonwebtoken::encode(&header, &claims(), &key).unwrap();
    assert!(matches!(
        world.verifier.verify(&token),
        Err(TokenError::WrongAlgorithm)
    ));
}

#[test]
fn claims_that_do_not_hold_here_are_refused() {
    let world = world();
    let refused = |change: &dyn Fn(&mut Claims)| {
        let mut claims = claims();
        change(&mut claims);
        match world.verifier.verify(&world.signer.sign(&claims).unwrap()) {
            Err(TokenError::Claim(claim)) => claim,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        refused(&|claims| claims.iss = "https://evil.test".into()),
        "iss"
    );
    assert_eq!(
        refused(&|claims| claims.aud = claims::Audience::One("other".into())),
        "aud"
    );
    assert_eq!(
        refused(&|claims| claims.aud = claims::Audience::Many(vec![])),
        "aud"
    );
    assert_eq!(refused(&|claims| claims.exp -= 300.0 + 5.0), "exp");
    assert_eq!(refused(&|claims| claims.exp = -1.0), "exp");
    assert_eq!(refused(&|claims| claims.exp = 1e300), "exp");
    assert_eq!(
        refused(&|claims| claims.nbf = Some(claims.exp - 300.0 + 6.0)),
        "nbf"
    );
    assert_eq!(
        refused(&|claims| claims.org = Some("not a uuid".into())),
        "org"
    );
    assert_eq!(refused(&|claims| claims.sub = String::new()), "sub");
}

#[test]
fn a_token_expires_with_a_small_leeway_even_when_remembered() {
    let world = world();
    let token = world.signer.sign(&claims()).unwrap();
    world.clock.advance(TimeDelta::seconds(304));
    world.verifier.verify(&token).unwrap();
    world.clock.advance(TimeDelta::seconds(1));
    assert!(matches!(
        world.verifier.verify(&token),
        Err(TokenError::Claim("exp"))
    ));
}

#[test]
fn hostile_texts_are_malformed() {
    let world = world();
    let long = "a".repeat(9_000);
    for text in ["", ".", "..", "...", "a.b.c", "é.é.é", "eyJ.eyJ.", &long] {
        assert!(world.verifier.verify(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_signer_reuses_its_token_until_it_is_near_its_end() {
    let world = world();
    let first = world.signer.token().unwrap();
    world.verifier.verify(&first).unwrap();
    world.clock.advance(TimeDelta::seconds(449));
    assert_eq!(world.signer.token().unwrap(), first);
    world.clock.advance(TimeDelta::seconds(1));
    let second = world.signer.token().unwrap();
    assert_ne!(second, first);
    world.verifier.verify(&second).unwrap();
}

const SERVICES: &str = "https://services.test";

/// The roles that a token with all roles proves, or the claim it is refused for.
fn proven(
    verifier: &TokenVerifier,
    signer: &TokenSigner,
    issuer: &str,
) -> Result<Vec<Role>, &'static str> {
    let claims =
        Claims::new(issuer, AUDIENCE, "x", now(), TimeDelta::minutes(5)).with_roles(&Role::ALL);
    match verifier.verify(&signer.sign(&claims).unwrap()) {
        Ok(caller) => Ok(caller.roles.clone()),
        Err(TokenError::Claim(claim)) => Err(claim),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn nobody_is_a_service_by_the_issuer_of_people() {
    let world = world();
    assert_eq!(proven(&world.verifier, &world.signer, SERVICES), Err("iss"));
    assert_eq!(
        proven(&world.verifier, &world.signer, ISSUER),
        Ok(Role::ALL[..6].to_vec())
    );
}

#[test]
fn neither_issuer_speaks_for_the_other() {
    let (people, services) = (world(), world());
    let jwks = jwks_document([&services.pair]);
    let both = trusts(&people.pair)
        .with_service_issuer(SERVICES, &jwks)
        .unwrap();
    let verifier = believing(both, &people.clock);
    let only_service = Ok(vec![Role::EnrollmentService]);
    assert_eq!(proven(&verifier, &services.signer, SERVICES), only_service);
    assert_eq!(proven(&verifier, &services.signer, ISSUER), Err("iss"));
    assert_eq!(proven(&verifier, &people.signer, SERVICES), Err("iss"));
    assert_eq!(
        proven(&verifier, &people.signer, ISSUER),
        Ok(Role::ALL[..6].to_vec())
    );

    let same = jwks_document([&people.pair]);
    let again = trusts(&people.pair)
        .with_service_issuer("https://third.test", &same)
        .unwrap_err();
    assert!(again.to_string().contains("other issuer"), "{again}");
}

#[test]
fn a_verifier_is_made_of_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("jwks.json");
    let world = world();
    let mut config = crate::config::IdentityConfig {
        jwks_file: Some(file.clone()),
        jwks_url: None,
        issuer: ISSUER.into(),
        service_issuer: None,
        service_jwks_file: None,
        service_jwks_url: None,
        audience: AUDIENCE.into(),
        jwks_ca_file: None,
        jwks_refresh_s: 1,
        jwks_max_age_s: 60,
    };
    let clock: Arc<dyn Clock> = Arc::clone(&world.clock) as _;
    let load = |config: &_| TokenVerifier::from_config(config, Arc::clone(&clock));
    assert!(matches!(
        load(&config),
        Err(IdentityError::Unreadable { .. })
    ));
    std::fs::write(&file, "{}").unwrap();
    assert!(matches!(load(&config), Err(IdentityError::Unusable { .. })));
    std::fs::write(&file, jwks_document([&world.pair])).unwrap();
    let verifier = load(&config).unwrap();
    assert_eq!(proven(&verifier, &world.signer, SERVICES), Err("iss"));

    // An issuer of services without keys of its own, which no checked configuration has, is nobody.
    config.service_issuer = Some(SERVICES.into());
    let verifier = load(&config).unwrap();
    assert_eq!(proven(&verifier, &world.signer, SERVICES), Err("iss"));

    let services = KeyPair::generate(&mut os_random()).unwrap();
    let service_file = dir.path().join("services.json");
    std::fs::write(&service_file, jwks_document([&services])).unwrap();
    config.service_jwks_file = Some(service_file);
    assert_eq!(
        proven(&load(&config).unwrap(), &world.signer, SERVICES),
        Err("iss")
    );
}

#[test]
fn key_sets_that_are_not_safe_are_refused() {
    let fault = |keys: serde_json::Value| {
        let document = json!({ "keys": keys }).to_string();
        Trusts::new(&document, vec![ISSUER.into()])
            .unwrap_err()
            .to_string()
    };
    let pair = KeyPair::generate(&mut os_random()).unwrap();
    let mut nameless = pair.public_jwk();
    nameless.as_object_mut().unwrap().remove("kid");
    let mut encryption = pair.public_jwk();
    encryption["use"] = json!("enc");
    assert!(fault(json!([{"kty": "oct", "kid": "a", "k": "c2VjcmV0"}])).contains("symmetric"));
    assert!(fault(json!([{"kty": "RSA", "kid": "a", "n": "AQAB", "e": "AQAB"}])).contains("2048"));
    assert!(
        fault(json!([{"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "AA"}])).contains("Ed25519")
    );
    assert!(
        fault(json!([{"kty": "EC", "crv": "P-256", "kid": "a", "x": "AA", "y": "AA"}]))
            .contains("P-256")
    );
    assert!(fault(json!([nameless])).contains("no kid"));
    assert!(fault(json!([pair.public_jwk(), pair.public_jwk()])).contains("another key"));
    assert!(fault(json!([encryption])).contains("no usable"));
    assert!(fault(json!([])).contains("no usable"));
}

#[test]
fn an_es256_token_is_verified_by_its_own_key() {
    // The EC key of RFC 7515, appendix A.3, with the signature of an issuer that holds its private half.
    let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "ec",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
    let d = URL_SAFE_NO_PAD
        .decode("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI")
        .unwrap();
    let clock = Arc::new(ManualClock::at(now()));
    let document = json!({"keys": [jwk]}).to_string();
    let verifier = believing(Trusts::new(&document, vec![ISSUER.into()]).unwrap(), &clock);
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some("ec".into());
    let token = jsonwebtoken::encode(
        &header,
        &claims(),
        &EncodingKey::from_ec_der(&p256_pkcs8(&d)),
    )
    .unwrap();
    assert_eq!(verifier.verify(&token).unwrap().subject, "someone");
    let mut broken = token.clone();
    broken.replace_range(token.len() - 4.., "AAAA");
    assert!(matches!(
        verifier.verify(&broken),
        Err(TokenError::Invalid(_))
    ));
}

/// A P-256 private key as PKCS#8 (RFC 5915 inside RFC 5208), without its public half.
fn p256_pkcs8(d: &[u8]) -> Vec<u8> {
    let mut der = vec![
        0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
        0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x27, 0x30, 0x25,
        0x02, 0x01, 0x01, 0x04, 0x20,
    ];
    der.extend_from_slice(d);
    der
}
