//! Reasons that are about a class, its seats and its windows.

use latchkey_proto::enrollment::v1::{
    CancelClassRequest, CancelEnrollmentRequest, ChangeEnrollmentStatusRequest, ClassStatus,
    CompletionStatus, CreateClassRequest, EnrollStudentRequest, EnrollmentStatus, GetClassRequest,
    GetEnrollmentRequest, GetNotificationPlanRequest, SetCompletionRequest, UpdateClassRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::{GenerateTrainingKeysRequest, SetEventKeyRequest};

use super::Provoked;
use crate::harness::world::{come_in, generated, mask, redeem};
use crate::harness::{ClassDraft, Organization, Stack, new_id};

pub(super) async fn provoke(provoked: &mut Provoked) {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    missing(provoked, &organization).await;
    telling(provoked, &organization).await;
    cancelled(provoked, &organization).await;
    windows(provoked, &organization).await;
    seats(provoked, &organization).await;
    statuses(provoked, &organization).await;
    changes(provoked, &organization).await;
    stack.finish().await;
}

async fn missing(provoked: &mut Provoked, organization: &Organization<'_>) {
    let admin = organization.admin();
    let request = GetClassRequest { class_id: new_id() };
    provoked.keep(
        "no such class",
        ErrorReason::ClassNotFound,
        admin.classes().get_class(request).await,
    );
    let request = GenerateTrainingKeysRequest {
        request_id: new_id(),
        class_id: new_id(),
        count: 1,
        omit_keys: false,
    };
    let answer = admin.training_keys().generate_training_keys(request).await;
    provoked.keep("keys for no such class", ErrorReason::ClassNotFound, answer);
    let request = GetEnrollmentRequest {
        enrollment_id: new_id(),
    };
    let answer = admin.enrollments().get_enrollment(request).await;
    provoked.keep(
        "no such enrollment",
        ErrorReason::EnrollmentNotFound,
        answer,
    );
}

async fn telling(provoked: &mut Provoked, organization: &Organization<'_>) {
    let request = GetNotificationPlanRequest { plan_id: new_id() };
    let mut admin = organization.admin().notifications();
    let answer = admin.get_notification_plan(request).await;
    provoked.keep(
        "no such plan",
        ErrorReason::NotificationPlanNotFound,
        answer,
    );
}

async fn cancelled(provoked: &mut Provoked, organization: &Organization<'_>) {
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let student = organization.student().await.student_id;
    let class_id = class.class_id;
    let cancel = CancelClassRequest {
        class_id: class_id.clone(),
        ..CancelClassRequest::default()
    };
    organization
        .admin()
        .classes()
        .cancel_class(cancel)
        .await
        .expect("cancelled");
    let answer = redeem(organization.stack, &student, &code).await;
    provoked.keep("redeem", ErrorReason::ClassCancelled, answer);
    let change = UpdateClassRequest {
        class_id: class_id.clone(),
        update_mask: mask(&["name"]),
        name: "Again".to_owned(),
        ..UpdateClassRequest::default()
    };
    let answer = organization.admin().classes().update_class(change).await;
    provoked.keep("update", ErrorReason::ClassCancelled, answer);
    let request = GenerateTrainingKeysRequest {
        request_id: new_id(),
        class_id: class_id.clone(),
        count: 1,
        omit_keys: false,
    };
    let answer = organization
        .admin()
        .training_keys()
        .generate_training_keys(request)
        .await;
    provoked.keep("generate", ErrorReason::ClassCancelled, answer);
    let change = SetEventKeyRequest {
        request_id: new_id(),
        class_id,
        change: Some(generated()),
        etag: String::new(),
    };
    let answer = organization
        .admin()
        .training_keys()
        .set_event_key(change)
        .await;
    provoked.keep("turn the event key on", ErrorReason::ClassCancelled, answer);
}

async fn windows(provoked: &mut Provoked, organization: &Organization<'_>) {
    let draft = ClassDraft::new().change(|request| request.status = ClassStatus::Tentative.into());
    let (_, code) = organization.event_class(draft).await;
    let student = organization.student().await.student_id;
    let answer = redeem(organization.stack, &student, &code).await;
    provoked.keep("tentative", ErrorReason::ClassNotScheduled, answer);

    let (class, code) = organization.event_class(ClassDraft::new().ended()).await;
    let answer = redeem(organization.stack, &student, &code).await;
    provoked.keep("redeem after the class", ErrorReason::WindowClosed, answer);
    let request = GenerateTrainingKeysRequest {
        request_id: new_id(),
        class_id: class.class_id,
        count: 1,
        omit_keys: false,
    };
    let answer = organization
        .admin()
        .training_keys()
        .generate_training_keys(request)
        .await;
    provoked.keep(
        "generate after the class",
        ErrorReason::WindowClosed,
        answer,
    );
    let draft = ClassDraft::new()
        .ended()
        .change(|request| request.post_class_days = Some(0));
    let request = EnrollStudentRequest {
        request_id: new_id(),
        class_id: organization.class(draft).await.class_id,
        student_id: student.clone(),
        ..EnrollStudentRequest::default()
    };
    let answer = organization
        .admin()
        .enrollments()
        .enroll_student(request)
        .await;
    provoked.keep(
        "enroll after access has expired",
        ErrorReason::WindowClosed,
        answer,
    );

    let (_, code) = organization.event_class(ClassDraft::new().running()).await;
    let made = redeem(organization.stack, &student, &code)
        .await
        .expect("in")
        .into_inner();
    let enrollment_id = made.enrollment.expect("an enrollment").enrollment_id;
    let request = CancelEnrollmentRequest {
        enrollment_id,
        ..CancelEnrollmentRequest::default()
    };
    let answer = organization
        .admin()
        .enrollments()
        .cancel_enrollment(request)
        .await;
    provoked.keep("cancel once it began", ErrorReason::ClassStarted, answer);
}

async fn seats(provoked: &mut Provoked, organization: &Organization<'_>) {
    let draft = ClassDraft::new()
        .maximum(2)
        .change(|request| request.minimum_students = Some(0));
    let (class, code) = organization.event_class(draft).await;
    let students = organization.students(3).await;
    for student in &students[..2] {
        redeem(organization.stack, student, &code)
            .await
            .expect("in");
    }
    let answer = redeem(organization.stack, &students[2], &code).await;
    provoked.keep("redeem", ErrorReason::ClassFull, answer);
    let request = EnrollStudentRequest {
        request_id: new_id(),
        class_id: class.class_id.clone(),
        student_id: students[2].clone(),
        ..EnrollStudentRequest::default()
    };
    let answer = organization
        .admin()
        .enrollments()
        .enroll_student(request)
        .await;
    provoked.keep("enroll", ErrorReason::ClassFull, answer);
    let change = UpdateClassRequest {
        class_id: class.class_id.clone(),
        update_mask: mask(&["maximum_students"]),
        maximum_students: 1,
        ..UpdateClassRequest::default()
    };
    let answer = organization.admin().classes().update_class(change).await;
    provoked.keep(
        "lower the maximum",
        ErrorReason::MaximumBelowSeatsTaken,
        answer,
    );
    organization.generate(&class.class_id, 1).await;
    let request = GenerateTrainingKeysRequest {
        request_id: new_id(),
        class_id: class.class_id,
        count: 2,
        omit_keys: false,
    };
    let answer = organization
        .admin()
        .training_keys()
        .generate_training_keys(request)
        .await;
    provoked.keep("generate", ErrorReason::KeyLimitExceeded, answer);
}

async fn statuses(provoked: &mut Provoked, organization: &Organization<'_>) {
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let student = organization.student().await.student_id;
    let left = come_in(organization.stack, &student, &code).await;
    let request = |status: EnrollmentStatus| ChangeEnrollmentStatusRequest {
        enrollment_id: left.enrollment_id.clone(),
        status: status.into(),
        ..ChangeEnrollmentStatusRequest::default()
    };
    let mut enrollments = organization.admin().enrollments();
    let answer = enrollments.change_enrollment_status(request(EnrollmentStatus::Denied));
    provoked.keep(
        "deny who is in",
        ErrorReason::StatusUnreachable,
        answer.await,
    );
    organization.cancel(&left.enrollment_id, "moved").await;
    let complete = SetCompletionRequest {
        enrollment_id: left.enrollment_id.clone(),
        completion: CompletionStatus::Complete.into(),
        etag: String::new(),
    };
    provoked.keep(
        "complete who has left",
        ErrorReason::StudentNotIn,
        enrollments.set_completion(complete).await,
    );
    let again = EnrollStudentRequest {
        request_id: new_id(),
        class_id: class.class_id,
        student_id: student,
        ..EnrollStudentRequest::default()
    };
    enrollments.enroll_student(again).await.expect("enrolled");
    let answer = enrollments.change_enrollment_status(request(EnrollmentStatus::Audit));
    provoked.keep(
        "bring back who is in",
        ErrorReason::StudentAlreadyIn,
        answer.await,
    );
}

async fn changes(provoked: &mut Provoked, organization: &Organization<'_>) {
    let draft = ClassDraft::new().with_event_key();
    let request = draft.request(&organization.id);
    let made = organization
        .admin()
        .classes()
        .create_class(request.clone())
        .await
        .expect("a class")
        .into_inner();
    let class = made.training_class.expect("a class");
    let other = CreateClassRequest {
        name: "Another".to_owned(),
        ..request
    };
    let answer = organization.admin().classes().create_class(other).await;
    provoked.keep("create a class", ErrorReason::RequestIdReused, answer);
    let change = UpdateClassRequest {
        class_id: class.class_id.clone(),
        update_mask: mask(&["name"]),
        etag: "of-old".to_owned(),
        name: "Again".to_owned(),
        ..UpdateClassRequest::default()
    };
    let answer = organization.admin().classes().update_class(change).await;
    provoked.keep("update a class", ErrorReason::EtagMismatch, answer);
    let change = SetEventKeyRequest {
        request_id: new_id(),
        class_id: class.class_id,
        change: Some(generated()),
        etag: "of-old".to_owned(),
    };
    let answer = organization
        .admin()
        .training_keys()
        .set_event_key(change)
        .await;
    provoked.keep("set an event key", ErrorReason::EtagMismatch, answer);
}
