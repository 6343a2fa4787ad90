//! Refused calls in the trail.

use latchkey_service_kit::refusals::{Entry, Owner, Resource};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::store::StoreError;

/// Whom those of `resources` that exist belong to.
pub async fn owners(
    pool: &PgPool,
    resources: &[Resource],
) -> Result<Vec<(Resource, Owner)>, StoreError> {
    let kinds: Vec<&str> = resources.iter().map(|one| one.kind.as_str()).collect();
    let ids: Vec<Uuid> = resources.iter().map(|one| one.id).collect();
    let rows = sqlx::query!(
        r#"
        SELECT w.kind AS "kind!", w.id AS "id!", r.organization_id AS "organization!",
            coalesce(o.ancestor_ids, '{}') AS "ancestors!"
        FROM unnest($1::text[], $2::uuid[]) AS w (kind, id)
        CROSS JOIN LATERAL (
            SELECT g.organization_id FROM keys.grants g
            WHERE (w.kind, g.kind) IN (('class', 'class'), ('key_pool', 'pool'), ('subscription_profile', 'profile')) AND g.grant_id = w.id
            UNION ALL
            SELECT k.organization_id FROM keys.training_keys k WHERE w.kind = 'training_key' AND k.key_id = w.id
        ) r
        LEFT JOIN LATERAL (
            SELECT x.ancestor_ids FROM keys.organizations x WHERE x.organization_id = r.organization_id LIMIT 1
        ) o ON true
        "#,
        &kinds as _,
        &ids,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let (kind, id) = (row.kind, row.id);
            let owner = Owner {
                organization: row.organization,
                ancestors: row.ancestors,
            };
            (Resource { kind, id }, owner)
        })
        .collect())
}

/// Records refused calls, each under the id (UUIDv7) beside it.
pub async fn insert(
    connection: &mut PgConnection,
    rows: &[(Uuid, &Entry)],
) -> Result<(), StoreError> {
    let entries = || rows.iter().map(|(_, entry)| *entry);
    let callers = || entries().map(|entry| &entry.caller);
    let resources = || entries().map(|entry| entry.resource.as_ref());
    let students = resources().map(|one| one.filter(|one| one.kind == "student"));
    let event_ids: Vec<Uuid> = rows.iter().map(|(id, _)| *id).collect();
    let subjects: Vec<&str> = callers().map(|one| one.subject.as_str()).collect();
    let issuers: Vec<&str> = callers().map(|one| one.issuer.as_str()).collect();
    // There are no arrays of arrays of different lengths: the roles travel as text.
    let roles: Vec<String> = callers().map(|one| one.role_names().join(",")).collect();
    let homes: Vec<Option<Uuid>> = callers().map(|one| one.organization).collect();
    let organizations: Vec<Option<Uuid>> = entries().map(|one| one.organization).collect();
    let methods: Vec<&str> = entries().map(|one| one.method.as_str()).collect();
    let kinds: Vec<Option<&str>> = resources().map(|one| Some(one?.kind.as_str())).collect();
    let ids: Vec<Option<Uuid>> = resources().map(|one| Some(one?.id)).collect();
    let students: Vec<Option<Uuid>> = students.map(|one| Some(one?.id)).collect();
    let peers: Vec<&str> = entries().map(|one| one.peer.as_str()).collect();
    let requests: Vec<&str> = entries().map(|one| one.request_id.as_str()).collect();
    let outcomes: Vec<&str> = entries().map(|one| one.verdict.name()).collect();
    let reasons: Vec<&str> = entries().map(|one| one.reason).collect();
    let details: Vec<Value> = entries().map(|one| json!({ "calls": one.calls })).collect();
    sqlx::query!(
        r#"
        INSERT INTO keys.audit_events (
            event_id, actor_subject, actor_issuer, actor_roles, actor_organization_id, organization_id, action,
            resource_type, resource_id, student_id, peer, request_id, outcome, reason, details
        )
        SELECT n.event_id, n.subject, n.issuer, string_to_array(n.roles, ','), n.home, n.organization_id, n.method,
            n.kind, n.id, n.student_id, n.peer, n.request_id, n.outcome, n.reason, n.details
        FROM unnest(
            $1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::uuid[],
            $10::uuid[], $11::text[], $12::text[], $13::text[], $14::text[], $15::jsonb[]
        ) AS n (event_id, subject, issuer, roles, home, organization_id, method, kind, id, student_id, peer, request_id,
            outcome, reason, details)
        "#,
        &event_ids,
        &subjects as _,
        &issuers as _,
        &roles,
        &homes as _,
        &organizations as _,
        &methods as _,
        &kinds as _,
        &ids as _,
        &students as _,
        &peers as _,
        &requests as _,
        &outcomes as _,
        &reasons as _,
        &details,
    )
    .execute(connection)
    .await?;
    Ok(())
}
