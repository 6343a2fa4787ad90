//! By what commands know the database's server.

use std::path::PathBuf;

use latchkey_service_kit::database::ServerTrust;

/// As the services are told by `database.ca_file` and `database.unverified_server`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ServerOptions {
    /// The authority of the database server's certificate: PEM. A server on another machine must be verified, by this or by
    /// `sslmode=verify-full` in its URL.
    #[arg(long, value_name = "FILE")]
    database_ca_file: Option<PathBuf>,
    /// Take a database server on another machine although it could be anybody: whoever is on the way to it gets the password.
    #[arg(long, conflicts_with = "database_ca_file")]
    unverified_database: bool,
}

impl ServerOptions {
    pub(crate) fn trust(&self) -> ServerTrust {
        ServerTrust {
            ca_file: self.database_ca_file.clone(),
            unverified: self.unverified_database,
        }
    }
}
