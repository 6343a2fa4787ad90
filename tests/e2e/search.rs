//! What operators look for: students, enrollments and assignments by names, addresses, states, times; found in order, page by page, and
//! nobody who was erased.

mod assignments;
mod plans;

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_proto::enrollment::v1::{
    DeactivateStudentRequest, EraseStudentRequest, ListEnrollmentsRequest, ListStudentsRequest,
    StudentState, UpdateStudentRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::{ListTrainingKeysRequest, RevealedCode};

use crate::harness::time::read;
use crate::harness::world::{come_in, mask};
use crate::harness::{
    Caller, ClassDraft, Organization, Stack, at, invariants, new_id, now, refused,
};

/// A new student of these names; the id.
async fn student(
    organization: &Organization<'_>,
    given: &str,
    family: &str,
    email: &str,
) -> String {
    let mut request = organization.student_request(email);
    given.clone_into(&mut request.given_name);
    family.clone_into(&mut request.family_name);
    let mut students = organization.stack.platform().students();
    let made = students.create_student(request).await.expect("a student");
    made.into_inner().student.expect("a student").student_id
}

/// Ids, as they are listed.
fn those<const N: usize>(ids: [&String; N]) -> Vec<String> {
    ids.map(String::clone).into()
}

/// The students that are found, page by page.
async fn found(caller: &Caller, request: ListStudentsRequest) -> Vec<String> {
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListStudentsRequest {
            page_size: 2,
            page_token,
            ..request.clone()
        };
        let answer = caller.students().list_students(request).await;
        let answer = answer.expect("a page").into_inner();
        found.extend(answer.students.into_iter().map(|one| one.student_id));
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            return found;
        }
    }
}

fn named(prefix: &str) -> ListStudentsRequest {
    ListStudentsRequest {
        name_prefix: prefix.to_owned(),
        ..ListStudentsRequest::default()
    }
}

fn addressed(prefix: &str) -> ListStudentsRequest {
    ListStudentsRequest {
        email_prefix: prefix.to_owned(),
        ..ListStudentsRequest::default()
    }
}

#[tokio::test]
async fn students_are_found_by_the_beginning_of_either_name() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let below = organization.child().await;
    let (mark, admin) = (new_id(), organization.admin());
    let address = |name: &str| format!("{name}.{mark}@example.com");
    let smith = student(&organization, "Ann", "Smith", &address("ann")).await;
    let smithson = student(&below, "Ödön", "Smithson", &address("odon")).await;
    let zoe = student(&organization, "Smilla", "Zoë", &address("anna")).await;
    let kim = student(&organization, "Kim", "Kimball", &address("kim")).await;
    let foreign = Organization::new(&stack).await;
    student(&foreign, "Ann", "Smith", &address("ann")).await;

    assert_eq!(
        found(&admin, named("smi")).await,
        those([&zoe, &smith, &smithson])
    );
    for (prefix, one) in [
        ("ANN", &smith),
        ("ann smi", &smith),
        ("smith a", &smith),
        (" smiths", &smithson),
        ("ödö", &smithson),
        ("ZOË", &zoe),
        ("kim", &kim),
    ] {
        assert_eq!(found(&admin, named(prefix)).await, those([one]), "{prefix}");
    }
    for nobody in ["mith", "ann smithe", "%", "_nn", "zoe"] {
        assert_eq!(found(&admin, named(nobody)).await, [""; 0], "{nobody}");
    }
    let blank = admin.students().list_students(named(" ")).await;
    refused(blank, ErrorReason::FieldInvalid);
    stack.finish().await;
}

