//! How a use case fails.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use latchkey_service_kit::database::{Fault, classify};

use crate::domain::refusal::Refusal;
use crate::store::StoreError;

/// What an outage or fault was caused by: for the log, never for callers.
pub type Source = Arc<dyn StdError + Send + Sync + 'static>;

/// One field of a request that breaks a rule which only the use case knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// The field's path in the request.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
}

/// Why a use case has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The service says no.
    #[error("refused")]
    Refused(#[from] Refusal),
    /// The request breaks rules, all of them named.
    #[error("the request is invalid")]
    Invalid(Vec<FieldProblem>),
    /// The database cannot be reached. The outcome may be unknown.
    #[error("the database is unavailable")]
    DependencyUnavailable(#[source] Source),
    /// Too many guesses were wrong. Nothing was looked at.
    #[error("too many attempts")]
    TooManyAttempts {
        /// After how long one may try again.
        retry_after: Duration,
    },
    /// Others were changing the same rows. Nothing was done.
    #[error("conflict")]
    Conflict,
    /// A fault of ours.
    #[error("internal")]
    Internal(#[source] Source),
}

impl Error {
    /// The database cannot be reached, or says nothing in time.
    pub fn unavailable(source: impl StdError + Send + Sync + 'static) -> Self {
        Self::DependencyUnavailable(Arc::new(source))
    }

    /// A fault of ours.
    pub fn internal(source: impl StdError + Send + Sync + 'static) -> Self {
        Self::Internal(Arc::new(source))
    }

    /// A fault of ours where there is no error value to keep: `what` is for the log.
    pub fn bug(what: impl Into<String>) -> Self {
        Self::internal(Bug(what.into()))
    }
}

/// Database errors by what kind of failure they are; a rule that expects one of them looks before it converts.
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match classify(&error) {
            Fault::Conflict => Self::Conflict,
            Fault::Unavailable => Self::unavailable(error),
            Fault::Data | Fault::Other => Self::internal(error),
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Database(error) => error.into(),
            StoreError::BadRow { .. } => Self::internal(error),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Bug(String);
