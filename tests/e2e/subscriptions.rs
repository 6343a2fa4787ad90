//! Subscriptions: a key opens all courses of a profile, to as many students as it has uses, until the assignment expires.

mod profiles;

use chrono::TimeDelta;
use futures::future::join_all;
use latchkey_proto::enrollment::v1::{
    AccessDenial, AssignmentStatus, Course, ListAssignmentsRequest, ListRedemptionsRequest,
    RedeemKeyResponse, Redemption, RedemptionOutcome, SubscriptionAssignment, SubscriptionProfile,
    UpdateSubscriptionProfileRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::{
    GetTrainingKeyRequest, KeyKind, KeyState, SubscriptionKeyTerms, UpdateSubscriptionKeyRequest,
};
use latchkey_service_kit::status::metadata_of;
use tonic::{Response, Status};

use crate::harness::subscriptions::{LASTS, course, profile_request, uses};
use crate::harness::time::read;
use crate::harness::world::{check, mask, redeem, redeem_as, redemption};
use crate::harness::{
    Options, Organization, Stack, at, eventually, new_id, now, reason_of, refused,
};
use crate::registration::registration;
use crate::self_paced::{access, cancel, launch};

fn assignment(answer: Result<Response<RedeemKeyResponse>, Status>) -> SubscriptionAssignment {
    let answer = answer.expect("granted").into_inner();
    assert!(answer.enrollment.is_none() && answer.course_assignment.is_none());
    answer.subscription_assignment.expect("an assignment")
}

/// A profile with one key of these terms; its code and the key's id.
async fn keyed_profile(
    organization: &Organization<'_>,
    terms: SubscriptionKeyTerms,
) -> (SubscriptionProfile, String, String) {
    let profile = organization.profile().await;
    let mut keys = organization
        .subscription_keys(&profile.profile_id, 1, terms)
        .await;
    let key = keys.remove(0);
    (profile, key.code, key.key_id)
}

/// Changes a profile.
async fn update(
    organization: &Organization<'_>,
    profile_id: &str,
    fields: &[&str],
    change: impl FnOnce(&mut UpdateSubscriptionProfileRequest),
) -> Result<SubscriptionProfile, Status> {
    let mut request = UpdateSubscriptionProfileRequest {
        profile_id: profile_id.to_owned(),
        update_mask: mask(fields),
        ..UpdateSubscriptionProfileRequest::default()
    };
    change(&mut request);
    let mut profiles = organization.admin().profiles();
    let answer = profiles.update_subscription_profile(request).await?;
    Ok(answer.into_inner().profile.expect("a profile"))
}

#[tokio::test]
async fn a_subscription_key_assigns_all_courses_of_its_profile() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (profile, code, key_id) = keyed_profile(&organization, uses(1)).await;
    let student = organization.student().await.student_id;
    let checked = check(&stack, &student, &code)
        .await
        .expect("good")
        .into_inner();
    assert_eq!(checked.key_kind(), KeyKind::Subscription);
    assert_eq!(checked.redeemable_until, None, "always");
    let opened = checked.opened_subscription.expect("a subscription");
    assert_eq!(
        (opened.courses, opened.uses_left),
        (profile.courses.clone(), Some(1))
    );
    let id = new_id();
    let made = assignment(redeem_as(&stack, &id, &student, &code).await);
    assert_eq!((&made.assignment_id, &made.student_id), (&id, &student));
    assert_eq!(
        (&made.profile_id, &made.key_id),
        (&profile.profile_id, &key_id)
    );
    let lasts = read(made.expire_time.as_ref()) - read(made.assign_time.as_ref());
    assert_eq!(lasts, LASTS, "as long as the profile says");
    for course in &profile.courses {
        let open = access(&stack, &student, &course.course_id).await;
        assert!(open.allowed && open.course_assignment.is_none());
        assert_eq!(open.subscription_assignment, Some(made.clone()));
    }
    let again = redeem(&stack, &student, &code)
        .await
        .expect("there already");
    assert!(again.get_ref().replayed);
    assert_eq!(again.get_ref().outcome(), RedemptionOutcome::AlreadyIn);
    assert_eq!(assignment(Ok(again)), made);
    let other = organization.student().await.student_id;
    refused(
        redeem(&stack, &other, &code).await,
        ErrorReason::KeyAlreadyRedeemed,
    );
    eventually("marked", async || {
        let request = GetTrainingKeyRequest {
            key_id: key_id.clone(),
        };
        let mut keys = organization.admin().training_keys();
        let key = keys.get_training_key(request).await.expect("the key");
        let key = key.into_inner().key.expect("a key");
        if key.state() == KeyState::Redeemed && key.use_count == 1 {
            Ok(())
        } else {
            Err(format!("{key:?}"))
        }
    })
    .await;
    listed(&organization, &profile, &made).await;
    stack.finish().await;
}

