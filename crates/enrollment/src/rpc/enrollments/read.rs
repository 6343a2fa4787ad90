//! Wishes about enrollments, read from messages with all their violations at once.

use std::collections::HashSet;

use latchkey_proto::enrollment::v1 as proto;
use latchkey_service_kit::paging::PageRequest;
use latchkey_service_kit::status::ApiError;
use latchkey_service_kit::validation::Violations;
use uuid::Uuid;

use crate::app::enrollments::cancel_enrollment::Cancellation;
use crate::app::enrollments::change_status::StatusChange;
use crate::app::enrollments::enroll_student::DirectEnrollment;
use crate::app::enrollments::enroll_students::ManyEnrollments;
use crate::app::enrollments::move_enrollment::Move;
use crate::app::enrollments::read_enrollments::{EnrollmentFilter, EnrollmentPlace};
use crate::app::enrollments::set_completion::CompletionChange;
use crate::domain::enrollment::{Completion, Status};
use crate::domain::prefix::Prefix;
use crate::rpc::messages::{optional_id, optional_text, prefix};

/// A list that is wanted.
#[derive(Debug)]
pub(super) struct List {
    pub(super) filter: EnrollmentFilter,
    pub(super) page: PageRequest<EnrollmentPlace>,
}

pub(super) fn list(message: &proto::ListEnrollmentsRequest) -> Result<List, ApiError> {
    let mut violations = Violations::of(message);
    let filter = filter(&mut violations, message);
    let text = |prefix: Option<&Prefix>| prefix.map_or("", Prefix::first).to_owned();
    let query = vec![
        "ListEnrollments".to_owned(),
        optional_id(filter.class_id),
        optional_id(filter.student_id),
        optional_id(filter.organization_id),
        filter.status.unwrap_or_default().to_owned(),
        format!("{:?} {:?}", filter.status_from, filter.status_until),
        text(filter.name.as_ref()),
        text(filter.email.as_ref()),
    ];
    let page = PageRequest::read(
        message.page_size,
        &message.page_token,
        &query,
        &mut violations,
    );
    violations.finish()?;
    Ok(List { filter, page })
}

fn filter(
    violations: &mut Violations,
    message: &proto::ListEnrollmentsRequest,
) -> EnrollmentFilter {
    let ids = [
        ("class_id", &message.class_id),
        ("student_id", &message.student_id),
        ("organization_id", &message.organization_id),
    ];
    if ids.iter().all(|(_, id)| id.is_empty()) {
        for (field, _) in ids {
            violations.add(
                field,
                "one of `class_id`, `student_id` and `organization_id` must be set",
            );
        }
    }
    let [class_id, student_id, organization_id] =
        ids.map(|(field, id)| violations.optional_uuid(field, id));
    EnrollmentFilter {
        class_id,
        student_id,
        organization_id,
        status: status(message.status).map(Status::as_str),
        status_from: violations.optional_timestamp("status_from", message.status_from.as_ref()),
        status_until: violations.optional_timestamp("status_until", message.status_until.as_ref()),
        name: prefix(
            violations,
            "student_name_prefix",
            &message.student_name_prefix,
        ),
        email: prefix(
            violations,
            "student_email_prefix",
            &message.student_email_prefix,
        ),
    }
}

/// A direct enrollment that is wanted.
pub(super) fn direct(message: &proto::EnrollStudentRequest) -> Result<DirectEnrollment, ApiError> {
    let mut violations = Violations::of(message);
    let wish = DirectEnrollment {
        request_id: violations.own_id("request_id", &message.request_id),
        class_id: violations.uuid("class_id", &message.class_id),
        student_id: violations.uuid("student_id", &message.student_id),
        status: status(message.status).unwrap_or(Status::Enrolled),
    };
    violations.finish()?;
    Ok(wish)
}

/// Direct enrollments that are wanted.
pub(super) fn many(
    message: &proto::BatchEnrollStudentsRequest,
) -> Result<ManyEnrollments, ApiError> {
    const STUDENTS: &str = "student_ids";
    let mut violations = Violations::of(message);
    let student_ids: Vec<Uuid> = message
        .student_ids
        .iter()
        .enumerate()
        .map(|(index, id)| violations.uuid(&format!("{STUDENTS}[{index}]"), id))
        .collect();
    let distinct: HashSet<&Uuid> = student_ids.iter().collect();
    if distinct.len() < student_ids.len() && violations.is_empty() {
        violations.add(STUDENTS, "must not name anybody twice");
    }
    let wish = ManyEnrollments {
        request_id: violations.own_id("request_id", &message.request_id),
        class_id: violations.uuid("class_id", &message.class_id),
        student_ids,
        status: status(message.status).unwrap_or(Status::Enrolled),
    };
    violations.finish()?;
    Ok(wish)
}

/// A move that is wanted.
pub(super) fn moving(message: &proto::MoveEnrollmentRequest) -> Result<Move<'_>, ApiError> {
    let mut violations = Violations::of(message);
    let wish = Move {
        enrollment_id: violations.uuid("enrollment_id", &message.enrollment_id),
        class_id: violations.uuid("class_id", &message.class_id),
        reason: violations.line("reason", &message.reason),
        etag: optional_text(&message.etag),
    };
    violations.finish()?;
    Ok(wish)
}

/// A change of status that is wanted.
pub(super) fn change(
    message: &proto::ChangeEnrollmentStatusRequest,
) -> Result<StatusChange<'_>, ApiError> {
    let mut violations = Violations::of(message);
    let wish = StatusChange {
        enrollment_id: violations.uuid("enrollment_id", &message.enrollment_id),
        // One that is missing, or that nothing is changed into, is found by the contract's rules.
        to: status(message.status).unwrap_or(Status::Cancelled),
        reason: violations.line("reason", &message.reason),
        etag: optional_text(&message.etag),
    };
    violations.finish()?;
    Ok(wish)
}

