//! What redemptions of keys that assign courses are decided on.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::decision::{KeyUses, Ledger, Wish};
use crate::domain::key::{Opens, ResolvedKey};
use crate::store::facts::{at, student};
use crate::store::profiles;

/// The key of `wish`, if it is one that assigns courses.
fn assigning_key(wish: &Wish) -> Option<&ResolvedKey> {
    let key = wish.key.as_ref()?;
    key.class_id().is_none().then_some(key)
}

/// Adds to `ledger` what is known of the uses of keys that assign courses, among those of `wishes`. Asks nothing if there are
/// none.
pub(in crate::store) async fn read_facts(
    connection: &mut PgConnection,
    wishes: &[&Wish],
    ledger: &mut Ledger,
) -> sqlx::Result<()> {
    let assigning: Vec<(&Wish, &ResolvedKey)> = wishes
        .iter()
        .filter_map(|wish| Some((*wish, assigning_key(wish)?)))
        .collect();
    if assigning.is_empty() {
        return Ok(());
    }
    read_uses(connection, &assigning, ledger).await?;
    read_profiles(connection, &assigning, ledger).await?;
    read_counts(connection, &assigning, ledger).await
}

async fn read_uses(
    connection: &mut PgConnection,
    assigning: &[(&Wish, &ResolvedKey)],
    ledger: &mut Ledger,
) -> sqlx::Result<()> {
    let key_ids: Vec<Uuid> = assigning.iter().map(|(_, key)| key.key_id).collect();
    let students: Vec<Option<Uuid>> = assigning.iter().map(|(wish, _)| student(wish)).collect();
    let single: Vec<bool> = assigning
        .iter()
        .map(|(_, key)| key.is_single_use())
        .collect();
    let uses: Vec<Option<Uuid>> = assigning
        .iter()
        .map(|(_, key)| Some(key.live_use?.redemption_id))
        .collect();
    let rows = sqlx::query!(
        r#"
        SELECT n.place AS "place!", own.assignment_id AS "own?", held.assignment_id AS "holder?",
            known.found IS NOT NULL AS "known!"
        FROM unnest($1::uuid[], $2::uuid[], $3::bool[], $4::uuid[]) WITH ORDINALITY
            AS n (key_id, student_id, single_use, used_by, place)
        LEFT JOIN LATERAL (
            SELECT x.assignment_id FROM enrollment.assignments x
            WHERE x.key_id = n.key_id AND x.student_id = n.student_id AND x.status <> 'cancelled' LIMIT 1
        ) own ON true
        LEFT JOIN LATERAL (
            SELECT x.assignment_id FROM enrollment.assignments x
            WHERE n.single_use AND x.key_id = n.key_id AND x.holds_key LIMIT 1
        ) held ON true
        LEFT JOIN LATERAL (
            SELECT true AS found FROM enrollment.assignments x WHERE x.assignment_id = n.used_by LIMIT 1
        ) known ON true
        "#,
        &key_ids,
        &students as _,
        &single,
        &uses as _,
    )
    .fetch_all(connection)
    .await?;
    for row in rows {
        let Some((wish, key)) = at(assigning, row.place) else {
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

async fn read_profiles(
    connection: &mut PgConnection,
    assigning: &[(&Wish, &ResolvedKey)],
    ledger: &mut Ledger,
) -> sqlx::Result<()> {
    let mut ids: Vec<Uuid> = assigning
        .iter()
        .filter_map(|(_, key)| match key.opens {
            Opens::Subscription(terms) => Some(terms.profile_id),
            Opens::Class { .. } | Opens::Pool(_) => None,
        })
        .collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(());
    }
    let found = profiles::find_all(connection, &ids).await?;
    ledger.profiles = found
        .into_iter()
        .map(|profile| (profile.id, Arc::new(profile)))
        .collect();
    Ok(())
}

/// The uses of keys with a limit, each counted afresh, and the slots that are free.
async fn read_counts(
    connection: &mut PgConnection,
    assigning: &[(&Wish, &ResolvedKey)],
    ledger: &mut Ledger,
) -> sqlx::Result<()> {
    // Of each key how many uses are wished for, at most.
    let mut limited: BTreeMap<Uuid, (i32, i32)> = BTreeMap::new();
    for (_, key) in assigning {
        if let Opens::Subscription(terms) = key.opens
            && let Some(max_uses) = terms.max_uses
        {
            let (limit, wanted) = limited.entry(key.key_id).or_insert((max_uses, 0));
            // It may have been changed between the one and the other.
            *limit = (*limit).max(max_uses);
            *wanted += 1;
        }
    }
    if limited.is_empty() {
        return Ok(());
    }
    let key_ids: Vec<Uuid> = limited.keys().copied().collect();
    let (limits, wanted): (Vec<i32>, Vec<i32>) = limited.into_values().unzip();
    // Among so many slots as are in use and wanted together, so many as are wanted are free; without a gap below the highest
    // they are the next ones.
    let rows = sqlx::query!(
        r#"
        SELECT n.key_id AS "key_id!", c.live AS "live!", c.ever AS "ever!", ARRAY(
                SELECT s.slot
                FROM generate_series(CASE WHEN c.gapless THEN c.live ELSE 0 END, least(n.max_uses, c.live + n.wanted) - 1) AS s (slot)
                EXCEPT
                SELECT x.slot FROM enrollment.assignments x
                WHERE NOT c.gapless AND x.key_id = n.key_id AND x.profile_id IS NOT NULL AND x.holds_key
                ORDER BY 1 LIMIT n.wanted
            ) AS "free_slots!"
        FROM unnest($1::uuid[], $2::int[], $3::int[]) AS n (key_id, max_uses, wanted)
        CROSS JOIN LATERAL (
            SELECT count(*) AS ever, count(*) FILTER (WHERE x.holds_key) AS live,
                count(*) FILTER (WHERE x.holds_key) = coalesce(max(x.slot) FILTER (WHERE x.holds_key), -1) + 1
                    AND count(*) FILTER (WHERE x.holds_key AND x.slot IS NULL) = 0 AS gapless
            FROM enrollment.assignments x
            WHERE x.key_id = n.key_id AND x.profile_id IS NOT NULL
        ) c
        "#,
        &key_ids,
        &limits,
        &wanted,
    )
    .fetch_all(connection)
    .await?;
    for row in rows {
        let uses = KeyUses {
            live: row.live,
            ever: row.ever,
            free_slots: row
                .free_slots
                .into_iter()
                .map(slot)
                .collect::<sqlx::Result<_>>()?,
        };
        ledger.uses.insert(row.key_id, uses);
    }
    Ok(())
}

/// A number below the limit of a key.
fn slot(number: i64) -> sqlx::Result<i32> {
    i32::try_from(number).map_err(|error| sqlx::Error::Decode(error.into()))
}
