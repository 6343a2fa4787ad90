//! `enrollment.billing_closings` and `enrollment.billing_periods`: what was closed, by whom it was asked for, and how far.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

/// What a call closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// Its id.
    pub closing_id: Uuid,
    /// The organization that was asked for.
    pub organization_id: Uuid,
    /// Up to where it was closed, not included.
    pub ends_at: DateTime<Utc>,
    /// When.
    pub closed_at: DateTime<Utc>,
    /// How many organizations were closed.
    pub organization_count: i32,
    /// How many charges were booked.
    pub charge_count: i64,
    /// How many of them were taken back.
    pub credit_count: i64,
}

/// A closed period of one organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedPeriod {
    /// The closing.
    pub closing_id: Uuid,
    /// The organization.
    pub organization_id: Uuid,
    /// Where it begins; `None` if it is the first.
    pub starts_at: Option<DateTime<Utc>>,
    /// Where it ends, not included.
    pub ends_at: DateTime<Utc>,
    /// When it was closed.
    pub closed_at: DateTime<Utc>,
}

/// The organization `root` and those below it, by id, from the id `from` on.
pub async fn reached(
    connection: &mut PgConnection,
    root: Uuid,
    from: Uuid,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        SELECT o.organization_id FROM enrollment.organizations o
        WHERE (o.organization_id = $1 OR o.ancestor_ids @> ARRAY[$1]::uuid[]) AND o.organization_id >= $2
        ORDER BY o.organization_id
        "#,
        root,
        from,
    )
    .fetch_all(connection)
    .await
}

/// Locks the organization `root` and those below it, by id: nobody else closes them until the transaction ends.
pub async fn lock(connection: &mut PgConnection, root: Uuid) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        SELECT o.organization_id FROM enrollment.organizations o
        WHERE o.organization_id = $1 OR o.ancestor_ids @> ARRAY[$1]::uuid[]
        ORDER BY o.organization_id
        FOR NO KEY UPDATE
        "#,
        root,
    )
    .fetch_all(connection)
    .await
}

/// The time, read after the locks, and up to where the organization's time is closed, not included.
pub async fn standing(
    connection: &mut PgConnection,
    organization: Uuid,
) -> sqlx::Result<(DateTime<Utc>, Option<DateTime<Utc>>)> {
    let row = sqlx::query!(
        r#"
        SELECT clock_timestamp() AS "now!", (
            SELECT p.ends_at FROM enrollment.billing_periods p
            WHERE p.organization_id = $1 ORDER BY p.ends_at DESC LIMIT 1
        ) AS closed_until
        "#,
        organization,
    )
    .fetch_one(connection)
    .await?;
    Ok((row.now, row.closed_until))
}

/// What the request `request_id` closed, and its fingerprint.
pub async fn find(
    connection: &mut PgConnection,
    request_id: Uuid,
) -> sqlx::Result<Option<(Closing, Vec<u8>)>> {
    let row = sqlx::query!(
        r#"
        SELECT closing_id, organization_id, ends_at, closed_at, organization_count, charge_count, credit_count,
            request_fingerprint
        FROM enrollment.billing_closings WHERE request_id = $1
        "#,
        request_id,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| {
        let closing = Closing {
            closing_id: row.closing_id,
            organization_id: row.organization_id,
            ends_at: row.ends_at,
            closed_at: row.closed_at,
            organization_count: row.organization_count,
            charge_count: row.charge_count,
            credit_count: row.credit_count,
        };
        (closing, row.request_fingerprint)
    }))
}

/// Records a closing. False if another call with the same request id was first: then the caller rolls back.
pub async fn insert(
    connection: &mut PgConnection,
    closing: &Closing,
    request_id: Uuid,
    fingerprint: &[u8],
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        r#"
        INSERT INTO enrollment.billing_closings (
            closing_id, request_id, request_fingerprint, organization_id, ends_at, closed_at, organization_count,
            charge_count, credit_count
        )
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (request_id) DO NOTHING
        "#,
        closing.closing_id,
        request_id,
        fingerprint,
        closing.organization_id,
        closing.ends_at,
        closing.closed_at,
        closing.organization_count,
        closing.charge_count,
        closing.credit_count,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Those of the locked `organizations` whose time is closed to before `ends_at`.
pub async fn open_before(
    connection: &mut PgConnection,
    organizations: &[Uuid],
    ends_at: DateTime<Utc>,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        SELECT o.organization_id AS "organization_id!" FROM unnest($1::uuid[]) AS o (organization_id)
        WHERE NOT EXISTS (
            SELECT 1 FROM enrollment.billing_periods p WHERE p.organization_id = o.organization_id AND p.ends_at >= $2
        )
        ORDER BY 1
        "#,
        organizations,
        ends_at,
    )
    .fetch_all(connection)
    .await
}

/// Closes the time of `organizations`, each from where it was closed to.
pub async fn close(
    connection: &mut PgConnection,
    organizations: &[Uuid],
    closing: &Closing,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        INSERT INTO enrollment.billing_periods (organization_id, starts_at, ends_at, closing_id)
        SELECT o.organization_id, (
            SELECT p.ends_at FROM enrollment.billing_periods p
            WHERE p.organization_id = o.organization_id ORDER BY p.ends_at DESC LIMIT 1
        ), $2, $3
        FROM unnest($1::uuid[]) AS o (organization_id)
        "#,
        organizations,
        closing.ends_at,
        closing.closing_id,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The period that a closing has made of the organization it was asked for.
pub async fn of_closing(
    connection: &mut PgConnection,
    closing: &Closing,
) -> sqlx::Result<ClosedPeriod> {
    let starts_at = sqlx::query_scalar!(
        "SELECT starts_at FROM enrollment.billing_periods WHERE organization_id = $1 AND ends_at = $2",
        closing.organization_id,
        closing.ends_at,
    )
    .fetch_one(connection)
    .await?;
    Ok(ClosedPeriod {
        closing_id: closing.closing_id,
        organization_id: closing.organization_id,
        starts_at,
        ends_at: closing.ends_at,
        closed_at: closing.closed_at,
    })
}

/// The closed periods of an organization, the latest first, those that end before `before`, at most `limit`.
pub async fn page(
    connection: &mut PgConnection,
    organization: Uuid,
    before: Option<DateTime<Utc>>,
    limit: i64,
) -> sqlx::Result<Vec<ClosedPeriod>> {
    sqlx::query_as!(
        ClosedPeriod,
        r#"
        SELECT p.closing_id, p.organization_id, p.starts_at, p.ends_at, c.closed_at
        FROM enrollment.billing_periods p
        CROSS JOIN LATERAL (
            SELECT t.closed_at FROM enrollment.billing_closings t WHERE t.closing_id = p.closing_id LIMIT 1
        ) c
        WHERE p.organization_id = $1 AND p.ends_at < $2
        ORDER BY p.ends_at DESC LIMIT $3
        "#,
        organization,
        before.unwrap_or(DateTime::<Utc>::MAX_UTC),
        limit,
    )
    .fetch_all(connection)
    .await
}
