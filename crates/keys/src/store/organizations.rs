//! `keys.organizations`.

use latchkey_service_kit::access::Scope;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::StoreError;
use crate::domain::organization::Organization;

/// Copies organizations, each at most once; a version that is not newer than the stored one changes nothing.
/// Returns how many were stored.
pub async fn put(
    connection: &mut PgConnection,
    organizations: &[Organization],
) -> Result<u64, StoreError> {
    let ids: Vec<Uuid> = organizations
        .iter()
        .map(|organization| organization.organization_id)
        .collect();
    let versions: Vec<i64> = organizations
        .iter()
        .map(|organization| organization.version)
        .collect();
    // Arrays of arrays must be rectangular in SQL: the ancestors travel flat, each with the place of its owner.
    let ancestors = organizations
        .iter()
        .zip(1_i64..)
        .flat_map(|(organization, place)| {
            organization
                .ancestor_ids
                .iter()
                .map(move |ancestor| (place, *ancestor))
        });
    let (owners, ancestors): (Vec<i64>, Vec<Uuid>) = ancestors.unzip();
    let done = sqlx::query!(
        r#"
        INSERT INTO keys.organizations AS o (organization_id, ancestor_ids, version)
        SELECT n.organization_id, coalesce(a.ids, '{}'), n.version
        FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY AS n (organization_id, version, place)
        LEFT JOIN (
            SELECT f.owner, array_agg(f.ancestor ORDER BY f.nearness) AS ids
            FROM unnest($3::bigint[], $4::uuid[]) WITH ORDINALITY AS f (owner, ancestor, nearness)
            GROUP BY f.owner
        ) a ON a.owner = n.place
        ORDER BY n.organization_id
        ON CONFLICT (organization_id) DO UPDATE
        SET ancestor_ids = excluded.ancestor_ids, version = excluded.version
        WHERE o.version < excluded.version
        "#,
        &ids,
        &versions,
        &owners,
        &ancestors,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Those of the organizations `ids` that have a copy.
pub async fn find_all(
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Vec<Organization>, StoreError> {
    let found = sqlx::query_as!(
        Organization,
        "SELECT organization_id, ancestor_ids, version FROM keys.organizations WHERE organization_id = ANY ($1)",
        ids
    )
    .fetch_all(connection)
    .await?;
    Ok(found)
}

/// The organizations within `scope`: the caller's own and those below it, or (`None`) every one.
///
/// The own one is within reach even if its copy has not arrived.
pub async fn within(pool: &PgPool, scope: &Scope) -> Result<Option<Vec<Uuid>>, StoreError> {
    if scope.everything {
        return Ok(None);
    }
    let Some(own) = scope.organization else {
        return Ok(Some(Vec::new()));
    };
    let mut ids = sqlx::query_scalar!(
        "SELECT organization_id FROM keys.organizations WHERE ancestor_ids @> ARRAY[$1::uuid]",
        own
    )
    .fetch_all(pool)
    .await?;
    if !ids.contains(&own) {
        ids.push(own);
    }
    Ok(Some(ids))
}

/// Every organization, by id.
pub async fn all(pool: &PgPool) -> Result<Vec<Organization>, StoreError> {
    let organizations = sqlx::query_as!(
        Organization,
        "SELECT organization_id, ancestor_ids, version FROM keys.organizations ORDER BY organization_id"
    )
    .fetch_all(pool)
    .await?;
    Ok(organizations)
}
