//! The one place where a failed use case becomes a failed call: reason, words, details.

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use latchkey_service_kit::status::{ApiError, ErrorReason, FieldViolation, reason_with_name};
use tonic::Status;
use uuid::Uuid;

use crate::app::{Error, Source};
use crate::domain::calendar::in_words;
use crate::domain::refusal::{Closed, Refusal};

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        api_error(error).into()
    }
}

/// A failed use case as a failure of its call.
pub fn api_error(error: Error) -> ApiError {
    match error {
        Error::Refused(refusal) => refused(&refusal),
        Error::Invalid(problems) => ApiError::invalid(
            problems
                .into_iter()
                .map(|problem| FieldViolation {
                    field: problem.field,
                    description: problem.description,
                })
                .collect(),
        ),
        Error::NotAllowed => ApiError::not_allowed("None of your roles may do this."),
        Error::DependencyUnavailable(source) => ApiError::unavailable(Kept(source)),
        Error::Conflict => ApiError::conflict(),
        Error::TooManyAttempts { retry_after } => ApiError::too_many_attempts(retry_after),
        Error::Overloaded => ApiError::overloaded(),
        Error::DeadlineExceeded => ApiError::deadline_exceeded(),
        Error::Internal(source) => ApiError::internal(Kept(source)),
    }
}

/// The reason of a refusal, as the contract numbers it.
pub fn reason(refusal: &Refusal) -> ErrorReason {
    reason_with_name(refusal.reason()).unwrap_or(ErrorReason::Internal)
}

/// A shared error as an error of its own.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Kept(Source);

fn refused(refusal: &Refusal) -> ApiError {
    match refusal {
        Refusal::KeyNotFound
        | Refusal::ClassNotFound { .. }
        | Refusal::StudentNotFound { .. }
        | Refusal::OrganizationNotFound { .. }
        | Refusal::EnrollmentNotFound { .. }
        | Refusal::AssignmentNotFound { .. }
        | Refusal::RedemptionNotFound { .. }
        | Refusal::KeyPoolNotFound { .. }
        | Refusal::NotificationPlanNotFound { .. }
        | Refusal::SubscriptionProfileNotFound { .. } => not_found(refusal),
        Refusal::ClassCancelled { .. }
        | Refusal::ClassNotScheduled { .. }
        | Refusal::ClassStarted { .. }
        | Refusal::ClassFull { .. }
        | Refusal::MaximumBelowSeatsTaken { .. } => of_class(refusal),
        Refusal::WindowNotOpen { .. }
        | Refusal::WindowClosed { .. }
        | Refusal::SubscriptionProfileDisabled { .. }
        | Refusal::AssignmentLaunched { .. }
        | Refusal::AssignmentCancelled { .. } => of_time_or_course(refusal),
        Refusal::KeyMalformed
        | Refusal::KeyAlreadyRedeemed { .. }
        | Refusal::KeyRevoked { .. }
        | Refusal::CodeReplaced { .. }
        | Refusal::StudentBlocked { .. }
        | Refusal::StudentInactive { .. }
        | Refusal::StudentErased { .. }
        | Refusal::OrganizationMismatch
        | Refusal::SelfRegistrationDisabled { .. } => of_key_or_student(refusal),
        Refusal::PeriodClosed {
            organization_id,
            closed_until,
        } => period_closed(refusal, organization_id, *closed_until),
        Refusal::StatusUnreachable { .. }
        | Refusal::StudentAlreadyIn { .. }
        | Refusal::StudentNotIn { .. } => of_enrollment(refusal),
        Refusal::CredentialsInvalid
        | Refusal::RequestIdReused { .. }
        | Refusal::EmailTaken
        | Refusal::IdentityTaken
        | Refusal::CodeTaken
        | Refusal::EtagMismatch { .. } => of_request(refusal),
    }
}

