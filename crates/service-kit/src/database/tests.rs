use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use sqlx::error::{DatabaseError as SqlxDatabaseError, ErrorKind};

use super::*;
use crate::status::ErrorReason;

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

#[test]
fn a_database_error_as_a_failure_of_a_call_shows_nothing_of_itself() {
    for (code, reason) in [
        ("40P01", ErrorReason::Conflict),
        ("57P01", ErrorReason::DependencyUnavailable),
        ("42P01", ErrorReason::Internal),
        ("22021", ErrorReason::Internal),
    ] {
        let error = api_error(state(code));
        assert_eq!(error.reason(), reason);
        assert!(!error.message().contains(code));
        assert_eq!(
            StdError::source(&error)
                .unwrap()
                .source()
                .map(ToString::to_string),
            Some(code.to_owned())
        );
    }
}

#[test]
fn an_url_that_makes_no_sense_is_not_repeated() {
    let error = connect_options(&SecretString::from("no url hunter2"), "test").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}
