//! What is due beside the closed lines: read from the enrollments and the assignments, and judged by the domain.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{BEGINNING, Period};
use crate::domain::billing::{Account, ItemKind, LATE, Line, Place};

/// Which accounts are wanted: the first `limit` behind `after` whose lines may be booked within `period`.
struct Wanted<'w> {
    organizations: &'w [Uuid],
    period: Period,
    after: Place,
    limit: i64,
}

/// Accounts of one kind of item, those of an organization together: `$columns` of what `$found` finds, joined by `$item`.
///
/// Looks at what happened since the end of each organization's closed time, and at the last of it once more. `$found` selects, of
/// one organization `o`, the id, when it happened, and how many lines were booked: from `o.since` and `o.after_id` on, at most
/// `$8`, those of which something is due; of what happened at `$5` to the one with the id `$6` only entries after `$7`.
macro_rules! accounts {
    ($row:ident, $connection:expr, $wanted:expr, $kind:expr, $columns:literal, $found:literal, $item:literal) => {
        sqlx::query_as!(
            $row,
            "SELECT " + $columns + r#", found.item_id AS "item_id!", found.occurred_at AS "since!", found.entries AS "entries!",
                o.organization_id AS "organization_id!", o.closed_until AS "closed_until?"
            FROM (
                SELECT r.organization_id, p.ends_at AS closed_until, greatest(b.open, b.after) AS since,
                    CASE WHEN b.after >= b.open THEN $6 ELSE '00000000-0000-0000-0000-000000000000'::uuid END AS after_id
                FROM unnest($1::uuid[]) AS r (organization_id)
                LEFT JOIN LATERAL (
                    SELECT x.ends_at FROM enrollment.billing_periods x
                    WHERE x.organization_id = r.organization_id ORDER BY x.ends_at DESC LIMIT 1
                ) p ON true
                CROSS JOIN LATERAL (
                    SELECT CASE WHEN p.ends_at >= $2 THEN p.ends_at - make_interval(secs => $9) ELSE $2 END AS open,
                        CASE WHEN r.organization_id = $4 THEN $5::timestamptz END AS after
                ) b
            ) o
            CROSS JOIN LATERAL ("# + $found + r#") found
            "# + $item + r#"
            WHERE o.closed_until IS NULL OR o.closed_until < $3
            ORDER BY o.organization_id, found.occurred_at, found.item_id LIMIT $8
            "#,
            $wanted.organizations,
            $wanted.period.0,
            $wanted.period.1,
            $wanted.after.organization_id,
            $wanted.after.occurred_at,
            $wanted.after.item_id,
            $wanted.after.entry_of($kind),
            $wanted.limit,
            LATE.to_std().unwrap_or_default().as_secs_f64(),
        )
    };
}

mod assignments;
mod enrollments;

/// The lines of `organizations` that are due and booked within `period`, in the order of places, after the one at `after`, at
/// most `limit`.
pub async fn lines(
    connection: &mut PgConnection,
    organizations: &[Uuid],
    period: Period,
    after: Option<Place>,
    limit: i64,
) -> sqlx::Result<Vec<Line>> {
    let mut lines = Vec::new();
    for kind in ItemKind::ALL {
        lines.extend(of_kind(connection, kind, organizations, period, after, limit).await?);
    }
    lines.sort_unstable_by_key(Line::place);
    lines.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(lines)
}

/// Likewise, those of one kind of item.
pub async fn of_kind(
    connection: &mut PgConnection,
    kind: ItemKind,
    organizations: &[Uuid],
    period: Period,
    after: Option<Place>,
    limit: i64,
) -> sqlx::Result<Vec<Line>> {
    let wanted = Wanted {
        organizations,
        period,
        after: after.unwrap_or(BEGINNING),
        limit,
    };
    let accounts = match kind {
        ItemKind::Assignment => assignments::accounts(connection, &wanted).await?,
        ItemKind::Enrollment => enrollments::accounts(connection, &wanted).await?,
    };
    Ok(accounts.iter().filter_map(Account::due).collect())
}