fn not_found(refusal: &Refusal) -> ApiError {
    let (kind, name) = match refusal {
        Refusal::ClassNotFound { class_id } => ("class", class_id.to_string()),
        Refusal::StudentNotFound { student_id } => ("student", student_id.to_string()),
        Refusal::OrganizationNotFound { organization_id } => {
            ("organization", organization_id.to_string())
        }
        Refusal::EnrollmentNotFound { enrollment_id } => ("enrollment", enrollment_id.to_string()),
        Refusal::AssignmentNotFound { assignment_id } => ("assignment", assignment_id.to_string()),
        Refusal::RedemptionNotFound { redemption_id } => ("redemption", redemption_id.to_string()),
        Refusal::KeyPoolNotFound { pool_id } => ("key_pool", pool_id.to_string()),
        Refusal::NotificationPlanNotFound { plan_id } => ("notification_plan", plan_id.to_string()),
        Refusal::SubscriptionProfileNotFound { profile_id } => {
            ("subscription_profile", profile_id.to_string())
        }
        // A code is a secret, and a guess learns nothing.
        _ => ("training_key", String::new()),
    };
    ApiError::not_found(reason(refusal), kind, name)
}

fn of_class(refusal: &Refusal) -> ApiError {
    let on_class = |class_id: &Uuid, text: String| precondition(refusal, "class", class_id, text);
    match refusal {
        Refusal::ClassCancelled { class_id } => {
            on_class(class_id, "The class was cancelled; that is final.".to_owned())
        }
        Refusal::ClassNotScheduled { class_id } => {
            let text = "The class is still tentative: keys open it once it is scheduled or guaranteed to run.";
            on_class(class_id, text.to_owned())
        }
        Refusal::ClassStarted { class_id, starts_at, time_zone } => {
            let began = in_words(*starts_at, *time_zone);
            on_class(class_id, format!("The class began on {began}; from then on only an operations manager does this."))
        }
        Refusal::ClassFull { class_id, maximum_students } => on_class(
            class_id,
            format!(
                "All {maximum_students} seats of the class are taken. An administrator can raise the maximum or free a \
                 seat."
            ),
        ),
        Refusal::MaximumBelowSeatsTaken { class_id, seats_taken, maximum_students } => on_class(
            class_id,
            format!(
                "{seats_taken} seats are taken, so the maximum cannot be {maximum_students}. Cancel enrollments first, \
                 or choose at least {seats_taken}."
            ),
        )
        .with_metadata("seats_taken", seats_taken)
        .with_metadata("maximum_students", maximum_students),
        other => ApiError::bug(format!("{} is not about a class", other.reason())),
    }
}

fn of_time_or_course(refusal: &Refusal) -> ApiError {
    match refusal {
        Refusal::WindowNotOpen { pool_id, opens_at } => {
            let opens = in_words(*opens_at, Tz::UTC);
            precondition(
                refusal,
                "key_pool",
                pool_id,
                format!("This is possible from {opens} on."),
            )
            .with_metadata("opens_at", opens_at.to_rfc3339())
        }
        Refusal::WindowClosed {
            of,
            closed_at,
            time_zone,
        } => {
            let closed = in_words(*closed_at, *time_zone);
            let (kind, id, text) = match of {
                Closed::Class(id) => (
                    "class",
                    id,
                    format!("This was possible until {closed}, the local time of the class."),
                ),
                Closed::Pool(id) => ("key_pool", id, format!("This was possible until {closed}.")),
                Closed::SubscriptionKey(id) => (
                    "training_key",
                    id,
                    format!("This was possible until {closed}."),
                ),
                Closed::Assignment(id) => (
                    "assignment",
                    id,
                    format!("It could be cancelled until {closed}."),
                ),
            };
            precondition(refusal, kind, id, text)
                .with_metadata("closed_at", closed_at.with_timezone(time_zone).to_rfc3339())
                .with_metadata("time_zone", time_zone.name())
        }
        Refusal::SubscriptionProfileDisabled { profile_id } => precondition(
            refusal,
            "subscription_profile",
            profile_id,
            "The subscription that this key opens is disabled. An administrator can enable it again."
                .to_owned(),
        ),
        Refusal::AssignmentLaunched { assignment_id } => precondition(
            refusal,
            "assignment",
            assignment_id,
            "Something of the course was launched: the assignment cannot be cancelled any more."
                .to_owned(),
        ),
        Refusal::AssignmentCancelled { assignment_id } => precondition(
            refusal,
            "assignment",
            assignment_id,
            "The assignment was cancelled; that is final.".to_owned(),
        ),
        other => ApiError::bug(format!(
            "{} is not about a time or a course",
            other.reason()
        )),
    }
}

