use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::clock::SystemClock;
use crate::config::IdentityConfig;
use crate::ids::os_random;

/// An issuer that publishes what it is told over HTTP, and counts who asks.
struct Publisher {
    address: SocketAddr,
    answer: Arc<Mutex<(&'static str, String)>>,
    asked: Arc<Mutex<u32>>,
}

impl Publisher {
    async fn of(document: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(Mutex::new(("200 OK", document)));
        let asked = Arc::new(Mutex::new(0));
        let (shared, counted) = (Arc::clone(&answer), Arc::clone(&asked));
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                let _ = socket.read(&mut request).await;
                *counted.lock().unwrap() += 1;
                let (status, body) = shared.lock().unwrap().clone();
                let length = body.len();
                let text = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                let _ = socket.write_all(text.as_bytes()).await;
            }
        });
        Self {
            address,
            answer,
            asked,
        }
    }

    fn publish(&self, status: &'static str, document: String) {
        *self.answer.lock().unwrap() = (status, document);
    }
}

fn config(url: &str, refresh_s: u64) -> IdentityConfig {
    let text = format!("issuer = 'i'\naudience = 'a'\njwks_url = '{url}'");
    let mut config: IdentityConfig = toml::from_str(&text).unwrap();
    config.jwks_refresh_s = refresh_s;
    config
}

fn token(pair: &KeyPair) -> String {
    let clock = Arc::new(SystemClock);
    let options = SignerOptions {
        issuer: "i".into(),
        audience: "a".into(),
        subject: "someone".into(),
        roles: vec![Role::Operator],
        organization: None,
        lifetime: chrono::TimeDelta::minutes(5),
    };
    let signer = TokenSigner::new(pair.private_pem(), options, clock).unwrap();
    signer.token().unwrap().to_string()
}

fn pair() -> KeyPair {
    KeyPair::generate(&mut os_random()).unwrap()
}

fn following(config: &IdentityConfig) -> (Arc<TokenVerifier>, tokio_util::sync::DropGuard) {
    let verifier = TokenVerifier::from_config(config, Arc::new(SystemClock)).unwrap();
    let verifier = Arc::new(verifier);
    let shutdown = CancellationToken::new();
    tokio::spawn(Arc::clone(&verifier).keep_fresh(shutdown.clone()));
    (verifier, shutdown.drop_guard())
}

async fn until(event: impl Fn() -> bool) {
    let come = async {
        while !event() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), come)
        .await
        .expect("it comes within 20 seconds");
}

#[tokio::test]
async fn nobody_is_believed_before_the_keys_are_there_and_the_old_ones_go_with_the_document() {
    let (first, second) = (pair(), pair());
    let publisher = Publisher::of(String::new()).await;
    publisher.publish("503 Service Unavailable", "{}".to_owned());
    let url = format!("http://{}/jwks", publisher.address);
    let (verifier, _guard) = following(&config(&url, 1));
    let old = token(&first);
    let too_early = verifier.verify(&old);
    assert!(
        matches!(too_early, Err(TokenError::NoKeysYet)),
        "{too_early:?}"
    );
    assert!(!verifier.is_ready());

    publisher.publish("200 OK", jwks_document([&first]));
    until(|| verifier.verify(&old).is_ok()).await;
    assert!(verifier.is_ready());

    // What is no key set changes nothing, nor does a redirect or an answer that is too long.
    publisher.publish("200 OK", "{}".to_owned());
    sleep(Duration::from_secs(3)).await;
    publisher.publish("200 OK", " ".repeat(300 * 1024));
    sleep(Duration::from_secs(3)).await;
    assert!(verifier.verify(&old).is_ok());

    publisher.publish("200 OK", jwks_document([&second]));
    until(|| verifier.verify(&token(&second)).is_ok()).await;
    let revoked = verifier.verify(&old);
    assert!(
        matches!(revoked, Err(TokenError::UnknownKey)),
        "{revoked:?}"
    );
}

#[tokio::test]
async fn a_token_with_an_unknown_key_has_the_issuer_asked_but_not_again_and_again() {
    let (first, second) = (pair(), pair());
    let publisher = Publisher::of(jwks_document([&first])).await;
    let url = format!("http://{}/jwks", publisher.address);
    let (verifier, _guard) = following(&config(&url, 3_600));
    until(|| verifier.is_ready()).await;
    publisher.publish("200 OK", jwks_document([&first, &second]));
    let new = token(&second);
    until(|| verifier.verify(&new).is_ok()).await;
    let asked = *publisher.asked.lock().unwrap();
    assert_eq!(asked, 2);
    for _ in 0..200 {
        let _ = verifier.verify(&token(&pair()));
    }
    sleep(Duration::from_secs(4)).await;
    assert!(*publisher.asked.lock().unwrap() <= asked + 1);
}

#[tokio::test]
async fn a_key_that_is_taken_out_of_its_file_is_believed_no_more() {
    let (first, second) = (pair(), pair());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("jwks.json");
    std::fs::write(&file, jwks_document([&first])).unwrap();
    let mut config = config("https://unused", 1);
    config.jwks_url = None;
    config.jwks_file = Some(file.clone());
    let (verifier, _guard) = following(&config);
    let old = token(&first);
    assert!(verifier.verify(&old).is_ok());
    std::fs::write(&file, jwks_document([&second])).unwrap();
    until(|| verifier.verify(&old).is_err()).await;
    assert!(verifier.verify(&token(&second)).is_ok());
}
