//! From where somebody asked, also of what enrollment has keys do for them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use latchkey_proto::enrollment::v1::RenderInvitationRequest;
use latchkey_service_kit::identity::Role;

use super::trails::Trails;
use crate::harness::callers::Channels;
use crate::harness::proxy::Link;
use crate::harness::{Caller, ClassDraft, Organization, PoolDraft, Stack};

/// An address of this machine that nobody else calls from: all of 127.0.0.0/8 is its own under Linux.
const AFAR: IpAddr = IpAddr::V4(if cfg!(target_os = "linux") {
    Ipv4Addr::new(127, 0, 0, 2)
} else {
    Ipv4Addr::LOCALHOST
});

/// An operations manager of `organization` who calls enrollment from [`AFAR`], by a link that must not be dropped.
async fn manager_from_afar(organization: &Organization<'_>) -> (Link, Caller) {
    let site = organization.stack.site();
    let link = Link::from(AFAR, site.enrollment[0].door()).await;
    let channels = Channels {
        keys: vec![site.keys[0].channel()],
        enrollment: vec![site.enrollment[0].channel_by(link.address())],
    };
    let (role, subject) = (Role::OperationsManager, "mona-manager");
    let token = (organization.stack).token(role, subject, Some(&organization.id));
    (link, Caller::new(Arc::new(channels), Some(&token)))
}

#[tokio::test]
async fn a_row_in_keys_has_the_address_of_whoever_asked_enrollment() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let pool_id = organization.pool(PoolDraft::new()).await.pool_id;
    let of_pool = organization.pool_keys(&pool_id, 1).await.remove(0).key_id;
    let mut trails = Trails::of(&organization);
    trails.news().await;
    let (_link, manager) = manager_from_afar(&organization).await;

    let request = ClassDraft::new().with_event_key().request(&organization.id);
    let made = manager.classes().create_class(request).await;
    let made = made.expect("a class").into_inner();
    let class_id = made.training_class.expect("a class").class_id;
    let event_key_id = made.event_key.expect("an event key").key_id;
    let to_class = RenderInvitationRequest {
        class_id: class_id.clone(),
        ..RenderInvitationRequest::default()
    };
    let to_course = RenderInvitationRequest {
        pool_id,
        key_id: of_pool.clone(),
        ..RenderInvitationRequest::default()
    };
    for request in [to_class, to_course] {
        let answer = manager.notifications().render_invitation(request).await;
        answer.expect("an invitation");
    }
    let expected = [
        ("class.create", class_id.as_str()),
        ("event_key.set", &event_key_id),
        ("event_key.reveal", &event_key_id),
        ("training_key.reveal", &of_pool),
    ];
    for event in trails.expect(&expected).await {
        assert_eq!(event.peer, AFAR.to_string(), "{event:?}");
    }
    stack.finish().await;
}