/// The profile's lists show what was redeemed by its key: `made`, and decisions that came to nothing.
async fn listed(
    organization: &Organization<'_>,
    profile: &SubscriptionProfile,
    made: &SubscriptionAssignment,
) {
    let request = ListAssignmentsRequest {
        profile_id: profile.profile_id.clone(),
        ..ListAssignmentsRequest::default()
    };
    let mut assignments = organization.admin().assignments();
    let found = assignments.list_assignments(request).await.expect("a list");
    let found = found.into_inner().assignments;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].subscription_assignment.as_ref(), Some(made));
    let request = ListRedemptionsRequest {
        profile_id: profile.profile_id.clone(),
        ..ListRedemptionsRequest::default()
    };
    let mut redemptions = organization.admin().redemptions();
    let found = redemptions.list_redemptions(request).await.expect("a list");
    let found = found.into_inner().redemptions;
    let outcomes: Vec<RedemptionOutcome> = found.iter().map(Redemption::outcome).collect();
    assert_eq!(
        outcomes,
        [
            RedemptionOutcome::Refused,
            RedemptionOutcome::AlreadyIn,
            RedemptionOutcome::Assigned
        ]
    );
    assert!(
        found
            .iter()
            .all(|one| one.key_kind() == KeyKind::Subscription)
    );
}

#[tokio::test]
async fn changed_courses_are_open_at_once_to_who_has_the_profile_already() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (profile, code, _) = keyed_profile(&organization, uses(1)).await;
    let student = organization.student().await.student_id;
    let made = assignment(redeem(&stack, &student, &code).await);
    let [kept, gone] = [&profile.courses[0], &profile.courses[1]];
    let new = course("Routing");
    let courses: Vec<Course> = vec![kept.clone(), new.clone()];
    update(
        &organization,
        &profile.profile_id,
        &["courses", "duration"],
        |request| {
            request.courses.clone_from(&courses);
            request.duration = Some(prost_types::Duration {
                seconds: 60,
                nanos: 0,
            });
        },
    )
    .await
    .expect("changed");
    for open in [kept, &new] {
        let answer = access(&stack, &student, &open.course_id).await;
        let found = answer.subscription_assignment.expect("an assignment");
        assert_eq!(found.courses, courses);
        assert_eq!(found.expire_time, made.expire_time, "as it was granted");
    }
    let answer = access(&stack, &student, &gone.course_id).await;
    assert_eq!(answer.denial(), AccessDenial::NotAssigned);
    stack.finish().await;
}

