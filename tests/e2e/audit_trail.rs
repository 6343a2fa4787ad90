//! Each state change and each reveal leaves exactly one row that says who, what, for whom, when, from where; and so do
//! refusals of access, folded.

mod from_where;
mod notifications;
mod plans;
mod refusals;
mod trails;

use latchkey::generation::whole;
use latchkey_proto::enrollment::v1::{
    ActivateStudentRequest, ChangeEnrollmentStatusRequest, DeactivateStudentRequest,
    EnrollStudentRequest, EnrollmentStatus, EraseStudentRequest, RenderInvitationRequest,
    UpdateClassRequest, UpdateOrganizationRequest, UpdateStudentRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::{
    GenerateTrainingKeysRequest, GetEventKeyRequest, ListTrainingKeysRequest,
    LookUpTrainingKeyRequest, RevealTrainingKeysRequest,
};
use tonic::Request;

use crate::harness::time::read;
use crate::harness::world::{come_in, generated, mask, off};
use crate::harness::{Caller, ClassDraft, Organization, PoolDraft, Stack, new_id, now, refused};
use trails::Trails;

#[tokio::test]
async fn a_row_says_who_did_what_from_where_and_when() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, _) = organization.keyed_class(ClassDraft::new(), 1).await;
    let mut trails = Trails::of(&organization);
    trails.news().await;
    let before = now();
    let mut request = Request::new(UpdateClassRequest {
        class_id: class.class_id.clone(),
        update_mask: mask(&["name"]),
        name: "Renamed".to_owned(),
        ..UpdateClassRequest::default()
    });
    request
        .metadata_mut()
        .insert("x-request-id", "ticket-4711".parse().expect("text"));
    organization
        .manager()
        .classes()
        .update_class(request)
        .await
        .expect("updated");
    let events = trails.expect(&[("class.update", &class.class_id)]).await;
    let event = &events[0];
    let actor = event.actor.as_ref().expect("an actor");
    assert_eq!(
        (actor.subject.as_str(), actor.issuer.as_str()),
        ("mona-manager", latchkey::stack::tokens::ISSUER)
    );
    assert_eq!(actor.roles, ["operations_manager"]);
    assert_eq!(actor.organization_id, organization.id);
    assert_eq!(event.resource_type, "class");
    assert_eq!(event.peer, "127.0.0.1");
    assert_eq!(event.request_id, "ticket-4711");
    assert!(
        event.details_json.contains("Renamed"),
        "{}",
        event.details_json
    );
    let moment = read(event.occurred_at.as_ref());
    assert!(before <= moment && moment <= now(), "{moment}");
    stack.finish().await;
}

#[tokio::test]
async fn keys_leave_a_row_for_each_change_and_each_reveal() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let class_id = organization.class(ClassDraft::new()).await.class_id;
    let mut trails = Trails::of(&organization);
    trails.news().await;
    let mut keys = organization.manager().training_keys();

    let request = GenerateTrainingKeysRequest {
        request_id: new_id(),
        class_id: class_id.clone(),
        count: 3,
        omit_keys: false,
    };
    let made = whole(keys.generate_training_keys(request.clone()).await).await;
    let made = made.expect("keys").into_inner().keys;
    trails.expect(&[("training_key.generate", &class_id)]).await;
    let again = whole(keys.generate_training_keys(request).await).await;
    again.expect("the same keys");
    trails.expect(&[]).await;

    let ids: Vec<&str> = made.iter().map(|key| key.key_id.as_str()).collect();
    let answer = keys.reveal_training_keys(reveal(&ids, "hand-out")).await;
    let codes = answer.expect("codes").into_inner().codes;
    let all = |action, ids: &[&'_ str]| {
        ids.iter()
            .map(|id| (action, (*id).to_owned()))
            .collect::<Vec<_>>()
    };
    for event in trails.expect_all(&all("training_key.reveal", &ids)).await {
        let details = event.details_json;
        assert!(details.contains("hand-out"), "{details}");
    }
    let request = LookUpTrainingKeyRequest {
        code: codes[1].code.clone(),
    };
    keys.look_up_training_key(request).await.expect("found");
    trails
        .expect(&[("training_key.look_up", &codes[1].key_id)])
        .await;

    organization.revoke(&ids[..2]).await;
    trails
        .expect_all(&all("training_key.revoke", &ids[..2]))
        .await;
    organization.revoke(&ids[..2]).await;
    trails.expect(&[]).await;
    event_key_rows(&organization, &class_id, &mut trails).await;
    // Looking at keys is no reveal.
    let request = ListTrainingKeysRequest::default();
    keys.list_training_keys(request).await.expect("keys");
    trails.expect(&[]).await;
    stack.finish().await;
}

