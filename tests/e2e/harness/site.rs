//! The service processes of a stack, their files and their database.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use latchkey::stack::Service;
use latchkey::stack::certificates::CertificateFiles;
use latchkey::stack::config_files::{ISSUER_KEY, SERVICE_KEY, SharedFiles};
use latchkey::stack::process::{ANY_PORT, Process, ProcessOptions, claim};
use latchkey::stack::secrets::{Secrets, replace_private};
use latchkey::stack::tokens::{AUDIENCE, Issuer, SERVICE_ISSUER};
use latchkey_service_kit::clock::SystemClock;
use latchkey_service_kit::config::ClientTlsConfig;
use latchkey_service_kit::faults::planted;
use latchkey_service_kit::identity::{Role, SignerOptions, TokenSigner};
use latchkey_service_kit::tls::ClientTls;
use secrecy::ExposeSecret;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use tokio_rustls::client::TlsStream;
use toml::{Table, Value};
use tonic::transport::{Channel, Endpoint};

use super::cluster::{TestCluster, TestDatabase, cluster, executable};
use super::proxy::Link;

/// How often another free port is tried when someone took it before the service bound it.
const PORT_TRIES: u32 = 5;

/// How a stack differs from the usual.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// How many processes of each service; each of enrollment calls the one of keys with its number.
    pub(crate) replicas: usize,
    /// Whether each of enrollment calls all of keys instead.
    pub(crate) keys_shared: bool,
    /// Settings of every keys process, as TOML.
    pub(crate) keys: &'static str,
    /// Settings of every enrollment process, as TOML.
    pub(crate) enrollment: &'static str,
    /// Whether whoever calls keys shows a certificate, that of the enrollment service; else nobody but that does.
    pub(crate) certificates_shown: bool,
    /// Whether all connections go through links that can be cut.
    pub(crate) links: bool,
    /// Another cluster than that of the run.
    pub(crate) cluster: Option<&'static TestCluster>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            replicas: 1,
            keys_shared: false,
            keys: "",
            enrollment: "",
            certificates_shown: false,
            links: false,
            cluster: None,
        }
    }
}

/// How long a process may take to hear of its faults.
const FAULTS_WITHIN: Duration = Duration::from_secs(20);

/// Settings of every process of a test: few connections, because many stacks share one server; logs for machines.
const USUAL: &str = r#"
[database]
max_connections = 6
[log]
format = "json"
filter = "info"
"#;

/// One process.
pub(crate) struct Replica {
    pub(crate) service: Service,
    pub(crate) address: SocketAddr,
    pub(crate) log: PathBuf,
    pub(crate) config: PathBuf,
    tls: ClientTlsConfig,
    environment: Vec<(String, String)>,
    /// The ways to and from it, if they can be cut.
    pub(crate) links: Option<Links>,
    process: Option<Process>,
}

/// Where a process can be reached, and whom to believe there.
#[derive(Debug, Clone)]
pub(crate) struct Entrance {
    door: SocketAddr,
    tls: ClientTls,
}

impl Entrance {
    /// A connection on which anything can be sent.
    pub(crate) async fn open(&self) -> io::Result<TlsStream<TcpStream>> {
        self.tls.open(self.door).await
    }
}

/// Ways that can be cut.
pub(crate) struct Links {
    /// From callers to the process.
    pub(crate) callers: Link,
    /// From the process to Postgres.
    pub(crate) database: Link,
    /// From an enrollment process to keys.
    pub(crate) keys: Option<Link>,
}

impl Links {
    async fn of(
        service: Service,
        address: SocketAddr,
        keys: SocketAddr,
        database: &TestDatabase,
    ) -> Self {
        let server = (database.admin.get_host(), database.admin.get_port());
        let server = format!("{}:{}", server.0, server.1);
        Self {
            callers: Link::to(address).await,
            database: Link::to(server.parse().expect("an address")).await,
            keys: match service {
                Service::Keys => None,
                Service::Enrollment => Some(Link::to(keys).await),
            },
        }
    }

