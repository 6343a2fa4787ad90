//! What students have (enrollments, assignments), searched for by what the names or addresses of the students begin with: first
//! the students, by ranges of the indexes over their folded texts, then what they have.

use std::cmp::Ordering;
use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::prefix::Prefix;

/// Where something stands in a list. Places are in the order of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// By which text its student was found, and who that is, if a beginning was searched for.
    found: (String, Uuid),
    /// The time by which it is listed, the latest first, and its id.
    time: DateTime<Utc>,
    id: Uuid,
}

impl Place {
    /// The place of what is listed by its time alone.
    pub(super) fn in_time((time, id): (DateTime<Utc>, Uuid)) -> Self {
        Self {
            found: (String::new(), Uuid::nil()),
            time,
            id,
        }
    }

    /// The time and id before which a list goes on that is in the order of time; without a page before, those of a place before
    /// everything: the database's calendar is longer than this one.
    pub(super) fn before(after: Option<&Self>) -> (DateTime<Utc>, Uuid) {
        after.map_or((DateTime::<Utc>::MAX_UTC, Uuid::max()), |place| {
            (place.time, place.id)
        })
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        let latest_first = || (other.time, other.id).cmp(&(self.time, self.id));
        self.found.cmp(&other.found).then_with(latest_first)
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A search for students.
pub(super) struct Search<'s> {
    /// Students of this organization and of those below it.
    pub(super) ground: Uuid,
    /// Whose names begin so.
    pub(super) name: Option<&'s Prefix>,
    /// Whose addresses begin so.
    pub(super) email: Option<&'s Prefix>,
    /// The first text behind the range.
    pub(super) behind: String,
    /// The first student that may be found.
    pub(super) after: (String, Uuid),
    /// How many at most.
    pub(super) limit: i64,
}

impl<'s> Search<'s> {
    /// A search on `ground`; `None` if no beginning is searched for. It finds as many as a page of `limit` things after `after`
    /// may be of.
    pub(super) fn new(
        ground: Uuid,
        (name, email): (Option<&'s Prefix>, Option<&'s Prefix>),
        after: Option<&Place>,
        limit: i64,
    ) -> Option<Self> {
        let sought = email.or(name)?;
        Some(Self {
            ground,
            name,
            email,
            behind: sought.behind(),
            after: after.map_or_else(
                || (sought.first().to_owned(), Uuid::nil()),
                |place| place.found.clone(),
            ),
            // Of the first student everything may stand before.
            limit: limit + 1,
        })
    }
}

/// A student who was found.
pub(super) struct FoundRow {
    pub(super) found_by: String,
    pub(super) student_id: Uuid,
}

/// Students who are found and have something that passes, in the order of the texts that they are found by: the first of each
/// organization by each text, those in a range, one bound of its index. `$has_one` selects what one of them, `x`, may have, by
/// the parameters from `$8` on: the `$argument`s. `$1` is the ground.
///
/// Who is found by the given name first is not found by the family name first as well.
macro_rules! students_found {
    ($connection:expr, $search:expr, $has_one:literal, [$($argument:expr),+ $(,)?]) => {
        if $search.email.is_some() {
            students_found!($connection, $search, $has_one, [$($argument),+],
                "x.email_folded" where
                    "x.email_folded < $2 AND x.email_folded >= $3 AND (x.email_folded > $3 OR x.student_id >= $4)"
                    ordered by "x.email_folded"
            )
        } else {
            students_found!($connection, $search, $has_one, [$($argument),+],
                "x.given_first" where "x.given_first < $2 AND (x.given_first, x.student_id) >= ($3, $4)"
                    ordered by "x.given_first, x.student_id",
                "x.family_first" where "x.family_first < $2 AND (x.family_first, x.student_id) >= ($3, $4)
                    AND NOT (x.given_first >= $5 AND x.given_first < $6)"
                    ordered by "x.family_first, x.student_id"
            )
        }
    };
    ($connection:expr, $search:expr, $has_one:literal, [$($argument:expr),+],
        $($text:literal where $range:literal ordered by $order:literal),+) => {
        sqlx::query_as!(
            crate::store::by_student::FoundRow,
            r#"
            SELECT t.found_by AS "found_by!", t.student_id AS "student_id!"
            FROM (
                SELECT o.organization_id FROM enrollment.organizations o
                WHERE o.organization_id = $1 OR o.ancestor_ids @> ARRAY[$1]::uuid[]
            ) reached
            CROSS JOIN LATERAL (
                SELECT NULL::text COLLATE "C" AS found_by, NULL::uuid AS student_id WHERE false"#
                $(+ " UNION ALL (SELECT " + $text + ", x.student_id FROM enrollment.students x
                    CROSS JOIN LATERAL (" + $has_one + " LIMIT 1) has_one
                WHERE " + $range + "
                  AND x.organization_id = reached.organization_id
                  AND ($5::text IS NULL OR (x.given_first >= $5 AND x.given_first < $6)
                       OR (x.family_first >= $5 AND x.family_first < $6))
                ORDER BY " + $order + " LIMIT $7)")+
            + "
            ) t
            ORDER BY t.found_by, t.student_id LIMIT $7
            ",
            $search.ground,
            $search.behind,
            $search.after.0,
            $search.after.1,
            $search.name.map(crate::domain::prefix::Prefix::first) as _,
            $search.name.map(crate::domain::prefix::Prefix::behind) as _,
            $search.limit,
            $($argument),+
        )
        .fetch_all($connection)
        .await
    };
}
pub(super) use students_found;

/// What the found `students` have, each with its place, in the order of places, behind `after`, at most `limit`. `of` says of one
/// whose it is, the time by which it is listed, and its id.
pub(super) fn placed<T>(
    things: Vec<T>,
    students: Vec<FoundRow>,
    of: impl Fn(&T) -> (Uuid, DateTime<Utc>, Uuid),
    after: Option<&Place>,
    limit: i64,
) -> Vec<(T, Place)> {
    let mut found_by: HashMap<Uuid, String> = HashMap::new();
    for row in students {
        found_by.insert(row.student_id, row.found_by);
    }
    let place = |thing: T| {
        let (student, time, id) = of(&thing);
        let found = (found_by.get(&student)?.clone(), student);
        Some((thing, Place { found, time, id }))
    };
    let mut placed: Vec<(T, Place)> = things.into_iter().filter_map(place).collect();
    placed.sort_by(|(_, one), (_, other)| one.cmp(other));
    if let Some(after) = after {
        placed.retain(|(_, place)| place > after);
    }
    placed.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    placed
}
