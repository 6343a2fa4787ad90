//! Enrollments, rosters and access answers as messages carry them.

use latchkey_proto::enrollment::v1 as proto;
use latchkey_proto::keys::v1 as keys;
use latchkey_service_kit::etag;

use crate::app::enrollments::enroll_students::Outcome;
use crate::app::enrollments::get_access::{Access, CourseAccess};
use crate::domain::assignment;
use crate::domain::class_access::Denial;
use crate::domain::enrollment::{CancelledBy, Completion, Enrollment, Origin, Status};
use crate::domain::key::KeyKind;
use crate::rpc::assignments::{Message, of_kind};
use crate::rpc::errors;
use crate::rpc::messages::stamp;

/// An enrollment.
pub(in crate::rpc) fn enrollment(enrollment: &Enrollment) -> proto::Enrollment {
    let cancelled_by = match enrollment.cancelled_by {
        None => proto::CancelledBy::Unspecified,
        Some(CancelledBy::Student) => proto::CancelledBy::Student,
        Some(CancelledBy::Staff) => proto::CancelledBy::Staff,
        Some(CancelledBy::Class) => proto::CancelledBy::Class,
        Some(CancelledBy::Erasure) => proto::CancelledBy::Erasure,
        Some(CancelledBy::Redemption) => proto::CancelledBy::Redemption,
    };
    let cancelled_at = enrollment.cancelled_by.map(|_| enrollment.status_since);
    proto::Enrollment {
        enrollment_id: enrollment.id.to_string(),
        class_id: enrollment.class_id.to_string(),
        student_id: enrollment.student_id.to_string(),
        status: status(enrollment.status).into(),
        origin: Some(origin(enrollment.origin)),
        enroll_time: Some(stamp(enrollment.enrolled_at)),
        cancel_time: cancelled_at.map(stamp),
        cancelled_by: cancelled_by.into(),
        status_time: Some(stamp(enrollment.status_since)),
        etag: etag::format(enrollment.id, enrollment.version),
        completion: completion(enrollment.completion).into(),
        late_cancellation: enrollment.late_cancellation,
    }
}

/// What became of one of many students.
pub(super) fn outcome(outcome: Outcome) -> proto::EnrollmentOutcome {
    let student_id = outcome.student_id.to_string();
    match outcome.enrolled {
        Ok(enrolled) => proto::EnrollmentOutcome {
            student_id,
            enrollment: Some(enrollment(&enrolled.enrollment)),
            already_in: enrolled.already_in,
            ..proto::EnrollmentOutcome::default()
        },
        Err(refusal) => {
            let error = errors::api_error(refusal.into());
            proto::EnrollmentOutcome {
                student_id,
                reason: error.reason().into(),
                message: error.message().to_owned(),
                ..proto::EnrollmentOutcome::default()
            }
        }
    }
}

fn completion(completion: Completion) -> proto::CompletionStatus {
    match completion {
        Completion::Unknown => proto::CompletionStatus::Unknown,
        Completion::Attending => proto::CompletionStatus::Attending,
        Completion::Complete => proto::CompletionStatus::Complete,
        Completion::Incomplete => proto::CompletionStatus::Incomplete,
        Completion::NoShow => proto::CompletionStatus::NoShow,
        Completion::Failed => proto::CompletionStatus::Failed,
    }
}

pub(in crate::rpc) fn status(status: Status) -> proto::EnrollmentStatus {
    match status {
        Status::Requested => proto::EnrollmentStatus::Requested,
        Status::WaitListed => proto::EnrollmentStatus::WaitListed,
        Status::Approved => proto::EnrollmentStatus::Approved,
        Status::Denied => proto::EnrollmentStatus::Denied,
        Status::Audit => proto::EnrollmentStatus::Audit,
        Status::Enrolled => proto::EnrollmentStatus::Enrolled,
        Status::Cancelled => proto::EnrollmentStatus::Cancelled,
    }
}

/// How a student came.
pub(in crate::rpc) fn origin(origin: Origin) -> proto::EnrollmentOrigin {
    match origin {
        Origin::Direct => proto::EnrollmentOrigin::default(),
        Origin::Key {
            key_id,
            kind,
            generation,
        } => proto::EnrollmentOrigin {
            key_kind: match kind {
                KeyKind::Enrollment => keys::KeyKind::Enrollment,
                KeyKind::Event => keys::KeyKind::Event,
            }
            .into(),
            key_id: key_id.to_string(),
            generation,
        },
    }
}

/// An access answer.
pub(super) fn access(access: &Access) -> proto::GetAccessResponse {
    let denial = match access.denial {
        None => proto::AccessDenial::Unspecified,
        Some(Denial::ClassCancelled) => proto::AccessDenial::ClassCancelled,
        Some(Denial::NotEnrolled) => proto::AccessDenial::NotEnrolled,
        Some(Denial::NotStarted) => proto::AccessDenial::NotStarted,
        Some(Denial::Expired) => proto::AccessDenial::Expired,
        Some(Denial::StudentInactive) => proto::AccessDenial::StudentInactive,
    };
    let place = access.place.as_ref();
    proto::GetAccessResponse {
        allowed: access.denial.is_none(),
        denial: denial.into(),
        access_from: place.map(|place| stamp(place.from)),
        access_until: place.map(|place| stamp(place.until)),
        enrollment: place.map(|place| enrollment(&place.enrollment)),
        course_assignment: None,
        subscription_assignment: None,
    }
}

/// An access answer about a course.
pub(super) fn course_access(access: CourseAccess) -> proto::GetAccessResponse {
    let denial = match access.denial {
        None => proto::AccessDenial::Unspecified,
        Some(assignment::Denial::NotAssigned) => proto::AccessDenial::NotAssigned,
        Some(assignment::Denial::Expired) => proto::AccessDenial::Expired,
        Some(assignment::Denial::StudentInactive) => proto::AccessDenial::StudentInactive,
    };
    let assignment = access.assignment.as_ref();
    let mut answer = proto::GetAccessResponse {
        allowed: access.denial.is_none(),
        denial: denial.into(),
        access_from: assignment.map(|one| stamp(one.assigned_at)),
        access_until: assignment.map(|one| stamp(one.expires_at)),
        ..proto::GetAccessResponse::default()
    };
    match access.assignment.map(of_kind) {
        Some(Message::Course(one)) => answer.course_assignment = Some(one),
        Some(Message::Subscription(one)) => answer.subscription_assignment = Some(one),
        None => {}
    }
    answer
}