#[tokio::test]
async fn students_are_found_by_address_too_and_by_whether_they_are_active() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let below = organization.child().await;
    let (mark, admin) = (new_id(), organization.admin());
    let address = |name: &str| format!("{name}.{mark}@example.com");
    let smith = student(&organization, "Ann", "Smith", &address("ann")).await;
    let smithson = student(&below, "Bob", "Smithson", &address("bob")).await;
    let zoe = student(&organization, "Smilla", "Zoë", &address("anna")).await;
    let foreign = Organization::new(&stack).await;
    student(&foreign, "Ann", "Smith", &address("ann")).await;
    assert_eq!(found(&admin, addressed("ANN")).await, those([&smith, &zoe]));
    assert_eq!(
        found(&admin, addressed(&address("bob"))).await,
        those([&smithson])
    );
    let both = ListStudentsRequest {
        name_prefix: "smilla".to_owned(),
        ..addressed("an")
    };
    assert_eq!(found(&admin, both).await, those([&zoe]));
    let within = ListStudentsRequest {
        organization_id: organization.id.clone(),
        ..named("smith")
    };
    assert_eq!(found(&admin, within).await, those([&smith]));
    let everywhere = found(&stack.operator(), addressed(&format!("ann.{mark}"))).await;
    assert_eq!(everywhere.len(), 2);

    let request = DeactivateStudentRequest {
        student_id: smith.clone(),
    };
    stack
        .platform()
        .students()
        .deactivate_student(request)
        .await
        .expect("inactive");
    for (state, expected) in [
        (StudentState::Active, vec![zoe, smithson]),
        (StudentState::Inactive, vec![smith]),
    ] {
        let request = ListStudentsRequest {
            state: state.into(),
            ..named("smi")
        };
        assert_eq!(found(&admin, request).await, expected, "{state:?}");
    }
    stack.finish().await;
}

#[tokio::test]
async fn a_search_goes_by_the_names_of_now_and_finds_nobody_who_was_erased() {
    let stack = Stack::own().await;
    let organization = Organization::new(&stack).await;
    let admin = organization.admin();
    let (class, code) = organization.event_class(ClassDraft::new().running()).await;
    let someone = student(
        &organization,
        "Wilhelmina",
        "Quux",
        "wilhelmina@example.com",
    )
    .await;
    come_in(&stack, &someone, &code).await;
    let request = UpdateStudentRequest {
        student_id: someone.clone(),
        update_mask: mask(&["family_name", "email"]),
        family_name: "Xyzzy".to_owned(),
        email: "xyzzy@example.com".to_owned(),
        ..UpdateStudentRequest::default()
    };
    stack
        .platform()
        .students()
        .update_student(request)
        .await
        .expect("renamed");
    for gone in [named("quux"), addressed("wilhelmina")] {
        assert_eq!(found(&admin, gone).await, [""; 0]);
    }
    let in_class = |request: ListEnrollmentsRequest| ListEnrollmentsRequest {
        class_id: class.class_id.clone(),
        ..request
    };
    for (request, enrollments) in [
        (named("xyzzy"), by_name("xyzzy")),
        (named("wilhelmina x"), by_name("wilhelmina x")),
        (addressed("xyzzy@"), by_address("xyzzy@")),
    ] {
        assert_eq!(found(&admin, request).await, those([&someone]));
        assert_eq!(listed(&admin, in_class(enrollments)).await.len(), 1);
    }
    let request = EraseStudentRequest {
        student_id: someone.clone(),
        reason: "asked to".to_owned(),
        ..EraseStudentRequest::default()
    };
    stack
        .platform()
        .students()
        .erase_student(request)
        .await
        .expect("erased");
    for (request, enrollments) in [
        (named("xyzzy"), by_name("xyzzy")),
        (named("w"), by_name("w")),
        (addressed("x"), by_address("x")),
    ] {
        assert_eq!(found(&admin, request).await, [""; 0]);
        assert_eq!(listed(&admin, in_class(enrollments)).await, [""; 0]);
    }
    // What was searched for is nobody's business either.
    for replica in stack.site().replicas() {
        let log = std::fs::read_to_string(&replica.log).expect("a log");
        for name in ["xyzzy", "quux", "wilhelmina"] {
            assert!(!log.to_lowercase().contains(name), "{name} is in a log");
        }
    }
    stack.finish().await;
}

fn by_name(prefix: &str) -> ListEnrollmentsRequest {
    ListEnrollmentsRequest {
        student_name_prefix: prefix.to_owned(),
        ..ListEnrollmentsRequest::default()
    }
}

fn by_address(prefix: &str) -> ListEnrollmentsRequest {
    ListEnrollmentsRequest {
        student_email_prefix: prefix.to_owned(),
        ..ListEnrollmentsRequest::default()
    }
}

