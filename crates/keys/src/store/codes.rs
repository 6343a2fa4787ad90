//! `keys.codes`: every code ever issued. Nothing else reads the sealed text, but an export (`listing::exported`).

use chrono::{DateTime, Utc};
use latchkey_service_kit::access::Scope;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{StoreError, training_keys};
use crate::domain::key::KeyKind;
use crate::domain::keyring::{CodePlace, HASH_LENGTH, HashedCode, SealedCode};

/// Codes to issue, all of one organization and at one instant.
#[derive(Debug)]
pub struct NewCodes<'c> {
    /// The organization that owns the keys.
    pub organization_id: Uuid,
    /// When they are issued.
    pub issued_at: DateTime<Utc>,
    /// The codes.
    pub codes: &'c [NewCode],
}

/// A code to issue.
#[derive(Debug)]
pub struct NewCode {
    /// The row it is for.
    pub place: CodePlace,
    /// Its hash.
    pub hashed: HashedCode,
    /// Its sealed text.
    pub sealed: SealedCode,
}

/// Issues codes; returns how many. Fewer than given, if an unretired code has the same hash: then the caller rolls back.
pub async fn insert(connection: &mut PgConnection, new: &NewCodes<'_>) -> Result<u64, StoreError> {
    let key_ids: Vec<Uuid> = new.codes.iter().map(|code| code.place.key_id).collect();
    let generations: Vec<i32> = new.codes.iter().map(|code| code.place.generation).collect();
    let hashes: Vec<[u8; HASH_LENGTH]> = new.codes.iter().map(|code| code.hashed.hash).collect();
    let hash_versions: Vec<i16> = new.codes.iter().map(|code| code.hashed.version).collect();
    let sealed: Vec<&[u8]> = new
        .codes
        .iter()
        .map(|code| code.sealed.bytes.as_slice())
        .collect();
    let seal_versions: Vec<i16> = new.codes.iter().map(|code| code.sealed.version).collect();
    let done = sqlx::query!(
        r#"
        INSERT INTO keys.codes (
            key_id, generation, organization_id, hash, hash_version, sealed_code, seal_version, issued_at
        )
        SELECT n.key_id, n.generation, $1, n.hash, n.hash_version, n.sealed_code, n.seal_version, $2
        FROM unnest($3::uuid[], $4::int[], $5::bytea[], $6::smallint[], $7::bytea[], $8::smallint[])
            AS n (key_id, generation, hash, hash_version, sealed_code, seal_version)
        ON CONFLICT (hash) WHERE retired_at IS NULL DO NOTHING
        "#,
        new.organization_id,
        new.issued_at,
        &key_ids,
        &generations,
        &hashes as _,
        &hash_versions,
        &sealed as _,
        &seal_versions,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Makes room for a code that is about to be issued for `key_id`: stamps as retired the codes of the same text that open
/// nothing any more (of a revoked key, of an event key that is off, replaced and past their grace), and those of `key_id`
/// itself, which end now. The expiry of a class alone retires no code.
///
/// `hashes` are those of the text by every version of the look-up key. Returns whether another key still has the text.
pub async fn make_room(
    connection: &mut PgConnection,
    key_id: Uuid,
    hashes: &[[u8; HASH_LENGTH]],
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    sqlx::query!(
        r#"
        UPDATE keys.codes c
        SET retired_at = $3, valid_until = CASE WHEN c.key_id = $1 THEN least(c.valid_until, $3) ELSE c.valid_until END
        FROM keys.training_keys k
        WHERE c.hash = ANY ($2) AND c.retired_at IS NULL AND k.key_id = c.key_id
          AND (c.key_id = $1 OR k.revoked_at IS NOT NULL OR c.valid_until <= $3)
        "#,
        key_id,
        hashes as _,
        now,
    )
    .execute(&mut *connection)
    .await?;
    let taken = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM keys.codes WHERE hash = ANY ($1) AND retired_at IS NULL) AS "taken!""#,
        hashes as _,
    )
    .fetch_one(connection)
    .await?;
    Ok(taken)
}

/// A code that somebody wants, by one of its hashes.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Where it stands in a list.
    pub line: usize,
    /// A hash of it, by one version of the look-up key.
    pub hash: [u8; HASH_LENGTH],
}

