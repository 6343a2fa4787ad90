//! Lists of keys, newest first.
//!
//! Each way into the table is a statement of its own, because plans are generic: one statement with optional filters
//! would scan for all of them. All filters stand in each statement; the way in repeats one of them in a form that an
//! index serves.

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_service_kit::ids::least_at;
use sqlx::PgPool;
use uuid::Uuid;

use super::StoreError;
use super::view::{KeyViewRow, key_views};
use crate::domain::grant::GrantKind;
use crate::domain::key::{KeyKind, KeyState, TrainingKey};

/// Which keys to list. Filters are joined with AND; an unset one lets everything through.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only keys of these organizations.
    pub organization_ids: Vec<Uuid>,
    /// Only keys of this class, pool or profile.
    pub grant: Option<(GrantKind, Uuid)>,
    /// Only keys in use by this student.
    pub student_id: Option<Uuid>,
    /// Only keys made by this request.
    pub batch_id: Option<Uuid>,
    /// Only keys of this kind.
    pub kind: Option<KeyKind>,
    /// Only keys in this state, by the database's clock.
    pub state: Option<KeyState>,
    /// Only keys generated within these times.
    pub generated: Times,
    /// Only keys in use since within these times; no event keys.
    pub redeemed: Times,
}

/// From one instant on, before another; either may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    /// The first instant.
    pub from: Option<DateTime<Utc>>,
    /// The first one after them.
    pub until: Option<DateTime<Utc>>,
}

/// How far the clocks of the services, which stamp ids, and of the database may be apart.
const CLOCKS_APART: TimeDelta = TimeDelta::hours(1);

/// The ids among which a page is found: from the first on, below the second. A stretch of time is one of ids, so that it
/// ends the walk along any index.
fn stretch(generated: Times, after: Option<Uuid>) -> (Uuid, Uuid) {
    let least = |time: Option<DateTime<Utc>>, margin| {
        let near = time.and_then(|time| time.checked_add_signed(margin));
        near.map(least_at)
    };
    let below = after.unwrap_or(Uuid::max());
    let until = least(generated.until, CLOCKS_APART);
    (
        least(generated.from, -CLOCKS_APART).unwrap_or(Uuid::nil()),
        until.map_or(below, |until| below.min(until)),
    )
}

/// The rows of one page, as `$rows` reads them of the keys of which a subquery selects `$columns`. `$before` and `$after` stand
/// around that, `$from` and `$where` are its way into the table.
macro_rules! listed {
    ($rows:ident, $columns:literal, $pool:expr, $filter:expr, $ids:expr, $limit:expr,
        $before:literal, $from:literal, $where:literal, $after:literal) => {
        $rows!(
            [
                $before
                "SELECT "
                $columns
                " FROM "
                $from
                r#"
                JOIN keys.grants g ON g.grant_id = k.grant_id
                LEFT JOIN LATERAL (
                    SELECT x.* FROM keys.subscription_keys x WHERE k.kind = 'subscription' AND x.key_id = k.key_id LIMIT 1
                ) terms ON true
                WHERE "#
                $where
                r#" AND g.status <> 'creating'
                  AND k.organization_id = ANY ($1::uuid[])
                  AND k.key_id < $2 AND k.key_id >= $10
                  AND ($11::timestamptz IS NULL OR k.created_at >= $11)
                  AND ($12::timestamptz IS NULL OR k.created_at < $12)
                  AND (($13::timestamptz IS NULL AND $14::timestamptz IS NULL) OR EXISTS (
                        SELECT FROM keys.marks m
                        WHERE m.key_id = k.key_id AND m.released_at IS NULL AND k.kind <> 'event'
                          AND ($13 IS NULL OR m.redeemed_at >= $13) AND ($14 IS NULL OR m.redeemed_at < $14)))
                  AND ($4::text IS NULL OR k.kind = $4)
                  AND ($5::text IS NULL OR $5 = keys.key_state(
                        k.kind,
                        (SELECT count(*) FROM keys.marks m
                         WHERE k.kind <> 'event' AND m.key_id = k.key_id AND m.released_at IS NULL),
                        k.revoked_at, g.status, g.ends_at, g.event_key_until, terms.max_uses, terms.expires_at,
                        terms.content_expires_at, statement_timestamp()))
                  AND ($6::uuid IS NULL OR (k.grant_id = $6 AND g.kind = $9))
                  AND ($7::uuid IS NULL OR k.batch_id = $7)
                  AND ($8::uuid IS NULL OR EXISTS (
                        SELECT FROM keys.marks m
                        WHERE m.key_id = k.key_id AND m.student_id = $8 AND m.released_at IS NULL))
                ORDER BY k.key_id DESC LIMIT $3
                "#
                $after
            ],
            &$filter.organization_ids,
            $ids.1,
            $limit,
            $filter.kind.map(KeyKind::as_text) as _,
            $filter.state.map(KeyState::as_text) as _,
            $filter.grant.map(|(_, id)| id) as _,
            $filter.batch_id as _,
            $filter.student_id as _,
            $filter.grant.map(|(kind, _)| kind.as_text()) as _,
            $ids.0,
            $filter.generated.from as _,
            $filter.generated.until as _,
            $filter.redeemed.from as _,
            $filter.redeemed.until as _,
        )
        .fetch_all($pool)
        .await?
    };
}

