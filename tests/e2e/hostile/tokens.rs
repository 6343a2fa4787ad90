//! Bearer tokens that prove nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use super::dice::Dice;

/// Headers of other algorithms, without a key, with a key of their own, with what must be understood and is not.
const HEADERS: [&str; 12] = [
    r#"{"alg":"none"}"#,
    r#"{"alg":"none","kid":"KID"}"#,
    r#"{"alg":"HS256","kid":"KID","typ":"JWT"}"#,
    r#"{"alg":"RS256","kid":"KID"}"#,
    r#"{"alg":"ES256","kid":"KID"}"#,
    r#"{"alg":"EdDSA"}"#,
    r#"{"alg":"EdDSA","kid":""}"#,
    r#"{"alg":"EdDSA","kid":"../../etc/passwd"}"#,
    r#"{"alg":"EdDSA","kid":"KID","crit":["exp"]}"#,
    r#"{"alg":"EdDSA","kid":"KID","jwk":{"kty":"OKP","crv":"Ed25519","x":"AAAA"}}"#,
    r#"{"alg":"EdDSA","kid":"KID","jku":"http://127.0.0.1:1/jwks.json"}"#,
    r#"{"alg":["EdDSA"],"kid":7}"#,
];

/// Claims of everybody, of nobody, and of types that claims do not have.
const CLAIMS: [&str; 6] = [
    r#"{"iss":"ISS","aud":"AUD","sub":"root","roles":["operator","administrator"],"exp":99999999999}"#,
    r#"{"exp":1e400}"#,
    r#"{"iss":"ISS","aud":"AUD","sub":"root","exp":-1}"#,
    r#"{"iss":["ISS"],"aud":{"a":1},"sub":7,"exp":"never"}"#,
    "[[[[[[[[[[[[[[[[[[[[",
    "",
];

/// What `authorization` may be instead of a good token. `good` are tokens of different callers.
pub(super) fn bad(dice: &mut Dice, good: &[String]) -> Vec<u8> {
    let token = dice.one(good).clone();
    let parts: Vec<&str> = token.split('.').collect();
    let text = match dice.below(10) {
        0 => {
            return dice
                .bytes(400)
                .into_iter()
                .filter(|byte| *byte >= 0x20 && *byte != 0x7f)
                .collect();
        }
        1 => return Vec::new(),
        2 => "Bearer ".to_owned(),
        3 => format!("Basic {token}"),
        // The signature of one, the claims of another.
        4 => {
            let other = dice.one(good).clone();
            let others: Vec<&str> = other.split('.').collect();
            format!("Bearer {}.{}.{}x", parts[0], parts[1], others[2])
        }
        5 => format!("Bearer {}", &token[..dice.below(token.len())]),
        6 => {
            let mut bytes = token.into_bytes();
            let at = dice.below(bytes.len());
            bytes[at] = *dice.one(b"abcXYZ019-_.= ");
            // The last letter of a signature has bits that count for nothing.
            bytes.push(b'A');
            format!("Bearer {}", String::from_utf8_lossy(&bytes))
        }
        7 => format!("Bearer {}.{}", ".".repeat(dice.below(50)), parts[1]),
        8 => format!("Bearer {}", "A".repeat(dice.below(12_000))),
        _ => {
            let kid = BASE64.decode(parts[0]).unwrap_or_default();
            let kid = serde_json::from_slice::<serde_json::Value>(&kid).unwrap_or_default();
            let kid = kid["kid"].as_str().unwrap_or_default();
            let header = dice.one(&HEADERS).replace("KID", kid);
            let claims = *dice.one(&CLAIMS);
            let signature = BASE64.encode(dice.bytes(64));
            let signature = if dice.chance(40) {
                String::new()
            } else {
                signature
            };
            format!(
                "Bearer {}.{}.{signature}",
                BASE64.encode(header),
                BASE64.encode(claims)
            )
        }
    };
    text.into_bytes()
}