#[tokio::test]
async fn of_50_students_racing_for_a_key_with_3_uses_over_two_processes_3_have_the_courses() {
    let stack = Stack::with(Options {
        replicas: 2,
        ..Options::default()
    })
    .await;
    let organization = Organization::new(&stack).await;
    let (_, code, key_id) = keyed_profile(&organization, uses(3)).await;
    let students = organization.students(50).await;
    let platform = stack.platform();
    let rush = students.iter().enumerate().map(|(number, student)| {
        let mut redemptions = platform.on(number % 2).redemptions();
        let request = redemption(&new_id(), student, &code);
        async move { redemptions.redeem_key(request).await }
    });
    let answers = join_all(rush).await;
    let mut granted = Vec::new();
    for answer in answers {
        match answer {
            Ok(_) => granted.push(assignment(answer)),
            Err(refusal) => assert_eq!(reason_of(&refusal), ErrorReason::KeyAlreadyRedeemed),
        }
    }
    assert_eq!(granted.len(), 3);
    // A use that is given up is somebody else's.
    let freed = cancel(&organization.manager(), &granted[1].assignment_id).await;
    let freed = freed.expect("cancelled").into_inner().assignment;
    let freed = freed.and_then(|one| one.subscription_assignment);
    assert_eq!(
        freed.expect("of a subscription").status(),
        AssignmentStatus::Cancelled
    );
    let late = organization.students(2).await;
    assignment(redeem(&stack, &late[0], &code).await);
    refused(
        redeem(&stack, &late[1], &code).await,
        ErrorReason::KeyAlreadyRedeemed,
    );
    below_the_uses_made(&organization, &key_id).await;
    stack.finish().await;
}

/// The limit of a key that is used by 3 cannot be 2; it can be 4, or none.
async fn below_the_uses_made(organization: &Organization<'_>, key_id: &str) {
    let limit = |terms| UpdateSubscriptionKeyRequest {
        key_id: key_id.to_owned(),
        update_mask: mask(&["max_uses"]),
        terms: Some(terms),
        ..UpdateSubscriptionKeyRequest::default()
    };
    eventually("all uses are known to keys", async || {
        let request = GetTrainingKeyRequest {
            key_id: key_id.to_owned(),
        };
        let mut keys = organization.admin().training_keys();
        let key = keys.get_training_key(request).await.expect("the key");
        match key.into_inner().key.expect("a key").use_count {
            3 => Ok(()),
            other => Err(format!("{other} uses")),
        }
    })
    .await;
    let mut keys = organization.admin().subscription_keys();
    let refusal = refused(
        keys.update_subscription_key(limit(uses(2))).await,
        ErrorReason::MaxUsesBelowUses,
    );
    assert_eq!(metadata_of(&refusal)["uses"], "3");
    for terms in [
        uses(4),
        SubscriptionKeyTerms {
            unlimited: true,
            ..SubscriptionKeyTerms::default()
        },
    ] {
        keys.update_subscription_key(limit(terms))
            .await
            .expect("changed");
    }
    let everybody = organization.students(5).await;
    let code = organization.code_of(key_id).await;
    for student in &everybody {
        assignment(redeem(organization.stack, student, &code).await);
    }
}

#[tokio::test]
async fn a_disabled_profile_and_a_key_that_is_over_open_nothing() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (profile, code, key_id) = keyed_profile(&organization, uses(5)).await;
    let students = organization.students(3).await;
    let enable = |enabled| {
        update(
            &organization,
            &profile.profile_id,
            &["enabled"],
            move |request| request.enabled = enabled,
        )
    };
    enable(false).await.expect("disabled");
    refused(
        redeem(&stack, &students[0], &code).await,
        ErrorReason::SubscriptionProfileDisabled,
    );
    enable(true).await.expect("enabled");
    let kept = assignment(redeem(&stack, &students[0], &code).await);
    enable(false).await.expect("disabled");
    let open = access(&stack, &students[0], &profile.courses[0].course_id).await;
    assert!(open.allowed, "what was granted stays");
    enable(true).await.expect("enabled");
    let over = now() - TimeDelta::seconds(1);
    let change = |fields: &[&str], terms| UpdateSubscriptionKeyRequest {
        key_id: key_id.clone(),
        update_mask: mask(fields),
        terms: Some(terms),
        ..UpdateSubscriptionKeyRequest::default()
    };
    let mut keys = organization.admin().subscription_keys();
    let ended = SubscriptionKeyTerms {
        expire_time: at(over),
        ..SubscriptionKeyTerms::default()
    };
    keys.update_subscription_key(change(&["expire_time"], ended))
        .await
        .expect("ended");
    let refusal = refused(
        redeem(&stack, &students[1], &code).await,
        ErrorReason::WindowClosed,
    );
    let closed = metadata_of(&refusal)["closed_at"].parse::<chrono::DateTime<chrono::Utc>>();
    assert_eq!(closed.expect("a time"), over);
    let fixed = now() + TimeDelta::days(2);
    let prolonged = SubscriptionKeyTerms {
        content_expire_time: at(fixed),
        ..SubscriptionKeyTerms::default()
    };
    keys.update_subscription_key(change(&["expire_time", "content_expire_time"], prolonged))
        .await
        .expect("prolonged");
    let made = assignment(redeem(&stack, &students[1], &code).await);
    assert_eq!(read(made.expire_time.as_ref()), fixed, "as the key says");
    assert_eq!(kept.profile_id, made.profile_id);
    stack.finish().await;
}

