//! Keys as an export tells of them, each with its sealed code: less of each key than people are shown, by one statement that
//! finds each row once. Millions are read by it.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::{Filter, KeyKind, stretch};
use crate::domain::grant::GrantStatus;
use crate::domain::key::{KeyState, Standing};
use crate::domain::keyring::{CodePlace, SealedCode};
use crate::domain::subscription::Terms;
use crate::store::{StoreError, training_keys};

/// A key with its sealed code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The key, and the generation of its present code.
    pub place: CodePlace,
    /// That code.
    pub code: SealedCode,
    /// What kind of key it is.
    pub kind: KeyKind,
    /// The class, pool or profile it opens.
    pub grant_id: Uuid,
    /// The name of that.
    pub grant_name: String,
    /// Where it stands.
    pub state: KeyState,
    /// Of a key for one student: the student who uses it, and since when.
    pub used: Option<(Uuid, DateTime<Utc>)>,
    /// Of a subscription key: how many students may use it; `None` for any number.
    pub max_uses: Option<i32>,
    /// How many students use it.
    pub use_count: i64,
}

/// What [`exported_keys`] selects.
struct ExportedRow {
    key_id: Uuid,
    kind: String,
    grant_id: Uuid,
    generation: i32,
    revoked: bool,
    grant_name: String,
    grant_status: String,
    ends_at: Option<DateTime<Utc>>,
    event_key_until: Option<DateTime<Utc>>,
    has_terms: bool,
    max_uses: Option<i32>,
    expires_at: Option<DateTime<Utc>>,
    content_expires_at: Option<DateTime<Utc>>,
    sealed_code: Option<Vec<u8>>,
    seal_version: Option<i16>,
    student_id: Option<Uuid>,
    redeemed_at: Option<DateTime<Utc>>,
    use_count: i64,
    now: DateTime<Utc>,
}

/// Selects [`ExportedRow`]s of the keys that come out of a subquery, in its order, which is that of their ids, the newest first.
macro_rules! exported_keys {
    ([$($wanted:literal)+], $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            ExportedRow,
            r#"
            SELECT w.key_id AS "key_id!", w.kind AS "kind!", w.grant_id AS "grant_id!", w.generation AS "generation!",
                w.revoked AS "revoked!", w.name AS "grant_name!", w.status AS "grant_status!", w.ends_at, w.event_key_until,
                w.has_terms AS "has_terms!", w.max_uses, w.expires_at, w.content_expires_at,
                c.sealed_code AS "sealed_code?", c.seal_version AS "seal_version?",
                u.student_id AS "student_id?", u.redeemed_at AS "redeemed_at?",
                CASE WHEN w.kind IN ('enrollment', 'pool') THEN (u.student_id IS NOT NULL)::int ELSE (
                    SELECT count(*) FROM keys.marks m WHERE m.key_id = w.key_id AND m.released_at IS NULL
                ) END AS "use_count!",
                statement_timestamp() AS "now!"
            FROM ("# $(+ $wanted)+ + r#") AS w
            LEFT JOIN LATERAL (
                SELECT x.sealed_code, x.seal_version FROM keys.codes x
                WHERE x.key_id = w.key_id AND x.generation = w.generation LIMIT 1
            ) c ON true
            LEFT JOIN LATERAL (
                SELECT m.student_id, m.redeemed_at FROM keys.marks m
                WHERE w.kind IN ('enrollment', 'pool') AND m.key_id = w.key_id AND m.released_at IS NULL
                ORDER BY m.redeemed_at DESC LIMIT 1
            ) u ON true
            ORDER BY w.key_id DESC
            "#,
            $($argument),*
        )
    };
}

impl TryFrom<ExportedRow> for Exported {
    type Error = StoreError;

    fn try_from(row: ExportedRow) -> Result<Self, StoreError> {
        let kind = training_keys::kind(&row.kind, row.key_id)?;
        let grant = GrantStatus::from_text(&row.grant_status)
            .ok_or_else(|| StoreError::bad_row("keys.grants", "status", row.grant_id))?;
        if row.has_terms != (kind == KeyKind::Subscription) {
            return Err(StoreError::bad_row(
                "keys.subscription_keys",
                "key_id",
                row.key_id,
            ));
        }
        let (Some(bytes), Some(version)) = (row.sealed_code, row.seal_version) else {
            return Err(StoreError::bad_row(
                "keys.training_keys",
                "generation",
                row.key_id,
            ));
        };
        let standing = Standing {
            kind,
            uses: row.use_count,
            revoked: row.revoked,
            grant,
            ends_at: row.ends_at,
            event_key_until: row.event_key_until,
            terms: row.has_terms.then_some(Terms {
                max_uses: row.max_uses,
                expires_at: row.expires_at,
                content_expires_at: row.content_expires_at,
            }),
        };
        Ok(Self {
            place: CodePlace {
                key_id: row.key_id,
                generation: row.generation,
            },
            code: SealedCode { bytes, version },
            kind,
            grant_id: row.grant_id,
            grant_name: row.grant_name,
            state: standing.state(row.now),
            used: row.student_id.zip(row.redeemed_at),
            max_uses: row.max_uses,
            use_count: row.use_count,
        })
    }
}

/// Keys that pass `filter`, the newest first, older than the key `after`, at most `limit`.
pub async fn page(
    pool: &PgPool,
    filter: &Filter,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Exported>, StoreError> {
    let rows: Vec<ExportedRow> = page!(
        exported_keys,
        "k.key_id, k.kind, k.grant_id, k.generation, k.revoked_at IS NOT NULL AS revoked, g.name, g.status, g.ends_at,
            g.event_key_until, terms.key_id IS NOT NULL AS has_terms, terms.max_uses, terms.expires_at,
            terms.content_expires_at",
        pool,
        filter,
        after,
        limit
    );
    rows.into_iter().map(Exported::try_from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> ExportedRow {
        ExportedRow {
            key_id: Uuid::from_u128(1),
            kind: "enrollment".to_owned(),
            grant_id: Uuid::from_u128(2),
            generation: 1,
            revoked: false,
            grant_name: "Linux".to_owned(),
            grant_status: "open".to_owned(),
            ends_at: None,
            event_key_until: None,
            has_terms: false,
            max_uses: None,
            expires_at: None,
            content_expires_at: None,
            sealed_code: Some(vec![7]),
            seal_version: Some(1),
            student_id: Some(Uuid::from_u128(3)),
            redeemed_at: Some(DateTime::UNIX_EPOCH),
            use_count: 1,
            now: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_key_without_its_code_or_with_terms_of_another_kind_is_a_bad_row() {
        let read = Exported::try_from(row()).unwrap();
        assert_eq!(read.state, KeyState::Redeemed);
        assert_eq!(read.used, Some((Uuid::from_u128(3), DateTime::UNIX_EPOCH)));
        let bad = [
            ExportedRow {
                sealed_code: None,
                ..row()
            },
            ExportedRow {
                has_terms: true,
                ..row()
            },
            ExportedRow {
                kind: "subscription".to_owned(),
                ..row()
            },
            ExportedRow {
                grant_status: "asleep".to_owned(),
                ..row()
            },
        ];
        for row in bad {
            assert!(Exported::try_from(row).is_err());
        }
    }
}
