//! `latchkey keys export` against a keys service that does what a real one never would: whatever goes wrong, there is no
//! file.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use latchkey_proto::keys::v1::{
    ExportFormat, ExportSummary, ExportTrainingKeysRequest, ExportTrainingKeysResponse,
};
use latchkey_service_kit::rows::Contents;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, ServerStreamingService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

/// More than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

const ROW: &str = r#"{"code":"EK-1","kind":"enrollment","class_id":"c","class_name":"n","status":"available","redeemed_by":null,"redeemed_at":null,"pool_id":null,"pool_name":null,"profile_id":null,"profile_name":null,"max_uses":null,"use_count":"0"}"#;

type Part = Result<ExportTrainingKeysResponse, Status>;

/// A keys service that sends what it was told to, and then ends the answer or leaves it open.
#[derive(Clone)]
struct Fake {
    parts: Arc<Vec<Part>>,
    /// How long each part lets wait for it.
    pause: Duration,
    open: bool,
    /// Hears of each request once all is sent.
    sent: mpsc::Sender<ExportTrainingKeysRequest>,
}

impl NamedService for Fake {
    const NAME: &'static str = "latchkey.keys.v1.TrainingKeyService";
}

impl tonic::codegen::Service<http::Request<Body>> for Fake {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let codec = ProstCodec::default();
            Ok(Grpc::new(codec).server_streaming(this, request).await)
        })
    }
}

impl ServerStreamingService<ExportTrainingKeysRequest> for Fake {
    type Response = ExportTrainingKeysResponse;
    type ResponseStream = ReceiverStream<Part>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<ExportTrainingKeysRequest>) -> Self::Future {
        let this = self.clone();
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            for part in this.parts.iter() {
                sleep(this.pause).await;
                let _ = sender.send(part.clone()).await;
            }
            let _ = this.sent.send(request.into_inner()).await;
            if this.open {
                sender.closed().await;
            }
        });
        Box::pin(std::future::ready(Ok(Response::new(ReceiverStream::new(
            receiver,
        )))))
    }
}

/// Where it listens, and what it was asked.
async fn serve(
    parts: Vec<Part>,
    open: bool,
) -> (SocketAddr, mpsc::Receiver<ExportTrainingKeysRequest>) {
    serve_slowly(parts, open, Duration::ZERO).await
}

async fn serve_slowly(
    parts: Vec<Part>,
    open: bool,
    pause: Duration,
) -> (SocketAddr, mpsc::Receiver<ExportTrainingKeysRequest>) {
    let (sent, asked) = mpsc::channel(8);
    let fake = Fake {
        parts: Arc::new(parts),
        pause,
        open,
        sent,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tonic::transport::Server::builder()
        .add_service(fake)
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);
    (address, asked)
}

/// Rows, at least one.
#[expect(clippy::unnecessary_wraps, reason = "a part may be a failure")]
fn rows(rows: &[&str]) -> Part {
    let text = format!("{}\n", rows.join("\n"));
    Ok(ExportTrainingKeysResponse {
        rows: text.into_bytes().into(),
        summary: None,
    })
}

#[expect(clippy::unnecessary_wraps, reason = "a part may be a failure")]
fn summary(rows: &[&str]) -> Part {
    let mut contents = Contents::default();
    for row in rows {
        contents.add(format!("{row}\n").as_bytes(), 1);
    }
    Ok(ExportTrainingKeysResponse {
        rows: Vec::new().into(),
        summary: Some(ExportSummary {
            row_count: i64::try_from(contents.rows()).expect("a number"),
            byte_count: i64::try_from(contents.bytes()).expect("a number"),
            sha256: contents.sha256(),
        }),
    })
}

/// The command, on its way to `address`.
fn command(address: SocketAddr, output: &Path, format: &str) -> Child {
    let url = format!("http://{address}");
    Command::new(env!("CARGO_BIN_EXE_latchkey"))
        .args([
            "keys",
            "export",
            "--keys-url",
            &url,
            "--enrollment-url",
            &url,
        ])
        .args(["--class", "0190a0b0-c0d0-7000-8000-000000000001"])
        .args(["--reason", "printing", "--format", format, "--output"])
        .arg(output)
        .env("LATCHKEY_TOKEN", "token")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it runs")
}

/// Its exit status, and what it said.
async fn ended(child: Child) -> (Option<i32>, String) {
    let output = timeout(PATIENCE, child.wait_with_output()).await;
    let output = output.expect("in time").expect("it ran");
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(!said.contains("EK-1"), "a code is told: {said}");
    (output.status.code(), said)
}

fn files(directory: &Path) -> usize {
    std::fs::read_dir(directory).expect("a directory").count()
}