/// The enrollments that are listed, page by page.
async fn listed(caller: &Caller, request: ListEnrollmentsRequest) -> Vec<String> {
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListEnrollmentsRequest {
            page_size: 2,
            page_token,
            ..request.clone()
        };
        let answer = caller.enrollments().list_enrollments(request).await;
        let answer = answer.expect("a page").into_inner();
        found.extend(answer.enrollments.into_iter().map(|one| one.enrollment_id));
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            return found;
        }
    }
}

#[tokio::test]
async fn enrollments_are_found_by_organization_status_and_since_when() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let below = organization.child().await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let (_, other_code) = organization.event_class(ClassDraft::new()).await;
    let (_, code_below) = below.event_class(ClassDraft::new()).await;
    let students = organization.students(3).await;
    let first = come_in(&stack, &students[0], &code).await;
    let second = come_in(&stack, &students[1], &other_code)
        .await
        .enrollment_id;
    let third = come_in(&stack, &students[2], &code).await.enrollment_id;
    let student_below = below.student().await.student_id;
    come_in(&stack, &student_below, &code_below).await;
    let came = read(first.enroll_time.as_ref());
    let first = first.enrollment_id;
    let before = now();
    organization.cancel(&first, "").await;

    let admin = organization.admin();
    let within = || ListEnrollmentsRequest {
        organization_id: organization.id.clone(),
        ..ListEnrollmentsRequest::default()
    };
    let all = those([&first, &third, &second]);
    assert_eq!(listed(&admin, within()).await, all, "by their last change");
    let between =
        |from: Option<DateTime<Utc>>, until: Option<DateTime<Utc>>| ListEnrollmentsRequest {
            status_from: from.and_then(at),
            status_until: until.and_then(at),
            ..within()
        };
    assert_eq!(listed(&admin, between(Some(before), None)).await, all[..1]);
    assert_eq!(listed(&admin, between(None, Some(before))).await, all[1..]);
    assert_eq!(listed(&admin, between(None, Some(came))).await, [""; 0]);
    let cancelled = ListEnrollmentsRequest {
        status: latchkey_proto::enrollment::v1::EnrollmentStatus::Cancelled.into(),
        ..within()
    };
    assert_eq!(listed(&admin, cancelled).await, all[..1]);
    let of_class = ListEnrollmentsRequest {
        class_id: class.class_id.clone(),
        ..within()
    };
    assert_eq!(listed(&admin, of_class).await, those([&third, &first]));
    let later = between(Some(now() + TimeDelta::days(1)), None);
    assert_eq!(listed(&admin, later).await, [""; 0]);
    // Whoever does not reach the organization as a whole lists by class or student.
    for caller in [
        below.admin(),
        organization.instructor("ines-instructor"),
        stack.student(&students[0]),
    ] {
        let answer = caller.enrollments().list_enrollments(within()).await;
        refused(answer, ErrorReason::OrganizationNotFound);
    }
    stack.finish().await;
}

