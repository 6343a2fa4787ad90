//! `enrollment.profiles`: courses that a student may take together.

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_service_kit::access::Scope;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::reached::lock_within;
use crate::domain::profile::{Course, Profile, ProfileSettings};

struct ProfileRow {
    profile_id: Uuid,
    organization_id: Uuid,
    name: String,
    course_ids: Vec<String>,
    course_names: Vec<String>,
    duration_seconds: i32,
    available_to: Vec<Uuid>,
    enabled: bool,
    created_at: DateTime<Utc>,
    created_by: String,
    version: i64,
}

impl From<ProfileRow> for Profile {
    fn from(row: ProfileRow) -> Self {
        Self {
            id: row.profile_id,
            organization_id: row.organization_id,
            settings: ProfileSettings {
                name: row.name,
                courses: courses(row.course_ids, row.course_names),
                duration: TimeDelta::seconds(row.duration_seconds.into()),
                available_to: row.available_to,
                enabled: row.enabled,
            },
            created_at: row.created_at,
            created_by: row.created_by,
            version: row.version,
        }
    }
}

/// Courses, whose ids and names stand side by side.
pub(super) fn courses(ids: Vec<String>, names: Vec<String>) -> Vec<Course> {
    let course = |(course_id, course_name)| Course {
        course_id,
        course_name,
    };
    ids.into_iter().zip(names).map(course).collect()
}

/// The ids and the names of courses.
fn columns(courses: &[Course]) -> (Vec<&str>, Vec<&str>) {
    courses
        .iter()
        .map(|course| (&*course.course_id, &*course.course_name))
        .unzip()
}

/// Profiles, by what follows `SELECT ... FROM enrollment.profiles p`.
macro_rules! profiles {
    ($after:literal $(, $parameter:expr)* $(,)?) => {
        sqlx::query_as!(
            ProfileRow,
            "SELECT p.profile_id, p.organization_id, p.name, p.course_ids, p.course_names, p.duration_seconds, p.available_to, \
             p.enabled, p.created_at, p.created_by, p.version FROM enrollment.profiles p " + $after
            $(, $parameter)*
        )
    };
}

fn all(rows: Vec<ProfileRow>) -> Vec<Profile> {
    rows.into_iter().map(Profile::from).collect()
}

/// The profile `id`, if it stands within `scope`.
pub async fn find(
    executor: impl PgExecutor<'_>,
    scope: &Scope,
    id: Uuid,
) -> sqlx::Result<Option<Profile>> {
    let row = profiles!(
        "JOIN enrollment.organizations o ON o.organization_id = p.organization_id
         WHERE p.profile_id = $1 AND ($2 OR o.organization_id = $3 OR o.ancestor_ids @> ARRAY[$3]::uuid[])",
        id,
        scope.everything,
        scope.organization as _,
    )
    .fetch_optional(executor)
    .await?;
    Ok(row.map(Profile::from))
}

