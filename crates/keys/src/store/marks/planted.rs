//! Statements of bugs planted for tests. Nothing of this is in what is shipped.

use sqlx::PgConnection;
use uuid::Uuid;

use super::Mark;

/// Ends every use of the keys that `marks` give up, whichever redemption it is of.
pub async fn release_by_key(connection: &mut PgConnection, marks: &[Mark]) -> sqlx::Result<()> {
    let given_up = marks.iter().filter(|mark| mark.released_at.is_some());
    let key_ids: Vec<Uuid> = given_up.map(|mark| mark.key_id).collect();
    sqlx::query("UPDATE keys.marks SET released_at = redeemed_at WHERE key_id = ANY ($1) AND released_at IS NULL")
        .bind(key_ids)
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes back that those of `marks` were given up that do not say so.
pub async fn revive(connection: &mut PgConnection, marks: &[Mark]) -> sqlx::Result<()> {
    let live = marks.iter().filter(|mark| mark.released_at.is_none());
    let redemption_ids: Vec<Uuid> = live.map(|mark| mark.redemption_id).collect();
    sqlx::query("UPDATE keys.marks SET released_at = NULL WHERE redemption_id = ANY ($1)")
        .bind(redemption_ids)
        .execute(connection)
        .await?;
    Ok(())
}
