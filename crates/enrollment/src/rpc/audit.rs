//! `AuditService`.

use std::sync::Arc;

use latchkey_proto::audit::v1 as proto;
use latchkey_proto::audit::v1::audit_service_server::AuditService;
use latchkey_service_kit::paging::PageRequest;
use latchkey_service_kit::validation::Violations;
use tonic::{Request, Response, Status};

use super::call;
use super::messages::{optional_id, optional_text, stamp};
use crate::app::Services;
use crate::app::audit::list_audit_events::{EventFilter, list_audit_events};
use crate::domain::audit::{Event, Outcome};

/// The service.
#[derive(Debug, Clone)]
pub struct AuditTrail {
    services: Arc<Services>,
}

impl AuditTrail {
    /// The service, working with `services`.
    pub fn new(services: Arc<Services>) -> Self {
        Self { services }
    }
}

#[tonic::async_trait]
impl AuditService for AuditTrail {
    async fn list_audit_events(
        &self,
        request: Request<proto::ListAuditEventsRequest>,
    ) -> Result<Response<proto::ListAuditEventsResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let filter = filter(&mut violations, &message);
        let bound = format!("{filter:?}");
        let query = ["ListAuditEvents", bound.as_str()];
        let page = PageRequest::read(
            message.page_size,
            &message.page_token,
            &query,
            &mut violations,
        );
        violations.finish()?;
        let found = list_audit_events(&self.services, &call, &filter, &page)
            .await?
            .map(event);
        Ok(Response::new(proto::ListAuditEventsResponse {
            events: found.items,
            next_page_token: found.next_page_token,
        }))
    }
}

fn filter(violations: &mut Violations, message: &proto::ListAuditEventsRequest) -> EventFilter {
    let text = |text: &str| optional_text(text).map(str::to_owned);
    EventFilter {
        organization_id: violations.optional_uuid("organization_id", &message.organization_id),
        resource_id: violations.optional_uuid("resource_id", &message.resource_id),
        resource_type: text(violations.line("resource_type", &message.resource_type)),
        student_id: violations.optional_uuid("student_id", &message.student_id),
        action: text(violations.line("action", &message.action)),
        actor_subject: text(violations.line("actor_subject", &message.actor_subject)),
        outcome: outcome(message.outcome()),
        request_id: text(violations.line("request_id", &message.request_id)),
        from: violations.optional_timestamp("from", message.from.as_ref()),
        until: violations.optional_timestamp("until", message.until.as_ref()),
    }
}

fn outcome(outcome: proto::AuditOutcome) -> Option<Outcome> {
    match outcome {
        proto::AuditOutcome::Unspecified => None,
        proto::AuditOutcome::Done => Some(Outcome::Done),
        proto::AuditOutcome::Refused => Some(Outcome::Refused),
        proto::AuditOutcome::BeyondReach => Some(Outcome::BeyondReach),
        proto::AuditOutcome::Limited => Some(Outcome::Limited),
    }
}

fn outcome_message(outcome: Outcome) -> proto::AuditOutcome {
    match outcome {
        Outcome::Done => proto::AuditOutcome::Done,
        Outcome::Refused => proto::AuditOutcome::Refused,
        Outcome::BeyondReach => proto::AuditOutcome::BeyondReach,
        Outcome::Limited => proto::AuditOutcome::Limited,
    }
}

fn event(event: Event) -> proto::AuditEvent {
    proto::AuditEvent {
        event_id: event.event_id.to_string(),
        occurred_at: Some(stamp(event.occurred_at)),
        actor: Some(proto::Actor {
            subject: event.actor_subject,
            issuer: event.actor_issuer,
            roles: event.actor_roles,
            organization_id: optional_id(event.actor_organization_id),
        }),
        organization_id: optional_id(event.organization_id),
        action: event.action,
        resource_type: event.resource_type.unwrap_or_default(),
        resource_id: optional_id(event.resource_id),
        student_id: optional_id(event.student_id),
        peer: event.peer,
        request_id: event.request_id,
        outcome: outcome_message(event.outcome).into(),
        reason: event.reason.unwrap_or_default(),
        details_json: event.details.to_string(),
    }
}