#[tokio::test]
async fn what_was_sent_is_what_is_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let parts = vec![rows(&[ROW]), rows(&[ROW, ROW]), summary(&[ROW, ROW, ROW])];
    let (address, mut asked) = serve(parts, false).await;
    let output = directory.path().join("keys.jsonl");
    let (status, said) = ended(command(address, &output, "jsonl")).await;
    assert_eq!(status, Some(0), "{said}");
    let text = std::fs::read_to_string(&output).expect("the file");
    let line = ROW.replace('}', r#","given_name":null,"family_name":null}"#);
    assert_eq!(text, format!("{line}\n").repeat(3));
    let request = asked.recv().await.expect("it was asked");
    assert_eq!(request.format(), ExportFormat::JsonLines);
    assert_eq!(request.reason, "printing");

    // Nothing is a file too: of a CSV, the names of the columns.
    let (address, _asked) = serve(vec![summary(&[])], false).await;
    let output = directory.path().join("none.csv");
    let (status, said) = ended(command(address, &output, "csv")).await;
    assert_eq!(status, Some(0), "{said}");
    let text = std::fs::read_to_string(&output).expect("the file");
    assert_eq!(text.lines().count(), 1);
    assert!(text.starts_with("\"code\",") && text.ends_with("\"family_name\"\r\n"));
    assert_eq!(files(directory.path()), 2);
}

#[tokio::test]
async fn who_waits_is_told_how_far_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let parts = vec![rows(&[ROW]), rows(&[ROW, ROW]), summary(&[ROW, ROW, ROW])];
    // A little more than passes between two words of it.
    let (address, _asked) = serve_slowly(parts, false, Duration::from_millis(1_100)).await;
    let output = directory.path().join("keys.csv");
    let (status, said) = ended(command(address, &output, "csv")).await;
    assert_eq!(status, Some(0), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines.contains(&"3 keys …"), "{said}");
    assert!(
        lines.iter().any(|line| line.starts_with("3 keys are in")),
        "{said}"
    );
}

#[tokio::test]
async fn what_is_not_whole_or_not_what_was_sent_leaves_no_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let output = directory.path().join("keys.csv");
    let gone = || Err(Status::unavailable("gone"));
    let cases = [
        ("broke off", vec![rows(&[ROW])]),
        ("broke off", vec![]),
        ("gone", vec![rows(&[ROW]), gone()]),
        (
            "not what was sent",
            vec![rows(&[ROW]), summary(&[ROW, ROW])],
        ),
        (
            "not what was sent",
            vec![rows(&[ROW]), summary(&[&ROW.replace("EK", "EJ")])],
        ),
        (
            "after its summary",
            vec![rows(&[ROW]), summary(&[ROW]), rows(&[ROW])],
        ),
        ("no row of keys", vec![rows(&["{}"]), summary(&["{}"])]),
    ];
    for (complaint, parts) in cases {
        let (address, _asked) = serve(parts, false).await;
        let (status, said) = ended(command(address, &output, "csv")).await;
        assert_eq!(status, Some(1), "{complaint}: {said}");
        assert!(said.contains(complaint), "{complaint}: {said}");
        assert_eq!(files(directory.path()), 0, "{complaint}");
    }
}

#[tokio::test]
async fn ctrl_c_leaves_no_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let output = directory.path().join("keys.csv");
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let (address, mut asked) = serve(vec![rows(&[ROW])], true).await;
        let child = command(address, &output, "csv");
        timeout(PATIENCE, asked.recv())
            .await
            .expect("in time")
            .expect("it was asked");
        let writing = async {
            while files(directory.path()) == 0 {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, writing).await.expect("it writes");
        let pid = i32::try_from(child.id().expect("it lives")).expect("a process id");
        kill(Pid::from_raw(pid), signal).expect("it lives");
        let (status, said) = ended(child).await;
        assert_eq!(status, Some(130), "{said}");
        assert!(said.contains("interrupted"), "{said}");
        assert_eq!(files(directory.path()), 0);
    }
}

#[tokio::test]
async fn a_file_that_is_there_is_not_touched() {
    let directory = tempfile::tempdir().expect("a directory");
    let output = directory.path().join("keys.csv");
    std::fs::write(&output, "mine").expect("written");
    let (address, _asked) = serve(vec![summary(&[])], false).await;
    let (status, said) = ended(command(address, &output, "csv")).await;
    assert_eq!(status, Some(1));
    assert!(said.contains("--force"), "{said}");
    assert_eq!(std::fs::read(&output).expect("the file"), b"mine");
    assert_eq!(files(directory.path()), 1);
}
