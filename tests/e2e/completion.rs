//! How far a student came is recorded by staff, of those who are in.

use latchkey_proto::enrollment::v1::{
    CompletionStatus, EnrollmentStatus, SetCompletionRequest, SetCompletionResponse,
};
use latchkey_proto::errors::v1::ErrorReason;
use tonic::{Response, Status};

use crate::harness::{ClassDraft, Organization, Stack, refused};
use crate::statuses::{get, put};

async fn set(
    organization: &Organization<'_>,
    enrollment_id: &str,
    completion: CompletionStatus,
    etag: &str,
) -> Result<Response<SetCompletionResponse>, Status> {
    let request = SetCompletionRequest {
        enrollment_id: enrollment_id.to_owned(),
        completion: completion.into(),
        etag: etag.to_owned(),
    };
    let mut enrollments = organization.admin().enrollments();
    enrollments.set_completion(request).await
}

#[tokio::test]
async fn staff_record_how_far_each_student_came_who_is_in() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let class = organization.class(ClassDraft::new().running()).await;
    for status in [EnrollmentStatus::Enrolled, EnrollmentStatus::Audit] {
        let student = organization.student().await.student_id;
        let begun = put(&organization, &class.class_id, &student, status).await;
        assert_eq!(begun.completion(), CompletionStatus::Unknown);
        let id = begun.enrollment_id.as_str();
        let mut etag = begun.etag.clone();
        for completion in [
            CompletionStatus::Attending,
            CompletionStatus::Incomplete,
            CompletionStatus::Failed,
            CompletionStatus::NoShow,
            CompletionStatus::Complete,
        ] {
            let answer = set(&organization, id, completion, &etag).await;
            let changed = answer.expect("recorded").into_inner().enrollment;
            let changed = changed.expect("an enrollment");
            assert_eq!(changed.completion(), completion);
            assert_eq!(changed.status_time, begun.status_time);
            // So already: left as it is, whatever the etag.
            let again = set(&organization, id, completion, &etag).await;
            let again = again.expect("so already").into_inner().enrollment;
            assert_eq!(again, Some(changed.clone()));
            let stale = set(&organization, id, CompletionStatus::Unknown, &etag).await;
            refused(stale, ErrorReason::EtagMismatch);
            etag = changed.etag;
        }
        let shown = get(&organization, &begun).await;
        assert_eq!(shown.completion(), CompletionStatus::Complete);
    }
    stack.finish().await;
}

#[tokio::test]
async fn who_is_not_in_has_nothing_to_complete() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let class = organization.class(ClassDraft::new()).await;
    for status in [EnrollmentStatus::Requested, EnrollmentStatus::WaitListed] {
        let student = organization.student().await.student_id;
        let waits = put(&organization, &class.class_id, &student, status).await;
        let id = waits.enrollment_id.as_str();
        let answer = set(&organization, id, CompletionStatus::Complete, "").await;
        refused(answer, ErrorReason::StudentNotIn);
        organization.cancel(id, "no").await;
        let answer = set(&organization, id, CompletionStatus::NoShow, "").await;
        refused(answer, ErrorReason::StudentNotIn);
    }
    stack.finish().await;
}
