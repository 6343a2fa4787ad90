//! `latchkey migrate`: makes or updates the database of a deployment.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use latchkey::stack::databases::{Passwords, Provisioning};
use latchkey_service_kit::config::SecretFile;
use secrecy::{ExposeSecret, SecretString};
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use super::server_trust::ServerOptions;

/// The database, and the passwords of the services' roles.
#[derive(Debug, clap::Args)]
pub(crate) struct Migrate {
    /// A file with the URL of the database, as a role that may create roles and schemas.
    #[arg(long, value_name = "FILE")]
    admin_url_file: PathBuf,
    /// A file with the password that the role of the keys service shall have: letters and digits.
    #[arg(long, value_name = "FILE")]
    keys_password_file: PathBuf,
    /// A file with the password that the role of the enrollment service shall have: letters and digits.
    #[arg(long, value_name = "FILE")]
    enrollment_password_file: PathBuf,
    #[command(flatten)]
    server: ServerOptions,
}

/// Makes what is missing: the database, a role for each service, schemas, tables, rights. Prints what it made.
pub(crate) async fn run(migrate: &Migrate) -> anyhow::Result<ExitCode> {
    let url = read(&migrate.admin_url_file)?;
    let admin: PgConnectOptions = url
        .expose_secret()
        .parse()
        // The parser's error may repeat a part of the URL, which has a password in it.
        .map_err(|_| anyhow::anyhow!("the administrator's address is not a URL of Postgres"))?;
    let admin = migrate.server.trust().apply(admin)?;
    let database = admin
        .get_database()
        .context("the administrator's URL names no database")?
        .to_owned();
    let provisioning = Provisioning {
        admin: admin.disable_statement_logging(),
        database,
        own_server: true,
        stack_id: String::new(),
        passwords: Passwords {
            keys: read(&migrate.keys_password_file)?,
            enrollment: read(&migrate.enrollment_password_file)?,
        },
    };
    let provisioned = provisioning.provision().await?;
    for thing in &provisioned.made {
        println!("made {thing}");
    }
    println!("the database is as this release needs it");
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> anyhow::Result<SecretString> {
    Ok(SecretFile::new(file).read()?)
}
