//! Wishes about enrollments, read from messages with all their violations at once.

use latchkey_proto::enrollment::v1 as proto;
use latchkey_service_kit::paging::PageRequest;
use latchkey_service_kit::status::ApiError;
use latchkey_service_kit::validation::Violations;
use uuid::Uuid;

use crate::app::change_status::StatusChange;
use crate::app::enroll_student::DirectEnrollment;
use crate::app::read_enrollments::{EnrollmentPlace, Whose};
use crate::domain::enrollment::Status;
use crate::rpc::messages::{optional_id, optional_text};

/// A list that is wanted.
#[derive(Debug)]
pub(super) struct List {
    pub(super) whose: Whose,
    pub(super) status: Option<&'static str>,
    pub(super) page: PageRequest<EnrollmentPlace>,
    pub(super) query: Vec<String>,
}

pub(super) fn list(message: &proto::ListEnrollmentsRequest) -> Result<List, ApiError> {
    let mut violations = Violations::of(message);
    let class_id = violations.optional_uuid("class_id", &message.class_id);
    let student_id = violations.optional_uuid("student_id", &message.student_id);
    if message.class_id.is_empty() && message.student_id.is_empty() {
        for field in ["class_id", "student_id"] {
            violations.add(field, "one of `class_id` and `student_id` must be set");
        }
    }
    let whose = match (student_id, class_id) {
        (None, class_id) => Whose::Class(class_id.unwrap_or(Uuid::nil())),
        (Some(student_id), class_id) => Whose::Student {
            student_id,
            class_id,
        },
    };
    let status = status(message.status).map(Status::as_str);
    let query = vec![
        "ListEnrollments".to_owned(),
        optional_id(class_id),
        optional_id(student_id),
        status.unwrap_or_default().to_owned(),
    ];
    let parts: Vec<&str> = query.iter().map(String::as_str).collect();
    let page = PageRequest::read(
        message.page_size,
        &message.page_token,
        &parts,
        &mut violations,
    );
    violations.finish()?;
    Ok(List {
        whose,
        status,
        page,
        query,
    })
}

/// A direct enrollment that is wanted.
pub(super) fn direct(message: &proto::EnrollStudentRequest) -> Result<DirectEnrollment, ApiError> {
    let mut violations = Violations::of(message);
    let wish = DirectEnrollment {
        request_id: violations.uuid("request_id", &message.request_id),
        class_id: violations.uuid("class_id", &message.class_id),
        student_id: violations.uuid("student_id", &message.student_id),
        status: status(message.status).unwrap_or(Status::Enrolled),
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

/// The status, unless it is unspecified. Numbers that the contract does not name are found by its rules.
fn status(number: i32) -> Option<Status> {
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

    fn message(class: u128, student: u128) -> proto::ListEnrollmentsRequest {
        let id = |id: u128| match id {
            0 => String::new(),
            id => Uuid::from_u128(id).to_string(),
        };
        proto::ListEnrollmentsRequest {
            class_id: id(class),
            student_id: id(student),
            ..Default::default()
        }
    }

    #[test]
    fn by_class_by_student_or_by_both_but_not_by_nothing() {
        let (class_id, student_id) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let whose = |class, student| list(&message(class, student)).map(|list| list.whose);
        assert_eq!(whose(1, 0).unwrap(), Whose::Class(class_id));
        let in_all = Whose::Student {
            student_id,
            class_id: None,
        };
        assert_eq!(whose(0, 2).unwrap(), in_all);
        let in_one = Whose::Student {
            student_id,
            class_id: Some(class_id),
        };
        assert_eq!(whose(1, 2).unwrap(), in_one);
        let error = whose(0, 0).unwrap_err();
        let fields: Vec<&str> = error
            .violations()
            .iter()
            .map(|violation| violation.field.as_str())
            .collect();
        assert_eq!(fields, ["class_id", "student_id"]);
    }

    #[test]
    fn every_filter_binds_the_pages() {
        let queries: Vec<Vec<String>> = [message(1, 0), message(0, 1), message(1, 2)]
            .into_iter()
            .flat_map(|message| (0..8).map(move |status| (message.clone(), status)))
            .map(|(mut message, status)| {
                message.status = status;
                list(&message).unwrap().query
            })
            .collect();
        for (index, one) in queries.iter().enumerate() {
            assert!(!queries[index + 1..].contains(one), "{one:?}");
        }
    }
}
