//! `latchkey secrets`: the secrets of a new deployment, each in a file of its own.

use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use latchkey::stack::certificates;
use latchkey::stack::config_files::SharedFiles;
use latchkey::stack::databases::Provisioned;
use latchkey::stack::secrets::Secrets as Directory;
use secrecy::{ExposeSecret, SecretString};

/// Where to make them, and for which database.
#[derive(Debug, clap::Args)]
pub(crate) struct Secrets {
    /// The directory; made if it is missing. What is in it already stays as it is, but for
    /// certificates, which are made anew.
    #[arg(long, value_name = "DIRECTORY")]
    directory: PathBuf,
    /// Where the services find Postgres.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5432")]
    postgres: String,
    /// The name of the database.
    #[arg(long, value_name = "NAME", default_value = "latchkey")]
    database: String,
    /// The role that owns the database.
    #[arg(long, value_name = "ROLE", default_value = "postgres")]
    admin: String,
    /// A DNS name or IP address by which the services are called, besides those of their own machine; may be given again.
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
}

/// Makes what is missing, and certificates anew, and prints where it stands. The issuer of people's tokens is an example: a deployment has an
/// identity provider, whose public keys take the place of `issuer-jwks.json`.
pub(crate) fn run(secrets: &Secrets) -> anyhow::Result<ExitCode> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&secrets.directory)
        .with_context(|| format!("cannot make {}", secrets.directory.display()))?;
    let directory = Directory::in_directory(secrets.directory.clone());
    let url = |role: &str, password: &SecretString| {
        let Secrets {
            postgres, database, ..
        } = secrets;
        let password = password.expose_secret();
        SecretString::from(format!(
            "postgres://{role}:{password}@{postgres}/{database}"
        ))
    };
    let admin = directory.password("postgres.password")?;
    directory.put("admin-database.url", &url(&secrets.admin, &admin))?;
    let provisioned = Provisioned {
        keys_url: url(
            "latchkey_keys",
            &directory.password("keys-database.password")?,
        ),
        enrollment_url: url(
            "latchkey_enrollment",
            &directory.password("enrollment-database.password")?,
        ),
        made: Vec::new(),
    };
    SharedFiles::make(&directory, &provisioned, &secrets.names)?;
    let host = secrets.postgres.rsplit_once(':');
    let host = host.map_or(secrets.postgres.as_str(), |(host, _)| host);
    certificates::of_database(&directory, host.trim_matches(['[', ']']))?;
    println!("the secrets are in {}", secrets.directory.display());
    Ok(ExitCode::SUCCESS)
}
