//! `latchkey keys export` against the services.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};

use latchkey_service_kit::identity::Role;
use tokio::process::Command;

use crate::harness::cluster::executable;
use crate::harness::subscriptions::uses;
use crate::harness::world::come_in;
use crate::harness::{ClassDraft, Organization, PoolDraft, Stack, eventually};

use super::trail;

const REASON: [&str; 2] = ["--reason", "printing"];

/// Runs the command for a manager of `organization`.
pub(crate) async fn run(organization: &Organization<'_>, arguments: &[&str]) -> Output {
    let stack = organization.stack;
    let token = stack.token(
        Role::OperationsManager,
        "mona-manager",
        Some(&organization.id),
    );
    let site = stack.site();
    let url = |door: std::net::SocketAddr| format!("https://{door}");
    Command::new(executable())
        .args(["keys", "export"])
        .args(["--keys-url", &url(site.keys[0].door())])
        .args(["--enrollment-url", &url(site.enrollment[0].door())])
        .arg("--ca-file")
        .arg(site.keys[0].ca_file())
        .args(arguments)
        .env("LATCHKEY_TOKEN", token)
        .stdin(Stdio::null())
        .output()
        .await
        .expect("it runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn table(path: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_path(path)
        .expect("the file");
    let rows = reader.records().map(|row| row.expect("a row"));
    rows.map(|row| row.iter().map(str::to_owned).collect())
        .collect()
}

#[tokio::test]
async fn the_command_joins_names_and_writes_for_its_owner_alone() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, keys) = organization.keyed_class(ClassDraft::new(), 2).await;
    let student = organization.student().await.student_id;
    come_in(&stack, &student, &keys[0].code).await;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("keys.csv");
    let output = path.to_str().expect("text");
    let wish = [
        "--class",
        &class.class_id,
        "--format",
        "csv",
        "--output",
        output,
    ];
    let rows = eventually("the use is told", async || {
        let forced = [&wish[..], &["--force"], &REASON].concat();
        let done = run(&organization, &forced).await;
        assert!(done.status.success(), "{}", said(&done));
        assert!(said(&done).contains("2 keys are in"), "{}", said(&done));
        let rows = table(&path);
        let told = rows.iter().any(|row| row[5] == student);
        if told {
            Ok(rows)
        } else {
            Err(format!("{rows:?}"))
        }
    })
    .await;
    assert_eq!(
        rows[0],
        [
            "code",
            "kind",
            "class_id",
            "class_name",
            "status",
            "redeemed_by",
            "redeemed_at",
            "pool_id",
            "pool_name",
            "profile_id",
            "profile_name",
            "max_uses",
            "use_count",
            "given_name",
            "family_name"
        ]
    );
    assert_eq!(rows.len(), 3);
    for row in &rows[1..] {
        let used = row[0] == keys[0].code;
        let expected = if used { ("Sam", "Student") } else { ("", "") };
        assert_eq!((row[13].as_str(), row[14].as_str()), expected);
    }
    let mode = path.metadata().expect("metadata").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let events = trail(&organization, &class.class_id).await;
    assert!(events[0].details_json.contains("printing"));

    what_fails_leaves_what_was_there(&organization, &class.class_id, directory.path()).await;
    stack.finish().await;
}

#[tokio::test]
async fn the_keys_of_a_pool_and_of_a_profile_are_written_like_those_of_a_class() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let pool = organization.pool(PoolDraft::new()).await.pool_id;
    let profile = organization.profile().await.profile_id;
    let of_pool = organization.pool_keys(&pool, 2).await;
    let of_profile = organization.subscription_keys(&profile, 2, uses(7)).await;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("keys.csv");
    let output = path.to_str().expect("text");
    let wish = ["--format", "csv", "--force", "--output", output];
    let wish = [&wish[..], &REASON].concat();
    let written = async |of: &str, id: &str| {
        let done = run(&organization, &[&[of, id][..], &wish[..]].concat()).await;
        assert!(done.status.success(), "{}", said(&done));
        table(&path)
    };
    let rows = written("--pool", &pool).await;
    assert_eq!(rows.len(), 3);
    for row in &rows[1..] {
        assert!(of_pool.iter().any(|key| key.code == row[0]), "{row:?}");
        assert_eq!((row[1].as_str(), &row[7]), ("pool", &pool));
        assert_eq!(row[9..13], ["", "", "", "0"]);
    }
    let rows = written("--profile", &profile).await;
    assert_eq!(rows.len(), 3);
    for row in &rows[1..] {
        assert!(of_profile.iter().any(|key| key.code == row[0]), "{row:?}");
        assert_eq!((row[1].as_str(), &row[9]), ("subscription", &profile));
        assert_eq!(
            (row[7].as_str(), &row[11..13]),
            ("", &["7".to_owned(), "0".to_owned()][..])
        );
    }
    let both = [&["--pool", &pool, "--profile", &profile][..], &wish[..]].concat();
    for wrong in [&wish[..], &both] {
        let refused = run(&organization, wrong).await;
        assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    }
    stack.finish().await;
}

/// The directory has one file, `keys.csv`.
async fn what_fails_leaves_what_was_there(
    organization: &Organization<'_>,
    class_id: &str,
    directory: &Path,
) {
    let path = |name: &str| directory.join(name).to_str().expect("text").to_owned();
    let wish = ["--class", class_id, "--format", "jsonl"];
    let output = ["--output", &path("keys.csv"), "--force"];
    let unreasoned = run(organization, &[&wish[..], &output].concat()).await;
    assert_eq!(unreasoned.status.code(), Some(2));
    let complaint = said(&unreasoned);
    assert!(complaint.contains("--reason"), "{complaint}");
    let wish = [&wish[..], &REASON, &["--output"]].concat();
    let again = run(organization, &[&wish[..], &[&path("keys.csv")]].concat()).await;
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).contains("--force"), "{}", said(&again));
    let elsewhere = Organization::new(organization.stack).await;
    let refused = run(&elsewhere, &[&wish[..], &[&path("other.jsonl")]].concat()).await;
    assert_eq!(refused.status.code(), Some(1));
    let complaint = said(&refused);
    assert!(complaint.contains("CLASS_NOT_FOUND"), "{complaint}");
    let left = std::fs::read_dir(directory).expect("a directory").count();
    assert_eq!(left, 1, "nothing is left of what failed");
}
