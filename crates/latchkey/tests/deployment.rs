//! A deployment by its own means: secrets, migration, the configuration files of `deploy/`, both services, their health.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use latchkey::postgres::{Account, Cluster};
use latchkey::progress::Progress;
use latchkey::stack::secrets::replace_private;
use latchkey::stack::{Place, private_cluster};
use secrecy::SecretString;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::process::{Child, Command};
use tokio::time::sleep;

/// More than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

async fn postgres(directory: &Path) -> Cluster {
    let executable = PathBuf::from(env!("CARGO_BIN_EXE_latchkey"));
    let place = Place {
        executable: &executable,
        data_dir: directory,
        ephemeral: true,
    };
    let account = Account::for_postgres().expect("an account for Postgres");
    let password = SecretString::from("0123456789abcdef");
    let progress = Progress::hidden();
    private_cluster(place, &account, password, Vec::new(), &progress)
        .await
        .expect("a cluster")
}

fn latchkey(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// What a command says that must succeed.
async fn done(arguments: &[&str]) -> String {
    let output = latchkey(arguments).output().await.expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}{complaint}");
    said
}

fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address")
}

/// A file of `deploy/` with the secrets of `directory`, and these texts in place of those.
fn configuration(name: &str, directory: &Path, changes: &[(&str, &str)]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../deploy")
        .join(name);
    let mut text = std::fs::read_to_string(source).expect("the file");
    text = text.replace("/etc/latchkey", directory.to_str().expect("text"));
    for (from, to) in changes {
        assert!(text.contains(from), "{name} has no {from}");
        text = text.replace(from, to);
    }
    let path = directory.join(name);
    std::fs::write(&path, text).expect("written");
    path
}

async fn until_healthy(address: SocketAddr, ca_file: &str) {
    let address = address.to_string();
    let began = Instant::now();
    loop {
        let mut asked = latchkey(&["health", "--address", &address, "--ca-file", ca_file]);
        let asked = asked.output().await;
        let asked = asked.expect("it runs");
        if asked.status.success() {
            assert_eq!(String::from_utf8_lossy(&asked.stdout).trim(), "SERVING");
            return;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{address} never serves: {asked:?}"
        );
        sleep(Duration::from_millis(100)).await;
    }
}

fn serve(service: &str, config: &Path) -> Child {
    let config = config.to_str().expect("text");
    let mut command = latchkey(&["serve", service, "--config", config]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("it runs")
}

/// Two jobs at once, as an impatient deployment has them: each thing is made once.
async fn migrated_twice_at_once(secrets: &Path) {
    let at = |name: &str| secrets.join(name).to_str().expect("text").to_owned();
    let files = [
        at("admin-database.url"),
        at("keys-database.password"),
        at("enrollment-database.password"),
    ];
    let migrate = [
        "migrate",
        "--admin-url-file",
        &files[0],
        "--keys-password-file",
        &files[1],
        "--enrollment-password-file",
        &files[2],
    ];
    let (first, second) = tokio::join!(done(&migrate), done(&migrate));
    let made = format!("{first}{second}");
    for thing in ["role latchkey_keys", "schema keys", "schema enrollment"] {
        let line = format!("made {thing}\n");
        assert_eq!(made.matches(&line).count(), 1, "{made}");
    }
}

#[tokio::test]
async fn secrets_migration_both_services_and_their_health() {
    let directory = tempfile::tempdir().expect("a directory").keep();
    let permissions = PermissionsExt::from_mode(0o711);
    std::fs::set_permissions(&directory, permissions).expect("permissions");
    let cluster = postgres(&directory).await;
    let secrets = directory.join("secrets");
    let at = |name: &str| secrets.join(name).to_str().expect("text").to_owned();
    let server = format!("127.0.0.1:{}", cluster.port());
    let directory_name = secrets.to_str().expect("text");
    let make = [
        "secrets",
        "--directory",
        directory_name,
        "--postgres",
        &server,
    ];
    done(&make).await;
    let keyring = std::fs::read_to_string(at("keyring.toml")).expect("a keyring");
    done(&make).await;
    let again = std::fs::read_to_string(at("keyring.toml")).expect("a keyring");
    assert_eq!(keyring, again, "what is there stays");
    // The server has a superuser already.
    let admin = cluster.admin().database("latchkey").to_url_lossy();
    replace_private(Path::new(&at("admin-database.url")), admin.as_str()).expect("written");

    migrated_twice_at_once(&secrets).await;
    let (keys, enrollment) = (free(), free());
    let (keys_text, enrollment_text) = (keys.to_string(), enrollment.to_string());
    let config = configuration("keys.toml", &secrets, &[("127.0.0.1:7401", &keys_text)]);
    let mut keys_process = serve("keys", &config);
    let changes = [
        ("127.0.0.1:7401", keys_text.as_str()),
        ("127.0.0.1:7402", &enrollment_text),
    ];
    let config = configuration("enrollment.toml", &secrets, &changes);
    let mut enrollment_process = serve("enrollment", &config);
    until_healthy(keys, &at("ca.pem")).await;
    until_healthy(enrollment, &at("ca.pem")).await;
    let urls = [at("keys-database.url"), at("enrollment-database.url")];
    let verified = done(&[
        "verify",
        "--keys-database-url-file",
        &urls[0],
        "--enrollment-database-url-file",
        &urls[1],
    ])
    .await;
    assert_eq!(verified, "verify: ok\n");
    for process in [&mut enrollment_process, &mut keys_process] {
        process.kill().await.expect("it ends");
    }
    let asked = latchkey(&[
        "health",
        "--address",
        &keys_text,
        "--ca-file",
        &at("ca.pem"),
    ])
    .output()
    .await;
    assert!(
        !asked.expect("it runs").status.success(),
        "it serves no more"
    );
    neither_reads_the_other(&urls).await;
    cluster.stop().await.expect("a stop");
}

/// Over each service's own connection, on every table there is.
async fn neither_reads_the_other(urls: &[String; 2]) {
    let mut tables = 0;
    for (file, other) in urls.iter().zip(["enrollment", "keys"]) {
        let url = std::fs::read_to_string(file).expect("a URL");
        let options: PgConnectOptions = url.trim().parse().expect("a URL");
        let mut connection: PgConnection = options.connect().await.expect("a connection");
        let query =
            "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm')";
        let names = sqlx::query_scalar(query).bind(other);
        let names: Vec<String> = names.fetch_all(&mut connection).await.expect("names");
        for name in names {
            tables += 1;
            for statement in [
                format!("SELECT count(*) FROM {other}.{name}"),
                format!("DELETE FROM {other}.{name}"),
            ] {
                let statement = sqlx::AssertSqlSafe(statement);
                let done = sqlx::raw_sql(statement).execute(&mut connection).await;
                let refusal = done.expect_err("it is the other's").to_string();
                assert!(refusal.contains("permission denied"), "{refusal}");
            }
        }
    }
    assert!(tables > 10, "{tables} tables were tried");
}
