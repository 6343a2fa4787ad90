//! One private cluster for the whole run, with one migrated database that every test's database is a copy of.
//!
//! It stops when the test process ends, however it ends: its guard watches a pipe that this process holds.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use latchkey::postgres::{Account, Cluster, ClusterOptions, Places, binaries, cluster as private};
use latchkey::progress::Progress;
use latchkey::stack::databases::{Passwords, Provisioned, Provisioning};
use latchkey::stack::secrets::Secrets;
use latchkey_service_kit::faults;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Mutex;

use super::proxy::Link;

/// The database that tests' databases are copied from.
const TEMPLATE: &str = "latchkey_template";

static CLUSTER: OnceLock<TestCluster> = OnceLock::new();

/// The `latchkey` command, which runs the services and guards Postgres.
pub(crate) fn executable() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_latchkey"))
}

/// The cluster of this run.
pub(crate) fn cluster() -> &'static TestCluster {
    CLUSTER.get_or_init(|| {
        // A thread of its own, because the caller is inside its test's runtime.
        std::thread::spawn(TestCluster::start)
            .join()
            .expect("a private Postgres cluster")
    })
}

/// See [`cluster`].
pub(crate) struct TestCluster {
    server: Mutex<Option<Cluster>>,
    /// The way to a server that is made to crash: it comes back at another port.
    front: Option<Link>,
    template: Provisioned,
    /// Where the server has its files.
    home: PathBuf,
    directory: PathBuf,
    made: AtomicU32,
    making: Mutex<()>,
    /// Lives as long as the processes that tests share.
    runtime: Runtime,
}

/// A database of a test's own.
#[derive(Debug, Clone)]
pub(crate) struct TestDatabase {
    pub(crate) name: String,
    /// How its services connect.
    pub(crate) services: Provisioned,
    /// How a test connects, with all rights.
    pub(crate) admin: PgConnectOptions,
    /// A directory for what else belongs to the test.
    pub(crate) directory: PathBuf,
}

impl TestDatabase {
    /// A connection with all rights.
    pub(crate) async fn connect(&self) -> PgConnection {
        PgConnection::connect_with(&self.admin)
            .await
            .expect("a connection")
    }

    /// Changes the database behind the services' backs.
    pub(crate) async fn execute(&self, statement: &'static str) {
        sqlx::raw_sql(statement)
            .execute(&mut self.connect().await)
            .await
            .expect(statement);
    }

    /// The file to which the server logs, what it does for other tests too.
    pub(crate) async fn server_log(&self) -> PathBuf {
        let data: String = sqlx::query_scalar("SHOW data_directory")
            .fetch_one(&mut self.connect().await)
            .await
            .expect("a directory");
        PathBuf::from(data).with_file_name("postgres.log")
    }
}

impl std::fmt::Debug for TestCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestCluster").finish_non_exhaustive()
    }
}

impl TestCluster {
    fn start() -> Self {
        // Bugs planted in the processes are planted in this one too, for those that are not the services'.
        faults::arm();
        Self::begin(false, None)
    }

