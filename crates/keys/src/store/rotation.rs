//! `keys.codes` in the order of its rows: made anew page by page when the keys change.

use latchkey_service_kit::database::read_at_length;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use crate::domain::keyring::{CodePlace, HASH_LENGTH, HashedCode, KeyVersion, Purpose, SealedCode};

/// How many rows were made with a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    /// The version.
    pub key: KeyVersion,
    /// The rows: codes, or requests for fingerprints.
    pub count: i64,
}

/// How many rows were made with each version that made any. Reads every code and request there is; the transaction may
/// take long from here on.
pub async fn count(connection: &mut PgConnection) -> Result<Vec<Rows>, StoreError> {
    read_at_length(&mut *connection).await?;
    let rows = sqlx::query!(
        r#"
        SELECT 'seal' AS "purpose!", seal_version AS "version!", count(*) AS "count!" FROM keys.codes GROUP BY seal_version
        UNION ALL
        SELECT 'look_up', hash_version, count(*) FROM keys.codes GROUP BY hash_version
        UNION ALL
        SELECT 'fingerprint', fingerprint_version, count(*) FROM keys.requests GROUP BY fingerprint_version
        ORDER BY 1, 2
        "#
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let purpose = Purpose::from_name(&row.purpose);
            let purpose = purpose
                .ok_or_else(|| StoreError::bad_row("keys.codes", "seal_version", &row.purpose))?;
            let version = row.version;
            Ok(Rows {
                key: KeyVersion { purpose, version },
                count: row.count,
            })
        })
        .collect()
}

/// A row with what the keys have made of its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeRow {
    /// Where it stands.
    pub place: CodePlace,
    /// The hash of the code.
    pub hashed: HashedCode,
    /// The code, sealed.
    pub sealed: SealedCode,
}

/// The rows after the place `after`, at most `limit`, locked in their order until the transaction ends.
pub async fn page(
    connection: &mut PgConnection,
    after: CodePlace,
    limit: i64,
) -> Result<Vec<CodeRow>, StoreError> {
    let rows = sqlx::query!(
        r#"
        SELECT key_id, generation, hash, hash_version, sealed_code, seal_version FROM keys.codes
        WHERE (key_id, generation) > ($1, $2)
        ORDER BY key_id, generation
        LIMIT $3
        FOR NO KEY UPDATE
        "#,
        after.key_id,
        after.generation,
        limit,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let place = CodePlace {
                key_id: row.key_id,
                generation: row.generation,
            };
            let hash = <[u8; HASH_LENGTH]>::try_from(row.hash.as_slice())
                .map_err(|_| StoreError::bad_row("keys.codes", "hash", row.key_id))?;
            Ok(CodeRow {
                place,
                hashed: HashedCode {
                    hash,
                    version: row.hash_version,
                },
                sealed: SealedCode {
                    bytes: row.sealed_code,
                    version: row.seal_version,
                },
            })
        })
        .collect()
}

/// Puts what was made anew into its rows, which are locked.
pub async fn replace(connection: &mut PgConnection, rows: &[CodeRow]) -> Result<(), StoreError> {
    let key_ids: Vec<Uuid> = rows.iter().map(|row| row.place.key_id).collect();
    let generations: Vec<i32> = rows.iter().map(|row| row.place.generation).collect();
    let hashes: Vec<[u8; HASH_LENGTH]> = rows.iter().map(|row| row.hashed.hash).collect();
    let hash_versions: Vec<i16> = rows.iter().map(|row| row.hashed.version).collect();
    let sealed: Vec<&[u8]> = rows.iter().map(|row| row.sealed.bytes.as_slice()).collect();
    let seal_versions: Vec<i16> = rows.iter().map(|row| row.sealed.version).collect();
    sqlx::query!(
        r#"
        UPDATE keys.codes c
        SET hash = n.hash, hash_version = n.hash_version, sealed_code = n.sealed_code, seal_version = n.seal_version
        FROM unnest($1::uuid[], $2::int[], $3::bytea[], $4::smallint[], $5::bytea[], $6::smallint[])
            AS n (key_id, generation, hash, hash_version, sealed_code, seal_version)
        WHERE c.key_id = n.key_id AND c.generation = n.generation
        "#,
        &key_ids,
        &generations,
        &hashes as _,
        &hash_versions,
        &sealed as _,
        &seal_versions,
    )
    .execute(connection)
    .await?;
    Ok(())
}