/// A cancellation that is wanted.
pub(super) fn cancellation(
    message: &proto::CancelEnrollmentRequest,
) -> Result<Cancellation<'_>, ApiError> {
    let mut violations = Violations::of(message);
    let replacement = &message.replacement_enrollment_id;
    let wish = Cancellation {
        enrollment_id: violations.uuid("enrollment_id", &message.enrollment_id),
        reason: violations.line("reason", &message.reason),
        replacement_id: violations.optional_uuid("replacement_enrollment_id", replacement),
    };
    violations.finish()?;
    Ok(wish)
}

/// A completion that is to be recorded.
pub(super) fn completion(
    message: &proto::SetCompletionRequest,
) -> Result<CompletionChange<'_>, ApiError> {
    let mut violations = Violations::of(message);
    let wish = CompletionChange {
        enrollment_id: violations.uuid("enrollment_id", &message.enrollment_id),
        // One that is missing or unknown is found by the contract's rules.
        completion: match proto::CompletionStatus::try_from(message.completion) {
            Ok(proto::CompletionStatus::Attending) => Completion::Attending,
            Ok(proto::CompletionStatus::Complete) => Completion::Complete,
            Ok(proto::CompletionStatus::Incomplete) => Completion::Incomplete,
            Ok(proto::CompletionStatus::NoShow) => Completion::NoShow,
            Ok(proto::CompletionStatus::Failed) => Completion::Failed,
            Ok(proto::CompletionStatus::Unknown | proto::CompletionStatus::Unspecified)
            | Err(_) => Completion::Unknown,
        },
        etag: optional_text(&message.etag),
    };
    violations.finish()?;
    Ok(wish)
}

/// The status, unless it is unspecified. Numbers that the contract does not name are found by its rules.
pub(in crate::rpc) fn status(number: i32) -> Option<Status> {
    match proto::EnrollmentStatus::try_from(number).ok()? {
        proto::EnrollmentStatus::Unspecified => None,
        proto::EnrollmentStatus::Enrolled => Some(Status::Enrolled),
        proto::EnrollmentStatus::Cancelled => Some(Status::Cancelled),
        proto::EnrollmentStatus::Requested => Some(Status::Requested),
        proto::EnrollmentStatus::WaitListed => Some(Status::WaitListed),
        proto::EnrollmentStatus::Approved => Some(Status::Approved),
        proto::EnrollmentStatus::Denied => Some(Status::Denied),
        proto::EnrollmentStatus::Audit => Some(Status::Audit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(class: u128, student: u128, organization: u128) -> proto::ListEnrollmentsRequest {
        let id = |id: u128| match id {
            0 => String::new(),
            id => Uuid::from_u128(id).to_string(),
        };
        proto::ListEnrollmentsRequest {
            class_id: id(class),
            student_id: id(student),
            organization_id: id(organization),
            ..Default::default()
        }
    }

    #[test]
    fn by_class_student_or_organization_but_not_by_nothing() {
        for (class, student, organization) in [(1, 0, 0), (0, 2, 0), (0, 0, 3), (1, 2, 3)] {
            let filter = list(&message(class, student, organization)).unwrap().filter;
            let id = |id| (id != 0).then(|| Uuid::from_u128(id));
            assert_eq!(filter.class_id, id(class));
            assert_eq!(filter.student_id, id(student));
            assert_eq!(filter.organization_id, id(organization));
        }
        let error = list(&message(0, 0, 0)).unwrap_err();
        let fields: Vec<&str> = error
            .violations()
            .iter()
            .map(|violation| violation.field.as_str())
            .collect();
        assert_eq!(fields, ["class_id", "student_id", "organization_id"]);
    }

    #[test]
    fn a_beginning_is_folded_and_not_blank() {
        let mut message = message(1, 0, 0);
        message.student_name_prefix = " \u{c4}r".to_owned();
        let filter = list(&message).unwrap().filter;
        assert_eq!(filter.name.unwrap().first(), "\u{e4}r");
        message.student_name_prefix = " ".to_owned();
        assert!(list(&message).is_err());
    }

    #[test]
    fn every_filter_binds_the_pages() {
        let ids = [
            message(1, 0, 0),
            message(0, 1, 0),
            message(0, 0, 1),
            message(1, 2, 3),
        ];
        let mut messages: Vec<proto::ListEnrollmentsRequest> = ids
            .into_iter()
            .flat_map(|message| (0..8).map(move |status| (message.clone(), status)))
            .map(|(message, status)| proto::ListEnrollmentsRequest { status, ..message })
            .collect();
        let time = Some(prost_types::Timestamp::default());
        let text = "ann".to_owned();
        messages.extend([
            proto::ListEnrollmentsRequest {
                status_from: time,
                ..message(1, 0, 0)
            },
            proto::ListEnrollmentsRequest {
                status_until: time,
                ..message(1, 0, 0)
            },
            proto::ListEnrollmentsRequest {
                student_name_prefix: text.clone(),
                ..message(1, 0, 0)
            },
            proto::ListEnrollmentsRequest {
                student_email_prefix: text,
                ..message(1, 0, 0)
            },
        ]);
        let pages: Vec<_> = messages
            .iter()
            .map(|message| list(message).unwrap().page)
            .collect();
        for (index, one) in pages.iter().enumerate() {
            assert!(!pages[index + 1..].contains(one), "{one:?}");
        }
    }
}
