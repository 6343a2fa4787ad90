//! `keys.keyring_versions`: which versions of the keys are in use.

use sqlx::PgConnection;

use super::StoreError;
use crate::domain::keyring::{InUse, KeyVersion, Purpose, Versions};

struct Row {
    purpose: String,
    current_version: i16,
    versions: Vec<i16>,
    rotated: bool,
}

fn in_use_of(rows: Vec<Row>) -> Result<InUse, StoreError> {
    let mut found = rows
        .into_iter()
        .map(|row| {
            let versions = Versions {
                current: row.current_version,
                all: row.versions,
                rotated: row.rotated,
            };
            (row.purpose, versions)
        })
        .collect::<Vec<_>>();
    let mut of = |purpose: Purpose| -> Result<Versions, StoreError> {
        let place = found.iter().position(|(name, _)| name == purpose.name());
        let place = place
            .ok_or_else(|| StoreError::bad_row("keys.keyring_versions", "purpose", purpose))?;
        Ok(found.swap_remove(place).1)
    };
    Ok(InUse {
        seal: of(Purpose::Seal)?,
        look_up: of(Purpose::LookUp)?,
        fingerprint: of(Purpose::Fingerprint)?,
    })
}

/// What is in use at the moment.
pub async fn in_use(connection: &mut PgConnection) -> Result<InUse, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT purpose, current_version, versions, rotated FROM keys.keyring_versions ORDER BY purpose"
    )
    .fetch_all(connection)
    .await?;
    in_use_of(rows)
}

/// What is in use until the transaction ends: who changes it waits for that. To be asked before anything is stored that a
/// key has made.
pub async fn hold(connection: &mut PgConnection) -> Result<InUse, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        SELECT purpose, current_version, versions, rotated FROM keys.keyring_versions ORDER BY purpose
        FOR SHARE
        "#
    )
    .fetch_all(connection)
    .await?;
    in_use_of(rows)
}

/// What is in use, to be changed by this transaction: waits for all that have stored something by it and not committed.
pub async fn lock(connection: &mut PgConnection) -> Result<InUse, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        SELECT purpose, current_version, versions, rotated FROM keys.keyring_versions ORDER BY purpose
        FOR UPDATE
        "#
    )
    .fetch_all(connection)
    .await?;
    in_use_of(rows)
}

/// Has everything new made with `key`; until [`set_rotated`] there may be rows to be made anew if `rotated` is false.
pub async fn make_current(
    connection: &mut PgConnection,
    key: KeyVersion,
    rotated: bool,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        UPDATE keys.keyring_versions
        SET current_version = $2, versions = array_append(array_remove(versions, $2), $2), rotated = $3
        WHERE purpose = $1
        "#,
        key.purpose.name(),
        key.version,
        rotated,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that all that can be made anew with the current version of `purpose` was.
pub async fn set_rotated(
    connection: &mut PgConnection,
    purpose: Purpose,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE keys.keyring_versions SET rotated = true WHERE purpose = $1",
        purpose.name(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes a version that is not current out of use.
pub async fn take_out(connection: &mut PgConnection, key: KeyVersion) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE keys.keyring_versions SET versions = array_remove(versions, $2) WHERE purpose = $1",
        key.purpose.name(),
        key.version,
    )
    .execute(connection)
    .await?;
    Ok(())
}
