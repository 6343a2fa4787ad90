use latchkey_service_kit::status::metadata_of;
use tonic::Code;
use tonic_types::StatusExt;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::*;

fn of_enrollments() -> Vec<Refusal> {
    let id = Uuid::from_u128(7);
    vec![
        Refusal::StatusUnreachable {
            enrollment_id: id,
            from: crate::domain::enrollment::Status::Enrolled,
            to: crate::domain::enrollment::Status::Denied,
        },
        Refusal::StudentAlreadyIn {
            class_id: id,
            student_id: id,
        },
        Refusal::StudentNotIn {
            class_id: id,
            student_id: id,
        },
    ]
}

fn every_refusal() -> Vec<Refusal> {
    let id = Uuid::from_u128(7);
    let time: DateTime<Utc> = "2026-06-02T15:00:00Z".parse().unwrap();
    let zone = Tz::Europe__Berlin;
    vec![
        Refusal::KeyMalformed,
        Refusal::KeyNotFound,
        Refusal::CredentialsInvalid,
        Refusal::ClassNotFound { class_id: id },
        Refusal::StudentNotFound { student_id: id },
        Refusal::OrganizationNotFound {
            organization_id: id,
        },
        Refusal::EnrollmentNotFound { enrollment_id: id },
        Refusal::RedemptionNotFound { redemption_id: id },
        Refusal::NotificationPlanNotFound { plan_id: id },
        Refusal::ClassCancelled { class_id: id },
        Refusal::ClassNotScheduled { class_id: id },
        Refusal::ClassStarted {
            class_id: id,
            starts_at: time,
            time_zone: zone,
        },
        Refusal::ClassFull {
            class_id: id,
            maximum_students: 30,
        },
        Refusal::MaximumBelowSeatsTaken {
            class_id: id,
            seats_taken: 12,
            maximum_students: 10,
        },
        Refusal::WindowClosed {
            of: Closed::Class(id),
            closed_at: time,
            time_zone: zone,
        },
        Refusal::KeyAlreadyRedeemed {
            key_id: id,
            max_uses: None,
        },
        Refusal::KeyAlreadyRedeemed {
            key_id: id,
            max_uses: Some(3),
        },
        Refusal::KeyRevoked { key_id: id },
        Refusal::CodeReplaced { key_id: id },
        Refusal::StudentBlocked {
            class_id: id,
            student_id: id,
        },
        Refusal::StudentInactive { student_id: id },
        Refusal::StudentErased { student_id: id },
        Refusal::OrganizationMismatch,
        Refusal::RequestIdReused { id },
        Refusal::EmailTaken,
        Refusal::IdentityTaken,
        Refusal::CodeTaken,
        Refusal::EtagMismatch {
            resource_type: "class".into(),
            id,
        },
    ]
    .into_iter()
    .chain(of_organizations(id, time))
    .chain(of_enrollments())
    .collect()
}

/// Those about pools and their assignments.
fn of_courses() -> Vec<Refusal> {
    let id = Uuid::from_u128(7);
    let time: DateTime<Utc> = "2026-06-02T15:00:00Z".parse().unwrap();
    vec![
        Refusal::WindowNotOpen {
            pool_id: id,
            opens_at: time,
        },
        Refusal::WindowClosed {
            of: Closed::Pool(id),
            closed_at: time,
            time_zone: Tz::UTC,
        },
        Refusal::WindowClosed {
            of: Closed::Assignment(id),
            closed_at: time,
            time_zone: Tz::UTC,
        },
        Refusal::AssignmentNotFound { assignment_id: id },
        Refusal::SubscriptionProfileNotFound { profile_id: id },
        Refusal::SubscriptionProfileDisabled { profile_id: id },
        Refusal::AssignmentLaunched { assignment_id: id },
        Refusal::AssignmentCancelled { assignment_id: id },
    ]
}

fn of_organizations(organization_id: Uuid, closed_until: DateTime<Utc>) -> [Refusal; 2] {
    [
        Refusal::SelfRegistrationDisabled { organization_id },
        Refusal::PeriodClosed {
            organization_id,
            closed_until,
        },
    ]
}

#[test]
fn every_refusal_has_its_reason_code_and_words() {
    for refusal in every_refusal().into_iter().chain(of_courses()) {
        let error = api_error(refusal.clone().into());
        assert_ne!(
            error.reason(),
            ErrorReason::Internal,
            "{}",
            refusal.reason()
        );
        assert_eq!(
            latchkey_service_kit::status::name(error.reason()),
            refusal.reason()
        );
        assert_ne!(error.code(), Code::Internal, "{}", refusal.reason());
        assert!(error.message().len() > 10, "{}", refusal.reason());
    }
}

#[test]
fn a_closed_window_is_told_in_the_zone_of_the_class() {
    let closed_at = "2026-06-02T15:00:00Z".parse().unwrap();
    let refusal = Refusal::WindowClosed {
        of: Closed::Class(Uuid::from_u128(7)),
        closed_at,
        time_zone: Tz::Europe__Berlin,
    };
    let status = Status::from(Error::from(refusal));
    assert!(
        status
            .message()
            .contains("2 June 2026, 17:00 (Europe/Berlin)"),
        "{}",
        status.message()
    );
    let metadata = metadata_of(&status);
    assert_eq!(metadata["closed_at"], "2026-06-02T17:00:00+02:00");
    assert_eq!(metadata["time_zone"], "Europe/Berlin");
    let violations = status
        .get_details_precondition_failure()
        .unwrap()
        .violations;
    assert_eq!(violations[0].r#type, "WINDOW_CLOSED");
    assert_eq!(
        violations[0].subject,
        format!("class/{}", Uuid::from_u128(7))
    );
}

#[test]
fn a_wrong_guess_learns_nothing() {
    for refusal in [Refusal::OrganizationMismatch, Refusal::KeyNotFound] {
        let status = Status::from(Error::from(refusal));
        assert!(metadata_of(&status).is_empty());
        assert!(status.get_details_precondition_failure().is_none());
        let named = status
            .get_details_resource_info()
            .map(|info| info.resource_name)
            .unwrap_or_default();
        assert_eq!(named, "");
    }
}

#[test]
fn a_fault_of_ours_tells_callers_nothing() {
    let secret = std::io::Error::other("password=hunter2");
    let status = Status::from(Error::internal(secret));
    assert_eq!(status.code(), Code::Internal);
    assert!(!format!("{} {:?}", status.message(), status.get_error_details()).contains("hunter2"));
}
