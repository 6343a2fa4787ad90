//! A database is believed by its certificate: over TLS with a real Postgres, and not at all where it could be anybody.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use latchkey::postgres::{Account, Cluster};
use latchkey::progress::Progress;
use latchkey::stack::{Place, private_cluster};
use latchkey_service_kit::config::DatabaseConfig;
use latchkey_service_kit::database::pool;
use secrecy::SecretString;
use sqlx::ConnectOptions;
use sqlx::postgres::PgSslMode;
use tokio::process::Command;

const PASSWORD: &str = "0123456789abcdef";

async fn latchkey(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
    command.args(arguments).stdin(Stdio::null());
    command.kill_on_drop(true).output().await.expect("it runs")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// Secrets of a deployment whose database is at 127.0.0.1.
async fn secrets(directory: &Path) -> PathBuf {
    let path = directory.to_owned();
    let made = latchkey(&["secrets", "--directory", text(&path)]).await;
    assert!(made.status.success(), "{made:?}");
    path
}

/// A Postgres that shows the certificate of these secrets.
async fn postgres(directory: &Path, secrets: &Path) -> Cluster {
    let executable = PathBuf::from(env!("CARGO_BIN_EXE_latchkey"));
    let place = Place {
        executable: &executable,
        data_dir: directory,
        ephemeral: true,
    };
    let account = Account::for_postgres().expect("an account for Postgres");
    let (uid, gid) = account.ids();
    let shown = ["pem", "key"].map(|kind| {
        let file = directory.join(format!("postgres.{kind}"));
        std::fs::copy(secrets.join(format!("postgres-tls.{kind}")), &file).expect("copied");
        // Postgres wants its private key to be its own.
        chown(&file, Some(uid), Some(gid)).expect("given away");
        file
    });
    let settings = vec![
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", shown[0].display()),
        format!("ssl_key_file={}", shown[1].display()),
    ];
    let (password, progress) = (SecretString::from(PASSWORD), Progress::hidden());
    private_cluster(place, &account, password, settings, &progress)
        .await
        .expect("a cluster")
}

/// Whether the connection that a service with these settings makes is by TLS; or why there is none.
async fn by_tls(url: &str, more: &str) -> Result<bool, sqlx::Error> {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("database.url");
    std::fs::write(&file, url).expect("written");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("permissions");
    let config = format!("url_file = '{}'\n{more}", file.display());
    let config: DatabaseConfig = toml::from_str(&config).expect("a configuration");
    let pool = pool(&config, "test").expect("a pool");
    let asked = sqlx::query_scalar("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    let answer = asked.fetch_one(&pool).await;
    pool.close().await;
    answer
}

#[tokio::test]
async fn a_server_is_believed_by_its_certificate_and_its_name() {
    let directory = tempfile::tempdir().expect("a directory").keep();
    std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o711)).expect("permissions");
    let ours = secrets(&directory.join("secrets")).await;
    let others = tempfile::tempdir().expect("a directory");
    let others = secrets(&others.path().join("secrets")).await;
    let cluster = postgres(&directory, &ours).await;
    let admin = cluster.admin().ssl_mode(PgSslMode::Prefer);
    let url = admin.to_url_lossy().to_string();
    let authority = |of: &Path| format!("ca_file = '{}'", of.join("ca.pem").display());

    assert!(by_tls(&url, &authority(&ours)).await.expect("believed"));
    // Over loopback nobody is on the way: as it was.
    by_tls(&url, "").await.expect("a server on this machine");
    let stranger = by_tls(&url, &authority(&others)).await;
    assert!(stranger.is_err(), "another authority's");
    let misnamed = admin.clone().host("localhost").to_url_lossy();
    let misnamed = by_tls(misnamed.as_str(), &authority(&ours)).await;
    assert!(misnamed.is_err(), "made for another name");

    commands_believe_it_too(&directory, &ours, &url).await;
    cluster.stop().await.expect("a stop");
}

/// `migrate` makes the database by TLS, `verify` reads it so, and neither goes to a server that could be anybody.
async fn commands_believe_it_too(directory: &Path, secrets: &Path, url: &str) {
    let write = |name: &str, url: &str| {
        let file = directory.join(name);
        std::fs::write(&file, url).expect("written");
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("permissions");
        text(&file).to_owned()
    };
    let at = |name: &str| text(&secrets.join(name)).to_owned();
    let migrate = async |url: &str, more: &[&str]| {
        let passwords = [
            at("keys-database.password"),
            at("enrollment-database.password"),
        ];
        let file = write("admin.url", url);
        let mut arguments = vec!["migrate", "--admin-url-file", &file];
        arguments.extend(["--keys-password-file", &passwords[0]]);
        arguments.extend(["--enrollment-password-file", &passwords[1]]);
        arguments.extend(more);
        latchkey(&arguments).await
    };
    let latchkeys = url.replace("/postgres?", "/latchkey?");
    let ca_file = at("ca.pem");
    let done = migrate(&latchkeys, &["--database-ca-file", &ca_file]).await;
    assert!(done.status.success(), "{done:?}");

    // Nobody is asked for such a name: it is refused before.
    let far = "postgres://postgres:hunter2@db.invalid:5432/latchkey";
    let refused = migrate(far, &[]).await;
    let file = write("far.url", far);
    let unread = latchkey(&[
        "verify",
        "--keys-database-url-file",
        &file,
        "--enrollment-database-url-file",
        &file,
    ])
    .await;
    for output in [refused, unread] {
        assert!(!output.status.success());
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(complaint.contains("is not verified"), "{complaint}");
        assert!(!complaint.contains("hunter2"), "{complaint}");
    }
}
