//! TLS between real sockets: who is believed, who must show a certificate, and certificates that change.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use latchkey_service_kit::config::{
    ClientCertificates, ClientTlsConfig, LimitsConfig, ServerTlsConfig, ShutdownConfig,
};
use latchkey_service_kit::tls::{ClientTls, ServerTls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::Endpoint;

use crate::world::{World, soon};

/// An authority, and certificates of its making.
struct Papers {
    directory: tempfile::TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Papers {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let papers = Self {
            directory,
            authority,
        };
        papers.write("ca.pem", &papers.authority.as_ref().pem());
        papers
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
        std::fs::set_permissions(self.path(name), PermissionsExt::from_mode(0o600)).unwrap();
    }

    /// A certificate for `name`, in `WHO.pem` and `WHO.key`.
    fn issue(&self, who: &str, name: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        self.write(&format!("{who}.key"), &key.serialize_pem());
        self.write(&format!("{who}.pem"), &certificate.pem());
    }

    fn server(&self, client_ca: Option<&Path>, wanted: ClientCertificates) -> ServerTlsConfig {
        ServerTlsConfig {
            certificate_file: self.path("server.pem"),
            private_key_file: self.path("server.key"),
            client_ca_file: client_ca.map(Path::to_owned),
            client_certificates: wanted,
        }
    }

    fn client(&self, shown: Option<&Papers>) -> ClientTlsConfig {
        ClientTlsConfig {
            ca_file: self.path("ca.pem"),
            certificate_file: shown.map(|papers| papers.path("client.pem")),
            private_key_file: shown.map(|papers| papers.path("client.key")),
        }
    }
}

async fn world(config: &ServerTlsConfig) -> World {
    let limits = LimitsConfig {
        handshake_timeout_ms: 300,
        ..LimitsConfig::default()
    };
    let tls = ServerTls::load(config).unwrap();
    World::start_with(limits, ShutdownConfig::default(), Some(tls)).await
}

/// Whether a client that goes by `config` is served.
async fn is_served(world: &World, config: &ClientTlsConfig) -> bool {
    serves(world, &ClientTls::load(config).unwrap()).await
}

/// The same of a client that has been there for a while, by a new connection.
async fn serves(world: &World, client: &ClientTls) -> bool {
    let endpoint = Endpoint::from_shared(format!("https://{}", world.address)).unwrap();
    let channel = client.channel(&endpoint);
    let answer = soon(world.call_on(channel, "Echo")).await;
    match answer {
        Ok(_) => true,
        Err(status) => {
            assert!(
                matches!(status.code(), Code::Unavailable | Code::Unknown),
                "{status:?}"
            );
            false
        }
    }
}

#[tokio::test]
async fn a_client_believes_its_authority_alone_and_is_not_served_in_plain_text() {
    let (papers, strangers) = (Papers::new(), Papers::new());
    papers.issue("server", "127.0.0.1");
    let world = world(&papers.server(None, ClientCertificates::Required)).await;
    assert!(is_served(&world, &papers.client(None)).await);
    assert!(!is_served(&world, &strangers.client(None)).await);
    let endpoint = Endpoint::from_shared(format!("http://{}", world.address)).unwrap();
    let plain = world.call_on(endpoint.connect_lazy(), "Echo");
    soon(plain).await.expect_err("no TLS, no answer");
    assert!(is_served(&world, &papers.client(None)).await, "others are");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_believed() {
    let papers = Papers::new();
    papers.issue("server", "elsewhere.example.com");
    let world = world(&papers.server(None, ClientCertificates::Required)).await;
    assert!(!is_served(&world, &papers.client(None)).await);
}

#[tokio::test]
async fn clients_show_certificates_where_they_must_and_good_ones_where_they_may() {
    let (papers, strangers) = (Papers::new(), Papers::new());
    papers.issue("server", "127.0.0.1");
    papers.issue("client", "client");
    strangers.issue("client", "client");
    let ca = papers.path("ca.pem");
    for (wanted, none, good, bad) in [
        (ClientCertificates::Required, false, true, false),
        (ClientCertificates::Optional, true, true, false),
    ] {
        let world = world(&papers.server(Some(&ca), wanted)).await;
        let served = async |shown| is_served(&world, &papers.client(shown)).await;
        assert_eq!(served(None).await, none, "{wanted:?}");
        assert_eq!(served(Some(&papers)).await, good, "{wanted:?}");
        assert_eq!(served(Some(&strangers)).await, bad, "{wanted:?}");
    }
}

#[tokio::test]
async fn a_new_certificate_needs_no_restart_and_a_bad_one_changes_nothing() {
    let (papers, successor) = (Papers::new(), Papers::new());
    papers.issue("server", "127.0.0.1");
    successor.issue("server", "127.0.0.1");
    let world = world(&papers.server(None, ClientCertificates::Required)).await;
    // A key that does not fit the certificate: half of the change.
    let put = |name: &str| {
        papers.write(
            name,
            &std::fs::read_to_string(successor.path(name)).unwrap(),
        );
    };
    put("server.key");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(is_served(&world, &papers.client(None)).await);
    put("server.pem");
    let renewed = async {
        while !is_served(&world, &successor.client(None)).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon(renewed).await;
    assert!(!is_served(&world, &papers.client(None)).await);
}

/// Repeats until the client is served.
async fn soon_serves(world: &World, client: &ClientTls) {
    let served = async {
        while !serves(world, client).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon(served).await;
}

#[tokio::test]
async fn a_client_believes_a_new_authority_without_a_restart() {
    let (papers, successor) = (Papers::new(), Papers::new());
    successor.issue("server", "127.0.0.1");
    let world = world(&successor.server(None, ClientCertificates::Required)).await;
    let client = ClientTls::load(&papers.client(None)).unwrap();
    assert!(!serves(&world, &client).await);
    let both = [&papers, &successor]
        .map(|papers| std::fs::read_to_string(papers.path("ca.pem")).unwrap())
        .concat();
    papers.write("ca.pem", &both);
    soon_serves(&world, &client).await;
    // What is no certificate changes nothing.
    papers.write("ca.pem", "");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(serves(&world, &client).await);
}

#[tokio::test]
async fn a_client_shows_a_new_certificate_of_its_own_without_a_restart() {
    let (papers, strangers) = (Papers::new(), Papers::new());
    papers.issue("server", "127.0.0.1");
    papers.issue("client", "client");
    strangers.issue("client", "client");
    let ca = papers.path("ca.pem");
    let world = world(&papers.server(Some(&ca), ClientCertificates::Required)).await;
    let client = ClientTls::load(&papers.client(Some(&strangers))).unwrap();
    assert!(!serves(&world, &client).await);
    for name in ["client.key", "client.pem"] {
        let text = std::fs::read_to_string(papers.path(name)).unwrap();
        strangers.write(name, &text);
    }
    soon_serves(&world, &client).await;
}

#[tokio::test]
async fn whoever_says_nothing_is_let_go() {
    let papers = Papers::new();
    papers.issue("server", "127.0.0.1");
    let world = world(&papers.server(None, ClientCertificates::Required)).await;
    let mut silent = TcpStream::connect(world.address).await.unwrap();
    let mut byte = [0];
    let end = soon(silent.read(&mut byte)).await;
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    assert!(is_served(&world, &papers.client(None)).await);
}
