//! The command as people use it: `demo`, and the life of a development stack.

use std::fs::Permissions;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use latchkey::stack::description::Description;
use latchkey::stack::process::channel;
use latchkey::stack::sample::authorized;
use latchkey_proto::enrollment::v1::GetOrganizationRequest;
use latchkey_proto::enrollment::v1::organization_service_client::OrganizationServiceClient;
use latchkey_proto::keys::v1::ListTrainingKeysRequest;
use latchkey_proto::keys::v1::training_key_service_client::TrainingKeyServiceClient;
use latchkey_service_kit::status::{ErrorReason, reason_of};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use tonic::transport::{Channel, Endpoint};

/// More than anything here takes on a busy machine; a Postgres may have to be fetched.
const PATIENCE: Duration = Duration::from_mins(4);

fn latchkey(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
    command
        .args(arguments)
        .env_remove("DATABASE_URL")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn run(arguments: &[&str]) -> Output {
    let output = timeout(PATIENCE, latchkey(arguments).output()).await;
    output.expect("it ends").expect("it runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[tokio::test]
async fn the_demo_goes_as_the_rules_say() {
    let output = run(&["demo"]).await;
    let (said, progress) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{said}\n{progress}");
    assert_eq!(said.lines().last(), Some("verify: ok"), "{said}");
    for part in [
        "KEY_MALFORMED",
        "KEY_REVOKED",
        "CLASS_FULL",
        "30 of 30 seats taken, 0 left",
        "cancelled by the student",
        "ok      exactly 30 are in, not one more",
        "To: bruno.adler@example.com",
        "Subject: A seat in Containers in a day is yours",
        "Subject: Containers in a day begins soon",
        "needs the key EV-…",
        "ok      before a class begins its students are reminded, with its key",
    ] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
    assert!(!said.contains("BROKEN"), "{said}");
    // Who waits is told what for, also where no terminal shows a spinner.
    assert!(progress.contains("PostgreSQL"), "{progress}");
}

/// A development stack as a process.
struct Dev {
    child: Child,
    description: Description,
}

impl Dev {
    async fn start(data_dir: &str) -> Self {
        let any = "127.0.0.1:0";
        let mut child = latchkey(&["dev", "--data-dir", data_dir])
            .args(["--keys-addr", any, "--enrollment-addr", any])
            .spawn()
            .expect("it runs");
        let mut lines = BufReader::new(child.stdout.take().expect("output")).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await.expect("output") {
                if line.starts_with("Ready.") {
                    return true;
                }
            }
            false
        };
        assert!(
            timeout(PATIENCE, ready).await.expect("in time"),
            "it ended before it was ready"
        );
        // Whoever reads no further must not stop it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let description = Description::read(Path::new(data_dir)).expect("dev.json");
        Self { child, description }
    }

    fn send(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().expect("it lives")).expect("a process id");
        kill(Pid::from_raw(pid), signal).expect("it lives");
    }

    async fn ended(mut self) -> ExitStatus {
        timeout(PATIENCE, self.child.wait())
            .await
            .expect("in time")
            .expect("a status")
    }

    fn addresses(&self) -> [SocketAddr; 2] {
        [
            self.description.keys.address,
            self.description.enrollment.address,
        ]
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = timeout(PATIENCE, waiting).await;
    waited.unwrap_or_else(|_| panic!("never came: {what}"));
}

fn nobody_listens(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err()
}

#[tokio::test]
async fn a_development_stack_survives_a_restart_and_leaves_nothing_running() {
    let outer = tempfile::tempdir().expect("a directory");
    // Postgres may run as another account: it must be able to pass through.
    std::fs::set_permissions(outer.path(), Permissions::from_mode(0o711)).expect("permissions");
    let path = outer.path().join("stack");
    let data_dir = path.to_str().expect("text");

    let first = Dev::start(data_dir).await;
    let sample = first.description.sample.expect("a sample");
    others_are_refused(&first, data_dir).await;
    nobody_is_served_in_the_open_or_unknown(&first).await;
    tokens_are_believed(&first, data_dir).await;
    let verified = run(&["verify", "--data-dir", data_dir]).await;
    assert_eq!(
        text(&verified.stdout),
        "verify: ok\n",
        "{}",
        text(&verified.stderr)
    );
    let addresses = first.addresses();
    first.send(Signal::SIGINT);
    assert!(first.ended().await.success(), "Ctrl-C is an orderly end");
    assert!(addresses.into_iter().all(nobody_listens));
    let verified = run(&["verify", "--data-dir", data_dir]).await;
    assert_eq!(
        verified.status.code(),
        Some(1),
        "what cannot be read is not ok"
    );
    let complaint = text(&verified.stderr);
    assert!(complaint.contains("does the stack run?"), "{complaint}");

    let second = Dev::start(data_dir).await;
    assert_eq!(
        second.description.sample,
        Some(sample),
        "what was there is there again"
    );
    let addresses = second.addresses();
    second.send(Signal::SIGKILL);
    assert!(!second.ended().await.success());
    until("both services end", || {
        addresses.into_iter().all(nobody_listens)
    })
    .await;
    let pid_file = path.join("postgres/data/postmaster.pid");
    until("Postgres ends", || !pid_file.exists()).await;
}

/// The directory and the ports of a live stack are taken, and whoever wants them is told what to do.
async fn others_are_refused(dev: &Dev, data_dir: &str) {
    let same_directory = run(&["dev", "--data-dir", data_dir]).await;
    let complaint = text(&same_directory.stderr);
    assert_eq!(same_directory.status.code(), Some(1));
    let pid = dev.child.id().expect("it lives");
    for part in [
        "belongs to a live stack",
        &format!("process {pid}"),
        "--data-dir",
    ] {
        assert!(complaint.contains(part), "{part} in {complaint}");
    }
    for (option, address) in ["--keys-addr", "--enrollment-addr"]
        .into_iter()
        .zip(dev.addresses())
    {
        let same_port = run(&["dev", "--ephemeral", option, &address.to_string()]).await;
        let complaint = text(&same_port.stderr);
        assert_eq!(same_port.status.code(), Some(1));
        for part in [&format!("{address} is taken"), option] {
            assert!(complaint.contains(part), "{part} in {complaint}");
        }
    }
}

/// Both services speak TLS only, and want a token.
async fn nobody_is_served_in_the_open_or_unknown(dev: &Dev) {
    let description = &dev.description;
    let asked = async |keys: Channel, enrollment: Channel| {
        let no_class = ListTrainingKeysRequest::default();
        let no_organization = GetOrganizationRequest::default();
        let mut keys = TrainingKeyServiceClient::new(keys);
        let mut enrollment = OrganizationServiceClient::new(enrollment);
        [
            keys.list_training_keys(no_class).await.map(drop),
            enrollment.get_organization(no_organization).await.map(drop),
        ]
        .map(|answer| answer.expect_err("refused"))
    };
    let endpoint = |url: &str| Endpoint::from_shared(url.to_owned()).expect("a URL");
    let urls = [&description.keys.url, &description.enrollment.url];
    let [keys, enrollment] = urls.map(|url| {
        assert!(url.starts_with("https://"), "{url}");
        channel(&endpoint(url), &description.ca_file).expect("a channel")
    });
    for refusal in asked(keys, enrollment).await {
        let reason = reason_of(&refusal);
        assert_eq!(reason, Some(ErrorReason::TokenMissing), "{refusal:?}");
    }
    let [keys, enrollment] = urls.map(|url| {
        let plain = url.replace("https://", "http://");
        endpoint(&plain).connect_lazy()
    });
    for refusal in asked(keys, enrollment).await {
        let reason = reason_of(&refusal);
        assert_eq!(reason, None, "no service has said a word: {refusal:?}");
    }
}

async fn tokens_are_believed(dev: &Dev, data_dir: &str) {
    let sample = dev.description.sample.expect("a sample");
    let minted = run(&["token", "--data-dir", data_dir, "--role", "administrator"]).await;
    assert!(minted.status.success(), "{}", text(&minted.stderr));
    let endpoint = Endpoint::from_shared(dev.description.enrollment.url.clone());
    let channel = channel(&endpoint.expect("a URL"), &dev.description.ca_file).expect("a channel");
    let request = GetOrganizationRequest {
        organization_id: sample.organization_id.to_string(),
    };
    let request = authorized(request, text(&minted.stdout).trim()).expect("a token");
    let mut client = OrganizationServiceClient::new(channel);
    let got = client
        .get_organization(request)
        .await
        .expect("the sample")
        .into_inner();
    assert_eq!(
        got.organization.expect("an organization").display_name,
        "Sample Academy"
    );
}
