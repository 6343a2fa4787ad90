//! `enrollment.audit_events`: deeds, inserted in the transaction of what they tell of, and refused calls; never changed.

pub mod listing;
pub mod refusals;

use latchkey_service_kit::faults::hold_point;
use latchkey_service_kit::identity::Caller;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::audit::Deed;

/// By whom and from where the deeds of one call are done.
#[derive(Debug, Clone, Copy)]
pub struct Author<'a> {
    /// Who.
    pub caller: &'a Caller,
    /// The address of the call.
    pub peer: &'a str,
    /// The id of the call.
    pub request_id: &'a str,
}

/// Records deeds, each under the id (UUIDv7) beside it.
pub async fn insert(
    connection: &mut PgConnection,
    author: Author<'_>,
    deeds: &[(Uuid, Deed)],
) -> sqlx::Result<()> {
    if deeds.is_empty() {
        return Ok(());
    }
    let event_ids: Vec<Uuid> = deeds.iter().map(|(id, _)| *id).collect();
    let organization_ids: Vec<Uuid> = deeds.iter().map(|(_, deed)| deed.organization_id).collect();
    let actions: Vec<&str> = deeds.iter().map(|(_, deed)| deed.action.name()).collect();
    let resource_types: Vec<&str> = deeds
        .iter()
        .map(|(_, deed)| deed.action.resource_type())
        .collect();
    let resource_ids: Vec<Uuid> = deeds.iter().map(|(_, deed)| deed.resource_id).collect();
    let student_ids: Vec<Option<Uuid>> = deeds.iter().map(|(_, deed)| deed.student_id).collect();
    let details: Vec<&Value> = deeds.iter().map(|(_, deed)| &deed.details).collect();
    sqlx::query!(
        r#"
        INSERT INTO enrollment.audit_events (
            event_id, actor_subject, actor_issuer, actor_roles, actor_organization_id, peer, request_id,
            organization_id, action, resource_type, resource_id, student_id, details
        )
        SELECT n.event_id, $1, $2, $3, $4, $5, $6,
            n.organization_id, n.action, n.resource_type, n.resource_id, n.student_id, n.details
        FROM unnest($7::uuid[], $8::uuid[], $9::text[], $10::text[], $11::uuid[], $12::uuid[], $13::jsonb[])
            AS n (event_id, organization_id, action, resource_type, resource_id, student_id, details)
        "#,
        author.caller.subject,
        author.caller.issuer,
        &author.caller.role_names(),
        author.caller.organization,
        author.peer,
        author.request_id,
        &event_ids,
        &organization_ids,
        &actions as _,
        &resource_types as _,
        &resource_ids,
        &student_ids as _,
        &details as _,
    )
    .execute(connection)
    .await?;
    hold_point("audit::written");
    Ok(())
}
