//! `enrollment.notification_settings` and `enrollment.class_notifications`: of which organizations and classes something is
//! written, and how.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::notification::OrganizationNotifications;
use crate::store::BadRow;

/// The notifications of an organization: those of one that never set anything are off.
pub async fn find(
    executor: impl PgExecutor<'_>,
    organization: Uuid,
) -> sqlx::Result<OrganizationNotifications> {
    let row = sqlx::query!(
        "SELECT enabled_since, settings, version FROM enrollment.notification_settings WHERE organization_id = $1",
        organization
    )
    .fetch_optional(executor)
    .await?;
    let Some(row) = row else {
        return Ok(OrganizationNotifications::default());
    };
    let letterhead = serde_json::from_value(row.settings).map_err(|error| {
        let table = "enrollment.notification_settings";
        BadRow::new(table, "settings", organization, error.to_string())
    })?;
    Ok(OrganizationNotifications {
        enabled_since: row.enabled_since,
        letterhead,
        version: row.version,
    })
}

/// Writes the notifications of an organization, which is locked by the caller.
pub async fn put(
    connection: &mut PgConnection,
    organization: Uuid,
    notifications: &OrganizationNotifications,
) -> sqlx::Result<()> {
    let settings = serde_json::to_value(&notifications.letterhead)
        .map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query!(
        r#"
        INSERT INTO enrollment.notification_settings (organization_id, enabled_since, settings, version)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT (organization_id) DO UPDATE
        SET enabled_since = EXCLUDED.enabled_since, settings = EXCLUDED.settings, version = EXCLUDED.version
        "#,
        organization,
        notifications.enabled_since,
        settings,
        notifications.version,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What a class has set for itself: since when its notifications are on, or that they are off. `None` if it leaves that to
/// its organization.
pub async fn of_class(
    executor: impl PgExecutor<'_>,
    class: Uuid,
) -> sqlx::Result<Option<Option<DateTime<Utc>>>> {
    sqlx::query_scalar!(
        "SELECT enabled_since FROM enrollment.class_notifications WHERE class_id = $1",
        class
    )
    .fetch_optional(executor)
    .await
}

/// Sets it for a class, which is locked by the caller.
pub async fn put_of_class(
    connection: &mut PgConnection,
    class: Uuid,
    wanted: Option<Option<DateTime<Utc>>>,
) -> sqlx::Result<()> {
    let Some(enabled_since) = wanted else {
        sqlx::query!(
            "DELETE FROM enrollment.class_notifications WHERE class_id = $1",
            class
        )
        .execute(connection)
        .await?;
        return Ok(());
    };
    sqlx::query!(
        r#"
        INSERT INTO enrollment.class_notifications (class_id, enabled_since) VALUES ($1, $2)
        ON CONFLICT (class_id) DO UPDATE SET enabled_since = EXCLUDED.enabled_since
        "#,
        class,
        enabled_since,
    )
    .execute(connection)
    .await?;
    Ok(())
}
