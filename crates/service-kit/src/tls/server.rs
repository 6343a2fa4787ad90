//! The accepting end.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::files::{authorities, certificates, private_key, read};
use super::{ALPN, TlsError, provider};
use crate::config::private::read_private;
use crate::config::{ClientCertificates, ListenConfig, ServerTlsConfig};
use crate::reload::{Contents, Reloaded};

/// Shows this service's certificate to clients, and looks at theirs where that is wanted. Reloaded when its files change:
/// for the connections that come then; those that are open stay.
#[derive(Debug, Clone)]
pub struct ServerTls(Reloaded<ServerConfig>);

impl ServerTls {
    /// TLS as `listen` wants it; none where it says in so many words that there shall be none. Needs a tokio runtime.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub fn of(listen: &ListenConfig) -> Result<Option<Self>, TlsError> {
        if listen.tls.is_none() {
            tracing::warn!(
                address = %listen.address,
                "SERVING IN PLAIN TEXT: whoever can listen on this machine reads every token and every code (listen.plaintext)"
            );
        }
        listen.tls.as_ref().map(Self::load).transpose()
    }

    /// TLS as `config` wants it. Needs a tokio runtime.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub fn load(config: &ServerTlsConfig) -> Result<Self, TlsError> {
        let (from, of) = (config.clone(), config.clone());
        Reloaded::load(
            "listen.tls",
            move || read_all(&from),
            move |texts| make(&of, texts),
        )
        .map(Self)
    }

    /// Shakes hands with whoever has connected.
    ///
    /// # Errors
    /// When the client does not speak TLS, or shows no certificate that it should show.
    pub(crate) async fn accept(&self, io: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(self.0.current()).accept(io).await
    }
}

/// Certificate, private key, and the authorities of clients if there are any.
fn read_all(config: &ServerTlsConfig) -> Result<Contents, TlsError> {
    let mut texts = vec![
        read(&config.certificate_file)?,
        read_private(&config.private_key_file)?,
    ];
    if let Some(path) = &config.client_ca_file {
        texts.push(read(path)?);
    }
    Ok(texts)
}

fn make(config: &ServerTlsConfig, texts: &Contents) -> Result<ServerConfig, TlsError> {
    let unusable = |source| TlsError::Unusable {
        path: config.certificate_file.clone(),
        source,
    };
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = match config.client_ca_file.as_ref().zip(texts.get(2)) {
        None => builder.with_no_client_auth(),
        Some((path, text)) => {
            let roots = Arc::new(authorities(text, path)?);
            let verifier = verifier(config.client_certificates, roots);
            builder.with_client_cert_verifier(verifier.map_err(|source| TlsError::Authorities {
                path: path.clone(),
                source,
            })?)
        }
    };
    let chain = certificates(&texts[0], &config.certificate_file)?;
    let key = private_key(&texts[1], &config.private_key_file)?;
    let mut made = builder.with_single_cert(chain, key).map_err(unusable)?;
    made.alpn_protocols = vec![ALPN.to_vec()];
    Ok(made)
}

fn verifier(
    wanted: ClientCertificates,
    roots: Arc<rustls::RootCertStore>,
) -> Result<Arc<dyn ClientCertVerifier>, rustls::server::VerifierBuilderError> {
    let builder = WebPkiClientVerifier::builder_with_provider(roots, provider());
    match wanted {
        ClientCertificates::Required => builder.build(),
        ClientCertificates::Optional => builder.allow_unauthenticated().build(),
    }
}