#[tokio::test]
async fn an_invitation_leaves_a_reveal_that_names_its_recipient_and_who_asked() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, _) = organization.event_class(ClassDraft::new()).await;
    let class_id = class.class_id;
    let key_id = organization.generate(&class_id, 1).await.remove(0).key_id;
    let pool_id = organization.pool(PoolDraft::new()).await.pool_id;
    let of_pool = organization.pool_keys(&pool_id, 1).await.remove(0).key_id;
    let student_id = organization.student().await.student_id;
    let mut trails = Trails::of(&organization);
    trails.news().await;
    let recipient = format!("student/{student_id}");
    let event_key = GetEventKeyRequest {
        class_id: class_id.clone(),
    };
    let mut keys = organization.manager().training_keys();
    let event_key = keys.get_event_key(event_key).await.expect("an event key");
    let event_key_id = event_key.into_inner().event_key.expect("one").key_id;
    let nothing = RenderInvitationRequest::default();
    let by_enrollment_key = RenderInvitationRequest {
        class_id: class_id.clone(),
        key_id: key_id.clone(),
        student_id: student_id.clone(),
        ..nothing.clone()
    };
    let by_event_key = RenderInvitationRequest {
        class_id,
        ..nothing.clone()
    };
    let by_pool_key = RenderInvitationRequest {
        pool_id,
        key_id: of_pool.clone(),
        student_id,
        ..nothing
    };
    let revealed = "training_key.reveal";
    for (request, action, resource, recipient) in [
        (by_enrollment_key, revealed, &key_id, recipient.as_str()),
        (by_event_key, "event_key.reveal", &event_key_id, "caller"),
        (by_pool_key, revealed, &of_pool, recipient.as_str()),
    ] {
        let mut notifications = organization.manager().notifications();
        let answer = notifications.render_invitation(request).await;
        answer.expect("an invitation");
        let events = trails.expect(&[(action, resource)]).await;
        let details = &events[0].details_json;
        assert!(
            details.contains(recipient) && details.contains("invitation"),
            "{details}"
        );
        let actor = events[0].actor.as_ref().expect("an actor");
        assert_eq!(actor.subject, "mona-manager");
    }
    stack.finish().await;
}

fn reveal(key_ids: &[&str], purpose: &str) -> RevealTrainingKeysRequest {
    RevealTrainingKeysRequest {
        key_ids: key_ids.iter().map(ToString::to_string).collect(),
        purpose: purpose.to_owned(),
    }
}

async fn event_key_rows(organization: &Organization<'_>, class_id: &str, trails: &mut Trails<'_>) {
    let set = organization.set_event_key(class_id, generated()).await;
    let key_id = set.event_key.expect("an event key").key_id;
    trails.expect(&[("event_key.set", &key_id)]).await;
    organization.event_code(class_id).await;
    trails.expect(&[("event_key.reveal", &key_id)]).await;
    organization.set_event_key(class_id, off()).await;
    trails.expect(&[("event_key.set", &key_id)]).await;
}

