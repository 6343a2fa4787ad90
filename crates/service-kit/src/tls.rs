//! TLS (rustls, with ring for its cryptography): one place for both ends, with certificates that are reloaded.

mod client;
mod files;
mod server;

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub use client::ClientTls;
pub(crate) use client::web;
pub use server::ServerTls;

use crate::config::private::PrivateFileError;

/// What is spoken after the handshake: gRPC is HTTP/2 and nothing else.
const ALPN: &[u8] = b"h2";

/// Why there is no TLS. Never repeats anything of a file but its path.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The private key's file cannot be read, or others may read it too.
    #[error(transparent)]
    PrivateKey(#[from] PrivateFileError),
    /// A file has no certificate, or no key, in PEM form.
    #[error("{path} holds no {what} in PEM form")]
    Empty {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// Certificates and key do not go together, or are not understood.
    #[error("the certificates cannot be used ({path})")]
    Unusable {
        /// The file with the certificate.
        path: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
    /// The authorities of clients cannot be used.
    #[error("the authorities in {path} cannot be used")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: rustls::server::VerifierBuilderError,
    },
}

/// The one provider of cryptography in this tree. Named everywhere it is needed, so that none is installed for the process.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