#[tokio::test]
async fn it_is_available_to_the_organizations_that_the_profile_names_and_those_below() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let child = organization.child().await;
    let grandchild = child.child().await;
    let mut request = profile_request(&organization.id);
    request.available_organization_ids = vec![child.id.clone()];
    let profile = organization.profile_of(request).await;
    let terms = SubscriptionKeyTerms {
        unlimited: true,
        ..SubscriptionKeyTerms::default()
    };
    let code = organization
        .subscription_keys(&profile.profile_id, 1, terms)
        .await
        .remove(0)
        .code;
    for below in [&child, &grandchild] {
        let student = below.student().await.student_id;
        assignment(redeem(&stack, &student, &code).await);
    }
    let own = organization.student().await.student_id;
    refused(
        redeem(&stack, &own, &code).await,
        ErrorReason::OrganizationMismatch,
    );
    update(
        &organization,
        &profile.profile_id,
        &["available_organization_ids"],
        |_| {},
    )
    .await
    .expect("to all");
    assignment(redeem(&stack, &own, &code).await);
    let stranger = Organization::new(&stack).await.student().await.student_id;
    refused(
        redeem(&stack, &stranger, &code).await,
        ErrorReason::OrganizationMismatch,
    );
    stack.finish().await;
}

#[tokio::test]
async fn who_registers_with_it_gets_an_account_and_the_courses() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    organization.let_register(true).await;
    let (_, code, _) = keyed_profile(&organization, uses(1)).await;
    let request = registration(&organization.id, &code);
    let platform = stack.platform();
    for replayed in [false, true] {
        let mut redemptions = platform.redemptions();
        let answer = redemptions.register_with_key(request.clone()).await;
        let answer = answer.expect("registered").into_inner();
        assert_eq!(answer.replayed, replayed);
        let assignment = answer.subscription_assignment.expect("an assignment");
        let student = answer.student.expect("an account").student_id;
        assert_eq!(assignment.student_id, student);
        assert_eq!(assignment.assignment_id, request.redemption_id);
    }
    let late = registration(&organization.id, &code);
    let answer = platform.redemptions().register_with_key(late).await;
    refused(answer, ErrorReason::KeyAlreadyRedeemed);
    stack.finish().await;
}

#[tokio::test]
async fn it_can_be_cancelled_while_nothing_was_launched() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let profile = organization.profile().await;
    let student = organization.student().await.student_id;
    let made = organization.subscribe(&student, &profile.profile_id).await;
    let launched = launch(&stack, &made.assignment_id).await;
    let launched = launched.expect("launched").into_inner().assignment;
    let launched = launched.and_then(|one| one.subscription_assignment);
    assert!(launched.expect("of a subscription").launch_time.is_some());
    refused(
        cancel(&stack.student(&student), &made.assignment_id).await,
        ErrorReason::AssignmentLaunched,
    );
    stack.finish().await;
}
