//! Whether whoever answers at the database's address is the database.

use std::path::PathBuf;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::DatabaseError;
use crate::config::is_loopback_host;

/// By what a server is told from somebody on the way who pretends to be it: who can, has the password of the service's role
/// and all that the service stores.
///
/// A server on this very machine needs nothing: nobody is on the way. The certificate of any other must be verified, by the
/// authorities in a file or as its URL says (`sslmode=verify-full`). What the library does without being told, taking TLS if
/// it is offered and any certificate, is what an attacker would want.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerTrust {
    /// The authorities whose certificates the server may show: PEM, read for each connection.
    pub ca_file: Option<PathBuf>,
    /// Whether a server is good enough that could be anybody.
    pub unverified: bool,
}

impl ServerTrust {
    /// Trust in whatever a URL leads to, for what made the database itself.
    pub fn in_anybody() -> Self {
        Self {
            ca_file: None,
            unverified: true,
        }
    }

    /// The same connection, to a server that is verified.
    ///
    /// # Errors
    /// When the server could be anybody, and that is not good enough.
    pub fn apply(&self, options: PgConnectOptions) -> Result<PgConnectOptions, DatabaseError> {
        let options = match &self.ca_file {
            Some(file) => options
                .ssl_mode(PgSslMode::VerifyFull)
                .ssl_root_cert(file.as_path()),
            None => options,
        };
        if self.unverified || is_verified(&options) {
            Ok(options)
        } else {
            Err(DatabaseError::Unverified)
        }
    }
}

/// Whether a server that these options lead to is the one that is meant.
pub fn is_verified(options: &PgConnectOptions) -> bool {
    let verified = matches!(options.get_ssl_mode(), PgSslMode::VerifyFull);
    verified || is_on_this_machine(options)
}

fn is_on_this_machine(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    options.get_socket().is_some() || host.starts_with('/') || is_loopback_host(host)
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    fn applied(trust: &ServerTrust, url: &str) -> Option<PgSslMode> {
        let options = PgConnectOptions::from_str(url).unwrap();
        let applied = trust.apply(options).ok()?;
        Some(applied.get_ssl_mode())
    }

    #[test]
    fn a_server_elsewhere_is_verified_or_refused() {
        let nothing = ServerTrust::default();
        for (url, good) in [
            ("postgres://u@localhost/d", true),
            ("postgres://u@127.0.0.1:5433/d", true),
            ("postgres://u@[::1]/d", true),
            ("postgres://u@%2Fvar%2Frun%2Fpostgresql/d", true),
            ("postgres://u@localhost/d?host=/var/run/postgresql", true),
            ("postgres://u@db.internal/d", false),
            ("postgres://u@10.0.0.7/d", false),
            ("postgres://u@localhost.example.com/d", false),
            // Where it leads counts, not what stands first.
            ("postgres://u@localhost/d?host=db.internal", false),
            ("postgres://u@localhost/d?hostaddr=10.0.0.7", false),
            ("postgres://u@db.internal/d?sslmode=prefer", false),
            ("postgres://u@db.internal/d?sslmode=require", false),
            // Any certificate of the authority would do, of any other server.
            ("postgres://u@db.internal/d?sslmode=verify-ca", false),
            ("postgres://u@db.internal/d?sslmode=verify-full", true),
        ] {
            assert_eq!(applied(&nothing, url).is_some(), good, "{url}");
        }
    }

    #[test]
    fn an_authority_has_the_server_verified_whatever_the_url_says() {
        let trust = ServerTrust {
            ca_file: Some("/etc/latchkey/ca.pem".into()),
            unverified: false,
        };
        for url in [
            "postgres://u@db.internal/d",
            "postgres://u@localhost/d?sslmode=disable",
        ] {
            let mode = applied(&trust, url);
            assert!(matches!(mode, Some(PgSslMode::VerifyFull)), "{url}");
        }
    }

    #[test]
    fn a_server_that_could_be_anybody_is_taken_when_told_so() {
        let anybody = ServerTrust::in_anybody();
        assert!(applied(&anybody, "postgres://u@db.internal/d").is_some());
    }
}