/// Those of the profiles `ids` that exist.
pub async fn find_all(connection: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<Vec<Profile>> {
    let rows = sqlx::query_as!(
        ProfileRow,
        r#"
        SELECT p.profile_id, p.organization_id, p.name, p.course_ids, p.course_names, p.duration_seconds, p.available_to,
            p.enabled, p.created_at, p.created_by, p.version
        FROM unnest($1::uuid[]) AS n (profile_id)
        JOIN LATERAL (SELECT x.* FROM enrollment.profiles x WHERE x.profile_id = n.profile_id LIMIT 1) p ON true
        "#,
        ids
    )
    .fetch_all(connection)
    .await?;
    Ok(all(rows))
}

lock_within!("profiles", "profile_id");

/// The profile that the request `request_id` created, and the fingerprint of that request.
pub async fn find_by_request(
    connection: &mut PgConnection,
    request_id: Uuid,
) -> sqlx::Result<Option<(Profile, Vec<u8>)>> {
    let row = profiles!("WHERE p.request_id = $1", request_id)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let fingerprint = sqlx::query_scalar!(
        "SELECT request_fingerprint FROM enrollment.profiles WHERE profile_id = $1",
        row.profile_id
    )
    .fetch_one(connection)
    .await?;
    Ok(Some((row.into(), fingerprint)))
}

/// Inserts a profile at version 1; when that was. `None` if another call with the same request id was first: then the caller
/// rolls back and looks again.
pub async fn insert(
    connection: &mut PgConnection,
    profile: &Profile,
    request_id: Uuid,
    fingerprint: &[u8],
) -> sqlx::Result<Option<DateTime<Utc>>> {
    let settings = &profile.settings;
    let (ids, names) = columns(&settings.courses);
    sqlx::query_scalar!(
        r#"
        INSERT INTO enrollment.profiles (
            profile_id, organization_id, name, course_ids, course_names, duration_seconds, available_to, enabled, request_id,
            request_fingerprint, created_by
        )
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        ON CONFLICT (request_id) DO NOTHING
        RETURNING created_at
        "#,
        profile.id,
        profile.organization_id,
        settings.name,
        &ids as _,
        &names as _,
        seconds(settings),
        &settings.available_to,
        settings.enabled,
        request_id,
        fingerprint,
        profile.created_by,
    )
    .fetch_optional(connection)
    .await
}

/// The duration, which is checked to be within its column.
fn seconds(settings: &ProfileSettings) -> i32 {
    i32::try_from(settings.duration.num_seconds()).unwrap_or(i32::MAX)
}

/// Writes the settings of a locked profile, one version further.
pub async fn update(connection: &mut PgConnection, profile: &Profile) -> sqlx::Result<()> {
    let settings = &profile.settings;
    let (ids, names) = columns(&settings.courses);
    sqlx::query!(
        r#"
        UPDATE enrollment.profiles
        SET name = $2, course_ids = $3, course_names = $4, duration_seconds = $5, available_to = $6, enabled = $7,
            version = version + 1
        WHERE profile_id = $1
        "#,
        profile.id,
        settings.name,
        &ids as _,
        &names as _,
        seconds(settings),
        &settings.available_to,
        settings.enabled,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Profiles within `scope`, the newest first, older than the profile `after`, at most `limit`; with `organization`, only its own.
pub async fn page(
    executor: impl PgExecutor<'_>,
    scope: &Scope,
    organization: Option<Uuid>,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Profile>> {
    // The newest of each organization, then the newest of those.
    let rows = sqlx::query_as!(
        ProfileRow,
        r#"
        SELECT p.profile_id, p.organization_id, p.name, p.course_ids, p.course_names, p.duration_seconds, p.available_to,
            p.enabled, p.created_at, p.created_by, p.version
        FROM enrollment.organizations o
        CROSS JOIN LATERAL (
            SELECT x.* FROM enrollment.profiles x WHERE x.organization_id = o.organization_id AND x.profile_id < $2
            ORDER BY x.profile_id DESC LIMIT $3
        ) p
        WHERE ($4 OR o.organization_id = $5 OR o.ancestor_ids @> ARRAY[$5]::uuid[])
          AND ($1::uuid IS NULL OR o.organization_id = $1)
        ORDER BY p.profile_id DESC LIMIT $3
        "#,
        organization as _,
        after.unwrap_or(Uuid::max()),
        limit,
        scope.everything,
        scope.organization as _,
    )
    .fetch_all(executor)
    .await?;
    Ok(all(rows))
}

/// Profiles whose newest version is not known to have reached the keys service, at most `limit`.
pub async fn owed(executor: impl PgExecutor<'_>, limit: i64) -> sqlx::Result<Vec<Profile>> {
    let rows = profiles!(
        "WHERE p.copied_version < p.version ORDER BY p.profile_id LIMIT $1",
        limit
    )
    .fetch_all(executor)
    .await?;
    Ok(all(rows))
}

/// Profiles whose newest version is believed to have reached the keys service, by id, after the id `after`, at most `limit`.
pub async fn copied(
    executor: impl PgExecutor<'_>,
    after: Uuid,
    limit: i64,
) -> sqlx::Result<Vec<Profile>> {
    let rows = profiles!(
        "WHERE p.copied_version >= p.version AND p.profile_id > $1 ORDER BY p.profile_id LIMIT $2",
        after,
        limit,
    )
    .fetch_all(executor)
    .await?;
    Ok(all(rows))
}

/// Every profile, by id.
pub async fn every(executor: impl PgExecutor<'_>) -> sqlx::Result<Vec<Profile>> {
    let rows = profiles!("ORDER BY p.profile_id")
        .fetch_all(executor)
        .await?;
    Ok(all(rows))
}

/// Notes that these versions have reached the keys service.
pub async fn set_copied(connection: &mut PgConnection, profiles: &[Profile]) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = profiles.iter().map(|one| one.id).collect();
    let versions: Vec<i64> = profiles.iter().map(|one| one.version).collect();
    sqlx::query!(
        r#"
        UPDATE enrollment.profiles p SET copied_version = n.version
        FROM unnest($1::uuid[], $2::bigint[]) AS n (profile_id, version)
        WHERE p.profile_id = n.profile_id AND p.copied_version < n.version
        "#,
        &ids,
        &versions,
    )
    .execute(connection)
    .await?;
    Ok(())
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
        UPDATE enrollment.profiles
        SET versions_lost = versions_lost + $3 + 1 - version, version = $3 + 1
        WHERE profile_id = $1 AND (version < $3 OR (version = $3 AND $2::bigint = $3))
        "#,
        id,
        put,
        held,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}
