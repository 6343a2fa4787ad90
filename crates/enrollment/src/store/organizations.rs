//! `enrollment.organizations`: the tree.

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_service_kit::access::Scope;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::BadRow;
use super::reached::lock_within;
use crate::domain::class::ClassStatus;
use crate::domain::organization::{ClassDefaults, Organization, Settings};

const TABLE: &str = "enrollment.organizations";

struct OrganizationRow {
    organization_id: Uuid,
    parent_id: Option<Uuid>,
    ancestor_ids: Vec<Uuid>,
    display_name: String,
    self_registration: bool,
    promotes_waiting: bool,
    late_cancellation_seconds: Option<i64>,
    default_maximum_students: Option<i32>,
    default_minimum_students: Option<i32>,
    default_status: Option<String>,
    default_event_key: bool,
    default_post_class_days: Option<i32>,
    default_notifications: Option<bool>,
    created_at: DateTime<Utc>,
    version: i64,
}

impl TryFrom<OrganizationRow> for Organization {
    type Error = BadRow;

    fn try_from(row: OrganizationRow) -> Result<Self, BadRow> {
        let bad = |column, value: &str| BadRow::new(TABLE, column, row.organization_id, value);
        let status = row
            .default_status
            .as_deref()
            .map(|name| ClassStatus::parse(name).ok_or_else(|| bad("default_status", name)));
        let late = row.late_cancellation_seconds.map(|seconds| {
            let late = TimeDelta::try_seconds(seconds);
            late.ok_or_else(|| bad("late_cancellation_seconds", &seconds.to_string()))
        });
        Ok(Self {
            id: row.organization_id,
            parent_id: row.parent_id,
            ancestor_ids: row.ancestor_ids,
            display_name: row.display_name,
            self_registration: row.self_registration,
            settings: Settings {
                promotes_waiting: row.promotes_waiting,
                late_cancellation: late.transpose()?,
                class_defaults: ClassDefaults {
                    maximum_students: row.default_maximum_students,
                    minimum_students: row.default_minimum_students,
                    status: status.transpose()?,
                    event_key: row.default_event_key,
                    post_class_days: row.default_post_class_days,
                    notifications: row.default_notifications,
                },
            },
            created_at: row.created_at,
            version: row.version,
        })
    }
}

fn all(rows: Vec<OrganizationRow>) -> sqlx::Result<Vec<Organization>> {
    rows.into_iter()
        .map(|row| Ok(Organization::try_from(row)?))
        .collect()
}

/// Organizations, by what follows `FROM enrollment.organizations o`.
macro_rules! organizations {
    ($after:literal $(, $parameter:expr)* $(,)?) => {
        sqlx::query_as!(
            OrganizationRow,
            "SELECT o.organization_id, o.parent_id, o.ancestor_ids, o.display_name, o.self_registration, \
             o.promotes_waiting, o.late_cancellation_seconds, o.default_maximum_students, o.default_minimum_students, \
             o.default_status, o.default_event_key, o.default_post_class_days, o.default_notifications, o.created_at, o.version \
             FROM enrollment.organizations o " + $after
            $(, $parameter)*
        )
    };
}

