use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::clock::SystemClock;
use crate::config::IdentityConfig;
use crate::ids::os_random;

/// An issuer that publishes what it is told over HTTP, and counts who asks.
struct Publisher {
    address: SocketAddr,
    answer: Arc<Mutex<(String, String)>>,
    asked: Arc<Mutex<u32>>,
}

impl Publisher {
    async fn of(document: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(Mutex::new(("200 OK".to_owned(), document)));
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

    fn publish(&self, status: impl Into<String>, document: String) {
        *self.answer.lock().unwrap() = (status.into(), document);
    }
}

fn config(url: &str, refresh_s: u64) -> IdentityConfig {
    let text = format!("issuer = 'i'\naudience = 'a'\njwks_url = '{url}'");
    let mut config: IdentityConfig = toml::from_str(&text).unwrap();
    config.jwks_refresh_s = refresh_s;
    config
}

fn token(pair: &KeyPair) -> String {
    signed(pair, "i", Role::Operator)
}

fn signed(pair: &KeyPair, issuer: &str, role: Role) -> String {
    let clock = Arc::new(SystemClock);
    let options = SignerOptions {
        issuer: issuer.into(),
        audience: "a".into(),
        subject: "someone".into(),
        roles: vec![role],
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
        matches!(too_early, Err(TokenError::NoKeys)),
        "{too_early:?}"
    );
    assert!(!verifier.is_ready());

    publisher.publish("200 OK", jwks_document([&first]));
    until(|| verifier.verify(&old).is_ok()).await;
    assert!(verifier.is_ready());

    // What is no key set changes nothing, nor does a redirect or an answer that is too long.
    publisher.publish("200 OK", "{}".to_owned());
    sleep(Duration::from_secs(3)).await;
    let elsewhere = Publisher::of(jwks_document([&second])).await;
    let redirect = format!("302 Found\r\nlocation: http://{}/jwks", elsewhere.address);
    publisher.publish(redirect, String::new());
    sleep(Duration::from_secs(5)).await;
    assert_eq!(*elsewhere.asked.lock().unwrap(), 0, "nobody follows it");
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

/// An issuer that publishes `document` over HTTPS, with a certificate of an authority of its own: its URL, and the authority.
async fn https(document: String) -> (String, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pair = || rcgen::KeyPair::generate().unwrap();
    let authority = CertifiedIssuer::self_signed(params, pair()).unwrap();
    let key = pair();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            // Who believes another authority says goodbye here.
            let Ok(mut socket) = acceptor.accept(socket).await else {
                continue;
            };
            let _ = socket.read(&mut [0; 1024]).await;
            let length = document.len();
            let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{document}");
            let _ = socket.write_all(text.as_bytes()).await;
            let _ = socket.shutdown().await;
        }
    });
    (format!("https://{address}/jwks"), authority.as_ref().pem())
}

#[tokio::test]
async fn keys_are_fetched_from_who_can_be_believed_alone() {
    let first = pair();
    let (url, authority) = https(jwks_document([&first])).await;
    let (_, another) = https(String::new()).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    let mut config = config(&url, 1);

    // Those of the operating system know nothing of it, nor does another.
    let (by_system, _first_guard) = following(&config);
    std::fs::write(&file, another).unwrap();
    config.jwks_ca_file = Some(file.clone());
    let (verifier, _guard) = following(&config);
    sleep(Duration::from_secs(5)).await;
    assert!(!by_system.is_ready());
    assert!(!verifier.is_ready());

    // Read for each fetch.
    std::fs::write(&file, authority).unwrap();
    until(|| verifier.is_ready()).await;
    assert!(verifier.verify(&token(&first)).is_ok());
    assert!(!by_system.is_ready());
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

#[tokio::test]
async fn keys_that_cannot_be_fetched_anew_for_too_long_are_believed_no_more() {
    let first = pair();
    let publisher = Publisher::of(jwks_document([&first])).await;
    let url = format!("http://{}/jwks", publisher.address);
    let mut config = config(&url, 1);
    config.jwks_max_age_s = 6;
    let (verifier, _guard) = following(&config);
    let known = token(&first);
    until(|| verifier.verify(&known).is_ok()).await;
    // Asked again and again, they stay good for longer than that.
    sleep(Duration::from_secs(8)).await;
    assert!(verifier.verify(&known).is_ok());

    // What is fetched and cannot be used says nothing of the old ones.
    publisher.publish("200 OK", "{}".to_owned());
    sleep(Duration::from_secs(3)).await;
    assert!(verifier.verify(&known).is_ok());
    publisher.publish("503 Service Unavailable", String::new());
    until(|| !verifier.is_ready()).await;
    let too_old = verifier.verify(&known);
    assert!(matches!(too_old, Err(TokenError::NoKeys)), "{too_old:?}");

    publisher.publish("200 OK", jwks_document([&first]));
    until(|| verifier.verify(&known).is_ok()).await;
    assert!(verifier.is_ready());
}

#[tokio::test]
async fn one_issuers_outage_hides_no_news_of_the_other_and_ends_belief_in_both() {
    let (people, old, new) = (pair(), pair(), pair());
    let of_people = Publisher::of(jwks_document([&people])).await;
    let of_services = Publisher::of(jwks_document([&old])).await;
    let mut config = config(&format!("http://{}/jwks", of_people.address), 1);
    config.service_issuer = Some("s".into());
    config.service_jwks_url = Some(format!("http://{}/jwks", of_services.address));
    config.jwks_max_age_s = 12;
    let (verifier, _guard) = following(&config);
    let service = |pair: &KeyPair| signed(pair, "s", Role::EnrollmentService);
    until(|| verifier.verify(&service(&old)).is_ok()).await;
    assert_eq!(verifier.verify(&token(&people)).unwrap().issuer, "i");
    assert!(verifier.verify(&token(&old)).is_err(), "each for its own");

    of_people.publish("503 Service Unavailable", String::new());
    of_services.publish("200 OK", jwks_document([&new]));
    until(|| verifier.verify(&service(&new)).is_ok()).await;
    assert!(verifier.verify(&service(&old)).is_err());
    until(|| !verifier.is_ready()).await;
    assert!(verifier.verify(&service(&new)).is_err());
}
