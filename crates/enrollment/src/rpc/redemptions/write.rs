//! Redemptions as messages carry them.

use latchkey_proto::enrollment::v1 as proto;
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1 as keys;

use crate::app::admission::Admitted;
use crate::app::check_key::CheckedKey;
use crate::domain::class::Class;
use crate::domain::key::KeyKind;
use crate::domain::redemption::{Outcome, Redemption};
use crate::rpc::enrollments::write::enrollment;
use crate::rpc::errors;
use crate::rpc::messages::{optional_id, stamp};
use crate::rpc::students::student;

pub(super) fn checked_key(checked: &CheckedKey) -> proto::CheckKeyResponse {
    proto::CheckKeyResponse {
        key_kind: kind(checked.kind).into(),
        opened_class: Some(opened_class(&checked.class)),
        redeemable_until: Some(stamp(checked.redeemable_until)),
        already_in: checked.already_in,
        seats_left: checked.class.seats_left(),
    }
}

pub(super) fn redeemed(admitted: &Admitted) -> proto::RedeemKeyResponse {
    let outcome = if admitted.already_in {
        proto::RedemptionOutcome::AlreadyIn
    } else {
        proto::RedemptionOutcome::Enrolled
    };
    proto::RedeemKeyResponse {
        enrollment: Some(enrollment(&admitted.enrollment)),
        opened_class: Some(opened_class(&admitted.class)),
        outcome: outcome.into(),
        replayed: admitted.replayed,
    }
}

pub(super) fn registered(admitted: Admitted) -> proto::RegisterWithKeyResponse {
    proto::RegisterWithKeyResponse {
        student: admitted.student.map(student),
        enrollment: Some(enrollment(&admitted.enrollment)),
        opened_class: Some(opened_class(&admitted.class)),
        replayed: admitted.replayed,
    }
}

pub(super) fn redemption(redemption: Redemption) -> proto::Redemption {
    let (outcome, reason) = match &redemption.outcome {
        Outcome::Enrolled => (proto::RedemptionOutcome::Enrolled, ErrorReason::Unspecified),
        Outcome::AlreadyIn { .. } => (
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
            .map_or(keys::KeyKind::Unspecified, |key| kind(key.kind))
            .into(),
        generation: key.map_or(0, |key| key.generation),
        class_id: optional_id(key.map(|key| key.class_id)),
        enrollment_id: optional_id(redemption.enrollment_id()),
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
