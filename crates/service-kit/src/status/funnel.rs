//! The one place where a failure becomes a gRPC status.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use latchkey_proto::errors::v1::ErrorReason;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::{ApiError, FieldViolation, INTERNAL_TEXT, Source, name};
use crate::context::RequestId;

/// `google.rpc.ErrorInfo.domain` of every error.
pub const DOMAIN: &str = "latchkey";

/// How much text of violations goes into one status, in bytes. A status travels in headers, in base64, and the strictest
/// clients take 8 KiB of them; beyond what a client takes, the whole connection ends.
const MAX_VIOLATIONS_BYTES: usize = 4 * 1024;

/// The field of the last violation when there are more than fit: a path that no field has.
const REST: &str = "...";

/// What the log gets of a failure: travels as the status's source, which never leaves the process.
#[derive(Debug)]
pub struct Failure {
    reason: ErrorReason,
    source: Option<Source>,
}

impl Failure {
    /// Why the call failed.
    pub fn reason(&self) -> ErrorReason {
        self.reason
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name(self.reason))
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        let parts = *error.0;
        let code = super::code(parts.reason);
        // Whatever text or metadata an internal failure was given, callers get none of it.
        let hidden = code == Code::Internal;
        let mut metadata: HashMap<String, String> = if hidden {
            HashMap::new()
        } else {
            parts.metadata.into_iter().collect()
        };
        if hidden && let Some(id) = RequestId::current() {
            metadata.insert("request_id".to_owned(), id.to_string());
        }
        let message = if hidden {
            INTERNAL_TEXT.to_owned()
        } else {
            parts.message
        };

        let mut details = ErrorDetails::new();
        details.set_error_info(name(parts.reason), DOMAIN, metadata);
        if !hidden {
            add_violations(&mut details, parts.violations);
            for precondition in parts.preconditions {
                details.add_precondition_failure_violation(
                    name(parts.reason),
                    precondition.subject,
                    precondition.description,
                );
            }
            if let Some(resource) = parts.resource {
                details.set_resource_info(resource.kind, resource.name, "", "");
            }
            if parts.retry_after.is_some() {
                details.set_retry_info(parts.retry_after);
            }
        }
        let mut status = Status::with_error_details(code, message, details);
        status.set_source(Arc::new(Failure {
            reason: parts.reason,
            source: parts.source,
        }));
        status
    }
}

/// Adds as many violations as a client can read, and says when some are left out.
fn add_violations(details: &mut ErrorDetails, violations: Vec<FieldViolation>) {
    let mut room = MAX_VIOLATIONS_BYTES;
    let mut left_out = violations.len();
    for FieldViolation { field, description } in violations {
        let Some(rest) = room.checked_sub(field.len() + description.len()) else {
            let text = format!("{left_out} more violations are not shown");
            details.add_bad_request_violation(REST, text);
            return;
        };
        room = rest;
        left_out -= 1;
        details.add_bad_request_violation(field, description);
    }
}