/// The rows of the keys that pass `$filter`, the newest first, older than the key `$after`, at most `$limit`: each filter that
/// leaves few keys has a way into the table of its own.
macro_rules! page {
    ($rows:ident, $columns:literal, $pool:expr, $filter:expr, $after:expr, $limit:expr) => {{
        let ids = stretch($filter.generated, $after);
        if $filter.student_id.is_some() {
            listed!(
                $rows, $columns, $pool, $filter, ids, $limit,
                "",
                "(SELECT DISTINCT n.key_id FROM keys.marks n WHERE n.student_id = $8 AND n.released_at IS NULL) s
                 JOIN keys.training_keys k ON k.key_id = s.key_id",
                "true",
                ""
            )
        } else if $filter.batch_id.is_some() {
            listed!($rows, $columns, $pool, $filter, ids, $limit, "", "keys.training_keys k", "k.batch_id = $7", "")
        } else if $filter.grant.is_some() {
            listed!($rows, $columns, $pool, $filter, ids, $limit, "", "keys.training_keys k", "k.grant_id = $6", "")
        } else {
            // The newest of each organization, then the newest of those.
            listed!(
                $rows, $columns, $pool, $filter, ids, $limit,
                "SELECT w.* FROM unnest($1::uuid[]) AS r (organization_id) CROSS JOIN LATERAL (",
                "keys.training_keys k",
                "k.organization_id = r.organization_id",
                ") w ORDER BY w.key_id DESC LIMIT $3"
            )
        }
    }};
}

pub mod exported;

/// Keys that pass `filter`, the newest first, older than the key `after`, at most `limit`.
pub async fn page(
    pool: &PgPool,
    filter: &Filter,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<TrainingKey>, StoreError> {
    let rows: Vec<KeyViewRow> = page!(key_views, "k.key_id", pool, filter, after, limit);
    rows.into_iter().map(TrainingKey::try_from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_of_time_holds_every_id_that_can_belong_to_it() {
        let time = |seconds| DateTime::from_timestamp(seconds, 0);
        let id = |seconds| least_at(time(seconds).unwrap());
        let generated = Times {
            from: time(1_700_000_000),
            until: time(1_700_086_400),
        };
        let (from, below) = stretch(generated, None);
        assert!(from <= id(1_700_000_000 - 3_600) && id(1_700_086_400 + 3_599) < below);
        assert!(id(1_700_000_000 - 3_601) < from && below <= id(1_700_086_400 + 3_600));
        let last = id(1_700_010_000);
        assert_eq!(stretch(generated, Some(last)), (from, last));
        assert_eq!(stretch(Times::default(), None), (Uuid::nil(), Uuid::max()));
    }
}