#[tokio::test]
async fn enrollments_are_found_by_the_beginning_of_a_students_name_or_address() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let below = organization.child().await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let (_, other_code) = organization.event_class(ClassDraft::new()).await;
    let (mark, admin) = (new_id(), organization.admin());
    let address = |name: &str| format!("{name}.{mark}@example.com");
    let ann = student(&organization, "Ann", "Smith", &address("ann")).await;
    let bob = student(&below, "Bob", "Smithson", &address("bob")).await;
    let eve = student(&organization, "Smilla", "Evans", &address("eve")).await;
    student(&organization, "Sam", "Smith", &address("sam")).await;
    let mut came = Vec::new();
    for student in [&ann, &bob, &eve] {
        came.push(come_in(&stack, student, &code).await.enrollment_id);
    }
    let [of_ann, of_bob, of_eve] = came.try_into().expect("three");
    let too = come_in(&stack, &ann, &other_code).await.enrollment_id;

    let within = |request: ListEnrollmentsRequest| ListEnrollmentsRequest {
        organization_id: organization.id.clone(),
        ..request
    };
    let in_class = |request: ListEnrollmentsRequest| ListEnrollmentsRequest {
        class_id: class.class_id.clone(),
        ..request
    };
    // By the name that begins so; of one student the newest first.
    let expected = those([&of_eve, &too, &of_ann, &of_bob]);
    assert_eq!(listed(&admin, within(by_name("smi"))).await, expected);
    let expected = those([&of_eve, &of_ann, &of_bob]);
    assert_eq!(listed(&admin, in_class(by_name("SMI"))).await, expected);
    let expected = those([&of_ann, &of_bob, &of_eve]);
    for prefix in ["ann.", "bob.", "eve."] {
        let request = in_class(by_address(prefix));
        let one = expected.iter().zip([&ann, &bob, &eve]);
        let one = one.filter(|(_, student)| {
            [(&ann, "ann."), (&bob, "bob."), (&eve, "eve.")].contains(&(*student, prefix))
        });
        let one: Vec<String> = one.map(|(enrollment, _)| enrollment.clone()).collect();
        assert_eq!(listed(&admin, request).await, one, "{prefix}");
    }
    organization.cancel(&of_ann, "").await;
    let enrolled = ListEnrollmentsRequest {
        status: latchkey_proto::enrollment::v1::EnrollmentStatus::Enrolled.into(),
        ..in_class(by_name("smith"))
    };
    assert_eq!(listed(&admin, enrolled).await, those([&of_bob]));
    // A student finds nobody but themselves, an instructor whom they teach.
    let myself = stack.student(&eve);
    assert_eq!(
        listed(&myself, in_class(by_name("smi"))).await,
        those([&of_eve])
    );
    assert_eq!(listed(&myself, in_class(by_name("ann"))).await, [""; 0]);
    let instructor = organization.instructor("ines-instructor");
    assert_eq!(
        listed(&instructor, in_class(by_name("smilla"))).await,
        those([&of_eve])
    );
    stack.finish().await;
}

#[tokio::test]
async fn keys_are_found_by_when_they_were_generated_and_since_when_they_are_used() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, early) = organization.keyed_class(ClassDraft::new(), 2).await;
    let between = now();
    let late = organization.generate(&class.class_id, 2).await;
    let students = organization.students(2).await;
    come_in(&stack, &students[0], &late[0].code).await;
    let used = now();
    come_in(&stack, &students[1], &early[0].code).await;
    invariants::hold(&stack).await;

    let admin = organization.admin();
    let of_class = ListTrainingKeysRequest {
        class_id: class.class_id.clone(),
        ..ListTrainingKeysRequest::default()
    };
    let found = async |request: ListTrainingKeysRequest| {
        let answer = admin.training_keys().list_training_keys(request).await;
        let keys = answer.expect("keys").into_inner().keys;
        keys.into_iter()
            .map(|key| key.key_id)
            .collect::<BTreeSet<String>>()
    };
    let ids = |keys: &[RevealedCode]| -> BTreeSet<String> {
        keys.iter().map(|key| key.key_id.clone()).collect()
    };
    let generated =
        |from: Option<DateTime<Utc>>, until: Option<DateTime<Utc>>| ListTrainingKeysRequest {
            create_from: from.and_then(at),
            create_until: until.and_then(at),
            ..of_class.clone()
        };
    assert_eq!(found(generated(Some(between), None)).await, ids(&late));
    assert_eq!(found(generated(None, Some(between))).await, ids(&early));
    assert!(found(generated(Some(used), None)).await.is_empty());
    let redeemed =
        |from: Option<DateTime<Utc>>, until: Option<DateTime<Utc>>| ListTrainingKeysRequest {
            redeem_from: from.and_then(at),
            redeem_until: until.and_then(at),
            ..of_class.clone()
        };
    assert_eq!(found(redeemed(Some(used), None)).await, ids(&early[..1]));
    assert_eq!(found(redeemed(None, Some(used))).await, ids(&late[..1]));
    assert_eq!(
        found(redeemed(Some(between), Some(used))).await,
        ids(&late[..1])
    );
    // Without one of these, all keys of an organization would have to be looked at.
    let everywhere = ListTrainingKeysRequest {
        class_id: String::new(),
        organization_id: organization.id.clone(),
        ..redeemed(Some(used), None)
    };
    let answer = admin.training_keys().list_training_keys(everywhere).await;
    refused(answer, ErrorReason::FieldInvalid);
    stack.finish().await;
}
