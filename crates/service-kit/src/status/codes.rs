//! The gRPC code of each reason: one table, exhaustive.

use latchkey_proto::errors::v1::ErrorReason;
use tonic::Code;

/// The gRPC code that always comes with `reason`.
pub fn code(reason: ErrorReason) -> Code {
    match reason {
        ErrorReason::FieldInvalid | ErrorReason::KeyMalformed => Code::InvalidArgument,
        ErrorReason::TokenMissing | ErrorReason::TokenInvalid | ErrorReason::CredentialsInvalid => {
            Code::Unauthenticated
        }
        ErrorReason::NotAllowed => Code::PermissionDenied,
        ErrorReason::KeyNotFound
        | ErrorReason::ClassNotFound
        | ErrorReason::StudentNotFound
        | ErrorReason::OrganizationNotFound
        | ErrorReason::EnrollmentNotFound
        | ErrorReason::RedemptionNotFound
        | ErrorReason::KeyPoolNotFound
        | ErrorReason::AssignmentNotFound
        | ErrorReason::NotificationPlanNotFound
        | ErrorReason::SubscriptionProfileNotFound => Code::NotFound,
        ErrorReason::ClassCancelled
        | ErrorReason::ClassNotScheduled
        | ErrorReason::ClassStarted
        | ErrorReason::ClassFull
        | ErrorReason::MaximumBelowSeatsTaken
        | ErrorReason::KeyLimitExceeded
        | ErrorReason::WindowClosed
        | ErrorReason::KeyAlreadyRedeemed
        | ErrorReason::KeyRevoked
        | ErrorReason::CodeReplaced
        | ErrorReason::StudentBlocked
        | ErrorReason::StudentInactive
        | ErrorReason::StudentErased
        | ErrorReason::WindowNotOpen
        | ErrorReason::AssignmentLaunched
        | ErrorReason::AssignmentCancelled
        | ErrorReason::StatusUnreachable
        | ErrorReason::StudentAlreadyIn
        | ErrorReason::StudentNotIn
        | ErrorReason::OrganizationMismatch
        | ErrorReason::SelfRegistrationDisabled
        | ErrorReason::PeriodClosed
        | ErrorReason::SubscriptionProfileDisabled
        | ErrorReason::MaxUsesBelowUses => Code::FailedPrecondition,
        ErrorReason::RequestIdReused
        | ErrorReason::EmailTaken
        | ErrorReason::IdentityTaken
        | ErrorReason::CodeTaken => Code::AlreadyExists,
        ErrorReason::EtagMismatch | ErrorReason::Conflict => Code::Aborted,
        ErrorReason::Overloaded | ErrorReason::TooManyAttempts => Code::ResourceExhausted,
        ErrorReason::DependencyUnavailable => Code::Unavailable,
        ErrorReason::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorReason::MethodUnknown => Code::Unimplemented,
        ErrorReason::Unspecified | ErrorReason::Internal => Code::Internal,
    }
}

/// The reason as it stands in `google.rpc.ErrorInfo.reason`, for example `CLASS_FULL`.
pub fn name(reason: ErrorReason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("ERROR_REASON_").unwrap_or(name)
}