    /// Has the service of a configuration connect to its database through the link.
    fn lead_to_the_database(&self, service: Service, config: &Path, database: &TestDatabase) {
        let url = match service {
            Service::Keys => &database.services.keys_url,
            Service::Enrollment => &database.services.enrollment_url,
        };
        let options: PgConnectOptions = url.expose_secret().parse().expect("a URL of Postgres");
        let options = options.port(self.database.address().port());
        let file = config.with_extension("url");
        replace_private(&file, options.to_url_lossy().as_str()).expect("the URL is written");
        let setting = format!("[database]\nurl_file = '{}'", file.display());
        merge_into(config, &[&setting]);
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Link> {
        [&self.callers, &self.database]
            .into_iter()
            .chain(&self.keys)
    }
}

/// The processes of a stack and what they stand on.
pub(crate) struct Site {
    pub(crate) cluster: &'static TestCluster,
    pub(crate) database: TestDatabase,
    pub(crate) issuer: Issuer,
    /// A token such as the enrollment service signs for itself.
    pub(crate) service_token: String,
    pub(crate) keys: Vec<Replica>,
    pub(crate) enrollment: Vec<Replica>,
}

impl Site {
    /// Makes a database and starts the processes on it.
    pub(crate) async fn start(options: &Options) -> Self {
        let cluster = options.cluster.unwrap_or_else(cluster);
        let database = cluster.database().await;
        // A comparison is due a day after the last one. Without one it would be at any time of the first minutes, and mend
        // what the test is there to see lost.
        database
            .execute("UPDATE enrollment.comparisons SET ended_at = clock_timestamp()")
            .await;
        if planted("bug::unique_index_dropped") {
            database
                .execute("DROP INDEX enrollment.enrollments_key_slot")
                .await;
        }
        let secrets_directory = database.directory.join("secrets");
        std::fs::create_dir(&secrets_directory).expect("a directory for secrets");
        let secrets = Secrets::in_directory(secrets_directory);
        let issuer =
            Issuer::new(&secrets.key_pair(ISSUER_KEY).expect("a key pair")).expect("an issuer");
        let service_token = service_token(&secrets);
        let files = SharedFiles::make(&secrets, &database.services, &[]);
        let files = files.expect("the services' files");
        let mut keys = Vec::new();
        for number in 0..options.replicas {
            let settings = (options.keys, options.links);
            let shown = options
                .certificates_shown
                .then_some(&files.certificates.enrollment_client);
            let start = Replica::start(
                Service::Keys,
                number,
                &database,
                (&files, shown),
                ANY_PORT,
                settings,
            );
            keys.push(start.await);
        }
        let mut enrollment = Vec::new();
        for (number, its_keys) in keys.iter().map(|replica| replica.address).enumerate() {
            let others = keys
                .iter()
                .map(|replica| format!("https://{}", replica.address));
            let all_keys = others.collect::<Vec<_>>().join(",");
            let shared = format!("{}\n[keys]\nendpoint = '{all_keys}'", options.enrollment);
            let settings = if options.keys_shared {
                (shared.as_str(), options.links)
            } else {
                (options.enrollment, options.links)
            };
            let service = Service::Enrollment;
            let files = (&files, None);
            let start = Replica::start(service, number, &database, files, its_keys, settings);
            enrollment.push(start.await);
        }
        Self {
            cluster,
            database,
            issuer,
            service_token,
            keys,
            enrollment,
        }
    }

    /// All processes.
    pub(crate) fn replicas(&self) -> impl Iterator<Item = &Replica> {
        self.keys.iter().chain(&self.enrollment)
    }

    /// The process of `service` with this number.
    pub(crate) fn replica(&mut self, service: Service, number: usize) -> &mut Replica {
        match service {
            Service::Keys => &mut self.keys[number],
            Service::Enrollment => &mut self.enrollment[number],
        }
    }

    /// Takes a process out of this site, to be handled apart.
    pub(crate) fn take(&mut self, service: Service, number: usize) -> Replica {
        match service {
            Service::Keys => self.keys.remove(number),
            Service::Enrollment => self.enrollment.remove(number),
        }
    }

    /// Takes a process back; it is the last of its service.
    pub(crate) fn give_back(&mut self, replica: Replica) {
        match replica.service {
            Service::Keys => self.keys.push(replica),
            Service::Enrollment => self.enrollment.push(replica),
        }
    }

    /// Stops all processes, in order, each of which must end well.
    pub(crate) async fn stop(&mut self) {
        for replica in self.enrollment.iter_mut().chain(&mut self.keys) {
            replica.stop().await;
        }
    }
}

impl Replica {
    async fn start(
        service: Service,
        number: usize,
        database: &TestDatabase,
        (files, shown): (&SharedFiles, Option<&CertificateFiles>),
        keys_address: SocketAddr,
        (settings, linked): (&str, bool),
    ) -> Self {
        let config = database
            .directory
            .join(format!("{}-{number}.toml", service.name()));
        let log = database
            .directory
            .join(format!("{}-{number}.log", service.name()));
        let mut tries = 0;
        loop {
            tries += 1;
            let address = claim(service, ANY_PORT).expect("a free port");
            let links = if linked {
                Some(Links::of(service, address, keys_address, database).await)
            } else {
                None
            };
            let keys = links.as_ref().and_then(|links| links.keys.as_ref());
            let keys_address = keys.map_or(keys_address, Link::address);
            files
                .write_config(service, &config, address, None, keys_address)
                .expect("a configuration");
            merge_into(&config, &[USUAL, settings]);
            if let Some(links) = &links {
                links.lead_to_the_database(service, &config, database);
            }
            let mut replica = Self {
                service,
                address,
                log: log.clone(),
                config: config.clone(),
                tls: ClientTlsConfig {
                    certificate_file: shown.map(|files| files.certificate.clone()),
                    private_key_file: shown.map(|files| files.private_key.clone()),
                    ..ClientTlsConfig::of_authorities(&files.certificates.authority)
                },
                environment: vec![(
                    "LATCHKEY_FAULTS_FILE".to_owned(),
                    config.with_extension("faults").display().to_string(),
                )],
                links,
                process: None,
            };
            match replica.try_run().await {
                Ok(()) => return replica,
                Err(error) if tries < PORT_TRIES && format!("{error:#}").contains("in use") => {}
                Err(error) => panic!("{error:#}"),
            }
        }
    }

