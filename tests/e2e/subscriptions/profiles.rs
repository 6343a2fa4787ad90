//! Making and changing profiles.

use latchkey_proto::audit::v1::{AuditOutcome, ListAuditEventsRequest};
use latchkey_proto::enrollment::v1::GetSubscriptionProfileRequest;
use latchkey_proto::errors::v1::ErrorReason;

use super::update;
use crate::harness::subscriptions::profile_request;
use crate::harness::{Organization, Stack, reason_of, refused};

#[tokio::test]
async fn a_profile_is_created_once_and_changed_by_who_has_seen_it_as_it_is() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let request = profile_request(&organization.id);
    let made = organization.profile_of(request.clone()).await;
    assert_eq!(organization.profile_of(request.clone()).await, made);
    assert_eq!((&made.courses, made.enabled), (&request.courses, true));
    let mut other = request.clone();
    other.name = "Something else".to_owned();
    let admin = organization.admin();
    refused(
        admin.profiles().create_subscription_profile(other).await,
        ErrorReason::RequestIdReused,
    );
    let renamed = update(&organization, &made.profile_id, &["name"], |request| {
        request.name = "Networks, all of it".to_owned();
        request.etag.clone_from(&made.etag);
    })
    .await
    .expect("renamed");
    assert_eq!(renamed.courses, made.courses, "nothing else");
    let stale = update(&organization, &made.profile_id, &["enabled"], |request| {
        request.etag.clone_from(&made.etag);
    })
    .await;
    assert_eq!(
        reason_of(&stale.expect_err("stale")),
        ErrorReason::EtagMismatch
    );
    let unchanged = update(&organization, &made.profile_id, &["enabled"], |request| {
        request.enabled = true;
    });
    assert_eq!(unchanged.await.expect("as it was"), renamed);
    let request = GetSubscriptionProfileRequest {
        profile_id: made.profile_id.clone(),
    };
    let found = admin.profiles().get_subscription_profile(request).await;
    assert_eq!(
        found.expect("the profile").into_inner().profile,
        Some(renamed)
    );
    let request = ListAuditEventsRequest {
        resource_id: made.profile_id,
        outcome: AuditOutcome::Done.into(),
        ..ListAuditEventsRequest::default()
    };
    let events = admin.enrollment_audit().list_audit_events(request).await;
    let events = events.expect("events").into_inner().events;
    let actions: Vec<&str> = events.iter().map(|event| &*event.action).collect();
    let wanted = ["subscription_profile.update", "subscription_profile.create"];
    assert_eq!(actions, wanted, "once each, the newest first");
    stack.finish().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_profile_is_named_by_field() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let admin = organization.admin();
    let mut twice = profile_request(&organization.id);
    let first = twice.courses[0].clone();
    twice.courses.push(first);
    let answer = admin.profiles().create_subscription_profile(twice).await;
    let refusal = refused(answer, ErrorReason::FieldInvalid);
    assert!(format!("{refusal:?}").contains("courses[2].course_id"));
    let stranger = Organization::new(&stack).await;
    let mut elsewhere = profile_request(&organization.id);
    elsewhere.available_organization_ids = vec![stranger.id];
    let answer = admin
        .profiles()
        .create_subscription_profile(elsewhere)
        .await;
    refused(answer, ErrorReason::OrganizationNotFound);
    stack.finish().await;
}
