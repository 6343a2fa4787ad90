//! `dev.json`: what a client or a tool must know of a running stack.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::secrets::replace_private;

/// The file's name in the data directory.
const FILE: &str = "dev.json";

/// A stack as `dev.json` describes it. It holds paths of secrets and no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The process that runs the stack.
    pub pid: u32,
    /// The keys service.
    pub keys: Endpoint,
    /// The enrollment service.
    pub enrollment: Endpoint,
    /// The authority whose certificates both services show: PEM, to be named to clients.
    pub ca_file: PathBuf,
    /// Whose tokens are believed, and how to make them.
    pub issuer: IssuerFiles,
    /// A token file for each role.
    pub tokens: BTreeMap<String, PathBuf>,
    /// What was made for the tokens to be of use.
    pub sample: Option<Sample>,
}

/// One service of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Where it listens.
    pub address: SocketAddr,
    /// The same as a URL for gRPC clients.
    pub url: String,
    /// Its configuration.
    pub config_file: PathBuf,
    /// A file with the URL of its database, with the rights of its role.
    pub database_url_file: PathBuf,
    /// Its log.
    pub log_file: PathBuf,
    /// Where it shows its metrics.
    #[serde(default)]
    pub metrics_url: Option<String>,
}

/// The development issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuerFiles {
    /// The `iss` of its tokens.
    pub issuer: String,
    /// Their `aud`.
    pub audience: String,
    /// Its private key, PKCS#8 PEM.
    pub private_key_file: PathBuf,
    /// The key set that the services believe.
    pub jwks_file: PathBuf,
}

/// An organization to try things in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The organization.
    pub organization_id: Uuid,
    /// A student of it.
    pub student_id: Uuid,
}

impl Description {
    /// Writes it into the data directory; returns the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, data_dir: &Path) -> anyhow::Result<PathBuf> {
        let path = data_dir.join(FILE);
        replace_private(&path, &format!("{}\n", serde_json::to_string_pretty(self)?))?;
        Ok(path)
    }

    /// The stack of the data directory.
    ///
    /// # Errors
    /// When none was ever run there.
    pub fn read(data_dir: &Path) -> anyhow::Result<Self> {
        let path = data_dir.join(FILE);
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!("no development stack in {} (start one with `latchkey dev`, or name its --data-dir)", data_dir.display())
        })?;
        serde_json::from_str(&text).with_context(|| format!("cannot read {}", path.display()))
    }
}
