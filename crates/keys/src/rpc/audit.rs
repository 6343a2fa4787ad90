//! `latchkey.audit.v1.AuditService`.

use latchkey_proto::audit::v1 as proto;
use latchkey_proto::audit::v1::audit_service_server::AuditService;
use latchkey_service_kit::paging::{Page, PageRequest};
use latchkey_service_kit::validation::Violations;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::call_of;
use super::convert::stamp;
use crate::app::App;
use crate::app::list_audit_events::{Filter, ListAuditEvents, list_audit_events};
use crate::domain::audit::{Event, Outcome};

/// Serves the audit trail of this service.
#[derive(Debug, Clone)]
pub struct AuditTrail {
    app: App,
}

impl AuditTrail {
    /// The trail in `app`'s database.
    pub fn new(app: App) -> Self {
        Self { app }
    }
}

#[tonic::async_trait]
impl AuditService for AuditTrail {
    async fn list_audit_events(
        &self,
        request: Request<proto::ListAuditEventsRequest>,
    ) -> Result<Response<proto::ListAuditEventsResponse>, Status> {
        let call = call_of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::of(&request);
        let organization_id = violations.optional_uuid("organization_id", &request.organization_id);
        let filter = Filter {
            organization_ids: None,
            resource_id: violations.optional_uuid("resource_id", &request.resource_id),
            resource_type: filled(violations.line("resource_type", &request.resource_type)),
            student_id: violations.optional_uuid("student_id", &request.student_id),
            action: filled(violations.line("action", &request.action)),
            actor_subject: filled(violations.line("actor_subject", &request.actor_subject)),
            outcome: outcome(request.outcome()),
            request_id: filled(violations.line("request_id", &request.request_id)),
            from: violations.optional_timestamp("from", request.from.as_ref()),
            until: violations.optional_timestamp("until", request.until.as_ref()),
        };
        let fingerprint = fingerprint(organization_id, &filter);
        let query = ["ListAuditEvents", fingerprint.as_str()];
        let page: PageRequest<Uuid> = PageRequest::read(
            request.page_size,
            &request.page_token,
            &query,
            &mut violations,
        );
        violations.finish()?;
        let wanted = ListAuditEvents {
            organization_id,
            filter,
            after: page.after,
            limit: page.limit(),
        };
        let events = list_audit_events(&self.app, &call, wanted).await?;
        let bytes = |event: &Event| event.details.to_string().len();
        let page = Page::weighed(events, &page, |event| event.event_id, bytes).map(message);
        Ok(Response::new(proto::ListAuditEventsResponse {
            events: page.items,
            next_page_token: page.next_page_token,
        }))
    }
}

/// The filters in one canonical text, to which page tokens are bound.
fn fingerprint(organization_id: Option<Uuid>, filter: &Filter) -> String {
    format!("{organization_id:?} {filter:?}")
}

fn filled(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
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

fn message(event: Event) -> proto::AuditEvent {
    let id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    proto::AuditEvent {
        event_id: event.event_id.to_string(),
        occurred_at: Some(stamp(event.occurred_at)),
        actor: Some(proto::Actor {
            subject: event.actor.subject,
            issuer: event.actor.issuer,
            roles: event.actor.roles,
            organization_id: id(event.actor.organization_id),
        }),
        organization_id: id(event.organization_id),
        action: event.action,
        resource_type: event.resource_type.unwrap_or_default(),
        resource_id: id(event.resource_id),
        student_id: id(event.student_id),
        peer: event.peer,
        request_id: event.request_id,
        outcome: outcome_message(event.outcome).into(),
        reason: event.reason.unwrap_or_default(),
        details_json: event.details.to_string(),
    }
}