    async fn try_run(&mut self) -> anyhow::Result<()> {
        let executable = executable();
        let options = ProcessOptions {
            executable: &executable,
            service: self.service,
            config_file: &self.config,
            address: self.address,
            tls: self.tls.clone(),
            log: &self.log,
            environment: &self.environment,
        };
        self.process = Some(Process::start(&options).await?);
        Ok(())
    }

    /// The faults that happen from now on, in the language of `latchkey_service_kit::faults`. Returns when they hold, or
    /// the process is down: then they hold from its next start on.
    pub(crate) async fn set_faults(&mut self, faults: &str) {
        let (file, done) = (
            self.faults_file(),
            self.faults_file().with_extension("faults.done"),
        );
        let _ = std::fs::remove_file(&done);
        // At once, so that half a sentence is never read.
        let next = file.with_extension("next");
        std::fs::write(&next, faults).expect("faults are written");
        std::fs::rename(&next, &file).expect("faults are put in place");
        let holds = || std::fs::read_to_string(&done).is_ok_and(|held| held == faults);
        let asked = Instant::now();
        while !holds() && !self.is_down() {
            assert!(asked.elapsed() < FAULTS_WITHIN, "{faults} does not hold");
            sleep(Duration::from_millis(2)).await;
        }
    }

    fn faults_file(&self) -> PathBuf {
        self.config.with_extension("faults")
    }

    /// Starts it again where it was.
    pub(crate) async fn run(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        self.try_run().await.expect("it starts again");
    }

    /// Tells it to stop; it must end well.
    pub(crate) async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process
                .stop()
                .await
                .expect("it stops by itself and without an error");
        }
    }

    /// The file that says how it is configured.
    pub(crate) fn config_file(&self) -> &Path {
        &self.config
    }

    /// Where callers come to it.
    pub(crate) fn door(&self) -> SocketAddr {
        let links = self.links.as_ref();
        links.map_or(self.address, |links| links.callers.address())
    }

    /// The authority whose certificate it shows.
    pub(crate) fn ca_file(&self) -> &Path {
        &self.tls.ca_file
    }

    /// A connection of a caller's, made when it is used.
    pub(crate) fn channel(&self) -> Channel {
        self.channel_by(self.door())
    }

    /// A connection by this address, which leads to it.
    pub(crate) fn channel_by(&self, door: SocketAddr) -> Channel {
        let door = format!("https://{door}");
        let endpoint = Endpoint::from_shared(door).expect("an address");
        self.client_tls().channel(&endpoint.tcp_nodelay(true))
    }

    /// The way to it for whoever speaks HTTP/2 by themselves.
    pub(crate) fn entrance(&self) -> Entrance {
        Entrance {
            door: self.door(),
            tls: self.client_tls(),
        }
    }

    fn client_tls(&self) -> ClientTls {
        ClientTls::load(&self.tls).expect("certificates")
    }

    /// Whether it runs no more, whoever ended it.
    pub(crate) fn is_down(&mut self) -> bool {
        let process = self.process.as_mut();
        process.is_none_or(|process| process.has_ended().expect("it is known"))
    }

    /// Starts it again without faults if it runs no more; whether it did not.
    pub(crate) async fn revive(&mut self) -> bool {
        let down = self.is_down();
        if down {
            self.process = None;
            self.set_faults("").await;
            self.run().await;
        }
        down
    }

    /// Its process id, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().and_then(Process::pid)
    }

    /// Kills it, as a crash would.
    pub(crate) async fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill().await.expect("it can be killed");
        }
    }
}

fn service_token(secrets: &Secrets) -> String {
    let pair = secrets.key_pair(SERVICE_KEY).expect("a key pair");
    let options = SignerOptions {
        issuer: SERVICE_ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        subject: "enrollment".to_owned(),
        roles: vec![Role::EnrollmentService],
        organization: None,
        lifetime: TimeDelta::hours(1),
    };
    let signer =
        TokenSigner::new(pair.private_pem(), options, Arc::new(SystemClock)).expect("a signer");
    signer.token().expect("a token").to_string()
}

/// Puts settings over those in a configuration file.
fn merge_into(path: &Path, layers: &[&str]) {
    let mut table: Table = std::fs::read_to_string(path)
        .expect("the file")
        .parse()
        .expect("TOML");
    for layer in layers {
        merge(&mut table, layer.parse().expect("settings are TOML"));
    }
    std::fs::write(path, table.to_string()).expect("the file is written");
}

fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(more)) => merge(inner, more),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}
