//! The services as they run in production, on a database of their own, with one process of each or several.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use chrono::TimeDelta;
use latchkey_service_kit::config::ClientTlsConfig;
use latchkey_service_kit::identity::Role;
use sqlx::postgres::PgConnection;
use toml::{Table, Value};
use tonic::transport::{Channel, Endpoint};
use uuid::Uuid;

use super::ground::{Ground, execute};
use super::meter::{Meter, memory};
use crate::stack::Service;
use crate::stack::config_files::SharedFiles;
use crate::stack::databases::Provisioned;
use crate::stack::process::{ANY_PORT, Process, ProcessOptions, Started, channel};
use crate::stack::secrets::{Secrets, replace_private};
use crate::stack::tokens::{Issuer, TokenRequest};
use crate::verify::{self, Databases, Drain};

/// How long a token holds: longer than all benchmarks together.
const TOKEN_LIFETIME: TimeDelta = TimeDelta::hours(24);
/// How long a call may take that is not measured: generating and revealing many keys takes a while.
const CALL_WITHIN: Duration = Duration::from_mins(1);

/// Both services on a database.
#[derive(Debug)]
pub struct Site {
    /// The database's name.
    pub name: String,
    /// The processes of the keys service.
    pub keys: Vec<Replica>,
    /// The processes of the enrollment service, each of which calls all of keys.
    pub enrollment: Vec<Replica>,
    /// The most that one process of each service had of memory once it served and nobody had called it, in MiB.
    pub idle_mib: f64,
    database: Provisioned,
    files: SharedFiles,
}

/// One process.
#[derive(Debug)]
pub struct Replica(Started);

impl Replica {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Its process id.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pid(&self) -> anyhow::Result<u32> {
        let process = &self.0.process;
        process
            .pid()
            .with_context(|| format!("the service ended; {}", process.last_words()))
    }

    /// Its address for gRPC clients.
    pub fn url(&self) -> String {
        format!("https://{}", self.address())
    }
}

impl Site {
    /// Makes the database `name` and starts `replicas` processes of each service on it.
    ///
    /// # Errors
    /// When the database cannot be made, or a process does not start.
    pub async fn start(ground: &Ground, name: &str, replicas: usize) -> anyhow::Result<Self> {
        let database = ground.provisioned(name).await?;
        // A comparison of both services is due a day after the last one. Without one it would fall into a measurement.
        let mut owner = ground.connect(name).await?;
        execute(
            &mut owner,
            "UPDATE enrollment.comparisons SET ended_at = clock_timestamp()",
        )
        .await?;
        let directory = ground.directory(name)?;
        let secrets = Secrets::in_directory(ground.directory(&format!("{name}-secrets"))?);
        let files = SharedFiles::make(&secrets, &database, &[])?;
        let start = async |service, number, keys: &[String]| {
            let place = directory.join(format!("{}-{number}", Service::name(service)));
            start(ground, &files, service, &place, keys).await
        };
        let mut keys = Vec::new();
        for number in 0..replicas {
            keys.push(start(Service::Keys, number, &[]).await?);
        }
        let urls: Vec<String> = keys.iter().map(Replica::url).collect();
        let mut enrollment = Vec::new();
        for number in 0..replicas {
            enrollment.push(start(Service::Enrollment, number, &urls).await?);
        }
        let mut idle_mib = 0.0_f64;
        for replica in keys.iter().chain(&enrollment) {
            idle_mib = idle_mib.max(memory(replica.pid()?)?.resident_mib);
        }
        Ok(Self {
            name: name.to_owned(),
            keys,
            enrollment,
            idle_mib,
            database,
            files,
        })
    }

    /// The certificate of the authority that both services show theirs of.
    pub fn ca_file(&self) -> &Path {
        &self.files.certificates.authority
    }

    /// The files that the services are configured with.
    pub fn files(&self) -> &SharedFiles {
        &self.files
    }

    /// Whose tokens the services believe.
    ///
    /// # Errors
    /// When its key cannot be read.
    pub fn issuer(&self) -> anyhow::Result<Issuer> {
        Issuer::from_file(&self.files.issuer_key)
    }

