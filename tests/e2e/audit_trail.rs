//! Each state change and each reveal leaves exactly one row that says who, what, for whom, when, from where.

mod trails;

use latchkey_proto::enrollment::v1::{
    ActivateStudentRequest, CancelClassRequest, CancelEnrollmentRequest, DeactivateStudentRequest,
    EnrollStudentRequest, UpdateClassRequest, UpdateOrganizationRequest, UpdateStudentRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::{
    GenerateTrainingKeysRequest, LookUpTrainingKeyRequest, RevealTrainingKeysRequest,
    RevokeTrainingKeysRequest,
};
use tonic::Request;

use crate::harness::time::read;
use crate::harness::world::{generated, mask, off, redeem};
use crate::harness::{Caller, ClassDraft, Organization, Stack, new_id, now, refused};
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
    let (admin, manager) = (organization.admin(), organization.manager());

    let request = GenerateTrainingKeysRequest {
        request_id: new_id(),
        class_id: class_id.clone(),
        count: 3,
    };
    let made = admin
        .training_keys()
        .generate_training_keys(request.clone())
        .await
        .expect("keys")
        .into_inner();
    trails.expect(&[("training_key.generate", &class_id)]).await;
    admin
        .training_keys()
        .generate_training_keys(request)
        .await
        .expect("the same keys");
    trails.expect(&[]).await;

    let ids: Vec<String> = made.keys.iter().map(|key| key.key_id.clone()).collect();
    let request = RevealTrainingKeysRequest {
        key_ids: ids.clone(),
        purpose: "hand-out".to_owned(),
    };
    let codes = manager
        .training_keys()
        .reveal_training_keys(request)
        .await
        .expect("codes")
        .into_inner()
        .codes;
    let reveals: Vec<_> = ids
        .iter()
        .map(|id| ("training_key.reveal", id.as_str()))
        .collect();
    for event in trails.expect(&reveals).await {
        assert!(
            event.details_json.contains("hand-out"),
            "{}",
            event.details_json
        );
    }
    let request = LookUpTrainingKeyRequest {
        code: codes[1].code.clone(),
    };
    manager
        .training_keys()
        .look_up_training_key(request)
        .await
        .expect("found");
    trails.expect(&[("training_key.look_up", &ids[1])]).await;

    let request = RevokeTrainingKeysRequest {
        key_ids: ids[..2].to_vec(),
        reason: "lost".to_owned(),
    };
    for first in [true, false] {
        manager
            .training_keys()
            .revoke_training_keys(request.clone())
            .await
            .expect("revoked");
        let revokes = [
            ("training_key.revoke", ids[0].as_str()),
            ("training_key.revoke", ids[1].as_str()),
        ];
        trails.expect(if first { &revokes } else { &[] }).await;
    }
    event_key_rows(&organization, &class_id, &mut trails).await;
    // Looking at keys is no reveal.
    let request = latchkey_proto::keys::v1::ListTrainingKeysRequest::default();
    admin
        .training_keys()
        .list_training_keys(request)
        .await
        .expect("keys");
    trails.expect(&[]).await;
    stack.finish().await;
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
        etag: String::new(),
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

    let request = CancelClassRequest {
        class_id: class.class_id.clone(),
        ..CancelClassRequest::default()
    };
    for first in [true, false] {
        organization
            .admin()
            .classes()
            .cancel_class(request.clone())
            .await
            .expect("cancelled");
        let cancel = [("class.cancel", class.class_id.as_str())];
        trails.expect(if first { &cancel } else { &[] }).await;
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
async fn enrollments_leave_a_row_for_each_change_and_redemptions_their_own_record() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let (first, second) = (
        organization.student().await.student_id,
        organization.student().await.student_id,
    );
    let mut trails = Trails::of(&organization);
    trails.news().await;
    let admin = organization.admin();

    // A redemption's own row is its audit row.
    let redeemed = redeem(&stack, &first, &code)
        .await
        .expect("in")
        .into_inner()
        .enrollment
        .expect("an enrollment");
    trails.expect(&[]).await;
    let request = EnrollStudentRequest {
        request_id: new_id(),
        class_id: class.class_id.clone(),
        student_id: second.clone(),
    };
    for first in [true, false] {
        admin
            .enrollments()
            .enroll_student(request.clone())
            .await
            .expect("enrolled");
        let expected = [("enrollment.enroll", request.request_id.as_str())];
        let events = trails.expect(if first { &expected } else { &[] }).await;
        assert!(events.iter().all(|event| event.student_id == second));
    }
    let cancel = CancelEnrollmentRequest {
        enrollment_id: redeemed.enrollment_id.clone(),
        reason: "moved to spring".to_owned(),
    };
    admin
        .enrollments()
        .cancel_enrollment(cancel.clone())
        .await
        .expect("cancelled");
    let events = trails
        .expect(&[("enrollment.cancel", &redeemed.enrollment_id)])
        .await;
    assert!(
        events[0].details_json.contains("moved to spring"),
        "{}",
        events[0].details_json
    );
    admin
        .enrollments()
        .cancel_enrollment(cancel)
        .await
        .expect("as before");
    trails.expect(&[]).await;

    // Staff removed the student; direct enrollment lifts that, which is a change of its own.
    let again = EnrollStudentRequest {
        request_id: new_id(),
        student_id: first.clone(),
        ..request.clone()
    };
    admin
        .enrollments()
        .enroll_student(again.clone())
        .await
        .expect("enrolled");
    let events = trails.news().await;
    assert!(
        events
            .iter()
            .any(|event| event.action == "enrollment.enroll"
                && event.resource_id == again.request_id)
    );
    assert!(
        events
            .iter()
            .any(|event| event.action == "enrollment.lift_block"),
        "{events:?}"
    );
    assert_eq!(events.len(), 2, "{events:?}");

    // A cancelled class has a row, and each of its enrollments has one.
    let request_id = request.request_id.clone();
    let cancel = CancelClassRequest {
        class_id: class.class_id.clone(),
        ..CancelClassRequest::default()
    };
    admin
        .classes()
        .cancel_class(cancel)
        .await
        .expect("cancelled");
    let expected = [
        ("class.cancel", class.class_id.as_str()),
        ("enrollment.cancel", request_id.as_str()),
        ("enrollment.cancel", again.request_id.as_str()),
    ];
    trails.expect(&expected).await;
    stack.finish().await;
}

#[tokio::test]
async fn what_was_refused_leaves_no_row() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, codes) = organization
        .keyed_class(ClassDraft::new().maximum(1), 1)
        .await;
    let student_id = organization.student().await.student_id;
    redeem(&stack, &student_id, &codes[0].code)
        .await
        .expect("in");
    let mut trails = Trails::of(&organization);
    trails.news().await;
    let (admin, stranger) = (
        organization.admin(),
        Organization::new(&stack).await.manager(),
    );

    let change = UpdateClassRequest {
        class_id: class.class_id.clone(),
        update_mask: mask(&["name"]),
        etag: "of-old".to_owned(),
        name: "Renamed".to_owned(),
        ..UpdateClassRequest::default()
    };
    refused(
        admin.classes().update_class(change).await,
        ErrorReason::EtagMismatch,
    );
    let more = GenerateTrainingKeysRequest {
        request_id: new_id(),
        class_id: class.class_id.clone(),
        count: 1,
    };
    refused(
        admin.training_keys().generate_training_keys(more).await,
        ErrorReason::KeyLimitExceeded,
    );
    let reveal = RevealTrainingKeysRequest {
        key_ids: vec![codes[0].key_id.clone()],
        purpose: String::new(),
    };
    refused(
        admin
            .training_keys()
            .reveal_training_keys(reveal.clone())
            .await,
        ErrorReason::NotAllowed,
    );
    refused(
        stranger.training_keys().reveal_training_keys(reveal).await,
        ErrorReason::KeyNotFound,
    );
    // All or nothing: the key that is there is not revealed either.
    let reveal = RevealTrainingKeysRequest {
        key_ids: vec![codes[0].key_id.clone(), new_id()],
        purpose: String::new(),
    };
    refused(
        organization
            .manager()
            .training_keys()
            .reveal_training_keys(reveal)
            .await,
        ErrorReason::KeyNotFound,
    );
    let other = organization.student().await;
    trails
        .expect(&[("student.create", &other.student_id)])
        .await;
    let enroll = EnrollStudentRequest {
        request_id: new_id(),
        class_id: class.class_id.clone(),
        student_id: other.student_id,
    };
    refused(
        admin.enrollments().enroll_student(enroll).await,
        ErrorReason::ClassFull,
    );
    trails.expect(&[]).await;
    stack.finish().await;
}