    /// A cluster that [`TestCluster::crash`] can be done to, for one test. With `home`, it is kept there.
    pub(crate) async fn to_be_crashed(home: Option<PathBuf>) -> &'static Self {
        // A thread of its own, because the caller is inside its test's runtime.
        let made = tokio::task::spawn_blocking(|| Box::leak(Box::new(Self::begin(true, home))));
        made.await.expect("a private Postgres cluster")
    }

    fn begin(crashes: bool, home: Option<PathBuf>) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let directory = tempfile::Builder::new()
            .prefix("latchkey-e2e-")
            .tempdir()
            .expect("a directory")
            .keep();
        remove_at_the_end(&directory);
        // Postgres may run as another account: it must be able to pass through.
        std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o711))
            .expect("permissions");
        let home = home.unwrap_or_else(|| directory.clone());
        let (server, front, template) = runtime.block_on(async {
            let server = start_server(&home, !crashes).await;
            let front = if crashes {
                Some(Link::to(address_of(&server)).await)
            } else {
                None
            };
            let admin = through(server.admin(), front.as_ref());
            let template = provision(admin, &directory).await;
            (server, front, template)
        });
        Self {
            server: Mutex::new(Some(server)),
            front,
            template,
            home,
            directory,
            made: AtomicU32::new(0),
            making: Mutex::new(()),
            runtime,
        }
    }

    /// Has Postgres end at once, as a power cut would, and starts it again `after` that.
    pub(crate) async fn crash(&self, after: Duration) {
        let mut server = self.server.lock().await;
        let mut dying = server.take().expect("a server");
        dying.crash().expect("it can be killed");
        dying.ended().await;
        drop(dying);
        tokio::time::sleep(after).await;
        *server = Some(self.start_again().await);
    }

    /// Leaves Postgres no room on its disk for as long as that; starts it again if it has ended over that.
    pub(crate) async fn fill_the_disk(&self, pause: Duration) {
        let filler = self.home.join("filler");
        let mut file = std::fs::File::create(&filler).expect("a file");
        let block = vec![0_u8; 64 * 1024];
        while std::io::Write::write_all(&mut file, &block).is_ok() {}
        tokio::time::sleep(pause).await;
        drop(file);
        std::fs::remove_file(&filler).expect("room again");
        let mut server = self.server.lock().await;
        let mut present = server.take().expect("a server");
        // It may be about to end: whether it has is known when it does not answer.
        let ended = loop {
            let gone = tokio::time::timeout(Duration::from_millis(300), present.ended()).await;
            if gone.is_ok() {
                break true;
            }
            let options = through(present.admin(), self.front.as_ref());
            if PgConnection::connect_with(&options).await.is_ok() {
                break false;
            }
        };
        *server = Some(if ended {
            drop(present);
            self.start_again().await
        } else {
            present
        });
    }

    async fn start_again(&self) -> Cluster {
        let front = self.front.as_ref().expect("a cluster to be crashed");
        let home = self.home.clone();
        let starting = self
            .runtime
            .spawn(async move { start_server(&home, false).await });
        let started = starting.await.expect("it starts again");
        front.lead_to(address_of(&started));
        started
    }

    /// How a superuser connects, to the database `postgres`.
    async fn admin(&self) -> PgConnectOptions {
        let server = self.server.lock().await;
        let server = server.as_ref().expect("a server");
        through(server.admin(), self.front.as_ref())
    }

    /// The runtime of what outlives a test.
    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// A new database: a copy of the migrated one.
    pub(crate) async fn database(&self) -> TestDatabase {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        {
            // Postgres copies a database only while nobody else uses it.
            let _alone = self.making.lock().await;
            self.execute(&format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}"))
                .await;
        }
        let directory = self.directory.join(&name);
        std::fs::create_dir(&directory).expect("the test's directory");
        let services = Provisioned {
            keys_url: renamed(&self.template.keys_url, &name),
            enrollment_url: renamed(&self.template.enrollment_url, &name),
            made: Vec::new(),
        };
        let admin = self
            .admin()
            .await
            .database(&name)
            .disable_statement_logging();
        TestDatabase {
            name,
            services,
            admin,
            directory,
        }
    }

    /// Drops a test's database, whoever is still connected.
    pub(crate) async fn drop_database(&self, name: &str) {
        self.execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
            .await;
    }

    async fn execute(&self, statement: &str) {
        let mut connection = PgConnection::connect_with(&self.admin().await)
            .await
            .expect("a connection");
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
            .execute(&mut connection)
            .await
            .expect(statement);
        connection.close().await.expect("closed");
    }
}

/// Has `directory` removed when this process has ended, however it ends. Services that outlive it for a moment still write
/// there, so that more than one try may be needed.
#[expect(clippy::zombie_processes, reason = "it ends after this process")]
fn remove_at_the_end(directory: &Path) {
    let mut remover = Command::new("sh")
        .args([
            "-c",
            r#"cat; for _ in 1 2 3 4 5 6 7 8 9; do rm -rf "$1" && exit; sleep 1; done"#,
            "remover",
        ])
        .arg(directory)
        .stdin(Stdio::piped())
        // Who waits for the end of this process's output does not wait for this.
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("a shell");
    // Its input ends when this process does.
    std::mem::forget(remover.stdin.take());
}

fn address_of(server: &Cluster) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, server.port()))
}

fn through(options: PgConnectOptions, front: Option<&Link>) -> PgConnectOptions {
    match front {
        Some(front) => options.port(front.address().port()),
        None => options,
    }
}

async fn start_server(directory: &Path, ephemeral: bool) -> Cluster {
    let account = Account::for_postgres().expect("an account for Postgres");
    // Where none is installed it is downloaded: then there is something to wait for, and to be told.
    let progress = Progress::on_stderr();
    let binaries = binaries(&Places::of_this_machine(), &account, None, &progress)
        .await
        .unwrap_or_else(|missing| panic!("{missing}"));
    let options = ClusterOptions {
        executable: executable(),
        home: private::home_for(directory, &account),
        password: Secrets::in_directory(directory.to_owned())
            .password("superuser")
            .expect("a password"),
        settings: Vec::new(),
        ephemeral: ephemeral.then(Vec::new),
    };
    Cluster::start(&binaries, &account, options, &Progress::hidden())
        .await
        .expect("a private cluster")
}

async fn provision(admin: PgConnectOptions, directory: &Path) -> Provisioned {
    let secrets = Secrets::in_directory(directory.to_owned());
    let provisioning = Provisioning {
        admin,
        database: TEMPLATE.to_owned(),
        own_server: true,
        stack_id: "e2e".to_owned(),
        passwords: Passwords {
            keys: secrets.password("keys-database").expect("a password"),
            enrollment: secrets.password("enrollment-database").expect("a password"),
        },
    };
    provisioning.provision().await.expect("a migrated database")
}

/// The URL of the same role in another database.
fn renamed(url: &SecretString, database: &str) -> SecretString {
    let options: PgConnectOptions = url.expose_secret().parse().expect("a URL of Postgres");
    SecretString::from(options.database(database).to_url_lossy().to_string())
}