/// As [`make_room`], for codes of keys that are about to be made: the lines of those that other keys still have, in order.
pub async fn make_room_for_many(
    connection: &mut PgConnection,
    wanted: &[Wanted],
    now: DateTime<Utc>,
) -> Result<Vec<usize>, StoreError> {
    let hashes: Vec<[u8; HASH_LENGTH]> = wanted.iter().map(|one| one.hash).collect();
    sqlx::query!(
        r#"
        UPDATE keys.codes c
        SET retired_at = $2
        FROM keys.training_keys k
        WHERE c.hash = ANY ($1) AND c.retired_at IS NULL AND k.key_id = c.key_id
          AND (k.revoked_at IS NOT NULL OR c.valid_until <= $2)
        "#,
        &hashes as _,
        now,
    )
    .execute(&mut *connection)
    .await?;
    let places = sqlx::query_scalar!(
        r#"
        SELECT n.place AS "place!"
        FROM unnest($1::bytea[]) WITH ORDINALITY AS n (hash, place)
        JOIN LATERAL (
            SELECT true FROM keys.codes x WHERE x.hash = n.hash AND x.retired_at IS NULL LIMIT 1
        ) c ON true
        "#,
        &hashes as _,
    )
    .fetch_all(connection)
    .await?;
    let place = |place: i64| wanted.get(usize::try_from(place - 1).ok()?);
    let mut lines: Vec<usize> = places
        .into_iter()
        .filter_map(place)
        .map(|one| one.line)
        .collect();
    lines.sort_unstable();
    lines.dedup();
    Ok(lines)
}

/// Ends the code of the generation `place`, which is replaced, at `until`, and the older ones no later than that: whoever
/// replaces a code that has leaked means all that came before. Retires those whose end is not after `now`.
pub async fn end(
    connection: &mut PgConnection,
    place: CodePlace,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        UPDATE keys.codes
        SET valid_until = least(valid_until, $3), retired_at = CASE WHEN least(valid_until, $3) <= $4::timestamptz THEN $4 END
        WHERE key_id = $1 AND generation <= $2 AND retired_at IS NULL
        "#,
        place.key_id,
        place.generation,
        until,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Ends and retires every code of a key at `now`; codes that ended before keep their own end.
pub async fn end_all(
    connection: &mut PgConnection,
    key_id: Uuid,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        UPDATE keys.codes SET valid_until = least(valid_until, $2), retired_at = $2
        WHERE key_id = $1 AND retired_at IS NULL
        "#,
        key_id,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A code to show.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// The row it belongs to.
    pub place: CodePlace,
    /// The kind of its key.
    pub kind: KeyKind,
    /// What that opens.
    pub grant_id: Uuid,
    /// The organization that owns it.
    pub organization_id: Uuid,
    /// The code.
    pub code: SealedCode,
}

/// The present codes of the keys among these ids that a caller may see, without event keys, in no order.
pub async fn sealed(
    connection: &mut PgConnection,
    key_ids: &[Uuid],
    scope: &Scope,
) -> Result<Vec<Sealed>, StoreError> {
    let rows = sqlx::query!(
        r#"
        SELECT k.key_id, k.kind, k.grant_id, k.organization_id, c.generation, c.sealed_code, c.seal_version
        FROM keys.training_keys k
        JOIN keys.grants g ON g.grant_id = k.grant_id
        JOIN keys.codes c ON c.key_id = k.key_id AND c.generation = k.generation
        LEFT JOIN keys.organizations o ON o.organization_id = k.organization_id
        WHERE k.key_id = ANY ($1) AND k.kind <> 'event' AND g.status <> 'creating'
          AND ($2 OR k.organization_id = $3 OR $3 = ANY (o.ancestor_ids))
        "#,
        key_ids,
        scope.everything,
        scope.organization,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Sealed {
                place: CodePlace {
                    key_id: row.key_id,
                    generation: row.generation,
                },
                kind: training_keys::kind(&row.kind, row.key_id)?,
                grant_id: row.grant_id,
                organization_id: row.organization_id,
                code: SealedCode {
                    bytes: row.sealed_code,
                    version: row.seal_version,
                },
            })
        })
        .collect()
}

/// The present code of a class's event key.
#[derive(Debug, Clone)]
pub enum SealedEventKey {
    /// The class never had an event key.
    Never,
    /// It is off.
    Off,
    /// It is on.
    On(Sealed),
}

