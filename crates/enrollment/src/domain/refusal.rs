//! Why this service says no.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::enrollment::Status;

/// Of what a window is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closed {
    /// Of a class.
    Class(Uuid),
    /// Of a pool of keys.
    Pool(Uuid),
    /// Of a subscription key.
    SubscriptionKey(Uuid),
    /// Of the cancellation of an assignment.
    Assignment(Uuid),
}

/// A refusal: the reason, with the facts that its text and details are made of.
///
/// A recorded refusal is stored as it stands here and answered again from it, word for word. So the names of variants
/// and fields are part of what is stored: never rename one, never take one away.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(
    tag = "reason",
    rename_all = "SCREAMING_SNAKE_CASE",
    rename_all_fields = "snake_case"
)]
#[error("{}", self.reason())]
pub enum Refusal {
    /// The text can be no code.
    KeyMalformed,
    /// No key has this code.
    KeyNotFound,
    /// E-mail and password do not fit an active account.
    CredentialsInvalid,
    /// No such class, or beyond reach.
    ClassNotFound {
        /// The id asked for.
        class_id: Uuid,
    },
    /// No such student, or beyond reach.
    StudentNotFound {
        /// The id asked for.
        student_id: Uuid,
    },
    /// No such organization, or beyond reach.
    OrganizationNotFound {
        /// The id asked for.
        organization_id: Uuid,
    },
    /// No such enrollment, or beyond reach.
    EnrollmentNotFound {
        /// The id asked for.
        enrollment_id: Uuid,
    },
    /// No such recorded decision, or beyond reach.
    RedemptionNotFound {
        /// The id asked for.
        redemption_id: Uuid,
    },
    /// No such assignment, or beyond reach.
    AssignmentNotFound {
        /// The id asked for.
        assignment_id: Uuid,
    },
    /// No such pool of keys, or beyond reach.
    KeyPoolNotFound {
        /// The id asked for.
        pool_id: Uuid,
    },
    /// No such notification plan, or beyond reach.
    NotificationPlanNotFound {
        /// The id asked for.
        plan_id: Uuid,
    },
    /// No such subscription profile, or beyond reach.
    SubscriptionProfileNotFound {
        /// The id asked for.
        profile_id: Uuid,
    },
    /// The subscription profile is disabled.
    SubscriptionProfileDisabled {
        /// The profile.
        profile_id: Uuid,
    },
    /// The class was cancelled.
    ClassCancelled {
        /// The class.
        class_id: Uuid,
    },
    /// The class is tentative.
    ClassNotScheduled {
        /// The class.
        class_id: Uuid,
    },
    /// The class has begun, and this caller may do this only before that.
    ClassStarted {
        /// The class.
        class_id: Uuid,
        /// When it began.
        starts_at: DateTime<Utc>,
        /// Its zone.
        time_zone: Tz,
    },
    /// Every seat is taken.
    ClassFull {
        /// The class.
        class_id: Uuid,
        /// Its maximum students.
        maximum_students: i32,
    },
    /// The new maximum is below the seats taken.
    MaximumBelowSeatsTaken {
        /// The class.
        class_id: Uuid,
        /// The seats taken.
        seats_taken: i32,
        /// The maximum asked for.
        maximum_students: i32,
    },
    /// The time in which the key can be redeemed has not begun.
    WindowNotOpen {
        /// The pool.
        pool_id: Uuid,
        /// When it opens.
        opens_at: DateTime<Utc>,
    },
    /// The time in which the key can be redeemed, the class joined or the assignment cancelled, is over.
    WindowClosed {
        /// Of what.
        of: Closed,
        /// When it closed.
        closed_at: DateTime<Utc>,
        /// The class's zone; of what takes place nowhere, UTC.
        time_zone: Tz,
    },
    /// Something of the assignment was launched: it cannot be cancelled any more.
    AssignmentLaunched {
        /// The assignment.
        assignment_id: Uuid,
    },
    /// The assignment was cancelled.
    AssignmentCancelled {
        /// The assignment.
        assignment_id: Uuid,
    },
    /// The key was used by another student, or by as many as may use it.
    KeyAlreadyRedeemed {
        /// The key.
        key_id: Uuid,
        /// Of a key for several: how many may use it at once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_uses: Option<i32>,
    },
    /// The key was revoked, or the event key turned off.
    KeyRevoked {
        /// The key.
        key_id: Uuid,
    },
    /// The event key has a newer code.
    CodeReplaced {
        /// The key.
        key_id: Uuid,
    },
    /// Staff removed the student from the class.
    StudentBlocked {
        /// The class.
        class_id: Uuid,
        /// The student.
        student_id: Uuid,
    },
    /// An enrollment does not come from the one status into the other, or not by this caller.
    StatusUnreachable {
        /// The enrollment.
        enrollment_id: Uuid,
        /// Where it stands.
        from: Status,
        /// Where it was to stand.
        to: Status,
    },
    /// The student is in the class by another enrollment.
    StudentAlreadyIn {
        /// The class.
        class_id: Uuid,
        /// The student.
        student_id: Uuid,
    },
    /// The student is neither enrolled in the class nor auditing it.
    StudentNotIn {
        /// The class.
        class_id: Uuid,
        /// The student.
        student_id: Uuid,
    },
    /// The account is deactivated.
    StudentInactive {
        /// The student.
        student_id: Uuid,
    },
    /// The account was erased: nothing about it can be changed any more.
    StudentErased {
        /// The student.
        student_id: Uuid,
    },
    /// The student's organization is neither the owner's nor below it, or the subscription profile is not available to it.
    /// Carries no further detail, on purpose.
    OrganizationMismatch,
    /// Students of this organization do not register themselves.
    SelfRegistrationDisabled {
        /// The organization.
        organization_id: Uuid,
    },
    /// The organization's time is closed up to where it was to be closed, or further.
    PeriodClosed {
        /// The organization.
        organization_id: Uuid,
        /// Up to where it is closed, not included.
        closed_until: DateTime<Utc>,
    },
    /// The id was used before with other content.
    RequestIdReused {
        /// The id.
        id: Uuid,
    },
    /// Another account of the organization has this e-mail address.
    EmailTaken,
    /// Another account has this external identity.
    IdentityTaken,
    /// Another key has this code.
    CodeTaken,
    /// The resource was changed since the etag was read.
    EtagMismatch {
        /// What it is, for example `class`.
        resource_type: String,
        /// Its id.
        id: Uuid,
    },
}

