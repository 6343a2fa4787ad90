//! The Postgres server of a stack: a private cluster, or one that a URL names.

use std::path::{Path, PathBuf};

use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

use super::databases::{Passwords, Provisioned, Provisioning};
use super::secrets::Secrets;
use crate::postgres::{Account, Cluster, ClusterOptions, Places, binaries, cluster};
use crate::progress::Progress;

/// The database of a private cluster.
const DATABASE: &str = "latchkey";

/// Which Postgres a stack uses.
#[derive(Debug, Clone)]
pub enum DatabaseChoice {
    /// A private cluster in the data directory.
    Private,
    /// The database that this URL names, by the rights of the role that it names. An ephemeral stack makes a database
    /// of its own beside it and drops that at the end.
    At(SecretString),
    /// A database that is provisioned already; whoever did that looks after its server.
    Ready(Provisioned),
}

impl DatabaseChoice {
    /// `DATABASE_URL` if it is set and not empty, else a private cluster.
    pub fn from_environment() -> Self {
        match std::env::var("DATABASE_URL") {
            Ok(url) if !url.is_empty() => Self::At(SecretString::from(url)),
            _ => Self::Private,
        }
    }
}

/// A server that runs, with a database that both services can use.
#[derive(Debug)]
pub struct Server {
    cluster: Option<Cluster>,
    drop_at_end: Option<Provisioning>,
    database: Provisioned,
}

/// What a private cluster needs to know of its stack.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The `latchkey` program.
    pub executable: &'a Path,
    /// The data directory.
    pub data_dir: &'a Path,
    /// Whether nothing is kept.
    pub ephemeral: bool,
}

impl Server {
    /// Starts what `choice` says, and makes the database, roles, schemas and tables that are missing.
    ///
    /// # Errors
    /// When there is no Postgres to be had, or it refuses.
    pub async fn start(
        choice: DatabaseChoice,
        place: Place<'_>,
        secrets: &Secrets,
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        match choice {
            DatabaseChoice::Ready(database) => Ok(Self {
                cluster: None,
                drop_at_end: None,
                database,
            }),
            DatabaseChoice::At(url) => Self::at(&url, place, secrets, progress).await,
            DatabaseChoice::Private => Self::private(place, secrets, progress).await,
        }
    }

    async fn at(
        url: &SecretString,
        place: Place<'_>,
        secrets: &Secrets,
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        let admin: PgConnectOptions = url
            .expose_secret()
            .parse()
            .context("DATABASE_URL is not a URL of Postgres")?;
        let admin = admin.disable_statement_logging();
        let stack_id = stack_id(secrets)?;
        let database = if place.ephemeral {
            format!("latchkey_{stack_id}")
        } else {
            admin
                .get_database()
                .unwrap_or(admin.get_username())
                .to_owned()
        };
        progress.step(format!(
            "Preparing the database `{database}` at {}:{}",
            admin.get_host(),
            admin.get_port()
        ));
        let provisioning = Provisioning {
            admin,
            database,
            own_server: false,
            stack_id,
            passwords: passwords(secrets)?,
        };
        let drop_at_end = place.ephemeral.then(|| provisioning.clone());
        match provisioning.provision().await {
            Ok(database) => Ok(Self {
                cluster: None,
                drop_at_end,
                database,
            }),
            Err(error) => {
                if let Some(provisioning) = drop_at_end {
                    let _ = provisioning.drop_database().await;
                }
                Err(error).context("cannot use the server that DATABASE_URL names")
            }
        }
    }

    async fn private(
        place: Place<'_>,
        secrets: &Secrets,
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        let account = Account::for_postgres()?;
        let cluster = private_cluster(
            place,
            &account,
            secrets.password("postgres-superuser")?,
            Vec::new(),
            progress,
        )
        .await?;
        progress.step("Preparing the database");
        let provisioning = Provisioning {
            admin: cluster.admin(),
            database: DATABASE.to_owned(),
            own_server: true,
            stack_id: stack_id(secrets)?,
            passwords: passwords(secrets)?,
        };
        match provisioning.provision().await {
            Ok(database) => Ok(Self {
                cluster: Some(cluster),
                drop_at_end: None,
                database,
            }),
            Err(error) => {
                let _ = cluster.stop().await;
                Err(error)
            }
        }
    }

    /// The database.
    pub fn database(&self) -> &Provisioned {
        &self.database
    }

    /// Whether a guard of its own stops it, and then removes what was not to be kept.
    pub fn has_guard(&self) -> bool {
        self.cluster.is_some()
    }

    /// Returns when the server has ended by itself, which only a private one can.
    pub async fn ended(&mut self) -> PathBuf {
        match &mut self.cluster {
            Some(cluster) => {
                cluster.ended().await;
                cluster.log().to_owned()
            }
            None => std::future::pending().await,
        }
    }

    /// Stops a private server, drops what was not to be kept on another's.
    ///
    /// # Errors
    /// When that fails.
    pub async fn stop(self) -> anyhow::Result<()> {
        if let Some(provisioning) = self.drop_at_end {
            provisioning.drop_database().await?;
        }
        if let Some(cluster) = self.cluster {
            cluster.stop().await?;
        }
        Ok(())
    }
}

/// Finds Postgres and runs a private cluster of it at `place`.
///
/// # Errors
/// When there is no Postgres to be had, or it does not start.
pub async fn private_cluster(
    place: Place<'_>,
    account: &Account,
    password: SecretString,
    settings: Vec<String>,
    progress: &Progress,
) -> anyhow::Result<Cluster> {
    let home = cluster::home_for(place.data_dir, account);
    progress.step("Looking for PostgreSQL");
    let found = binaries(
        &Places::of_this_machine(),
        account,
        cluster::major_version(&home),
        progress,
    )
    .await?;
    let options = ClusterOptions {
        executable: place.executable.to_owned(),
        home,
        password,
        settings,
        ephemeral: place.ephemeral.then(|| vec![place.data_dir.to_owned()]),
    };
    Cluster::start(&found, account, options, progress).await
}

fn passwords(secrets: &Secrets) -> anyhow::Result<Passwords> {
    Ok(Passwords {
        keys: secrets.password("keys-database")?,
        enrollment: secrets.password("enrollment-database")?,
    })
}

/// Eight hexadecimal digits that tell this stack from others.
pub(super) fn stack_id(secrets: &Secrets) -> anyhow::Result<String> {
    Ok(secrets
        .password("stack-id")?
        .expose_secret()
        .chars()
        .take(8)
        .collect())
}
