//! A key as people see it: its row, its grant, its terms and its live uses, read by one statement at one instant.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{StoreError, training_keys};
use crate::domain::grant::GrantStatus;
use crate::domain::key::{KeyKind, KeyUse, Revocation, Standing, TrainingKey};
use crate::domain::subscription::{Terms, VersionedTerms};

/// What [`key_views`] selects.
pub(super) struct KeyViewRow {
    pub(super) key_id: Uuid,
    pub(super) kind: String,
    pub(super) organization_id: Uuid,
    pub(super) grant_id: Uuid,
    pub(super) grant_name: String,
    pub(super) masked_code: String,
    pub(super) generation: i32,
    pub(super) batch_id: Uuid,
    pub(super) created_at: DateTime<Utc>,
    pub(super) created_by: String,
    pub(super) revoked_at: Option<DateTime<Utc>>,
    pub(super) revoked_by: Option<String>,
    pub(super) revoke_reason: Option<String>,
    pub(super) grant_status: String,
    pub(super) starts_at: Option<DateTime<Utc>>,
    pub(super) ends_at: Option<DateTime<Utc>>,
    pub(super) event_key_until: Option<DateTime<Utc>>,
    pub(super) max_uses: Option<i32>,
    pub(super) expires_at: Option<DateTime<Utc>>,
    pub(super) content_expires_at: Option<DateTime<Utc>>,
    pub(super) terms_version: Option<i64>,
    pub(super) now: DateTime<Utc>,
    pub(super) redemption_id: Option<Uuid>,
    pub(super) student_id: Option<Uuid>,
    pub(super) use_generation: Option<i32>,
    pub(super) redeemed_at: Option<DateTime<Utc>>,
    pub(super) use_count: i64,
}

/// Selects [`KeyViewRow`]s of the keys whose ids come out of a subquery, the newest first.
///
/// `$wanted` is the text of that subquery, with one column `key_id`; it may come in pieces.
macro_rules! key_views {
    ([$($wanted:literal)+], $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            $crate::store::view::KeyViewRow,
            r#"
            SELECT k.key_id, k.kind, k.organization_id, k.grant_id, g.name AS grant_name, k.masked_code, k.generation,
                k.batch_id, k.created_at, k.created_by, k.revoked_at, k.revoked_by, k.revoke_reason,
                g.status AS grant_status, g.starts_at, g.ends_at, g.event_key_until, s.max_uses AS "max_uses?",
                s.expires_at AS "expires_at?", s.content_expires_at AS "content_expires_at?", s.version AS "terms_version?",
                statement_timestamp() AS "now!",
                u.redemption_id AS "redemption_id?", u.student_id AS "student_id?", u.generation AS "use_generation?",
                u.redeemed_at AS "redeemed_at?",
                CASE WHEN k.kind IN ('enrollment', 'pool') THEN (u.redemption_id IS NOT NULL)::int ELSE c.uses END AS "use_count!"
            FROM ("# $(+ $wanted)+ + r#") AS wanted
            JOIN LATERAL (SELECT t.* FROM keys.training_keys t WHERE t.key_id = wanted.key_id LIMIT 1) k ON true
            JOIN keys.grants g ON g.grant_id = k.grant_id
            LEFT JOIN LATERAL (
                SELECT x.* FROM keys.subscription_keys x WHERE k.kind = 'subscription' AND x.key_id = k.key_id LIMIT 1
            ) s ON true
            LEFT JOIN LATERAL (
                SELECT m.redemption_id, m.student_id, m.generation, m.redeemed_at FROM keys.marks m
                WHERE k.kind IN ('enrollment', 'pool') AND m.key_id = k.key_id AND m.released_at IS NULL
                ORDER BY m.redeemed_at DESC LIMIT 1
            ) u ON true
            CROSS JOIN LATERAL (
                SELECT count(*) AS uses FROM keys.marks m
                WHERE k.kind NOT IN ('enrollment', 'pool') AND m.key_id = k.key_id AND m.released_at IS NULL
            ) c
            ORDER BY k.key_id DESC
            "#,
            $($argument),*
        )
    };
}
pub(super) use key_views;

impl KeyViewRow {
    /// The terms of a subscription key.
    fn terms(&self) -> Option<VersionedTerms> {
        let version = self.terms_version?;
        let terms = Terms {
            max_uses: self.max_uses,
            expires_at: self.expires_at,
            content_expires_at: self.content_expires_at,
        };
        Some(VersionedTerms { terms, version })
    }
}

impl TryFrom<KeyViewRow> for TrainingKey {
    type Error = StoreError;

    fn try_from(row: KeyViewRow) -> Result<Self, StoreError> {
        let kind = training_keys::kind(&row.kind, row.key_id)?;
        let grant = GrantStatus::from_text(&row.grant_status)
            .ok_or_else(|| StoreError::bad_row("keys.grants", "status", row.grant_id))?;
        let terms = row.terms();
        if terms.is_some() != (kind == KeyKind::Subscription) {
            return Err(StoreError::bad_row(
                "keys.subscription_keys",
                "key_id",
                row.key_id,
            ));
        }
        let standing = Standing {
            kind,
            uses: row.use_count,
            revoked: row.revoked_at.is_some(),
            grant,
            ends_at: row.ends_at,
            event_key_until: row.event_key_until,
            terms: terms.map(|present| present.terms),
        };
        let key_use = key_use(
            row.redemption_id,
            row.student_id,
            row.use_generation,
            row.redeemed_at,
        );
        Ok(Self {
            key_id: row.key_id,
            kind,
            organization_id: row.organization_id,
            grant_id: row.grant_id,
            grant_name: row.grant_name,
            state: standing.state(row.now),
            masked_code: row.masked_code,
            generation: row.generation,
            redeemable_from: row.starts_at.filter(|_| kind == KeyKind::Pool),
            redeemable_until: standing.redeemable_until(),
            key_use,
            use_count: row.use_count,
            terms,
            batch_id: row.batch_id,
            created_at: row.created_at,
            created_by: row.created_by,
            revocation: row.revoked_at.map(|at| Revocation {
                at,
                by: row.revoked_by.unwrap_or_default(),
                reason: row.revoke_reason.unwrap_or_default(),
            }),
        })
    }
}

/// The use of a key, of which either all parts are there or none.
pub(super) fn key_use(
    redemption_id: Option<Uuid>,
    student_id: Option<Uuid>,
    generation: Option<i32>,
    redeemed_at: Option<DateTime<Utc>>,
) -> Option<KeyUse> {
    Some(KeyUse {
        redemption_id: redemption_id?,
        student_id: student_id?,
        generation: generation?,
        redeemed_at: redeemed_at?,
    })
}
