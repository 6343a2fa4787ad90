//! The sessions that people are shown work when pasted: the one in the README, and the one that `latchkey dev` prints.
//!
//! They are written for grpcurl. Here `buf curl` stands in for it, which npx can fetch; without npx there is nothing to
//! run them with, and the tests say so and pass, unless `LATCHKEY_SESSIONS=required`, as `.ci/run` has it where npx is. In the README the session is the first fenced block after the comment
//! `<!-- session -->`. It may use `grpcurl`, `latchkey` and `cargo run … -- …` against the stack of `latchkey dev`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use latchkey::stack::description::Description;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::harness::cluster::executable;

/// The comment in the README that the session follows.
const MARK: &str = "<!-- session -->";
/// How long `latchkey dev` may take until it is ready; it may have to fetch a Postgres.
const READY_WITHIN: Duration = Duration::from_mins(4);
/// How long a session may take.
const DONE_WITHIN: Duration = Duration::from_mins(1);

/// Puts `buf curl` in the place of grpcurl, and the test's stack in the place of the one at the usual addresses.
const GRPCURL: &str = r#"#!/usr/bin/env bash
set -euo pipefail
options=()
while [ $# -gt 0 ]; do
  case "$1" in
    -cacert) options+=(--cacert "$2"); shift 2 ;;
    -H | -d) options+=("$1" "$2"); shift 2 ;;
    -*) echo "the session uses $1, for which this test has no counterpart" >&2; exit 2 ;;
    *) break ;;
  esac
done
case "$1" in
  *:7401) address=$KEYS_ADDRESS ;;
  *:7402) address=$ENROLLMENT_ADDRESS ;;
  *) address=$1 ;;
esac
exec "$BUF" curl --protocol grpc "${options[@]}" "https://$address/$2"
"#;

/// `latchkey COMMAND` about the test's stack.
const LATCHKEY: &str = r#"#!/usr/bin/env bash
exec "$LATCHKEY" "$@" --data-dir "$DATA_DIR"
"#;

/// `cargo run … -- COMMAND` is `latchkey COMMAND`.
const CARGO: &str = r#"#!/usr/bin/env bash
while [ $# -gt 0 ] && [ "$1" != -- ]; do shift; done
shift
exec "$LATCHKEY" "$@" --data-dir "$DATA_DIR"
"#;

/// A stack of `latchkey dev`, and a shell in which the session's commands mean it.
struct Sitting {
    directory: tempfile::TempDir,
    dev: Child,
    printed: String,
    buf: PathBuf,
}

impl Sitting {
    /// `None` where there is no npx, or it cannot fetch anything.
    async fn begin() -> Option<Self> {
        let Some(buf) = find_buf().await else {
            let required = std::env::var_os("LATCHKEY_SESSIONS").is_some_and(|it| it == "required");
            assert!(
                !required,
                "npx cannot fetch `buf`, and sessions are required"
            );
            eprintln!("skipped: without npx there is no `buf curl` to run the session with");
            return None;
        };
        let directory = tempfile::Builder::new()
            .prefix("latchkey-session-")
            .tempdir()
            .expect("a directory");
        // Postgres may run as another account: it must be able to pass through.
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o711))
            .expect("permissions");
        for (name, text) in [
            ("grpcurl", GRPCURL),
            ("latchkey", LATCHKEY),
            ("cargo", CARGO),
        ] {
            let path = directory.path().join("bin").join(name);
            std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
            std::fs::write(&path, text).expect("a script");
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("permissions");
        }
        let mut dev = Command::new(executable())
            .args([
                "dev",
                "--keys-addr",
                "127.0.0.1:0",
                "--enrollment-addr",
                "127.0.0.1:0",
                "--data-dir",
            ])
            .arg(directory.path().join("data"))
            .env_remove("DATABASE_URL")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("latchkey dev");
        let printed = until_ready(&mut dev).await;
        Some(Self {
            directory,
            dev,
            printed,
            buf,
        })
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Pastes `session` into a shell that stops at the first command that fails.
    async fn paste(&self, session: &str) -> Output {
        let description = Description::read(&self.data()).expect("dev.json");
        let path = std::env::var("PATH").unwrap_or_default();
        let shell = Command::new("bash")
            .args(["-euo", "pipefail", "-c", session])
            .env(
                "PATH",
                format!("{}:{path}", self.directory.path().join("bin").display()),
            )
            .env("BUF", &self.buf)
            .env("LATCHKEY", executable())
            .env("DATA_DIR", self.data())
            .env("KEYS_ADDRESS", description.keys.address.to_string())
            .env(
                "ENROLLMENT_ADDRESS",
                description.enrollment.address.to_string(),
            )
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        timeout(DONE_WITHIN, shell)
            .await
            .expect("it ends in time")
            .expect("bash")
    }

    /// Ends the stack as Ctrl-C does; it must end well.
    async fn end(mut self) {
        let pid = self
            .dev
            .id()
            .expect("it runs")
            .try_into()
            .expect("a process id");
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid),
            nix::sys::signal::Signal::SIGINT,
        )
        .expect("told");
        let status = timeout(DONE_WITHIN, self.dev.wait())
            .await
            .expect("it ends in time")
            .expect("a status");
        assert!(status.success(), "{status}");
    }
}

