//! What becomes of an erased student's places in classes, also of those that are decided at the same moment.

use futures::future::join_all;
use latchkey_proto::enrollment::v1::{
    CancelledBy, EnrollStudentRequest, Enrollment, EnrollmentStatus, GetEnrollmentRequest,
    RedemptionOutcome, UpdateStudentRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use sqlx::{Connection, Executor};

use super::{erase, erase_as};
use crate::harness::world::{come_in, enrolled, mask, redeem_as};
use crate::harness::{ClassDraft, Organization, Stack, eventually, new_id, reason_of};
use crate::held_classes::somebody_waits;

async fn find(organization: &Organization<'_>, enrollment_id: &str) -> Enrollment {
    let request = GetEnrollmentRequest {
        enrollment_id: enrollment_id.to_owned(),
    };
    let mut enrollments = organization.admin().enrollments();
    let answer = enrollments.get_enrollment(request).await;
    let answer = answer.expect("an enrollment").into_inner();
    answer.enrollment.expect("an enrollment")
}

#[tokio::test]
async fn seats_and_keys_of_classes_ahead_are_free_and_those_of_classes_begun_stay() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let student = organization.student().await.student_id;
    let (ahead, codes) = organization
        .keyed_class(ClassDraft::new().maximum(1), 1)
        .await;
    let (begun, event_code) = organization.event_class(ClassDraft::new().running()).await;
    let left = come_in(&stack, &student, &codes[0].code).await;
    let kept = come_in(&stack, &student, &event_code).await;

    assert_eq!(
        erase(&organization, &student).await.cancelled_enrollments,
        1
    );
    let left = find(&organization, &left.enrollment_id).await;
    assert_eq!(left.status(), EnrollmentStatus::Cancelled);
    assert_eq!(left.cancelled_by(), CancelledBy::Erasure);
    let kept = find(&organization, &kept.enrollment_id).await;
    assert_eq!(kept.status(), EnrollmentStatus::Enrolled);
    // Whom the class is billed for is still on the roster, as nobody.
    let roster = organization.roster(&begun.class_id).await;
    assert_eq!((roster.seats_taken, enrolled(&roster)), (1, vec![student]));
    let entry = roster.entries[0].student.clone().expect("a student");
    assert_eq!(
        (entry.given_name, entry.family_name, entry.email),
        Default::default()
    );

    let other = organization.student().await.student_id;
    come_in(&stack, &other, &codes[0].code).await;
    let roster = organization.roster(&ahead.class_id).await;
    assert_eq!(enrolled(&roster), [other]);
    stack.finish().await;
}

#[tokio::test]
async fn a_redemption_that_was_decided_on_the_account_before_is_cancelled_after() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let student = organization.student().await.student_id;
    let redemption = new_id();
    // Somebody writes under the same id, and takes it back: the redemption waits for that with its facts in hand.
    let mut holder = stack.database().await;
    let mut held = holder.begin().await.expect("a transaction");
    let query = format!(
        "INSERT INTO enrollment.redemptions (redemption_id, registration, outcome, reason, fingerprint, organization_id,
             caller, peer, request_id, decided_at)
         VALUES ('{redemption}', false, 'refused', 'KEY_REVOKED', '', '{redemption}', '', '', '', clock_timestamp())"
    );
    held.execute(sqlx::AssertSqlSafe(query))
        .await
        .expect("held");
    let redeeming = redeem_as(&stack, &redemption, &student, &code);
    let erasing = async {
        somebody_waits(&stack, &mut held).await;
        let erased = erase(&organization, &student).await;
        held.rollback().await.expect("let go");
        erased
    };
    let (redeemed, erased) = tokio::join!(redeeming, erasing);
    assert_eq!(erased.cancelled_enrollments, 0);
    assert_eq!(
        redeemed.expect("decided before").into_inner().outcome(),
        RedemptionOutcome::Enrolled
    );
    eventually("cancelled", async || {
        let place = find(&organization, &redemption).await;
        match place.cancelled_by() {
            CancelledBy::Erasure => Ok(()),
            by => Err(format!("{by:?}")),
        }
    })
    .await;
    assert_eq!(organization.roster(&class.class_id).await.seats_taken, 0);
    stack.finish().await;
}

#[tokio::test]
async fn of_everything_that_happens_to_an_account_at_once_nothing_is_left_but_the_erasure() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let (direct, _) = organization.event_class(ClassDraft::new()).await;
    let students = organization.students(8).await;
    let all = students.iter().map(async |student| {
        let admin = organization.admin();
        let (mut accounts, mut enrollments) = (admin.students(), admin.enrollments());
        let update = UpdateStudentRequest {
            student_id: student.clone(),
            update_mask: mask(&["given_name", "email"]),
            given_name: "Late".to_owned(),
            email: format!("{}@example.com", new_id()),
            ..UpdateStudentRequest::default()
        };
        let enroll = EnrollStudentRequest {
            request_id: new_id(),
            class_id: direct.class_id.clone(),
            student_id: student.clone(),
            ..EnrollStudentRequest::default()
        };
        let redemption = new_id();
        let (redeemed, updated, enrolled, erased) = tokio::join!(
            redeem_as(&stack, &redemption, student, &code),
            accounts.update_student(update),
            enrollments.enroll_student(enroll),
            erase_as(&admin, student, ""),
        );
        erased.expect("erased");
        for (refusal, reason) in [
            (redeemed.err(), ErrorReason::StudentInactive),
            (updated.err(), ErrorReason::StudentErased),
            (enrolled.err(), ErrorReason::StudentInactive),
        ] {
            assert!(refusal.is_none_or(|refusal| reason_of(&refusal) == reason));
        }
    });
    join_all(all).await;
    for class in [class, direct] {
        eventually("nobody is in", async || {
            let roster = organization.roster(&class.class_id).await;
            if roster.seats_taken == 0 && enrolled(&roster).is_empty() {
                Ok(())
            } else {
                Err(format!("{} are", roster.seats_taken))
            }
        })
        .await;
    }
    let mut database = stack.database().await;
    let left: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM enrollment.students WHERE student_id = ANY ($1::uuid[]) AND (email IS NOT NULL OR given_name <> '')",
    )
    .bind(&students)
    .fetch_one(&mut database)
    .await
    .expect("a number");
    assert_eq!(left, 0);
    stack.finish().await;
}
