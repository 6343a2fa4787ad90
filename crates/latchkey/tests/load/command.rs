//! The command: what it writes, and its exit status.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use latchkey::load::prepare::{Wanted, prepare};
use latchkey::load::target::Target;
use latchkey::stack::Stack;
use latchkey_code::{Kind, generate};
use rand::SeedableRng;
use rand::rngs::StdRng;
use secrecy::ExposeSecret;
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use tokio::process::Command;
use tokio::time::timeout;
use uuid::Uuid;

use crate::{decided, stack};

/// More than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(4);

fn load(stack: &Stack, arguments: &[&str]) -> Command {
    stack.describe().expect("dev.json");
    let mut command = latchkey(&["load", "--target"]);
    command.arg(stack.data_dir()).args(arguments);
    command
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

async fn output(mut command: Command) -> Output {
    let output = timeout(PATIENCE, command.output()).await;
    output.expect("it ends").expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).expect("the figures");
    serde_json::from_str(&text).expect("JSON")
}

/// Over all actions, how many calls had this outcome.
fn counted(report: &Value, outcome: &str) -> u64 {
    report["outcomes"][outcome].as_u64().unwrap_or(0)
}

#[tokio::test]
async fn every_action_for_some_seconds_and_the_figures_are_those_of_the_database() {
    let stack = stack().await;
    let directory = tempfile::tempdir().expect("a directory");
    let (figures, page) = (
        directory.path().join("a.json"),
        directory.path().join("a.html"),
    );
    let mut command = load(
        &stack,
        &[
            "--mix=enrollment=40,event=20,register=10,check=10,replay=10,wrong=5,spent=5",
            "--classes=3",
            "--keys=900",
            "--seats=300",
            "--crowd=1.2",
            "--registrations=300",
            "--organizations=2",
            "--skew=zipf",
            "--streams=8",
            "--connections=2",
            "--ramp=500ms",
            "--duration=5s",
        ],
    );
    command.arg("--json").arg(&figures).arg("--html").arg(&page);
    let output = output(command).await;
    let (said, progress) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{said}\n{progress}");
    assert!(said.contains("No answer was wrong."), "{said}");
    for part in ["Making 3 classes", "Calling", "Reading the rosters"] {
        assert!(progress.contains(part), "{part} in {progress}");
    }

    let report = json(&figures);
    let enrolled = decided(&stack, "enrolled", None).await;
    assert!(enrolled > 0);
    assert_eq!(counted(&report, "enrolled"), enrolled, "{report:#}");
    let spent = decided(&stack, "refused", Some("KEY_ALREADY_REDEEMED")).await;
    let replays = report["actions"].as_array().expect("actions");
    assert_eq!(replays.len(), 7, "each action was called");
    assert!(counted(&report, "KEY_ALREADY_REDEEMED") >= spent);
    assert_eq!(report["wrong"]["count"], 0);
    let watched = report["services"].as_array().expect("services");
    assert_eq!(watched.len(), 2, "the stack shows its metrics");
    assert!(
        !watched[1]["samples"]
            .as_array()
            .expect("samples")
            .is_empty()
    );

    let page = std::fs::read_to_string(&page).expect("the page");
    for part in [
        "<title id=\"percentiles-title\">",
        "<desc id=\"rate-desc\">",
        "Processors kept busy",
        "Items in a batch",
        "KEY_ALREADY_REDEEMED",
        "No answer was wrong.",
    ] {
        assert!(page.contains(part), "{part} in the page");
    }
    let calls = format!("<td>{}</td>", report["calls"]);
    assert!(page.contains(&calls), "{calls} in the page");
    for outside in ["<script", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    stack.stop().await.expect("stopped");
}

#[tokio::test]
async fn an_enrollment_that_was_answered_and_is_gone_makes_it_fail() {
    let stack = stack().await;
    let directory = tempfile::tempdir().expect("a directory");
    let figures = directory.path().join("a.json");
    let mut command = load(
        &stack,
        &[
            "--mix=enrollment=1",
            "--classes=1",
            "--keys=150",
            "--rate=50",
            "--duration=3s",
        ],
    );
    command.arg("--json").arg(&figures);
    let url = stack.database().enrollment_url.expose_secret();
    let mut database = PgConnection::connect(url).await.expect("the database");
    let delete = async {
        let one = "DELETE FROM enrollment.enrollments WHERE enrollment_id = (SELECT enrollment_id FROM enrollment.enrollments LIMIT 1)";
        loop {
            let deleted = sqlx::query(one).execute(&mut database).await;
            if deleted.expect("deleted").rows_affected() > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let (output, ()) = tokio::join!(output(command), delete);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("WRONG: 1"), "{said}");
    assert_eq!(
        json(&figures)["wrong"]["first"][0]["kind"],
        "not_on_the_roster"
    );
    stack.stop().await.expect("stopped");
}

#[tokio::test]
async fn keys_and_students_may_come_from_files() {
    let stack = stack().await;
    let target = Target::of_stack(&stack).expect("a target");
    let wanted = Wanted {
        enrollment_keys: 20,
        ..Wanted::default()
    };
    let supply = prepare(&target, &wanted, &|_| ()).await.expect("a supply");
    let class = &supply.classes[0];
    let rows = class.keys.iter();
    let rows = rows.map(|key| format!("{},enrollment,{},available\n", key.code, class.id));
    let students = supply.organizations[0].students.iter();
    let students = students.map(|student| format!("{student}\n"));
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, head: &str, rows: String| {
        let path = directory.path().join(name);
        std::fs::write(&path, format!("{head}\n{rows}")).expect("written");
        path
    };
    let keys = file("keys.csv", "code,kind,class_id,status", rows.collect());
    let students = file("students.csv", "student_id", students.collect());
    let mut command = load(&stack, &["--mix=enrollment=1", "--count=20", "--streams=4"]);
    command.arg("--keys-csv").arg(&keys);
    command.arg("--students-csv").arg(&students);
    let output = output(command).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(decided(&stack, "enrolled", None).await, 20);
    stack.stop().await.expect("stopped");
}

#[tokio::test]
async fn figures_are_kept_where_nobody_can_judge_the_answers() {
    let stack = stack().await;
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: String| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let code = generate(Kind::Enrollment, &mut StdRng::seed_from_u64(1));
    let (class, student) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let code = code.expose_text();
    let keys = file("keys.csv", format!("code,class_id\n{code},{class}\n"));
    let students = file("students.csv", format!("student_id\n{student}\n"));
    let with_output = |json: &Path| {
        let mut command = load(&stack, &["--mix=enrollment=1", "--count=1", "--streams=1"]);
        command.arg("--keys-csv").arg(&keys);
        command.arg("--students-csv").arg(&students);
        command.arg("--json").arg(json);
        command
    };
    // What cannot be written is told before a call is made.
    let nowhere = directory.path().join("no/where.json");
    let output_of_nowhere = output(with_output(&nowhere)).await;
    let said = text(&output_of_nowhere.stderr);
    assert_eq!(output_of_nowhere.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot write"), "{said}");
    assert!(!said.contains("Calling"), "{said}");

    // There is no such class, so that it has no roster.
    let figures = directory.path().join("a.json");
    let output = output(with_output(&figures)).await;
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("whether an answer was wrong is not known"),
        "{said}"
    );
    let report = json(&figures);
    assert_eq!(report["calls"], 1);
    assert_eq!(report["wrong"]["judged"], false);
    let why = report["wrong"]["why"].as_str().expect("why");
    assert!(why.contains(&class.to_string()), "{why}");
    stack.stop().await.expect("stopped");
}

#[tokio::test]
async fn wrong_options_are_told_what_is_wrong() {
    let nowhere = tempfile::tempdir().expect("a directory");
    let nowhere = nowhere.path().display().to_string();
    for (arguments, word) in [
        (vec!["--mix=evnt=1"], "there is no action `evnt`"),
        (vec!["--duration=5"], "500ms, 30s, 5m or 1h"),
        (vec!["--skew=steep"], "zipf:EXPONENT"),
        (
            vec!["--streams=2", "--connections=3"],
            "each connection needs a stream",
        ),
        (vec!["--ramp=30s", "--duration=30s"], "longer than the ramp"),
        (vec!["--count=5", "--duration=5s"], "cannot be used with"),
        (vec!["--rate=0"], "a rate is between"),
        (vec!["--keys-csv=a"], "--students-csv"),
        (vec!["--metrics=http://127.0.0.1:1"], "NAME=URL"),
        (vec!["--url=https://127.0.0.1:1"], "--tokens"),
        (vec!["--url=https://127.0.0.1:1", "--tokens=."], "say --yes"),
        (vec!["--target", &nowhere], "no development stack"),
    ] {
        let mut command = latchkey(&["load"]);
        command.args(&arguments);
        let output = output(command).await;
        let said = text(&output.stderr);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(said.contains(word), "{arguments:?}: {said}");
    }
}
