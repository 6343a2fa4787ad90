//! The connecting end.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use tower::Service;

use super::files::{authorities, certificates, private_key, read};
use super::{ALPN, TlsError, provider};
use crate::config::ClientTlsConfig;
use crate::config::private::read_private;
use crate::reload::{Contents, Reloaded};

/// How long connecting may take unless an endpoint says otherwise.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Believes servers whose certificate comes from given authorities, and shows them one of its own if it has one. Reloaded
/// when its files change: for the connections that are made then.
#[derive(Debug, Clone)]
pub struct ClientTls(Reloaded<ClientConfig>);

impl ClientTls {
    /// TLS as `config` wants it. Needs a tokio runtime.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub fn load(config: &ClientTlsConfig) -> Result<Self, TlsError> {
        let (from, of) = (config.clone(), config.clone());
        Reloaded::load(
            "client.tls",
            move || read_all(&from),
            move |texts| make(&of, texts),
        )
        .map(Self)
    }

    /// A channel to an endpoint whose address begins with `https`; connects when it is first used.
    pub fn channel(&self, endpoint: &Endpoint) -> Channel {
        endpoint.connect_with_connector_lazy(self.connector(endpoint))
    }

    /// Connects now.
    ///
    /// # Errors
    /// When nobody answers there, or nobody who can be believed.
    pub async fn connect(&self, endpoint: &Endpoint) -> Result<Channel, tonic::transport::Error> {
        endpoint
            .connect_with_connector(self.connector(endpoint))
            .await
    }

    /// A connection to the server at `address`, whose certificate must be for that very address: for whoever speaks HTTP/2
    /// without a [`Channel`].
    ///
    /// # Errors
    /// When nobody answers there, or nobody who can be believed.
    pub async fn open(&self, address: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        self.open_as(address, &address.ip().to_string()).await
    }

    /// The same to the server at `address` that is known as `host`, a name or an address, for which its certificate must be.
    ///
    /// # Errors
    /// When nobody answers there, or nobody who can be believed.
    pub async fn open_as(
        &self,
        address: SocketAddr,
        host: &str,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        TlsConnector::from(self.0.current())
            .connect(name, stream)
            .await
    }

    fn connector(&self, endpoint: &Endpoint) -> Connector {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(endpoint.get_tcp_nodelay());
        tcp.set_keepalive(endpoint.get_tcp_keepalive());
        tcp.set_connect_timeout(Some(
            endpoint.get_connect_timeout().unwrap_or(CONNECT_WITHIN),
        ));
        Connector {
            tcp,
            tls: self.0.clone(),
        }
    }
}

/// Makes connections with the certificates of the moment.
#[derive(Debug, Clone)]
struct Connector {
    tcp: HttpConnector,
    tls: Reloaded<ClientConfig>,
}

impl Service<Uri> for Connector {
    type Response = <HttpsConnector<HttpConnector> as Service<Uri>>::Response;
    type Error = <HttpsConnector<HttpConnector> as Service<Uri>>::Error;
    type Future = <HttpsConnector<HttpConnector> as Service<Uri>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        HttpsConnector::from((self.tcp.clone(), self.tls.current())).call(uri)
    }
}

/// The authorities, and certificate and private key if there are any.
fn read_all(config: &ClientTlsConfig) -> Result<Contents, TlsError> {
    let mut texts = vec![read(&config.ca_file)?];
    if let Some((certificate, key)) = config.own() {
        texts.extend([read(certificate)?, read_private(key)?]);
    }
    Ok(texts)
}

fn make(config: &ClientTlsConfig, texts: &Contents) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable(&config.ca_file))?
        .with_root_certificates(authorities(&texts[0], &config.ca_file)?);
    let mut made = match config.own() {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(&texts[1], certificate)?;
            let key = private_key(&texts[2], key)?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(unusable(certificate))?
        }
    };
    made.alpn_protocols = vec![ALPN.to_vec()];
    Ok(made)
}

/// What is believed of servers on the web: the authorities in `ca_file`, or else those of the operating system.
pub(crate) fn web(ca_file: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let roots = if let Some(path) = ca_file {
        authorities(&read(path)?, path)?
    } else {
        let mut store = RootCertStore::empty();
        // Some of an operating system's certificates are often of a kind that is not understood.
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        store
    };
    let path = ca_file.unwrap_or(Path::new("the system's authorities"));
    Ok(ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable(path))?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

fn unusable(path: &Path) -> impl FnOnce(rustls::Error) -> TlsError {
    let path = path.to_owned();
    move |source| TlsError::Unusable { path, source }
}