/// The present code of a class's event key; `None` if there is no such class, or not for this caller.
pub async fn sealed_event_key(
    connection: &mut PgConnection,
    class_id: Uuid,
    scope: &Scope,
) -> Result<Option<SealedEventKey>, StoreError> {
    let row = sqlx::query!(
        r#"
        SELECT g.organization_id, k.key_id AS "key_id?", k.revoked_at AS "revoked_at?",
            c.generation AS "generation?", c.sealed_code AS "sealed_code?", c.seal_version AS "seal_version?"
        FROM keys.grants g
        LEFT JOIN keys.organizations o ON o.organization_id = g.organization_id
        LEFT JOIN keys.training_keys k ON k.grant_id = g.grant_id AND k.kind = 'event'
        LEFT JOIN keys.codes c ON c.key_id = k.key_id AND c.generation = k.generation
        WHERE g.grant_id = $1 AND g.kind = 'class' AND g.status <> 'creating'
          AND ($2 OR g.organization_id = $3 OR $3 = ANY (o.ancestor_ids) OR $4 = ANY (g.instructors))
        "#,
        class_id,
        scope.everything,
        scope.organization,
        scope.instructor,
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let Some(key_id) = row.key_id else {
        return Ok(Some(SealedEventKey::Never));
    };
    if row.revoked_at.is_some() {
        return Ok(Some(SealedEventKey::Off));
    }
    let (Some(generation), Some(bytes), Some(version)) =
        (row.generation, row.sealed_code, row.seal_version)
    else {
        return Err(StoreError::bad_row(
            "keys.training_keys",
            "generation",
            key_id,
        ));
    };
    Ok(Some(SealedEventKey::On(Sealed {
        place: CodePlace { key_id, generation },
        kind: KeyKind::Event,
        grant_id: class_id,
        organization_id: row.organization_id,
        code: SealedCode { bytes, version },
    })))
}

/// What a typed code belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    /// The key.
    pub key_id: Uuid,
    /// The generation of the code.
    pub generation: i32,
    /// When the code ends, if it was replaced.
    pub replaced_until: Option<DateTime<Utc>>,
    /// The kind of the key.
    pub kind: KeyKind,
    /// What it opens.
    pub grant_id: Uuid,
    /// The organization that owns the key.
    pub organization_id: Uuid,
}

/// The key that a code belongs to, among those a caller may see; of several that had the code the one that has it still,
/// else the last one. `hashes` are those of the code by every version of the look-up key.
pub async fn find(
    pool: &PgPool,
    hashes: &[[u8; HASH_LENGTH]],
    scope: &Scope,
) -> Result<Option<Found>, StoreError> {
    let found = sqlx::query!(
        r#"
        SELECT c.key_id AS "key_id!", c.generation AS "generation!",
            CASE WHEN c.generation < k.generation THEN c.valid_until END AS replaced_until,
            k.kind, k.grant_id, k.organization_id
        FROM (
            SELECT key_id, generation, valid_until, issued_at, true AS unretired
            FROM keys.codes WHERE hash = ANY ($1) AND retired_at IS NULL
            UNION ALL
            SELECT key_id, generation, valid_until, issued_at, false
            FROM keys.codes WHERE hash = ANY ($1) AND retired_at IS NOT NULL
        ) c
        JOIN keys.training_keys k ON k.key_id = c.key_id
        JOIN keys.grants g ON g.grant_id = k.grant_id
        LEFT JOIN keys.organizations o ON o.organization_id = k.organization_id
        WHERE g.status <> 'creating' AND ($2 OR k.organization_id = $3 OR $3 = ANY (o.ancestor_ids))
        ORDER BY c.unretired DESC, c.issued_at DESC
        LIMIT 1
        "#,
        hashes as _,
        scope.everything,
        scope.organization,
    )
    .fetch_optional(pool)
    .await?;
    let found = found.map(|row| {
        Ok(Found {
            key_id: row.key_id,
            generation: row.generation,
            replaced_until: row.replaced_until,
            kind: training_keys::kind(&row.kind, row.key_id)?,
            grant_id: row.grant_id,
            organization_id: row.organization_id,
        })
    });
    found.transpose()
}
