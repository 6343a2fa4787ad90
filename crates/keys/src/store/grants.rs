//! `keys.grants`.

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_service_kit::access::Scope;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::StoreError;
use crate::domain::grant::{Dates, Grant, GrantKind, GrantStatus};

struct GrantRow {
    grant_id: Uuid,
    kind: String,
    organization_id: Uuid,
    name: String,
    instructors: Vec<String>,
    starts_at: Option<DateTime<Utc>>,
    ends_at: Option<DateTime<Utc>>,
    event_key_until: Option<DateTime<Utc>>,
    time_zone: String,
    status: String,
    maximum_keys: Option<i32>,
    maximum_is_default: bool,
    version: i64,
}

impl GrantRow {
    /// The dates, which are there together or not at all.
    fn dates(&self) -> Option<Dates> {
        Some(Dates {
            starts_at: self.starts_at?,
            ends_at: self.ends_at?,
            event_key_until: self.event_key_until?,
        })
    }
}

impl TryFrom<GrantRow> for Grant {
    type Error = StoreError;

    fn try_from(row: GrantRow) -> Result<Self, StoreError> {
        let bad = |column| StoreError::bad_row("keys.grants", column, row.grant_id);
        Ok(Self {
            zone: row.time_zone.parse().map_err(|_| bad("time_zone"))?,
            status: GrantStatus::from_text(&row.status).ok_or_else(|| bad("status"))?,
            kind: GrantKind::from_text(&row.kind).ok_or_else(|| bad("kind"))?,
            dates: row.dates(),
            grant_id: row.grant_id,
            organization_id: row.organization_id,
            name: row.name,
            instructors: row.instructors,
            maximum_keys: row.maximum_keys,
            maximum_is_default: row.maximum_is_default,
            version: row.version,
        })
    }
}

/// The classes among `grants` whose stored grant is a draft of another organization: they are locked.
///
/// A creation that was given up may be taken up again by the same request id with other content.
pub async fn lock_foreign_drafts(
    connection: &mut PgConnection,
    grants: &[Grant],
) -> Result<Vec<Uuid>, StoreError> {
    let ids: Vec<Uuid> = grants.iter().map(|grant| grant.grant_id).collect();
    let organizations: Vec<Uuid> = grants.iter().map(|grant| grant.organization_id).collect();
    let drafts = sqlx::query_scalar!(
        r#"
        SELECT g.grant_id
        FROM unnest($1::uuid[], $2::uuid[]) AS n (grant_id, organization_id)
        JOIN keys.grants g ON g.grant_id = n.grant_id
        WHERE g.status = 'creating' AND g.organization_id <> n.organization_id
        ORDER BY g.grant_id
        FOR UPDATE OF g
        "#,
        &ids,
        &organizations,
    )
    .fetch_all(connection)
    .await?;
    Ok(drafts)
}