/// The program `buf`, by the version that checks the contract too.
async fn find_buf() -> Option<PathBuf> {
    let npx = Command::new("npx")
        .args([
            "--yes",
            "--package",
            "@bufbuild/buf@1.75",
            "--",
            "which",
            "buf",
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .await
        .ok()?;
    let path = String::from_utf8(npx.stdout).ok()?;
    let path = Path::new(path.trim());
    path.is_file().then(|| path.to_owned())
}

/// Reads what `latchkey dev` prints until it says that it is ready.
async fn until_ready(dev: &mut Child) -> String {
    let output = dev.stdout.take().expect("piped");
    let read = async {
        let (mut lines, mut text) = (BufReader::new(output).lines(), String::new());
        while let Some(line) = lines.next_line().await.expect("text") {
            if line.starts_with("Ready.") {
                // Whatever follows is of no interest, but its pipe must not break.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return text;
            }
            text.push_str(&line);
            text.push('\n');
        }
        panic!("`latchkey dev` ended:\n{text}");
    };
    timeout(READY_WITHIN, read).await.expect("ready in time")
}

/// Fails unless every command of the session did its work and a roster with students came out of it.
fn went_well(output: &Output) {
    let (told, shown) = (
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout),
    );
    assert!(
        output.status.success(),
        "{}\n{told}\n{shown}",
        output.status
    );
    for expected in ["\"seatsTaken\"", "ENROLLMENT_STATUS_ENROLLED"] {
        assert!(
            shown.contains(expected),
            "no {expected} in\n{shown}\n{told}"
        );
    }
}

/// The README's session.
fn session_of(readme: &str) -> Option<&str> {
    let (_, rest) = readme.split_once(MARK)?;
    let (_, rest) = rest.split_once("```")?;
    let (_, rest) = rest.split_once('\n')?;
    rest.split_once("\n```").map(|(session, _)| session)
}

#[test]
fn the_session_is_the_block_after_its_mark() {
    let readme = format!("```sh\nno\n```\n{MARK}\ntext\n```sh\none\ntwo\n```\n```sh\nno\n```\n");
    assert_eq!(session_of(&readme), Some("one\ntwo"));
    assert_eq!(session_of("```sh\nno\n```\n"), None);
    assert_eq!(session_of(&format!("{MARK}\n```sh\nnever closed")), None);
}

#[tokio::test]
async fn the_session_in_the_readme_works_when_pasted() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(readme).expect("README.md");
    let session = session_of(&readme).expect("the README has a session");
    assert!(
        session.contains("grpcurl ") && session.matches("Service/").count() >= 5,
        "{session}"
    );
    let Some(sitting) = Sitting::begin().await else {
        return;
    };
    went_well(&sitting.paste(session).await);
    sitting.end().await;
}

#[tokio::test]
async fn the_session_that_dev_prints_works_when_pasted() {
    let Some(sitting) = Sitting::begin().await else {
        return;
    };
    let (_, session) = sitting
        .printed
        .split_once("A session to paste")
        .expect("a session");
    let (_, session) = session.split_once('\n').expect("commands");
    went_well(&sitting.paste(session).await);
    sitting.end().await;
}
