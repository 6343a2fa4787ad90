//! Where something could be found: tables, the server's log of changes and all of its files, logs, spans, metrics.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row};

/// A place and what stands there.
pub(super) type Place = (String, Vec<u8>);

/// Every row of every table of both schemas, as text.
pub(super) async fn tables(connection: &mut PgConnection) -> Vec<Place> {
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables
         WHERE schemaname IN ('keys', 'enrollment')",
    )
    .fetch_all(&mut *connection)
    .await
    .expect("tables");
    assert!(names.len() > 10, "only {} tables", names.len());
    let mut places = Vec::new();
    for name in names {
        let rows = sqlx::query(AssertSqlSafe(format!(
            "SELECT t::text AS row FROM {name} t"
        )))
        .fetch_all(&mut *connection)
        .await
        .expect("rows");
        let mut text = String::new();
        for row in rows {
            writeln!(text, "{}", row.get::<String, _>("row")).expect("text");
        }
        places.push((format!("the table {name}"), text.into_bytes()));
    }
    places
}

/// Every file of the server once all is written, its own log among them, and what `pg_waldump` makes of its log of changes.
pub(super) async fn server(connection: &mut PgConnection) -> Vec<Place> {
    sqlx::raw_sql("CHECKPOINT")
        .execute(&mut *connection)
        .await
        .expect("written");
    let data: String = sqlx::query_scalar("SHOW data_directory")
        .fetch_one(&mut *connection)
        .await
        .expect("a directory");
    let data = PathBuf::from(data);
    let home = data.parent().expect("a home");
    let mut places: Vec<Place> = walkdir::WalkDir::new(home)
        .into_iter()
        .map(|entry| entry.expect("a readable directory"))
        .filter(|entry| entry.file_type().is_file())
        // A file may go while it is looked at.
        .filter_map(|entry| {
            Some((
                entry.path().display().to_string(),
                std::fs::read(entry.path()).ok()?,
            ))
        })
        .collect();
    let segments = places
        .iter()
        .filter(|(name, _)| is_segment(Path::new(name)))
        .count();
    assert!(segments > 0, "no log of changes in {}", data.display());
    let programs: String =
        sqlx::query_scalar("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
            .fetch_one(&mut *connection)
            .await
            .expect("a directory");
    let waldump = Path::new(&programs).join("pg_waldump");
    // It comes with every server, and shows what full pages and compression hide in the segments.
    places.push(dumped(&waldump, &data.join("pg_wal")));
    places
}

fn is_segment(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let in_wal = path
        .parent()
        .is_some_and(|parent| parent.ends_with("pg_wal"));
    in_wal && name.len() == 24 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn dumped(waldump: &Path, directory: &Path) -> Place {
    let mut segments: Vec<PathBuf> = std::fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| is_segment(path))
        .collect();
    segments.sort();
    let (first, last) = (
        segments.first().expect("one"),
        segments.last().expect("one"),
    );
    // It ends with an error where the log ends.
    let output = Command::new(waldump)
        .arg("--path")
        .arg(directory)
        .args([first, last].map(|path| path.file_name().expect("a name")))
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", waldump.display()));
    let records = output.stdout.split(|byte| *byte == b'\n').count();
    assert!(records > 500, "{}", String::from_utf8_lossy(&output.stderr));
    ("what pg_waldump shows".to_owned(), output.stdout)
}
