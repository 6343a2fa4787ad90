//! One private cluster for the whole run, with one migrated database that every test's database is a copy of.
//!
//! It stops when the test process ends, however it ends: its guard watches a pipe that this process holds.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

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
    server: Cluster,
    template: Provisioned,
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
    /// Changes the database behind the services' backs.
    pub(crate) async fn execute(&self, statement: &'static str) {
        let mut connection = PgConnection::connect_with(&self.admin)
            .await
            .expect("a connection");
        sqlx::raw_sql(statement)
            .execute(&mut connection)
            .await
            .expect(statement);
    }
}

impl TestCluster {
    fn start() -> Self {
        // Bugs planted in the processes are planted in this one too, for those that are not the services'.
        faults::arm();
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
        // Postgres may run as another account: it must be able to pass through.
        std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o711))
            .expect("permissions");
        let (server, template) = runtime.block_on(async {
            let server = start_server(&directory).await;
            let template = provision(&server, &directory).await;
            (server, template)
        });
        Self {
            server,
            template,
            directory,
            made: AtomicU32::new(0),
            making: Mutex::new(()),
            runtime,
        }
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
            .server
            .admin()
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
        let mut connection = PgConnection::connect_with(&self.server.admin())
            .await
            .expect("a connection");
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
            .execute(&mut connection)
            .await
            .expect(statement);
        connection.close().await.expect("closed");
    }
}

async fn start_server(directory: &std::path::Path) -> Cluster {
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
        ephemeral: Some(vec![directory.to_owned()]),
    };
    Cluster::start(&binaries, &account, options, &Progress::hidden())
        .await
        .expect("a private cluster")
}

async fn provision(server: &Cluster, directory: &std::path::Path) -> Provisioned {
    let secrets = Secrets::in_directory(directory.to_owned());
    let provisioning = Provisioning {
        admin: server.admin(),
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
