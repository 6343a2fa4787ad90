//! The audit trails of both services, read step by step.

use std::collections::BTreeSet;

use latchkey_proto::audit::v1::{AuditEvent, AuditOutcome, ListAuditEventsRequest};

use crate::harness::{Organization, Stack};

/// The deeds in both trails, as an operator sees them.
pub(super) struct Trails<'s> {
    stack: &'s Stack,
    organization_id: String,
    seen: BTreeSet<String>,
}

impl<'s> Trails<'s> {
    pub(super) fn of(organization: &Organization<'s>) -> Self {
        Self {
            stack: organization.stack,
            organization_id: organization.id.clone(),
            seen: BTreeSet::new(),
        }
    }

    fn request(&self) -> ListAuditEventsRequest {
        ListAuditEventsRequest {
            organization_id: self.organization_id.clone(),
            page_size: 1000,
            outcome: AuditOutcome::Done.into(),
            ..ListAuditEventsRequest::default()
        }
    }

    /// The events since the last time, in no order.
    pub(super) async fn news(&mut self) -> Vec<AuditEvent> {
        let operator = self.stack.operator();
        let mut events = Vec::new();
        for mut trail in [operator.keys_audit(), operator.enrollment_audit()] {
            let answer = trail
                .list_audit_events(self.request())
                .await
                .expect("events")
                .into_inner();
            assert_eq!(answer.next_page_token, "");
            events.extend(answer.events);
        }
        events.retain(|event| self.seen.insert(event.event_id.clone()));
        events
    }

    /// Fails unless exactly these actions, on these resources, happened since the last time; returns the events.
    #[track_caller]
    fn check(events: &[AuditEvent], expected: &[(&str, &str)]) {
        let mut found: Vec<(&str, &str)> = events
            .iter()
            .map(|event| (event.action.as_str(), event.resource_id.as_str()))
            .collect();
        let mut expected = expected.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }

    /// Fails unless exactly these actions, on these resources, happened since the last time.
    pub(super) async fn expect_all(&mut self, expected: &[(&str, String)]) -> Vec<AuditEvent> {
        let pairs = expected.iter().map(|(action, id)| (*action, id.as_str()));
        self.expect(&pairs.collect::<Vec<_>>()).await
    }

    /// Likewise.
    pub(super) async fn expect(&mut self, expected: &[(&str, &str)]) -> Vec<AuditEvent> {
        let events = self.news().await;
        Self::check(&events, expected);
        for event in &events {
            assert_eq!(event.organization_id, self.organization_id);
            assert!(!event.resource_type.is_empty());
            assert_eq!(
                (event.outcome(), event.reason.as_str()),
                (AuditOutcome::Done, "")
            );
            let kind = event.action.split_once('.').expect("kind.deed").0;
            assert!(
                event.resource_type == kind || event.action == "training_key.generate",
                "{event:?}"
            );
            assert!(
                serde_json::from_str::<serde_json::Value>(&event.details_json)
                    .expect("JSON")
                    .is_object()
            );
        }
        events
    }
}
