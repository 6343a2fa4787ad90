//! Where keys stand, as the database's function `keys.key_state` has it.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::super::StoreError;
use crate::domain::grant::GrantStatus;
use crate::domain::key::KeyKind;

/// One row of the table of where keys stand.
#[derive(Debug, Clone)]
pub struct StateRow {
    /// The key's kind.
    pub kind: String,
    /// How many use it.
    pub uses: i64,
    /// Whether it is revoked.
    pub revoked: bool,
    /// The status of its grant.
    pub grant_status: String,
    /// When that ends.
    pub ends_at: Option<DateTime<Utc>>,
    /// Until when an event key can be redeemed.
    pub event_key_until: Option<DateTime<Utc>>,
    /// How many may use a subscription key.
    pub max_uses: Option<i32>,
    /// When that expires.
    pub expires_at: Option<DateTime<Utc>>,
    /// When what it opens does.
    pub content_expires_at: Option<DateTime<Utc>>,
    /// At this instant.
    pub now: DateTime<Utc>,
    /// Where it stands.
    pub state: String,
}

/// Where keys stand for every combination of kind, uses, revocation, grant and place of now beside both ends; of subscription
/// keys, of limit and place of now beside both times, each of which may be missing.
pub async fn state_table(pool: &PgPool) -> Result<Vec<StateRow>, StoreError> {
    let kinds: Vec<&str> = KeyKind::ALL.iter().map(|kind| kind.as_text()).collect();
    let statuses: Vec<&str> = GrantStatus::ALL
        .iter()
        .map(|status| status.as_text())
        .collect();
    let rows = sqlx::query_as!(
        StateRow,
        r#"
        SELECT kind AS "kind!", uses AS "uses!", revoked AS "revoked!", grant_status AS "grant_status!", at + ends AS ends_at,
            at + until AS event_key_until, max_uses, at + expires AS expires_at, at + content AS content_expires_at, at AS "now!",
            keys.key_state(kind, uses, CASE WHEN revoked THEN at END, grant_status, at + ends, at + until, max_uses,
                at + expires, at + content, at) AS "state!"
        FROM unnest($1::text[]) AS kind
        CROSS JOIN unnest(ARRAY[0, 1, 2]::bigint[]) AS uses
        CROSS JOIN unnest(ARRAY[false, true]) AS revoked
        CROSS JOIN unnest($2::text[]) AS grant_status
        CROSS JOIN date_trunc('second', statement_timestamp()) AS at
        CROSS JOIN LATERAL (
            SELECT ends, until, NULL::integer AS max_uses, NULL::interval AS expires, NULL::interval AS content
            FROM unnest(ARRAY['-1 microsecond', '0', '1 microsecond']::interval[]) AS ends,
                unnest(ARRAY['-1 microsecond', '0', '1 microsecond']::interval[]) AS until
            WHERE kind <> 'subscription'
            UNION ALL
            SELECT NULL, NULL, max_uses, expires, content
            FROM unnest(ARRAY[NULL, 1, 2]::integer[]) AS max_uses,
                unnest(ARRAY[NULL, '-1 microsecond', '0', '1 microsecond']::interval[]) AS expires,
                unnest(ARRAY[NULL, '-1 microsecond', '0', '1 microsecond']::interval[]) AS content
            WHERE kind = 'subscription'
        ) AS times
        "#,
        &kinds as _,
        &statuses as _,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows)
}
