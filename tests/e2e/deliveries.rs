//! What keys must be told arrives, whatever stood in its way; and who was answered once is answered again without keys.

use chrono::TimeDelta;
use latchkey::stack::Service;
use latchkey_enrollment::app::delivery::deliver::deliver;
use latchkey_proto::enrollment::v1::{
    CancelClassRequest, CancelEnrollmentRequest, EnrollStudentRequest, ListClassesRequest,
    UpdateClassRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::{KeyState, ListTrainingKeysRequest};

use crate::harness::world::crowds::come_in_at_once;
use crate::harness::world::{come_in, mask, redeem, redeem_as};
use crate::harness::{
    Caller, ClassDraft, Options, Organization, Stack, at, eventually, new_id, now, refused,
};

/// A class with one key and two students.
struct Cast {
    admin: Caller,
    class_id: String,
    code: String,
    students: [String; 2],
}

async fn cast(stack: &Stack) -> Cast {
    let organization = Organization::new(stack).await;
    let (class, codes) = organization.keyed_class(ClassDraft::new(), 1).await;
    Cast {
        admin: organization.admin(),
        class_id: class.class_id,
        code: codes[0].code.clone(),
        students: [
            organization.student().await.student_id,
            organization.student().await.student_id,
        ],
    }
}

#[tokio::test]
async fn without_keys_nothing_is_decided_anew_and_everything_decided_is_answered_again() {
    let mut stack = Stack::own().await;
    let Cast { code, students, .. } = cast(&stack).await;
    let id = new_id();
    let first = redeem_as(&stack, &id, &students[0], &code).await;
    let first = first.expect("in").into_inner();
    stack.replica(Service::Keys, 0).kill().await;

    let again = redeem_as(&stack, &id, &students[0], &code).await;

    let again = again.expect("the same answer").into_inner();
    assert!(again.replayed);
    assert_eq!(again.enrollment, first.enrollment);
    let answer = redeem(&stack, &students[1], &code).await;
    refused(answer, ErrorReason::DependencyUnavailable);
    stack.replica(Service::Keys, 0).run().await;
    let answer = redeem(&stack, &students[1], &code).await;
    refused(answer, ErrorReason::KeyAlreadyRedeemed);
    stack.finish().await;
}

#[tokio::test]
async fn enrollments_without_a_key_are_passed_by_though_nothing_is_owed() {
    let stack = Stack::with(Options {
        enrollment: "[sweeper]\nsweep_interval_ms = 100",
        ..Options::default()
    })
    .await;
    let Cast {
        admin,
        class_id,
        students,
        ..
    } = cast(&stack).await;
    for student_id in students {
        let direct = EnrollStudentRequest {
            request_id: new_id(),
            class_id: class_id.clone(),
            student_id,
            ..EnrollStudentRequest::default()
        };
        let enrolled = admin.enrollments().enroll_student(direct).await;
        enrolled.expect("enrolled");
    }
    eventually("passed by", async || {
        let ahead: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM enrollment.enrollments e JOIN enrollment.deliveries d ON e.changed_xid >= d.delivered_below",
        )
        .fetch_one(&mut stack.database().await)
        .await
        .expect("a number");
        (ahead == 0).then_some(()).ok_or_else(|| format!("{ahead} are ahead"))
    })
    .await;
    stack.finish().await;
}

#[tokio::test]
async fn what_one_transaction_changed_is_told_piece_by_piece() {
    let mut stack = Stack::own().await;
    let class_id = {
        let organization = Organization::new(&stack).await;
        let (class, _) = organization.event_class(ClassDraft::new()).await;
        class.class_id
    };
    // Nobody else delivers meanwhile.
    stack.replica(Service::Enrollment, 0).stop().await;
    come_in_at_once(&stack, &class_id, 12_000).await;
    let file = stack.site().enrollment[0].config_file();
    let config = latchkey_enrollment::Config::load(Some(file)).expect("a configuration");
    let (_, services, _) = latchkey_enrollment::assemble(&config).expect("the service");

    let mut pieces = Vec::new();
    loop {
        let delivery = deliver(&services).await.expect("delivered");
        pieces.push(delivery.uses);
        if !delivery.more {
            break;
        }
    }

    assert!(pieces.iter().all(|&uses| uses <= 10_000), "{pieces:?}");
    assert_eq!(pieces.iter().sum::<usize>(), 12_000, "{pieces:?}");
    let marks: i64 = sqlx::query_scalar("SELECT count(*) FROM keys.marks")
        .fetch_one(&mut stack.database().await)
        .await
        .expect("a number");
    assert_eq!(marks, 12_000);
    services.pool.close().await;
    stack.replica(Service::Enrollment, 0).run().await;
    stack.finish_after_untruths().await;
}