    /// A token for somebody with this role, in an organization if it is a role of one.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn token(&self, role: Role, organization: Option<Uuid>) -> anyhow::Result<String> {
        self.issuer()?.mint(&TokenRequest {
            roles: vec![role],
            organization,
            subject: format!("bench-{}", role.name().replace('_', "-")),
            lifetime: TOKEN_LIFETIME,
        })
    }

    /// A connection to the first process of a service, for calls that are not measured.
    ///
    /// # Errors
    /// When the authority's certificate cannot be read.
    pub fn channel(&self, service: Service) -> anyhow::Result<Channel> {
        let replicas = match service {
            Service::Keys => &self.keys,
            Service::Enrollment => &self.enrollment,
        };
        let first = replicas.first().context("no process")?;
        let endpoint = Endpoint::from_shared(first.url())?
            .timeout(CALL_WITHIN)
            .tcp_nodelay(true);
        channel(&endpoint, self.ca_file())
    }

    /// A connection of the owner of the cluster to the services' database.
    ///
    /// # Errors
    /// When there is none to be had.
    pub async fn owner(&self, ground: &Ground) -> anyhow::Result<PgConnection> {
        ground.connect(&self.name).await
    }

    /// What measures all of it.
    ///
    /// # Errors
    /// When a process has ended, or the server cannot be reached.
    pub async fn meter(&self, ground: &Ground) -> anyhow::Result<Meter> {
        let pids = |replicas: &[Replica]| -> anyhow::Result<Vec<u32>> {
            replicas.iter().map(Replica::pid).collect()
        };
        Ok(Meter {
            keys: pids(&self.keys)?,
            enrollment: pids(&self.enrollment)?,
            metrics: self.enrollment.first().map(|replica| replica.0.metrics),
            server: self.owner(ground).await?,
        })
    }

    /// What `latchkey verify` finds broken; nothing, if all is well.
    ///
    /// # Errors
    /// When the databases cannot be read.
    pub async fn verify(&self) -> anyhow::Result<Vec<String>> {
        let urls = (&self.database.keys_url, &self.database.enrollment_url);
        let databases = Databases::connect(urls.0, urls.1).await?;
        let report = verify::verify(&databases, &Drain::default()).await;
        databases.close().await;
        let findings = report?.findings.into_iter();
        Ok(findings
            .map(|finding| {
                format!(
                    "{} {}: {}: {}",
                    finding.table, finding.id, finding.invariant, finding.found
                )
            })
            .collect())
    }

    /// Stops all processes and drops the database.
    ///
    /// # Errors
    /// When one does not end well.
    pub async fn stop(self, ground: &Ground) -> anyhow::Result<()> {
        for replica in self.enrollment.into_iter().chain(self.keys) {
            replica.0.process.stop().await?;
        }
        ground.drop(&self.name).await
    }
}

async fn start(
    ground: &Ground,
    files: &SharedFiles,
    service: Service,
    place: &Path,
    keys: &[String],
) -> anyhow::Result<Replica> {
    let config_file = place.with_extension("toml");
    let log = place.with_extension("log");
    let options = ProcessOptions {
        executable: &ground.executable,
        service,
        config_file: &config_file,
        address: ANY_PORT,
        tls: ClientTlsConfig::of_authorities(&files.certificates.authority),
        log: &log,
        environment: &[],
    };
    let started = Process::start_where_free(&options, |address, metrics| {
        // Where the keys service is stands in the setting that follows.
        files.write_config(service, &config_file, address, Some(metrics), address)?;
        if service == Service::Enrollment {
            put(&config_file, "keys", "endpoint", keys.join(","))?;
        }
        Ok(())
    });
    Ok(Replica(started.await?))
}

/// Sets one field of a configuration file.
fn put(file: &PathBuf, section: &str, field: &str, value: String) -> anyhow::Result<()> {
    let mut table: Table = std::fs::read_to_string(file)?.parse()?;
    let inner = table
        .entry(section)
        .or_insert_with(|| Value::Table(Table::new()));
    let inner = inner.as_table_mut().context("a section is a table")?;
    inner.insert(field.to_owned(), Value::String(value));
    replace_private(file, &table.to_string())
}
