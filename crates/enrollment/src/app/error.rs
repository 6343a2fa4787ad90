//! How a use case fails.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use latchkey_service_kit::database::{Fault, classify};

use crate::clients::keys::KeysError;
use crate::domain::refusal::Refusal;

/// One field of a request that breaks a rule which only the use case knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// The field's path in the request.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
}

/// What an outage or fault was caused by: for the log, never for callers.
pub type Source = Arc<dyn StdError + Send + Sync + 'static>;

/// Why a use case has no answer. Cloned when it is the answer to a whole batch.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The service says no.
    #[error("refused")]
    Refused(#[from] Refusal),
    /// The request breaks rules, all of them named.
    #[error("the request is invalid")]
    Invalid(Vec<FieldProblem>),
    /// None of the caller's roles may do it, although it is within reach.
    #[error("not allowed")]
    NotAllowed,
    /// The database or the keys service cannot be reached. The outcome may be unknown.
    #[error("a dependency is unavailable")]
    DependencyUnavailable(#[source] Source),
    /// Others kept changing the same rows. Nothing was done.
    #[error("conflict")]
    Conflict,
    /// Too many guesses were wrong. Nothing was looked at.
    #[error("too many attempts")]
    TooManyAttempts {
        /// After how long one may try again.
        retry_after: Duration,
    },
    /// Too many calls are waiting. Nothing was done.
    #[error("overloaded")]
    Overloaded,
    /// The deadline passed. The outcome may be unknown.
    #[error("the deadline passed")]
    DeadlineExceeded,
    /// A fault of ours.
    #[error("internal")]
    Internal(#[source] Source),
}

impl Error {
    /// The request breaks one rule.
    pub fn invalid(field: &str, description: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldProblem {
            field: field.to_owned(),
            description: description.into(),
        }])
    }

    /// A dependency cannot be reached.
    pub fn unavailable(source: impl StdError + Send + Sync + 'static) -> Self {
        Self::DependencyUnavailable(Arc::new(source))
    }

    /// A fault of ours.
    pub fn internal(source: impl StdError + Send + Sync + 'static) -> Self {
        Self::Internal(Arc::new(source))
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

/// What the keys service refuses is passed on where the caller can do something about it.
impl From<KeysError> for Error {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::CodeTaken => Self::Refused(Refusal::CodeTaken),
            KeysError::KeyNotFound => Self::Refused(Refusal::KeyNotFound),
            KeysError::TooManyAttempts { retry_after } => Self::TooManyAttempts { retry_after },
            KeysError::Unavailable(_) => Self::unavailable(error),
            KeysError::RequestIdReused
            | KeysError::KeyRevoked
            | KeysError::KeyAlreadyRedeemed
            | KeysError::ClassCancelled
            | KeysError::KeyPoolNotFound
            | KeysError::WindowClosed { .. }
            | KeysError::Invalid(_)
            | KeysError::Refused(_)
            | KeysError::Senseless { .. } => Self::internal(error),
        }
    }
}
