//! Failures with a reason that callers can match on, and the one funnel that turns them into gRPC statuses.
//!
//! What callers may read (message, violations, preconditions, resource, metadata) and what only the log needs (the
//! source) are separate fields, and nothing moves from the second to the first.

mod codes;
mod funnel;
mod read;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use codes::{code, name};
pub use funnel::{DOMAIN, Failure};
pub use latchkey_proto::errors::v1::ErrorReason;
use rand::RngExt;
pub use read::{may_be_repeated, metadata_of, reason_of, reason_with_name, retry_after_of};
use tonic::Code;

/// The text of every INTERNAL answer: what went wrong stands in the log only.
const INTERNAL_TEXT: &str =
    "Something is wrong in this service; its log has the details under the request id given here.";

/// How long a caller should wait before it calls again when a queue is full or a conflict used up its retries. Long
/// enough for several batches to pass, short enough not to be noticed by a person.
const RETRY_SOON: Duration = Duration::from_millis(200);

/// How long a caller should wait for a database or a service that cannot be reached: about the time of a failover's
/// first reconnects.
const RETRY_LATER: Duration = Duration::from_secs(1);

/// Half of `delay` to one and a half of it, at random: callers who were refused together do not come back together.
fn about(delay: Duration) -> Duration {
    let share = crate::ids::os_random().random_range(0.5..1.5);
    // Whole milliseconds: nobody reads more.
    Duration::from_millis(u64::try_from(delay.mul_f64(share).as_millis()).unwrap_or(u64::MAX))
}

/// One field of a request that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// Path of the field in the request, for example `students[3].email`.
    pub field: String,
    /// What is wrong with it, for people, for example `must be at least 1`.
    pub description: String,
}

/// One condition of the system's state that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Precondition {
    /// What the condition is about, as `type/id`, for example `class/0190...`.
    pub subject: String,
    /// What does not hold and what to do about it, for people.
    pub description: String,
}

/// The resource a failure is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its type, for example `class`.
    pub kind: String,
    /// Its id, as the caller gave it.
    pub name: String,
}

/// Something that belongs in the log and nowhere else.
pub type Source = Arc<dyn Error + Send + Sync + 'static>;

/// A failure on its way to the caller. Becomes a [`tonic::Status`] by `From`, and only there.
#[derive(Clone)]
pub struct ApiError(Box<Parts>);

#[derive(Clone)]
pub(crate) struct Parts {
    reason: ErrorReason,
    message: String,
    violations: Vec<FieldViolation>,
    preconditions: Vec<Precondition>,
    resource: Option<Resource>,
    retry_after: Option<Duration>,
    metadata: BTreeMap<String, String>,
    source: Option<Source>,
}