#[tokio::test]
async fn organizations_classes_and_accounts_leave_a_row_for_each_change() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let id = organization.id.clone();
    let mut trails = Trails::of(&organization);
    trails.expect(&[("organization.create", &id)]).await;
    organization.let_register(true).await;
    trails
        .expect(&[("organization.set_self_registration", &id)])
        .await;
    let request = UpdateOrganizationRequest {
        organization_id: id.clone(),
        display_name: "Renamed".to_owned(),
        update_mask: mask(&["display_name"]),
        ..UpdateOrganizationRequest::default()
    };
    organization
        .admin()
        .organizations()
        .update_organization(request)
        .await
        .expect("renamed");
    trails.expect(&[("organization.update", &id)]).await;

    let draft = ClassDraft::new();
    let class = organization.class(draft.clone()).await;
    trails.expect(&[("class.create", &class.class_id)]).await;
    organization.class(draft).await;
    trails.expect(&[]).await;

    let student = organization.student().await;
    let student_id = student.student_id.clone();
    let made = trails.expect(&[("student.create", &student_id)]).await;
    assert_eq!(made[0].student_id, student_id);
    account_rows(&stack.platform(), &student_id, &mut trails).await;

    let gone = organization.student().await.student_id;
    trails.expect(&[("student.create", &gone)]).await;
    for times in [1, 0] {
        let request = EraseStudentRequest {
            student_id: gone.clone(),
            reason: "asked to".to_owned(),
            ..EraseStudentRequest::default()
        };
        let mut students = organization.admin().students();
        students.erase_student(request).await.expect("erased");
        trails
            .expect(&[("student.erase", gone.as_str())][..times])
            .await;
    }
    for times in [1, 0] {
        organization.cancel_class(&class.class_id).await;
        let expected = [("class.cancel", class.class_id.as_str())];
        trails.expect(&expected[..times]).await;
    }
    stack.finish().await;
}

async fn account_rows(platform: &Caller, student_id: &str, trails: &mut Trails<'_>) {
    let request = UpdateStudentRequest {
        student_id: student_id.to_owned(),
        update_mask: mask(&["given_name"]),
        given_name: "Samantha".to_owned(),
        ..UpdateStudentRequest::default()
    };
    platform
        .students()
        .update_student(request)
        .await
        .expect("updated");
    trails.expect(&[("student.update", student_id)]).await;
    for first in [true, false] {
        let request = DeactivateStudentRequest {
            student_id: student_id.to_owned(),
        };
        platform
            .students()
            .deactivate_student(request)
            .await
            .expect("deactivated");
        trails
            .expect(&[("student.deactivate", student_id)][..usize::from(first)])
            .await;
    }
    for first in [true, false] {
        let request = ActivateStudentRequest {
            student_id: student_id.to_owned(),
        };
        platform
            .students()
            .activate_student(request)
            .await
            .expect("activated");
        trails
            .expect(&[("student.activate", student_id)][..usize::from(first)])
            .await;
    }
}

#[tokio::test]
async fn direct_enrollments_and_cancellations_leave_a_row_and_redemptions_their_own_record() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let students = organization.students(2).await;
    let mut trails = Trails::of(&organization);
    trails.news().await;
    let mut enrollments = organization.admin().enrollments();

    let redeemed = come_in(&stack, &students[0], &code).await.enrollment_id;
    trails.expect(&[]).await;
    let direct = enroll(&class.class_id, &students[1]);
    for times in [1, 0] {
        enrollments
            .enroll_student(direct.clone())
            .await
            .expect("enrolled");
        let expected = [("enrollment.enroll", direct.request_id.as_str())];
        for event in trails.expect(&expected[..times]).await {
            assert_eq!(event.student_id, students[1]);
        }
    }
    for times in [1, 0] {
        organization.cancel(&redeemed, "moved to spring").await;
        let expected = [("enrollment.cancel", redeemed.as_str())];
        for event in trails.expect(&expected[..times]).await {
            let details = event.details_json;
            assert!(details.contains("moved to spring"), "{details}");
        }
    }
    // Staff removed the student; direct enrollment lifts that, which is a change of its own.
    let again = enroll(&class.class_id, &students[0]);
    enrollments
        .enroll_student(again.clone())
        .await
        .expect("enrolled");
    let actions: Vec<String> = trails
        .news()
        .await
        .into_iter()
        .map(|event| event.action)
        .collect();
    assert!(
        actions.contains(&"enrollment.enroll".to_owned()),
        "{actions:?}"
    );
    assert!(
        actions.contains(&"enrollment.lift_block".to_owned()),
        "{actions:?}"
    );
    assert_eq!(actions.len(), 2, "{actions:?}");

    // A cancelled class has a row, and each of its enrollments has one.
    organization.cancel_class(&class.class_id).await;
    let expected = [
        ("class.cancel", class.class_id.as_str()),
        ("enrollment.cancel", direct.request_id.as_str()),
        ("enrollment.cancel", again.request_id.as_str()),
    ];
    trails.expect(&expected).await;
    stack.finish().await;
}

