//! Organizations own everything and form a tree: what is within reach, and for whom a key opens.

use latchkey_proto::enrollment::v1::{
    CreateOrganizationRequest, GetClassRequest, GetOrganizationRequest, ListOrganizationsRequest,
    SetSelfRegistrationRequest, UpdateOrganizationRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use tonic_types::StatusExt as _;

use crate::harness::world::{come_in, mask, redeem};
use crate::harness::{ClassDraft, Organization, Stack, new_id, refused};

#[tokio::test]
async fn staff_reach_their_organization_and_those_below_and_no_other() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (below, beside) = (organization.child().await, Organization::new(&stack).await);
    let get = |organization: &Organization<'_>| GetOrganizationRequest {
        organization_id: organization.id.clone(),
    };
    let mut organizations = organization.admin().organizations();
    for within in [&organization, &below] {
        let got = organizations.get_organization(get(within)).await;
        let got = got.expect("within reach").into_inner().organization;
        assert_eq!(got.expect("an organization").organization_id, within.id);
    }
    let beyond = organizations.get_organization(get(&beside)).await;
    refused(beyond, ErrorReason::OrganizationNotFound);
    let above = below
        .admin()
        .organizations()
        .get_organization(get(&organization))
        .await;
    refused(above, ErrorReason::OrganizationNotFound);

    let class = below.class(ClassDraft::new()).await;
    let request = GetClassRequest {
        class_id: class.class_id,
    };
    let read = organization
        .admin()
        .classes()
        .get_class(request.clone())
        .await;
    read.expect("a class of an organization below");
    let beyond = beside.admin().classes().get_class(request).await;
    refused(beyond, ErrorReason::ClassNotFound);

    let listed = organizations
        .list_organizations(ListOrganizationsRequest::default())
        .await;
    let listed = listed.expect("a list").into_inner().organizations;
    let mut ids: Vec<&str> = listed.iter().map(|one| &*one.organization_id).collect();
    let mut expected = [organization.id.as_str(), below.id.as_str()];
    ids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ids, expected);
    stack.finish().await;
}

#[tokio::test]
async fn the_same_request_makes_one_organization() {
    let stack = Stack::shared().await;
    let mut organizations = stack.operator().organizations();
    let request = CreateOrganizationRequest {
        request_id: new_id(),
        parent_id: String::new(),
        display_name: "Acme".to_owned(),
    };
    let mut seen = Vec::new();
    for _ in 0..2 {
        let made = organizations.create_organization(request.clone()).await;
        seen.push(made.expect("made").into_inner().organization);
    }
    assert_eq!(seen[0], seen[1]);
    let other = CreateOrganizationRequest {
        display_name: "Other".to_owned(),
        ..request
    };
    let other = organizations.create_organization(other).await;
    refused(other, ErrorReason::RequestIdReused);
    let orphan = CreateOrganizationRequest {
        request_id: new_id(),
        parent_id: new_id(),
        display_name: "Orphan".to_owned(),
    };
    let orphan = organizations.create_organization(orphan).await;
    refused(orphan, ErrorReason::OrganizationNotFound);
    stack.finish().await;
}

#[tokio::test]
async fn staff_change_the_name_and_only_operators_the_self_registration_switch() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let mut organizations = organization.admin().organizations();
    let request = UpdateOrganizationRequest {
        organization_id: organization.id.clone(),
        display_name: "Renamed".to_owned(),
        update_mask: mask(&["display_name"]),
        ..UpdateOrganizationRequest::default()
    };
    let renamed = organizations.update_organization(request).await;
    let renamed = renamed.expect("renamed").into_inner().organization;
    assert_eq!(renamed.expect("an organization").display_name, "Renamed");

    let request = SetSelfRegistrationRequest {
        organization_id: organization.id.clone(),
        enabled: true,
    };
    let forbidden = organizations.set_self_registration(request.clone()).await;
    refused(forbidden, ErrorReason::NotAllowed);
    let mut organizations = stack.operator().organizations();
    let switched = organizations.set_self_registration(request).await;
    let switched = switched.expect("switched").into_inner().organization;
    assert!(switched.expect("an organization").self_registration_enabled);
    stack.finish().await;
}

#[tokio::test]
async fn a_key_opens_for_its_organization_and_those_below_and_says_nothing_to_others() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (below, beside) = (organization.child().await, Organization::new(&stack).await);
    let (_, code) = organization.event_class(ClassDraft::new()).await;
    for within in [&organization, &below] {
        let student = within.student().await.student_id;
        come_in(&stack, &student, &code).await;
    }
    let (_, code_below) = below.event_class(ClassDraft::new()).await;
    for (outside, code) in [(&beside, &code), (&organization, &code_below)] {
        let student = outside.student().await.student_id;
        let answer = redeem(&stack, &student, code).await;
        let refusal = refused(answer, ErrorReason::OrganizationMismatch);
        let details = refusal.get_error_details();
        let metadata = &details.error_info().expect("a reason").metadata;
        assert!(metadata.is_empty(), "{metadata:?}");
        assert!(details.precondition_failure().is_none() && details.resource_info().is_none());
    }
    stack.finish().await;
}