#[tokio::test]
async fn a_key_given_up_while_keys_is_away_is_free_at_once_when_keys_is_back() {
    let mut stack = Stack::own().await;
    let Cast {
        admin,
        code,
        students,
        ..
    } = cast(&stack).await;
    let enrollment = come_in(&stack, &students[0], &code).await;
    stack.replica(Service::Keys, 0).kill().await;
    let cancelled = admin
        .enrollments()
        .cancel_enrollment(CancelEnrollmentRequest {
            enrollment_id: enrollment.enrollment_id,
            reason: "moved".to_owned(),
            ..CancelEnrollmentRequest::default()
        })
        .await;
    cancelled.expect("cancelled without keys");
    stack.replica(Service::Keys, 0).run().await;

    // Whether or not keys was told by now that the key was given up.
    come_in(&stack, &students[1], &code).await;

    // It was, and of the new use: `finish` waits for both.
    stack.finish().await;
}

#[tokio::test]
async fn a_class_asked_for_while_keys_is_away_is_made_by_the_same_request_once_keys_is_back() {
    let mut stack = Stack::own().await;
    let (admin, request) = {
        let organization = Organization::new(&stack).await;
        let draft = ClassDraft::new().with_event_key();
        (organization.admin(), draft.request(&organization.id))
    };
    stack.replica(Service::Keys, 0).kill().await;
    let answer = admin.classes().create_class(request.clone()).await;
    refused(answer, ErrorReason::DependencyUnavailable);
    let list = ListClassesRequest {
        organization_id: request.organization_id.clone(),
        ..ListClassesRequest::default()
    };
    let listed = admin.classes().list_classes(list.clone()).await;
    assert!(listed.expect("a list").into_inner().classes.is_empty());
    stack.replica(Service::Keys, 0).run().await;

    let made = eventually("made", async || {
        let answer = admin.classes().create_class(request.clone()).await;
        answer.map_err(|refusal| refusal.to_string())
    })
    .await
    .into_inner();

    assert!(made.event_key.expect("an event key").enabled);
    let listed = admin.classes().list_classes(list).await;
    let listed = listed.expect("a list").into_inner().classes;
    assert_eq!(listed, [made.training_class.expect("a class")]);
    stack.finish().await;
}

#[tokio::test]
async fn without_keys_staff_move_classes_enroll_and_cancel_and_keys_shows_it_when_it_is_back() {
    let mut stack = Stack::own().await;
    let cast = cast(&stack).await;
    let mut classes = cast.admin.classes();
    stack.replica(Service::Keys, 0).kill().await;
    let moved = UpdateClassRequest {
        class_id: cast.class_id.clone(),
        update_mask: mask(&["end_time"]),
        end_time: at(now() + TimeDelta::days(9)),
        ..UpdateClassRequest::default()
    };
    let moved = classes.update_class(moved).await.expect("moved");
    let end = moved.into_inner().training_class.expect("a class").end_time;
    let direct = EnrollStudentRequest {
        request_id: new_id(),
        class_id: cast.class_id.clone(),
        student_id: cast.students[0].clone(),
        ..EnrollStudentRequest::default()
    };
    let enrolled = cast.admin.enrollments().enroll_student(direct).await;
    enrolled.expect("enrolled");
    stack.replica(Service::Keys, 0).run().await;
    let key = async || {
        let request = ListTrainingKeysRequest {
            class_id: cast.class_id.clone(),
            ..ListTrainingKeysRequest::default()
        };
        let listed = cast.admin.training_keys().list_training_keys(request).await;
        let mut keys = listed
            .map_err(|refusal| refusal.to_string())?
            .into_inner()
            .keys;
        keys.pop().ok_or_else(|| "no key".to_owned())
    };
    eventually("moved in keys", async || {
        let until = key().await?.redeemable_until;
        if until == end {
            Ok(())
        } else {
            Err(format!("{until:?}"))
        }
    })
    .await;

    stack.replica(Service::Keys, 0).kill().await;
    let cancel = CancelClassRequest {
        class_id: cast.class_id.clone(),
        ..CancelClassRequest::default()
    };
    classes.cancel_class(cancel).await.expect("cancelled");
    stack.replica(Service::Keys, 0).run().await;
    eventually("expired in keys", async || {
        let state = key().await?.state();
        if state == KeyState::Expired {
            Ok(())
        } else {
            Err(format!("{state:?}"))
        }
    })
    .await;
    stack.finish().await;
}
