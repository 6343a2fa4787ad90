//! What codes are: the hot path of every redemption. One statement for a whole batch, and no write.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, subscription_keys, training_keys, view};
use crate::domain::key::{KeyKind, KeyUse};
use crate::domain::keyring::HASH_LENGTH;
use crate::domain::pool::KeyPool;

/// The facts about a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The key.
    pub key_id: Uuid,
    /// Its kind.
    pub kind: KeyKind,
    /// The organization that owns it.
    pub organization_id: Uuid,
    /// The class, pool or profile it opens.
    pub grant_id: Uuid,
    /// The generation of the code.
    pub generation: i32,
    /// When the code ends, if it was replaced by a newer one.
    pub replaced_until: Option<DateTime<Utc>>,
    /// Whether the key is revoked, or an event key that is off.
    pub revoked: bool,
    /// The live use of a key for one student, if there is one.
    pub key_use: Option<KeyUse>,
    /// Whether the code is still this key's alone; a retired code may have been issued to another key since.
    pub unretired: bool,
    /// When the code was issued.
    pub issued_at: DateTime<Utc>,
    /// Of the key of a pool: the pool, as it is now.
    pub pool: Option<KeyPool>,
    /// Of a subscription key: its terms, as they are now, and its uses.
    pub subscription: Option<subscription_keys::Facts>,
}

/// For each hash that has a key: its place in `hashes`, counted from 0, and what it is. Of several keys that had a code,
/// the one that has it still, else the last one.
///
/// `LATERAL … LIMIT 1` keeps each look-up an index look-up whatever the statistics say. The live use of a key for one student is
/// its newest, or the one before; the others need not be read, however often somebody redeemed a key and gave it back. Two, because
/// with three a plan made on the first day reads and sorts them all.
pub async fn resolve(
    connection: &mut PgConnection,
    hashes: &[[u8; HASH_LENGTH]],
) -> Result<Vec<(usize, Resolved)>, StoreError> {
    let rows = sqlx::query!(
        r#"
        SELECT n.place AS "place!", k.key_id, k.kind, k.organization_id, k.grant_id,
            coalesce(own.generation, past.generation) AS "generation!",
            CASE WHEN coalesce(own.generation, past.generation) < k.generation
                THEN CASE WHEN own.key_id IS NULL THEN past.valid_until ELSE own.valid_until END
            END AS replaced_until,
            k.revoked_at IS NOT NULL AS "revoked!", own.key_id IS NOT NULL AS "unretired!",
            coalesce(own.issued_at, past.issued_at) AS "issued_at!",
            u.redemption_id AS "redemption_id?", u.student_id AS "student_id?", u.generation AS "use_generation?",
            u.redeemed_at AS "redeemed_at?"
        FROM unnest($1::bytea[]) WITH ORDINALITY AS n (hash, place)
        LEFT JOIN LATERAL (
            SELECT x.key_id, x.generation, x.valid_until, x.issued_at
            FROM keys.codes x WHERE x.hash = n.hash AND x.retired_at IS NULL LIMIT 1
        ) own ON true
        LEFT JOIN LATERAL (
            SELECT x.key_id, x.generation, x.valid_until, x.issued_at
            FROM keys.codes x
            WHERE own.key_id IS NULL AND x.hash = n.hash AND x.retired_at IS NOT NULL
            ORDER BY x.issued_at DESC LIMIT 1
        ) past ON true
        JOIN LATERAL (
            SELECT t.key_id, t.kind, t.organization_id, t.grant_id, t.generation, t.revoked_at
            FROM keys.training_keys t WHERE t.key_id = coalesce(own.key_id, past.key_id) LIMIT 1
        ) k ON true
        LEFT JOIN LATERAL (
            SELECT m.redemption_id, m.student_id, m.generation, m.redeemed_at FROM (
                SELECT x.redemption_id, x.student_id, x.generation, x.redeemed_at, x.released_at FROM keys.marks x
                WHERE k.kind IN ('enrollment', 'pool') AND x.key_id = k.key_id ORDER BY x.redeemed_at DESC LIMIT 2
            ) m
            WHERE m.released_at IS NULL ORDER BY m.redeemed_at DESC LIMIT 1
        ) u ON true
        "#,
        hashes as _,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let key_use = view::key_use(
                row.redemption_id,
                row.student_id,
                row.use_generation,
                row.redeemed_at,
            );
            let place = usize::try_from(row.place - 1)
                .map_err(|_| StoreError::bad_row("keys.training_keys", "key_id", row.key_id))?;
            let resolved = Resolved {
                key_id: row.key_id,
                kind: training_keys::kind(&row.kind, row.key_id)?,
                organization_id: row.organization_id,
                grant_id: row.grant_id,
                generation: row.generation,
                replaced_until: row.replaced_until,
                revoked: row.revoked,
                key_use,
                unretired: row.unretired,
                issued_at: row.issued_at,
                pool: None,
                subscription: None,
            };
            Ok((place, resolved))
        })
        .collect()
}
