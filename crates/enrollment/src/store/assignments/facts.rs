//! What redemptions of pool keys are decided on.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::decision::{Ledger, Wish};
use crate::domain::key::{Opens, ResolvedKey};
use crate::store::facts::{at, student};

/// The key of `wish`, if it is one of a pool.
fn pool_key(wish: &Wish) -> Option<&ResolvedKey> {
    let key = wish.key.as_ref()?;
    matches!(key.opens, Opens::Pool(_)).then_some(key)
}

/// Adds to `ledger` what is known of the uses of pool keys among those of `wishes`. Asks nothing if there are none.
pub(in crate::store) async fn read_facts(
    connection: &mut PgConnection,
    wishes: &[&Wish],
    ledger: &mut Ledger,
) -> sqlx::Result<()> {
    let of_pools: Vec<(&Wish, &ResolvedKey)> = wishes
        .iter()
        .filter_map(|wish| Some((*wish, pool_key(wish)?)))
        .collect();
    if of_pools.is_empty() {
        return Ok(());
    }
    let key_ids: Vec<Uuid> = of_pools.iter().map(|(_, key)| key.key_id).collect();
    let students: Vec<Option<Uuid>> = of_pools.iter().map(|(wish, _)| student(wish)).collect();
    let uses: Vec<Option<Uuid>> = of_pools
        .iter()
        .map(|(_, key)| Some(key.live_use?.redemption_id))
        .collect();
    let rows = sqlx::query!(
        r#"
        SELECT n.place AS "place!", own.assignment_id AS "own?", held.assignment_id AS "holder?",
            known.found IS NOT NULL AS "known!"
        FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) WITH ORDINALITY AS n (key_id, student_id, used_by, place)
        LEFT JOIN LATERAL (
            SELECT x.assignment_id FROM enrollment.assignments x
            WHERE x.key_id = n.key_id AND x.student_id = n.student_id AND x.status <> 'cancelled' LIMIT 1
        ) own ON true
        LEFT JOIN LATERAL (
            SELECT x.assignment_id FROM enrollment.assignments x WHERE x.key_id = n.key_id AND x.holds_key LIMIT 1
        ) held ON true
        LEFT JOIN LATERAL (
            SELECT true AS found FROM enrollment.assignments x WHERE x.assignment_id = n.used_by LIMIT 1
        ) known ON true
        "#,
        &key_ids,
        &students as _,
        &uses as _,
    )
    .fetch_all(connection)
    .await?;
    for row in rows {
        let Some((wish, key)) = at(&of_pools, row.place) else {
            continue;
        };
        if let Some((student, assignment)) = student(wish).zip(row.own) {
            ledger.assigned.insert((key.key_id, student), assignment);
        }
        if let Some(holder) = row.holder {
            ledger.keys_in_use.insert(key.key_id, holder);
        }
        if let Some(live_use) = key.live_use.filter(|_| row.known) {
            ledger.known_uses.insert(live_use.redemption_id);
        }
    }
    Ok(())
}