impl ApiError {
    /// A failure with `reason` and a `message` that the caller may read: what is wrong and what to do about it.
    pub fn new(reason: ErrorReason, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            reason,
            message: message.into(),
            violations: Vec::new(),
            preconditions: Vec::new(),
            resource: None,
            retry_after: None,
            metadata: BTreeMap::new(),
            source: None,
        }))
    }

    /// `FIELD_INVALID`: the request breaks rules, all of them named in `violations`.
    pub fn invalid(violations: Vec<FieldViolation>) -> Self {
        let message = match violations.as_slice() {
            [one] => format!("{}: {}", one.field, one.description),
            [one, rest @ ..] => format!(
                "{}: {} (and {} more)",
                one.field,
                one.description,
                rest.len()
            ),
            [] => "The request breaks a rule.".to_owned(),
        };
        let mut error = Self::new(ErrorReason::FieldInvalid, message);
        error.0.violations = violations;
        error
    }

    /// `FIELD_INVALID` with a single violation.
    pub fn invalid_field(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::invalid(vec![FieldViolation {
            field: field.into(),
            description: description.into(),
        }])
    }

    /// A resource that does not exist, or not for this caller's eyes: the words are the same.
    ///
    /// `kind` is its type (`class`), `name` its id as the caller gave it; empty when the caller gave a secret.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "so that ids, numbers and texts can be given as they are"
    )]
    pub fn not_found(reason: ErrorReason, kind: &str, name: impl ToString) -> Self {
        let name = name.to_string();
        let message = if name.is_empty() {
            format!("There is no such {}.", in_words(kind))
        } else {
            format!("There is no {} {name}.", in_words(kind))
        };
        Self::new(reason, message).with_resource(kind, name)
    }

    /// A state that forbids the call. `subject` is what the condition is about, as `type/id`.
    pub fn precondition(
        reason: ErrorReason,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        let message = message.into();
        Self::new(reason, message.clone()).with_precondition(subject, message)
    }

    /// `TOKEN_MISSING`.
    pub fn token_missing() -> Self {
        Self::new(
            ErrorReason::TokenMissing,
            "The call carries no bearer token: send `authorization: Bearer <JWT>`.",
        )
    }

    /// `TOKEN_INVALID`. The caller is not told what is wrong with the token; `source` is for the log.
    pub fn token_invalid(source: impl Error + Send + Sync + 'static) -> Self {
        Self::new(
            ErrorReason::TokenInvalid,
            "The bearer token is not valid here, or no longer: get a new one.",
        )
        .with_source(source)
    }

    /// `NOT_ALLOWED`: visible, but none of the caller's roles may do it. `message` says what is not allowed.
    pub fn not_allowed(message: impl Into<String>) -> Self {
        Self::new(ErrorReason::NotAllowed, message)
    }

    /// `ETAG_MISMATCH` of the resource of type `kind` with the id `name`.
    pub fn etag_mismatch(kind: &str, name: impl ToString) -> Self {
        Self::new(
            ErrorReason::EtagMismatch,
            format!(
                "The {} was changed since this etag was read: read it again and repeat the change.",
                in_words(kind)
            ),
        )
        .with_resource(kind, name)
    }

    /// `CONFLICT`: others kept changing the same rows, and the bounded retries ran out. Nothing was done.
    pub fn conflict() -> Self {
        Self::new(
            ErrorReason::Conflict,
            "Others are changing the same things: nothing was done, call again.",
        )
        .with_retry_after(about(RETRY_SOON))
    }

    /// `OVERLOADED`: too many calls are waiting. Nothing was done.
    pub fn overloaded() -> Self {
        Self::new(
            ErrorReason::Overloaded,
            "Too many calls are waiting: nothing was done, call again a little later.",
        )
        .with_retry_after(about(RETRY_SOON))
    }

    /// `TOO_MANY_ATTEMPTS`: too many of them were wrong. Nothing was looked at, and so nothing is said of this one;
    /// `retry_after` is exact, because there is nobody to spread.
    pub fn too_many_attempts(retry_after: Duration) -> Self {
        Self::new(
            ErrorReason::TooManyAttempts,
            "Too many attempts were wrong: this one was not looked at. Wait as long as is said here, then try again.",
        )
        .with_retry_after(retry_after)
    }

    /// `DEPENDENCY_UNAVAILABLE`: what the answer depends on cannot be reached; the outcome may be unknown.
    pub fn unavailable(source: impl Error + Send + Sync + 'static) -> Self {
        Self::new(
            ErrorReason::DependencyUnavailable,
            "The service cannot reach what it depends on. The outcome may be unknown: call again with the same id.",
        )
        .with_retry_after(about(RETRY_LATER))
        .with_source(source)
    }

    /// `DEADLINE_EXCEEDED`: the caller's deadline or the service's own passed; the outcome may be unknown.
    pub fn deadline_exceeded() -> Self {
        Self::new(
            ErrorReason::DeadlineExceeded,
            "The deadline passed before the answer was there. The outcome may be unknown: call again with the same id.",
        )
    }

    /// `METHOD_UNKNOWN`: the service has no such method, or none that anybody may call.
    pub fn method_unknown(path: &str) -> Self {
        Self::new(
            ErrorReason::MethodUnknown,
            format!("This service has no method {path}."),
        )
    }

    /// `INTERNAL`: a fault of ours. The caller gets a fixed text and the request id; `source` goes to the log.
    pub fn internal(source: impl Error + Send + Sync + 'static) -> Self {
        Self::new(ErrorReason::Internal, INTERNAL_TEXT).with_source(source)
    }

    /// `INTERNAL` where there is no error value to keep: `what` goes to the log only.
    pub fn bug(what: impl Into<String>) -> Self {
        Self::internal(Bug(what.into()))
    }

    /// Adds a condition that does not hold.
    pub fn with_precondition(
        mut self,
        subject: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        self.0.preconditions.push(Precondition {
            subject: subject.into(),
            description: description.into(),
        });
        self
    }

    /// Names the resource the failure is about.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "so that ids, numbers and texts can be given as they are"
    )]
    pub fn with_resource(mut self, kind: &str, name: impl ToString) -> Self {
        self.0.resource = Some(Resource {
            kind: kind.to_owned(),
            name: name.to_string(),
        });
        self
    }

    /// Says when a new call may have better luck.
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// Adds a figure or name that callers may read, under a key that the reason's documentation names.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "so that ids, numbers and texts can be given as they are"
    )]
    pub fn with_metadata(mut self, key: &str, value: impl ToString) -> Self {
        self.0.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    /// Keeps `source` for the log.
    pub fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// Why the call failed.
    pub fn reason(&self) -> ErrorReason {
        self.0.reason
    }

    /// The gRPC code that always comes with the reason.
    pub fn code(&self) -> Code {
        code(self.0.reason)
    }

    /// What the caller reads.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The fields at fault.
    pub fn violations(&self) -> &[FieldViolation] {
        &self.0.violations
    }

    /// The figures and names that callers may read.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.0.metadata
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiError")
            .field("reason", &name(self.0.reason))
            .field("message", &self.0.message)
            .field("violations", &self.0.violations)
            .field("metadata", &self.0.metadata)
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl Error for ApiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}

/// The type of a resource as people say it: `training_key` is a training key.
fn in_words(kind: &str) -> String {
    kind.replace('_', " ")
}

/// A fault of ours that has no error value behind it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Bug(String);

#[cfg(test)]
mod tests;