/// The organization `id`.
pub async fn find(executor: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Organization>> {
    let row = organizations!("WHERE o.organization_id = $1", id)
        .fetch_optional(executor)
        .await?;
    Ok(row.map(Organization::try_from).transpose()?)
}

lock_within!("organizations", "organization_id");

/// The organization that the request `request_id` created, and the fingerprint of that request.
pub async fn find_by_request(
    connection: &mut PgConnection,
    request_id: Uuid,
) -> sqlx::Result<Option<(Organization, Vec<u8>)>> {
    let row = organizations!("WHERE o.request_id = $1", request_id)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let fingerprint = sqlx::query_scalar!(
        "SELECT request_fingerprint FROM enrollment.organizations WHERE organization_id = $1",
        row.organization_id
    )
    .fetch_one(connection)
    .await?;
    Ok(Some((row.try_into()?, fingerprint)))
}

/// Inserts an organization at version 1. `None` if another call with the same request id was first: then the caller
/// rolls back and looks again.
pub async fn insert(
    connection: &mut PgConnection,
    organization: &Organization,
    request_id: Uuid,
    fingerprint: &[u8],
) -> sqlx::Result<Option<Organization>> {
    let row = sqlx::query_as!(
        OrganizationRow,
        r#"
        INSERT INTO enrollment.organizations (
            organization_id, parent_id, ancestor_ids, display_name, self_registration, request_id, request_fingerprint
        )
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (request_id) DO NOTHING
        RETURNING organization_id, parent_id, ancestor_ids, display_name, self_registration, promotes_waiting,
            late_cancellation_seconds, default_maximum_students, default_minimum_students, default_status, default_event_key,
            default_post_class_days, default_notifications, created_at, version
        "#,
        organization.id,
        organization.parent_id,
        &organization.ancestor_ids,
        organization.display_name,
        organization.self_registration,
        request_id,
        fingerprint,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(Organization::try_from).transpose()?)
}

/// Writes the settings of a locked organization, one version further.
pub async fn update(
    connection: &mut PgConnection,
    organization: &Organization,
) -> sqlx::Result<Organization> {
    let settings = &organization.settings;
    let defaults = &settings.class_defaults;
    let row = sqlx::query_as!(
        OrganizationRow,
        r#"
        UPDATE enrollment.organizations
        SET display_name = $2, self_registration = $3, promotes_waiting = $4, late_cancellation_seconds = $5,
            default_maximum_students = $6, default_minimum_students = $7, default_status = $8, default_event_key = $9,
            default_post_class_days = $10, default_notifications = $11, version = version + 1
        WHERE organization_id = $1
        RETURNING organization_id, parent_id, ancestor_ids, display_name, self_registration, promotes_waiting,
            late_cancellation_seconds, default_maximum_students, default_minimum_students, default_status, default_event_key,
            default_post_class_days, default_notifications, created_at, version
        "#,
        organization.id,
        organization.display_name,
        organization.self_registration,
        settings.promotes_waiting,
        settings.late_cancellation.map(|late| late.num_seconds()),
        defaults.maximum_students,
        defaults.minimum_students,
        defaults.status.map(ClassStatus::as_str),
        defaults.event_key,
        defaults.post_class_days,
        defaults.notifications,
    )
    .fetch_one(connection)
    .await?;
    Ok(row.try_into()?)
}

/// Organizations within `scope` by id, after the id `after`, at most `limit`; with `parent`, only those right below it.
pub async fn page(
    executor: impl PgExecutor<'_>,
    scope: &Scope,
    parent: Option<Uuid>,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Organization>> {
    let rows = organizations!(
        "WHERE ($1 OR o.organization_id = $2 OR o.ancestor_ids @> ARRAY[$2]::uuid[])
           AND ($3::uuid IS NULL OR o.parent_id = $3)
           AND o.organization_id > $4
         ORDER BY o.organization_id LIMIT $5",
        scope.everything,
        scope.organization as _,
        parent as _,
        after.unwrap_or(Uuid::nil()),
        limit,
    )
    .fetch_all(executor)
    .await?;
    all(rows)
}

/// Every organization, by id.
pub async fn every(executor: impl PgExecutor<'_>) -> sqlx::Result<Vec<Organization>> {
    let rows = organizations!("ORDER BY o.organization_id")
        .fetch_all(executor)
        .await?;
    all(rows)
}

/// Organizations whose newest version is not known to have reached the keys service, at most `limit`.
pub async fn owed(executor: impl PgExecutor<'_>, limit: i64) -> sqlx::Result<Vec<Organization>> {
    let rows = organizations!(
        "WHERE o.copied_version < o.version ORDER BY o.organization_id LIMIT $1",
        limit
    )
    .fetch_all(executor)
    .await?;
    all(rows)
}

/// Whether the newest version of the organization `id` is not known to have reached the keys service.
pub async fn is_owed(executor: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<bool> {
    let owed = sqlx::query_scalar!(
        r#"SELECT copied_version < version AS "owed!" FROM enrollment.organizations WHERE organization_id = $1"#,
        id
    )
    .fetch_optional(executor)
    .await?;
    Ok(owed.unwrap_or(false))
}

/// The first of the organizations `ids` that is neither `owner` nor below it, if there is one.
pub async fn not_below(
    connection: &mut PgConnection,
    owner: Uuid,
    ids: &[Uuid],
) -> sqlx::Result<Option<Uuid>> {
    if ids.is_empty() {
        return Ok(None);
    }
    let found = sqlx::query_scalar!(
        r#"
        SELECT n.organization_id AS "organization_id!"
        FROM unnest($2::uuid[]) WITH ORDINALITY AS n (organization_id, place)
        LEFT JOIN LATERAL (
            SELECT x.ancestor_ids FROM enrollment.organizations x WHERE x.organization_id = n.organization_id LIMIT 1
        ) o ON true
        WHERE n.organization_id <> $1 AND ($1 = ANY (o.ancestor_ids)) IS NOT TRUE
        ORDER BY n.place LIMIT 1
        "#,
        owner,
        ids,
    )
    .fetch_optional(connection)
    .await?;
    Ok(found)
}

/// Notes that these versions have reached the keys service.
pub async fn set_copied(
    connection: &mut PgConnection,
    organizations: &[Organization],
) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = organizations.iter().map(|one| one.id).collect();
    let versions: Vec<i64> = organizations.iter().map(|one| one.version).collect();
    sqlx::query!(
        r#"
        UPDATE enrollment.organizations o SET copied_version = n.version
        FROM unnest($1::uuid[], $2::bigint[]) AS n (organization_id, version)
        WHERE o.organization_id = n.organization_id AND o.copied_version < n.version
        "#,
        &ids,
        &versions,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Organizations whose newest version is believed to have reached the keys service, by id, after the id `after`, at most `limit`.
pub async fn copied(
    executor: impl PgExecutor<'_>,
    after: Uuid,
    limit: i64,
) -> sqlx::Result<Vec<Organization>> {
    let rows = organizations!(
        "WHERE o.copied_version >= o.version AND o.organization_id > $1 ORDER BY o.organization_id LIMIT $2",
        after,
        limit,
    )
    .fetch_all(executor)
    .await?;
    all(rows)
}

/// Raises the version above `held`, the one that keys holds although `put` was put there: if this database does not know
/// that version, or knows it with other content, because it was restored. Whether it was raised.
pub async fn raise(
    connection: &mut PgConnection,
    id: Uuid,
    put: i64,
    held: i64,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        r#"
        UPDATE enrollment.organizations
        SET versions_lost = versions_lost + $3 + 1 - version, version = $3 + 1
        WHERE organization_id = $1 AND (version < $3 OR (version = $3 AND $2::bigint = $3))
        "#,
        id,
        put,
        held,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}