impl Refusal {
    /// The name of the reason, as callers see it and as it is stored, for example `CLASS_FULL`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::KeyMalformed => "KEY_MALFORMED",
            Self::KeyNotFound => "KEY_NOT_FOUND",
            Self::CredentialsInvalid => "CREDENTIALS_INVALID",
            Self::ClassNotFound { .. } => "CLASS_NOT_FOUND",
            Self::StudentNotFound { .. } => "STUDENT_NOT_FOUND",
            Self::OrganizationNotFound { .. } => "ORGANIZATION_NOT_FOUND",
            Self::EnrollmentNotFound { .. } => "ENROLLMENT_NOT_FOUND",
            Self::RedemptionNotFound { .. } => "REDEMPTION_NOT_FOUND",
            Self::AssignmentNotFound { .. } => "ASSIGNMENT_NOT_FOUND",
            Self::KeyPoolNotFound { .. } => "KEY_POOL_NOT_FOUND",
            Self::NotificationPlanNotFound { .. } => "NOTIFICATION_PLAN_NOT_FOUND",
            Self::SubscriptionProfileNotFound { .. } => "SUBSCRIPTION_PROFILE_NOT_FOUND",
            Self::SubscriptionProfileDisabled { .. } => "SUBSCRIPTION_PROFILE_DISABLED",
            Self::ClassCancelled { .. } => "CLASS_CANCELLED",
            Self::ClassNotScheduled { .. } => "CLASS_NOT_SCHEDULED",
            Self::ClassStarted { .. } => "CLASS_STARTED",
            Self::ClassFull { .. } => "CLASS_FULL",
            Self::MaximumBelowSeatsTaken { .. } => "MAXIMUM_BELOW_SEATS_TAKEN",
            Self::WindowNotOpen { .. } => "WINDOW_NOT_OPEN",
            Self::WindowClosed { .. } => "WINDOW_CLOSED",
            Self::AssignmentLaunched { .. } => "ASSIGNMENT_LAUNCHED",
            Self::AssignmentCancelled { .. } => "ASSIGNMENT_CANCELLED",
            Self::KeyAlreadyRedeemed { .. } => "KEY_ALREADY_REDEEMED",
            Self::KeyRevoked { .. } => "KEY_REVOKED",
            Self::CodeReplaced { .. } => "CODE_REPLACED",
            Self::StudentBlocked { .. } => "STUDENT_BLOCKED",
            Self::StatusUnreachable { .. } => "STATUS_UNREACHABLE",
            Self::StudentAlreadyIn { .. } => "STUDENT_ALREADY_IN",
            Self::StudentNotIn { .. } => "STUDENT_NOT_IN",
            Self::StudentInactive { .. } => "STUDENT_INACTIVE",
            Self::StudentErased { .. } => "STUDENT_ERASED",
            Self::OrganizationMismatch => "ORGANIZATION_MISMATCH",
            Self::SelfRegistrationDisabled { .. } => "SELF_REGISTRATION_DISABLED",
            Self::PeriodClosed { .. } => "PERIOD_CLOSED",
            Self::RequestIdReused { .. } => "REQUEST_ID_REUSED",
            Self::EmailTaken => "EMAIL_TAKEN",
            Self::IdentityTaken => "IDENTITY_TAKEN",
            Self::CodeTaken => "CODE_TAKEN",
            Self::EtagMismatch { .. } => "ETAG_MISMATCH",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_refusal_comes_back_the_same() {
        let refusals = [
            Refusal::WindowClosed {
                of: Closed::Class(Uuid::from_u128(1)),
                closed_at: DateTime::from_timestamp(1_700_000_000, 123_456_000).unwrap(),
                time_zone: Tz::Europe__Berlin,
            },
            Refusal::OrganizationMismatch,
            Refusal::ClassFull {
                class_id: Uuid::from_u128(1),
                maximum_students: 30,
            },
        ];
        for refusal in refusals {
            let stored = serde_json::to_value(&refusal).unwrap();
            assert_eq!(
                stored["reason"],
                refusal.reason(),
                "the stored name is the name of the reason"
            );
            assert_eq!(serde_json::from_value::<Refusal>(stored).unwrap(), refusal);
        }
    }
}
