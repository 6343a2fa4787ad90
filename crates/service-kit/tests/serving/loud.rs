//! What is not safe and was asked for is told at each start, in words that nobody overlooks.

use latchkey_service_kit::config::{DatabaseConfig, ListenConfig};
use latchkey_service_kit::database;
use latchkey_service_kit::tls::ServerTls;

use crate::world::LogLines;

/// Whether one line with `words` was logged, as a warning.
fn is_told(log: &LogLines, words: &str) -> bool {
    let lines = log.lines();
    let told: Vec<_> = lines
        .iter()
        .filter(|line| line.to_string().contains(words))
        .collect();
    assert!(told.len() <= 1, "{told:?}");
    told.iter().all(|line| line["level"] == "WARN") && !told.is_empty()
}

#[test]
fn serving_in_plain_text() {
    let (log, _guard) = LogLines::capture();
    let listen: ListenConfig =
        toml::from_str("address = '127.0.0.1:7401'\nplaintext = true").unwrap();
    assert!(ServerTls::of(&listen).unwrap().is_none());
    assert!(is_told(&log, "SERVING IN PLAIN TEXT"));
    assert!(is_told(&log, "127.0.0.1:7401"), "and where");
}

#[tokio::test]
async fn a_database_that_could_be_anybody() {
    let pool = |url: &str| {
        let text = format!("url = '{url}'\nunverified_server = true");
        let config: DatabaseConfig = toml::from_str(&text).unwrap();
        database::pool(&config, "test").unwrap()
    };
    let (log, _guard) = LogLines::capture();
    let words = "THE DATABASE COULD BE ANYBODY";
    pool("postgres://u@127.0.0.1/d");
    pool("postgres://u@db.internal/d?sslmode=verify-full");
    assert!(!is_told(&log, words));
    pool("postgres://u@db.internal/d");
    assert!(is_told(&log, words));
}
