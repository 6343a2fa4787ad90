//! What all benchmarks of a run stand on: one private cluster, with the settings of every private cluster, for the
//! baselines' database and for those of the services.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use secrecy::SecretString;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection};

use super::pgbench::Pgbench;
use crate::postgres::cluster::SUPERUSER;
use crate::postgres::{Account, Binaries, Cluster, Places, binaries};
use crate::progress::Progress;
use crate::stack::data_dir::DataDir;
use crate::stack::databases::{Passwords, Provisioned, Provisioning};
use crate::stack::secrets::Secrets;
use crate::stack::{Place, private_cluster};

/// What the cluster's owner's password is called among the secrets.
const OWNER: &str = "postgres-superuser";

/// A cluster of its own, of which nothing is kept.
#[derive(Debug)]
pub struct Ground {
    /// The `latchkey` program, which runs the services.
    pub executable: PathBuf,
    /// The programs of Postgres.
    pub binaries: Binaries,
    cluster: Cluster,
    secrets: Secrets,
    data_dir: DataDir,
}

impl Ground {
    /// Makes the cluster and starts it.
    ///
    /// # Errors
    /// When there is no Postgres to be had, none with pgbench, or it does not start.
    pub async fn prepare(executable: PathBuf, progress: &Progress) -> anyhow::Result<Self> {
        let mut data_dir = DataDir::ephemeral()?;
        let secrets = Secrets::in_directory(data_dir.private("secrets")?);
        let account = Account::for_postgres()?;
        let found = binaries(&Places::of_this_machine(), &account, None, progress).await?;
        ensure!(
            found.program("pgbench").is_file(),
            "there is no pgbench beside the server in {}: the baselines need it (on Debian it is in the package postgresql)",
            found.directory.display()
        );
        let place = Place {
            executable: &executable,
            data_dir: data_dir.path(),
            ephemeral: true,
        };
        let password = secrets.password(OWNER)?;
        let cluster = private_cluster(place, &account, password, Vec::new(), progress).await?;
        data_dir.leave_to_guard();
        Ok(Self {
            executable,
            binaries: found,
            cluster,
            secrets,
            data_dir,
        })
    }

    /// A directory for what belongs to `name`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn directory(&self, name: &str) -> anyhow::Result<PathBuf> {
        Ok(self.data_dir.private(name)?)
    }

    /// How to connect to `database` as the owner of the cluster.
    pub fn owner(&self, database: &str) -> PgConnectOptions {
        self.cluster
            .admin()
            .database(database)
            .disable_statement_logging()
    }

    /// A connection to `database` of the owner of the cluster.
    ///
    /// # Errors
    /// When there is none to be had.
    pub async fn connect(&self, database: &str) -> anyhow::Result<PgConnection> {
        PgConnection::connect_with(&self.owner(database))
            .await
            .with_context(|| format!("cannot connect to the database {database}"))
    }

    /// An empty database, in the place of what a benchmark that failed may have left under its name.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn empty(&self, name: &str) -> anyhow::Result<PgConnection> {
        self.drop(name).await?;
        let mut connection = self.connect("postgres").await?;
        execute(&mut connection, &format!("CREATE DATABASE {name}")).await?;
        self.connect(name).await
    }

    /// A database with the schemas and roles of both services.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn provisioned(&self, name: &str) -> anyhow::Result<Provisioned> {
        let provisioning = Provisioning {
            admin: self.owner("postgres"),
            database: name.to_owned(),
            own_server: true,
            stack_id: String::new(),
            passwords: Passwords {
                keys: self.secrets.password("keys-database")?,
                enrollment: self.secrets.password("enrollment-database")?,
            },
        };
        provisioning.provision().await
    }

    /// Drops a database that nobody needs any more: the next benchmark gets its room on the disk and in memory.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn drop(&self, name: &str) -> anyhow::Result<()> {
        let mut connection = self.connect("postgres").await?;
        execute(
            &mut connection,
            &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
        )
        .await
    }

    /// pgbench on `database`, as the owner of the cluster.
    ///
    /// # Errors
    /// When the owner's password cannot be read.
    pub fn pgbench(&self, database: &str) -> anyhow::Result<Pgbench> {
        Ok(Pgbench {
            program: self.binaries.program("pgbench"),
            port: self.cluster.port(),
            user: SUPERUSER.to_owned(),
            password: self.password()?,
            database: database.to_owned(),
        })
    }

    fn password(&self) -> anyhow::Result<SecretString> {
        self.secrets.password(OWNER)
    }

    /// Where the cluster and all else lies.
    pub fn path(&self) -> &Path {
        self.data_dir.path()
    }

    /// Stops the cluster, which removes everything.
    ///
    /// # Errors
    /// When it does not stop in time.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.cluster.stop().await
    }
}

/// Statements of the benchmarks are made of their own words and numbers.
pub(super) async fn execute(connection: &mut PgConnection, sql: &str) -> anyhow::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(connection)
        .await
        .with_context(|| {
            let beginning: String = sql.trim().chars().take(80).collect();
            format!("Postgres refused `{beginning}`")
        })?;
    Ok(())
}