/// Copies grants, each at most once; a version that is not newer than the stored one changes nothing, except that a
/// draft takes the place of a draft. The organization of a class or profile never changes. Returns
/// how many were stored.
pub async fn put(connection: &mut PgConnection, grants: &[Grant]) -> Result<u64, StoreError> {
    let column = Columns::of(grants);
    let done = sqlx::query!(
        r#"
        INSERT INTO keys.grants AS g (
            grant_id, kind, organization_id, name, instructors, starts_at, ends_at, event_key_until, time_zone, status,
            maximum_keys, maximum_is_default, version
        )
        SELECT n.grant_id, n.kind, n.organization_id, n.name, coalesce(i.subjects, '{}'), n.starts_at, n.ends_at,
            n.event_key_until, n.time_zone, n.status, n.maximum_keys, n.maximum_is_default, n.version
        FROM unnest(
            $1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::text[],
            $8::text[], $9::int[], $10::bool[], $11::bigint[], $14::text[]
        ) WITH ORDINALITY AS n (
            grant_id, organization_id, name, starts_at, ends_at, event_key_until, time_zone, status, maximum_keys,
            maximum_is_default, version, kind, place
        )
        LEFT JOIN (
            SELECT f.owner, array_agg(f.subject ORDER BY f.rank) AS subjects
            FROM unnest($12::bigint[], $13::text[]) WITH ORDINALITY AS f (owner, subject, rank)
            GROUP BY f.owner
        ) i ON i.owner = n.place
        ORDER BY n.grant_id
        ON CONFLICT (grant_id) DO UPDATE
        SET name = excluded.name, instructors = excluded.instructors, starts_at = excluded.starts_at,
            ends_at = excluded.ends_at, event_key_until = excluded.event_key_until, time_zone = excluded.time_zone,
            status = excluded.status, maximum_keys = excluded.maximum_keys,
            maximum_is_default = excluded.maximum_is_default, version = excluded.version, put_at = excluded.put_at
        WHERE g.kind = excluded.kind
          AND (g.version < excluded.version OR (g.status = 'creating' AND excluded.status = 'creating'))
        "#,
        &column.grant_ids,
        &column.organization_ids,
        &column.names as _,
        &column.starts_at as _,
        &column.ends_at as _,
        &column.event_key_until as _,
        &column.zones as _,
        &column.statuses as _,
        &column.maximum_keys as _,
        &column.maximum_is_default,
        &column.versions,
        &column.instructor_owners,
        &column.instructors as _,
        &column.kinds as _,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Those of the grants `ids` that there are, of whatever kind.
pub async fn find_all(
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Vec<Grant>, StoreError> {
    let rows = sqlx::query_as!(
        GrantRow,
        r#"
        SELECT grant_id, kind, organization_id, name, instructors, starts_at, ends_at, event_key_until, time_zone, status,
            maximum_keys, maximum_is_default, version
        FROM keys.grants WHERE grant_id = ANY ($1)
        "#,
        ids
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Grant::try_from).collect()
}

/// Grants as the arrays that a set-wise insert takes.
struct Columns<'g> {
    grant_ids: Vec<Uuid>,
    kinds: Vec<&'static str>,
    organization_ids: Vec<Uuid>,
    names: Vec<&'g str>,
    starts_at: Vec<Option<DateTime<Utc>>>,
    ends_at: Vec<Option<DateTime<Utc>>>,
    event_key_until: Vec<Option<DateTime<Utc>>>,
    zones: Vec<&'static str>,
    statuses: Vec<&'static str>,
    maximum_keys: Vec<Option<i32>>,
    maximum_is_default: Vec<bool>,
    versions: Vec<i64>,
    instructor_owners: Vec<i64>,
    instructors: Vec<&'g str>,
}

impl<'g> Columns<'g> {
    fn of(grants: &'g [Grant]) -> Self {
        let instructors = grants.iter().zip(1_i64..);
        let (instructor_owners, instructors) = instructors
            .flat_map(|(grant, place)| {
                grant
                    .instructors
                    .iter()
                    .map(move |subject| (place, subject.as_str()))
            })
            .unzip();
        let dates = |of: fn(Dates) -> DateTime<Utc>| {
            let dates = grants.iter().map(|grant| grant.dates.map(of));
            dates.collect()
        };
        Self {
            grant_ids: grants.iter().map(|grant| grant.grant_id).collect(),
            kinds: grants.iter().map(|grant| grant.kind.as_text()).collect(),
            organization_ids: grants.iter().map(|grant| grant.organization_id).collect(),
            names: grants.iter().map(|grant| grant.name.as_str()).collect(),
            starts_at: dates(|dates| dates.starts_at),
            ends_at: dates(|dates| dates.ends_at),
            event_key_until: dates(|dates| dates.event_key_until),
            zones: grants.iter().map(|grant| grant.zone.name()).collect(),
            statuses: grants.iter().map(|grant| grant.status.as_text()).collect(),
            maximum_keys: grants.iter().map(|grant| grant.maximum_keys).collect(),
            maximum_is_default: grants
                .iter()
                .map(|grant| grant.maximum_is_default)
                .collect(),
            versions: grants.iter().map(|grant| grant.version).collect(),
            instructor_owners,
            instructors,
        }
    }
}

/// Which grants a caller may name.
#[derive(Debug, Clone, Copy)]
pub enum Admission<'s> {
    /// Those within a scope, without classes that are being created.
    Within(&'s Scope),
    /// Every one, those of classes that are being created included: for the enrollment service.
    Every,
}

/// The organization that owns a grant; `None` if there is none of this kind, or not for this caller.
pub async fn owner(
    pool: &PgPool,
    kind: GrantKind,
    grant_id: Uuid,
    scope: &Scope,
) -> Result<Option<Uuid>, StoreError> {
    let owner = sqlx::query_scalar!(
        r#"
        SELECT g.organization_id
        FROM keys.grants g
        LEFT JOIN keys.organizations o ON o.organization_id = g.organization_id
        WHERE g.grant_id = $1 AND g.kind = $4 AND g.status <> 'creating'
          AND ($2 OR g.organization_id = $3 OR $3 = ANY (o.ancestor_ids))
        "#,
        grant_id,
        scope.everything,
        scope.organization,
        kind.as_text(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(owner)
}

/// Locks a grant against every other change, and returns it as it is under the lock. `None` if there is none of this kind, or not
/// for this caller.
pub async fn lock(
    connection: &mut PgConnection,
    kind: GrantKind,
    grant_id: Uuid,
    admission: Admission<'_>,
) -> Result<Option<Grant>, StoreError> {
    let nowhere = Scope::default();
    let (every, scope) = match admission {
        Admission::Within(scope) => (false, scope),
        Admission::Every => (true, &nowhere),
    };
    let row = sqlx::query_as!(
        GrantRow,
        r#"
        SELECT g.grant_id, g.kind, g.organization_id, g.name, g.instructors, g.starts_at, g.ends_at, g.event_key_until,
            g.time_zone, g.status, g.maximum_keys, g.maximum_is_default, g.version
        FROM keys.grants g
        LEFT JOIN keys.organizations o ON o.organization_id = g.organization_id
        WHERE g.grant_id = $1 AND g.kind = $6
          AND ($2 OR (g.status <> 'creating'
            AND ($3 OR g.organization_id = $4 OR $4 = ANY (o.ancestor_ids) OR $5 = ANY (g.instructors))))
        FOR NO KEY UPDATE OF g
        "#,
        grant_id,
        every,
        scope.everything,
        scope.organization,
        scope.instructor,
        kind.as_text(),
    )
    .fetch_optional(connection)
    .await?;
    row.map(Grant::try_from).transpose()
}

/// Locks, of these classes, the grants that are still drafts and were put no later than `age` ago; returns their classes.
/// The age is judged under the lock: a draft that was put again meanwhile stays.
pub async fn lock_drafts(
    connection: &mut PgConnection,
    grant_ids: &[Uuid],
    age: TimeDelta,
) -> Result<Vec<Uuid>, StoreError> {
    let drafts = sqlx::query_scalar!(
        r#"
        SELECT grant_id FROM keys.grants
        WHERE grant_id = ANY ($1) AND status = 'creating'
            AND put_at <= statement_timestamp() - make_interval(secs => $2)
        ORDER BY grant_id
        FOR UPDATE
        "#,
        grant_ids,
        age.as_seconds_f64(),
    )
    .fetch_all(connection)
    .await?;
    Ok(drafts)
}

/// An event key that was removed with its draft.
#[derive(Debug, Clone, Copy)]
pub struct Removed {
    /// The key.
    pub key_id: Uuid,
    /// The class it would have opened.
    pub grant_id: Uuid,
    /// The organization that owned it.
    pub organization_id: Uuid,
}

/// Removes drafts, which the caller has locked, with their keys, codes and requests; returns the keys.
pub async fn remove_drafts(
    connection: &mut PgConnection,
    drafts: &[Uuid],
) -> Result<Vec<Removed>, StoreError> {
    sqlx::query!(
        r#"
        DELETE FROM keys.codes c USING keys.training_keys k
        WHERE k.grant_id = ANY ($1) AND c.key_id = k.key_id
        "#,
        drafts
    )
    .execute(&mut *connection)
    .await?;
    let removed = sqlx::query_as!(
        Removed,
        "DELETE FROM keys.training_keys WHERE grant_id = ANY ($1) RETURNING key_id, grant_id, organization_id",
        drafts
    )
    .fetch_all(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM keys.requests WHERE grant_id = ANY ($1)",
        drafts
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!("DELETE FROM keys.grants WHERE grant_id = ANY ($1)", drafts)
        .execute(&mut *connection)
        .await?;
    Ok(removed)
}

/// Classes that have been drafts for longer than `age`, the oldest first, at most `limit`.
pub async fn stale_drafts(
    connection: &mut PgConnection,
    age: TimeDelta,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    let stale = sqlx::query_scalar!(
        r#"
        SELECT grant_id FROM keys.grants
        WHERE status = 'creating' AND put_at < statement_timestamp() - make_interval(secs => $1)
        ORDER BY put_at, grant_id
        LIMIT $2
        "#,
        age.as_seconds_f64(),
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(stale)
}

/// Every grant of a kind, by its id.
pub async fn all(pool: &PgPool, kind: GrantKind) -> Result<Vec<Grant>, StoreError> {
    let rows = sqlx::query_as!(
        GrantRow,
        r#"
        SELECT grant_id, kind, organization_id, name, instructors, starts_at, ends_at, event_key_until, time_zone, status,
            maximum_keys, maximum_is_default, version
        FROM keys.grants WHERE kind = $1 ORDER BY grant_id
        "#,
        kind.as_text(),
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(Grant::try_from).collect()
}