#[tokio::test]
async fn a_change_of_status_leaves_a_row_and_so_does_what_gives_way_to_a_redemption() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let student = organization.student().await.student_id;
    let mut enrollments = organization.admin().enrollments();
    let direct = enroll(&class.class_id, &student);
    let made = enrollments.enroll_student(direct.clone()).await;
    made.expect("enrolled");
    let mut trails = Trails::of(&organization);
    trails.news().await;
    for times in [1, 0] {
        let request = ChangeEnrollmentStatusRequest {
            enrollment_id: direct.request_id.clone(),
            status: EnrollmentStatus::WaitListed.into(),
            reason: "no seat yet".to_owned(),
            ..ChangeEnrollmentStatusRequest::default()
        };
        let changed = enrollments.change_enrollment_status(request).await;
        changed.expect("changed");
        let expected = [("enrollment.change_status", direct.request_id.as_str())];
        for event in trails.expect(&expected[..times]).await {
            let details = event.details_json;
            assert!(details.contains("no seat yet"), "{details}");
            assert!(details.contains("\"from\""), "{details}");
        }
    }
    come_in(&stack, &student, &code).await;
    let expected = [("enrollment.cancel", direct.request_id.as_str())];
    for event in trails.expect(&expected).await {
        let details = event.details_json;
        assert!(details.contains("redemption"), "{details}");
    }
    stack.finish().await;
}

fn enroll(class_id: &str, student_id: &str) -> EnrollStudentRequest {
    EnrollStudentRequest {
        request_id: new_id(),
        class_id: class_id.to_owned(),
        student_id: student_id.to_owned(),
        ..EnrollStudentRequest::default()
    }
}

#[tokio::test]
async fn what_was_refused_leaves_no_row_of_a_deed() {
    let stack = Stack::shared().await;
    let (organization, elsewhere) = (
        Organization::new(&stack).await,
        Organization::new(&stack).await,
    );
    let draft = ClassDraft::new().maximum(1);
    let (class, codes) = organization.keyed_class(draft, 1).await;
    let students = organization.students(2).await;
    come_in(&stack, &students[0], &codes[0].code).await;
    let mut trails = Trails::of(&organization);
    trails.news().await;

    let change = UpdateClassRequest {
        class_id: class.class_id.clone(),
        update_mask: mask(&["name"]),
        etag: "of-old".to_owned(),
        name: "Renamed".to_owned(),
        ..UpdateClassRequest::default()
    };
    let answer = organization.admin().classes().update_class(change).await;
    refused(answer, ErrorReason::EtagMismatch);
    let more = GenerateTrainingKeysRequest {
        request_id: new_id(),
        class_id: class.class_id.clone(),
        count: 1,
        omit_keys: false,
    };
    let mut keys = organization.admin().training_keys();
    let answer = keys.generate_training_keys(more).await;
    refused(answer, ErrorReason::KeyLimitExceeded);
    // All or nothing: with one that is not there, the key that is there is not revealed either.
    let (own, both) = (
        reveal(&[&codes[0].key_id], ""),
        reveal(&[&codes[0].key_id, &new_id()], ""),
    );
    refused(
        keys.reveal_training_keys(own.clone()).await,
        ErrorReason::NotAllowed,
    );
    for (manager, request) in [(elsewhere.manager(), own), (organization.manager(), both)] {
        let answer = manager.training_keys().reveal_training_keys(request).await;
        refused(answer, ErrorReason::KeyNotFound);
    }
    let request = enroll(&class.class_id, &students[1]);
    let answer = organization
        .admin()
        .enrollments()
        .enroll_student(request)
        .await;
    refused(answer, ErrorReason::ClassFull);
    trails.expect(&[]).await;
    stack.finish().await;
}
