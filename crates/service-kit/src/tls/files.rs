//! Certificates and keys as they stand in files.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::TlsError;

/// The text of a file with certificates, which are no secret.
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, TlsError> {
    let text = std::fs::read_to_string(path).map_err(|source| TlsError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    Ok(Zeroizing::new(text))
}

/// The certificates in `text`, which stands at `path`: at least one.
pub(super) fn certificates(
    text: &str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let empty = || TlsError::Empty {
        path: path.to_owned(),
        what: "certificate",
    };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let found = found.map_err(|_| empty())?;
    if found.is_empty() {
        Err(empty())
    } else {
        Ok(found)
    }
}

/// The private key in `text`, which stands at `path`.
pub(super) fn private_key(text: &str, path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| TlsError::Empty {
        path: path.to_owned(),
        what: "private key",
    })
}

/// The authorities in `text`, which stands at `path`.
pub(super) fn authorities(text: &str, path: &Path) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(text, path)? {
        store
            .add(certificate)
            .map_err(|source| TlsError::Unusable {
                path: path.to_owned(),
                source,
            })?;
    }
    Ok(store)
}
