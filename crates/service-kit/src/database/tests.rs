use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use sqlx::error::{DatabaseError as SqlxDatabaseError, ErrorKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// A database error with nothing but an SQLSTATE.
#[derive(Debug)]
struct State(&'static str);

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl StdError for State {}

impl SqlxDatabaseError for State {
    fn message(&self) -> &str {
        self.0
    }
    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.0.into())
    }
    fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self
    }
    fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
        self
    }
    fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
        self
    }
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

fn state(code: &'static str) -> sqlx::Error {
    sqlx::Error::Database(Box::new(State(code)))
}

#[test]
fn sqlstates_are_classified() {
    for (code, fault) in [
        ("23505", Fault::Conflict),
        ("23514", Fault::Conflict),
        ("40001", Fault::Conflict),
        ("40P01", Fault::Conflict),
        ("55P03", Fault::Conflict),
        ("22021", Fault::Data),
        ("22P02", Fault::Data),
        ("23502", Fault::Data),
        ("57014", Fault::Unavailable),
        ("57P01", Fault::Unavailable),
        ("57P03", Fault::Unavailable),
        ("53300", Fault::Unavailable),
        ("08006", Fault::Unavailable),
        ("25006", Fault::Unavailable),
        ("25P02", Fault::Other),
        ("42P01", Fault::Other),
        ("", Fault::Other),
    ] {
        assert_eq!(classify(&state(code)), fault, "{code}");
    }
    assert_eq!(classify(&sqlx::Error::PoolTimedOut), Fault::Unavailable);
    assert_eq!(classify(&sqlx::Error::RowNotFound), Fault::Other);
}

/// Somebody on the way: offers no TLS and asks for the password, as servers may. What was said after that.
async fn somebody_on_the_way(listener: TcpListener) -> Vec<u8> {
    let (mut client, _) = listener.accept().await.unwrap();
    let mut wish = [0; 8];
    client.read_exact(&mut wish).await.unwrap();
    assert_eq!(wish[4..], 80_877_103_u32.to_be_bytes(), "TLS is asked for");
    client.write_all(b"N").await.unwrap();
    let mut said = vec![0; 1024];
    let length = client.read(&mut said).await.unwrap_or(0);
    said.truncate(length);
    said
}

#[tokio::test]
async fn a_server_that_does_without_tls_is_told_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let authority = tempfile::NamedTempFile::new().unwrap();
    let text = format!(
        "url = 'postgres://u@127.0.0.1:{port}/d'\nca_file = '{}'",
        authority.path().display()
    );
    let pool = pool(&toml::from_str(&text).unwrap(), "test").unwrap();
    let (refused, said) = tokio::join!(pool.acquire(), somebody_on_the_way(listener));
    assert!(matches!(refused, Err(sqlx::Error::Tls(_))), "{refused:?}");
    assert_eq!(said, b"", "not even who asks");
}

#[test]
fn an_url_that_makes_no_sense_is_not_repeated() {
    let error = connect_options(&SecretString::from("no url hunter2"), "test").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}