fn of_key_or_student(refusal: &Refusal) -> ApiError {
    match refusal {
        Refusal::KeyMalformed => ApiError::new(
            reason(refusal),
            "This cannot be a training key's code: please check it and type it again.",
        ),
        Refusal::KeyAlreadyRedeemed { key_id, max_uses } => {
            let text = max_uses.map_or_else(
                || "This key was used by another student.".to_owned(),
                |uses| format!("This key is for {uses} students at once, and so many use it."),
            );
            precondition(refusal, "training_key", key_id, text)
        }
        Refusal::KeyRevoked { key_id } => {
            precondition(refusal, "training_key", key_id, "This key was revoked or turned off.".to_owned())
        }
        Refusal::CodeReplaced { key_id } => precondition(
            refusal,
            "training_key",
            key_id,
            "This code was replaced by a newer one: ask for the new code.".to_owned(),
        ),
        Refusal::StudentBlocked { student_id, .. } => precondition(
            refusal,
            "student",
            student_id,
            "Staff removed this student from the class, so its event key does not let them in again. Staff can lift \
             this by enrolling the student directly."
                .to_owned(),
        ),
        Refusal::StudentInactive { student_id } => {
            precondition(refusal, "student", student_id, "The student's account is deactivated.".to_owned())
        }
        Refusal::StudentErased { student_id } => precondition(
            refusal,
            "student",
            student_id,
            "The student's account was erased, for good: somebody who comes again gets a new account.".to_owned(),
        ),
        Refusal::OrganizationMismatch => {
            ApiError::new(reason(refusal), "This is not for students of this organization.")
        }
        Refusal::SelfRegistrationDisabled { organization_id } => precondition(
            refusal,
            "organization",
            organization_id,
            "Students of this organization do not register themselves: ask the organization for an account.".to_owned(),
        ),
        other => ApiError::bug(format!("{} is not about a key or a student", other.reason())),
    }
}

fn of_enrollment(refusal: &Refusal) -> ApiError {
    match refusal {
        Refusal::StatusUnreachable {
            enrollment_id,
            from,
            to,
        } => {
            let (from, to) = (from.as_str(), to.as_str());
            let text = format!(
                "An enrollment does not come from `{from}` to `{to}`, or not by this caller."
            );
            precondition(refusal, "enrollment", enrollment_id, text)
                .with_metadata("from", from)
                .with_metadata("to", to)
        }
        Refusal::StudentAlreadyIn { student_id, .. } => precondition(
            refusal,
            "student",
            student_id,
            "The student has another enrollment in the class that has not ended: change that one."
                .to_owned(),
        ),
        Refusal::StudentNotIn { student_id, .. } => precondition(
            refusal,
            "student",
            student_id,
            "The student is neither enrolled in the class nor auditing it.".to_owned(),
        ),
        other => ApiError::bug(format!("{} is not about an enrollment", other.reason())),
    }
}

fn of_request(refusal: &Refusal) -> ApiError {
    match refusal {
        Refusal::EtagMismatch { resource_type, id } => ApiError::etag_mismatch(resource_type, id),
        Refusal::CredentialsInvalid => ApiError::new(
            reason(refusal),
            "E-mail and password do not fit an active account.",
        ),
        Refusal::RequestIdReused { id } => ApiError::new(
            reason(refusal),
            format!("The id {id} was used before with other content: a new wish takes a new id."),
        ),
        Refusal::EmailTaken => ApiError::new(
            reason(refusal),
            "Another account of the organization has this e-mail address. To use a key with that account, sign in and redeem it.",
        ),
        Refusal::IdentityTaken => ApiError::new(
            reason(refusal),
            "Another account has this external identity. To use a key with that account, sign in and redeem it.",
        ),
        Refusal::CodeTaken => ApiError::new(
            reason(refusal),
            "This text is the code of another key: choose another.",
        ),
        other => ApiError::bug(format!("{} is not about the request", other.reason())),
    }
}

fn period_closed(
    refusal: &Refusal,
    organization_id: &Uuid,
    closed_until: DateTime<Utc>,
) -> ApiError {
    let closed_until = closed_until.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let text =
        format!("The time of the organization is closed up to {closed_until}, and stays so.");
    precondition(refusal, "organization", organization_id, text)
        .with_metadata("closed_until", closed_until)
}

fn precondition(refusal: &Refusal, kind: &str, id: &Uuid, text: String) -> ApiError {
    ApiError::precondition(reason(refusal), format!("{kind}/{id}"), text)
}

#[cfg(test)]
mod tests;
