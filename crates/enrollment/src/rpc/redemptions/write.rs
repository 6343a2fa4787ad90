//! Redemptions as messages carry them.

use latchkey_proto::enrollment::v1 as proto;
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1 as keys;

use crate::app::redemption::admission::{Admitted, Gain, Granted};
use crate::app::redemption::check_key::{CheckedKey, Opening};
use crate::domain::class::Class;
use crate::domain::key::KeyKind;
use crate::domain::redemption::{Opened, Outcome, Redemption};
use crate::rpc::assignments::{Message, courses, of_kind};
use crate::rpc::enrollments::write::enrollment;
use crate::rpc::errors;
use crate::rpc::messages::{optional_id, stamp};
use crate::rpc::students::student;

pub(super) fn checked_key(checked: CheckedKey) -> proto::CheckKeyResponse {
    let mut answer = proto::CheckKeyResponse {
        redeemable_until: checked.redeemable_until.map(stamp),
        already_in: checked.already_in,
        ..proto::CheckKeyResponse::default()
    };
    match checked.opens {
        Opening::Class { kind: of, class } => {
            answer.set_key_kind(kind(of));
            answer.seats_left = class.seats_left();
            answer.opened_class = Some(opened_class(&class));
        }
        Opening::Course {
            organization_id,
            terms,
            expires_at,
        } => {
            answer.set_key_kind(keys::KeyKind::Pool);
            answer.opened_course = Some(proto::OpenedCourse {
                pool_id: terms.pool_id.to_string(),
                organization_id: organization_id.to_string(),
                course_id: terms.course_id,
                course_name: terms.course_name,
                expire_time: Some(stamp(expires_at)),
            });
        }
        Opening::Subscription {
            profile,
            expires_at,
            uses_left,
        } => {
            answer.set_key_kind(keys::KeyKind::Subscription);
            answer.opened_subscription = Some(proto::OpenedSubscription {
                profile_id: profile.id.to_string(),
                organization_id: profile.organization_id.to_string(),
                profile_name: profile.settings.name.clone(),
                courses: courses(&profile.settings.courses),
                expire_time: Some(stamp(expires_at)),
                uses_left: uses_left.map(|left| i32::try_from(left).unwrap_or(i32::MAX)),
            });
        }
    }
    answer
}

pub(super) fn redeemed(admitted: Admitted) -> proto::RedeemKeyResponse {
    let outcome = match admitted.outcome {
        Granted::Enrolled => proto::RedemptionOutcome::Enrolled,
        Granted::WaitListed => proto::RedemptionOutcome::WaitListed,
        Granted::Assigned => proto::RedemptionOutcome::Assigned,
        Granted::AlreadyIn => proto::RedemptionOutcome::AlreadyIn,
    };
    let granted = Grant::of(admitted.gain);
    proto::RedeemKeyResponse {
        enrollment: granted.enrollment,
        opened_class: granted.opened_class,
        course_assignment: granted.course_assignment,
        subscription_assignment: granted.subscription_assignment,
        outcome: outcome.into(),
        replayed: admitted.replayed,
    }
}

pub(super) fn registered(admitted: Admitted) -> proto::RegisterWithKeyResponse {
    let granted = Grant::of(admitted.gain);
    proto::RegisterWithKeyResponse {
        student: admitted.student.map(student),
        enrollment: granted.enrollment,
        opened_class: granted.opened_class,
        course_assignment: granted.course_assignment,
        subscription_assignment: granted.subscription_assignment,
        replayed: admitted.replayed,
    }
}

/// What was granted, as both answers carry it.
#[derive(Default)]
struct Grant {
    enrollment: Option<proto::Enrollment>,
    opened_class: Option<proto::OpenedClass>,
    course_assignment: Option<proto::CourseAssignment>,
    subscription_assignment: Option<proto::SubscriptionAssignment>,
}

impl Grant {
    fn of(gain: Gain) -> Self {
        match gain {
            Gain::Enrollment {
                enrollment: one,
                class,
            } => Self {
                enrollment: Some(enrollment(&one)),
                opened_class: Some(opened_class(&class)),
                ..Self::default()
            },
            Gain::Assignment(assignment) => match of_kind(assignment) {
                Message::Course(one) => Self {
                    course_assignment: Some(one),
                    ..Self::default()
                },
                Message::Subscription(one) => Self {
                    subscription_assignment: Some(one),
                    ..Self::default()
                },
            },
        }
    }
}

pub(super) fn redemption(redemption: Redemption) -> proto::Redemption {
    let (outcome, reason) = match &redemption.outcome {
        Outcome::Enrolled => (proto::RedemptionOutcome::Enrolled, ErrorReason::Unspecified),
        Outcome::WaitListed => (
            proto::RedemptionOutcome::WaitListed,
            ErrorReason::Unspecified,
        ),
        Outcome::Assigned => (proto::RedemptionOutcome::Assigned, ErrorReason::Unspecified),
        Outcome::AlreadyIn { .. } | Outcome::AlreadyAssigned { .. } => (
            proto::RedemptionOutcome::AlreadyIn,
            ErrorReason::Unspecified,
        ),
        Outcome::Refused(refusal) => (proto::RedemptionOutcome::Refused, errors::reason(refusal)),
    };
    let key = redemption.key.as_ref();
    proto::Redemption {
        redemption_id: redemption.id.to_string(),
        outcome: outcome.into(),
        reason: reason.into(),
        registration: redemption.registration,
        organization_id: redemption.organization_id.to_string(),
        student_id: optional_id(redemption.student_id),
        key_id: optional_id(key.map(|key| key.key_id)),
        key_kind: key
            .map_or(keys::KeyKind::Unspecified, |key| match key.opened {
                Opened::Class { kind: of, .. } => kind(of),
                Opened::Pool { .. } => keys::KeyKind::Pool,
                Opened::Subscription { .. } => keys::KeyKind::Subscription,
            })
            .into(),
        generation: key.map_or(0, |key| key.generation),
        class_id: optional_id(key.and_then(|key| key.opened.class_id())),
        pool_id: optional_id(key.and_then(|key| key.opened.pool_id())),
        profile_id: optional_id(key.and_then(|key| key.opened.profile_id())),
        enrollment_id: optional_id(redemption.enrollment_id()),
        assignment_id: optional_id(redemption.assignment_id()),
        decide_time: Some(stamp(redemption.decided_at)),
        caller: redemption.caller,
    }
}

fn opened_class(class: &Class) -> proto::OpenedClass {
    proto::OpenedClass {
        class_id: class.id.to_string(),
        organization_id: class.organization_id.to_string(),
        course_id: class.course_id.clone(),
        course_name: class.course_name.clone(),
        name: class.name.clone(),
        start_time: Some(stamp(class.starts_at)),
        end_time: Some(stamp(class.ends_at)),
        time_zone: class.time_zone.name().to_owned(),
        access_until: Some(stamp(class.access_until())),
    }
}

fn kind(kind: KeyKind) -> keys::KeyKind {
    match kind {
        KeyKind::Enrollment => keys::KeyKind::Enrollment,
        KeyKind::Event => keys::KeyKind::Event,
    }
}
