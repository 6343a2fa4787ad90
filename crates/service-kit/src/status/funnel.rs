//! The one place where a failure becomes a gRPC status.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use latchkey_proto::errors::v1::ErrorReason;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::{ApiError, INTERNAL_TEXT, Source, name};
use crate::context::RequestId;

/// `google.rpc.ErrorInfo.domain` of every error.
pub const DOMAIN: &str = "latchkey";

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
            for violation in parts.violations {
                details.add_bad_request_violation(violation.field, violation.description);
            }
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
