use tonic::Status;
use tonic_types::StatusExt;

use super::*;
use crate::context::RequestId;

/// Every reason of the contract, by trying the numbers.
fn all_reasons() -> Vec<ErrorReason> {
    (0..1_000)
        .filter_map(|number| ErrorReason::try_from(number).ok())
        .collect()
}

#[test]
fn every_reason_has_a_name_and_is_read_back_from_its_status() {
    let reasons = all_reasons();
    assert!(reasons.len() > 30, "the enum has {} values", reasons.len());
    for reason in reasons {
        assert!(!name(reason).starts_with("ERROR_REASON"), "{reason:?}");
        let status = Status::from(ApiError::new(reason, "text"));
        assert_eq!(status.code(), code(reason));
        assert_eq!(reason_of(&status), Some(reason));
    }
}

#[test]
fn a_status_of_another_domain_has_no_reason() {
    let mut details = tonic_types::ErrorDetails::new();
    details.set_error_info(
        "CLASS_FULL",
        "example.org",
        std::collections::HashMap::new(),
    );
    let status = Status::with_error_details(Code::FailedPrecondition, "", details);
    assert_eq!(reason_of(&status), None);
    assert_eq!(reason_of(&Status::internal("no details")), None);
}

#[test]
fn violations_all_arrive_and_the_message_names_the_first() {
    let status = Status::from(ApiError::invalid(vec![
        FieldViolation {
            field: "a".into(),
            description: "must be set".into(),
        },
        FieldViolation {
            field: "b[1].c".into(),
            description: "must be a UUID".into(),
        },
    ]));
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.message(), "a: must be set (and 1 more)");
    let fields: Vec<(String, String)> = status
        .get_details_bad_request()
        .unwrap()
        .field_violations
        .into_iter()
        .map(|violation| (violation.field, violation.description))
        .collect();
    assert_eq!(
        fields,
        [
            ("a".into(), "must be set".into()),
            ("b[1].c".into(), "must be a UUID".into())
        ]
    );
}

#[test]
fn preconditions_resources_metadata_and_retries_arrive() {
    let status = Status::from(
        ApiError::precondition(ErrorReason::ClassFull, "class/1", "Every seat is taken.")
            .with_resource("class", "1")
            .with_metadata("maximum_students", 30)
            .with_retry_after(Duration::from_millis(1_500)),
    );
    assert_eq!(status.code(), Code::FailedPrecondition);
    let violation = &status
        .get_details_precondition_failure()
        .unwrap()
        .violations[0];
    assert_eq!(
        (violation.r#type.as_str(), violation.subject.as_str()),
        ("CLASS_FULL", "class/1")
    );
    let resource = status.get_details_resource_info().unwrap();
    assert_eq!(
        (
            resource.resource_type.as_str(),
            resource.resource_name.as_str()
        ),
        ("class", "1")
    );
    assert_eq!(metadata_of(&status)["maximum_students"], "30");
    assert_eq!(retry_after_of(&status), Some(Duration::from_millis(1_500)));
}

#[derive(Debug, thiserror::Error)]
#[error("password=hunter2")]
struct Secret;

#[tokio::test]
async fn an_internal_failure_shows_nothing_but_the_request_id() {
    let id = RequestId::accept("abc-123").unwrap();
    let status = id
        .clone()
        .scope(async {
            Status::from(
                ApiError::new(ErrorReason::Internal, "hunter2")
                    .with_metadata("secret", "hunter2")
                    .with_resource("hunter2", "hunter2")
                    .with_source(Secret),
            )
        })
        .await;
    assert_eq!(status.message(), INTERNAL_TEXT);
    assert_eq!(
        metadata_of(&status),
        [("request_id".to_owned(), "abc-123".to_owned())].into()
    );
    let wire: http::Response<()> = status.clone().into_http();
    assert!(!format!("{:?}", wire.headers()).contains("hunter2"));
    assert!(!String::from_utf8_lossy(status.details()).contains("hunter2"));
}

#[test]
fn the_source_is_there_for_the_log_and_not_repeated_by_display() {
    let error = ApiError::unavailable(Secret);
    assert!(!error.to_string().contains("hunter2"));
    assert_eq!(
        Error::source(&error).unwrap().to_string(),
        "password=hunter2"
    );

    let status = Status::from(error);
    let failure = Error::source(&status)
        .unwrap()
        .downcast_ref::<Failure>()
        .unwrap();
    assert_eq!(failure.reason(), ErrorReason::DependencyUnavailable);
    assert_eq!(failure.to_string(), "DEPENDENCY_UNAVAILABLE");
    assert_eq!(
        Error::source(failure).unwrap().to_string(),
        "password=hunter2"
    );
}

#[test]
fn a_status_fits_into_headers_however_many_fields_are_at_fault() {
    let violations = |count: usize| -> Vec<FieldViolation> {
        (0..count)
            .map(|number| FieldViolation {
                field: format!("codes[{number}]"),
                description: "must be 6 to 64 characters".into(),
            })
            .collect()
    };
    let told = |count: usize| {
        let status = Status::from(ApiError::invalid(violations(count)));
        let size = status.details().len() + status.message().len();
        assert!(size * 4 / 3 < 8 * 1024, "{size} bytes");
        let details = status.get_error_details();
        details.bad_request().unwrap().field_violations.clone()
    };
    assert_eq!(told(50).len(), 50);
    let many = told(100_000);
    let last = many.last().unwrap();
    assert_eq!(last.field, "...");
    let left_out = 100_000 - (many.len() - 1);
    assert_eq!(
        last.description,
        format!("{left_out} more violations are not shown")
    );
}
