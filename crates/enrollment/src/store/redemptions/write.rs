//! Writing what a batch decided.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::columns::Decisions;
use crate::domain::enrollment::Status;
use crate::domain::redemption::{Opened, Outcome, Redemption};

/// A decision to be recorded, about a class or about no key. The facts of an enrollment are those of its redemption.
#[derive(Debug, Clone)]
pub struct NewRedemption {
    /// The decision.
    pub redemption: Redemption,
    /// If enrolled: which use of the key it is, for a key with a limited number of them.
    pub slot: Option<i32>,
    /// If it made an enrollment: whether that holds the key.
    pub holds_key: bool,
    /// If it made an enrollment: since when that is in its status.
    pub status_since: Option<DateTime<Utc>>,
}

/// How many rows were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Decisions recorded.
    pub redemptions: i64,
    /// Enrollments made.
    pub enrollments: i64,
    /// Classes whose seats were taken.
    pub classes: i64,
}

impl Written {
    /// What is to be written for `redemptions`.
    pub fn by(redemptions: &[NewRedemption]) -> Self {
        let made = redemptions.iter().map(|one| &one.redemption);
        let made = made.filter(|one| status(&one.outcome).is_some());
        let enrolled = redemptions.iter().map(|one| &one.redemption);
        let enrolled = enrolled.filter(|one| one.outcome == Outcome::Enrolled);
        let classes: BTreeSet<Uuid> = enrolled
            .filter_map(|one| one.key?.opened.class_id())
            .collect();
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        Self {
            redemptions: count(redemptions.len()),
            enrollments: count(made.count()),
            classes: count(classes.len()),
        }
    }
}

/// The status in which the enrollment of a redemption begins, if it makes one.
fn status(outcome: &Outcome) -> Option<Status> {
    match outcome {
        Outcome::Enrolled => Some(Status::Enrolled),
        Outcome::WaitListed => Some(Status::WaitListed),
        Outcome::AlreadyIn { .. }
        | Outcome::Assigned
        | Outcome::AlreadyAssigned { .. }
        | Outcome::Refused(_) => None,
    }
}

/// Records decisions that were made at `now`, makes the enrollments among them and takes their seats, all by one
/// statement. The classes are locked by the caller. Whatever the facts did not show is an error: a unique violation, or a
/// seat too many.
pub async fn insert(
    connection: &mut PgConnection,
    new: &[NewRedemption],
    now: DateTime<Utc>,
) -> sqlx::Result<Written> {
    let decisions = Decisions::of(new.iter().map(|one| &one.redemption))?;
    let columns = Columns::of(new);
    sqlx::query_as!(
        Written,
        r#"
        WITH n AS MATERIALIZED (
            SELECT * FROM unnest(
                $1::uuid[], $2::bool[], $3::text[], $4::text[], $5::jsonb[], $6::bytea[], $7::uuid[], $8::uuid[], $9::uuid[],
                $10::text[], $11::int4[], $12::uuid[], $13::uuid[], $14::int4[], $15::text[], $16::text[], $17::text[],
                $18::text[], $19::bool[], $21::timestamptz[]
            ) AS n (redemption_id, registration, outcome, reason, refusal, fingerprint, organization_id, student_id, key_id,
                key_kind, generation, class_id, enrollment_id, slot, caller, peer, request_id, status, holds_key, status_since)
        ), recorded AS (
            INSERT INTO enrollment.redemptions (
                redemption_id, registration, outcome, reason, refusal, fingerprint, organization_id, student_id,
                key_id, key_kind, generation, class_id, enrollment_id, caller, peer, request_id, decided_at
            )
            SELECT n.redemption_id, n.registration, n.outcome, n.reason, n.refusal, n.fingerprint, n.organization_id,
                n.student_id, n.key_id, n.key_kind, n.generation, n.class_id, n.enrollment_id, n.caller, n.peer,
                n.request_id, $20
            FROM n
            RETURNING 1
        ), enrolled AS (
            INSERT INTO enrollment.enrollments (
                enrollment_id, class_id, organization_id, student_id, status, status_since, key_id, key_kind,
                generation, slot, holds_key, key_released_at, enrolled_at
            )
            SELECT n.enrollment_id, n.class_id, n.organization_id, n.student_id, n.status, n.status_since, n.key_id,
                n.key_kind, n.generation, n.slot, n.holds_key, CASE WHEN NOT n.holds_key THEN $20::timestamptz END, $20
            FROM n WHERE n.status IS NOT NULL
            RETURNING 1
        ), seated AS (
            UPDATE enrollment.classes c SET seats_taken = c.seats_taken + taken.seats
            FROM (SELECT n.class_id, count(*)::int4 AS seats FROM n WHERE n.status = 'enrolled' GROUP BY n.class_id) taken
            WHERE c.class_id = taken.class_id RETURNING 1
        )
        SELECT (SELECT count(*) FROM recorded) AS "redemptions!", (SELECT count(*) FROM enrolled) AS "enrollments!",
            (SELECT count(*) FROM seated) AS "classes!"
        "#,
        &decisions.ids,
        &decisions.registrations,
        &decisions.outcomes as _,
        &decisions.reasons as _,
        &decisions.refusals as _,
        &decisions.fingerprints as _,
        &decisions.organization_ids,
        &decisions.student_ids as _,
        &decisions.key_ids as _,
        &columns.key_kinds as _,
        &decisions.generations as _,
        &columns.class_ids as _,
        &columns.enrollment_ids as _,
        &columns.slots as _,
        &decisions.callers as _,
        &decisions.peers as _,
        &decisions.request_ids as _,
        &columns.statuses as _,
        &columns.holds_keys,
        now,
        &columns.status_since as _,
    )
    .fetch_one(connection)
    .await
}

/// What the rows have besides: of the class, and of the enrollment that is made.
#[derive(Default)]
struct Columns {
    key_kinds: Vec<Option<&'static str>>,
    class_ids: Vec<Option<Uuid>>,
    enrollment_ids: Vec<Option<Uuid>>,
    slots: Vec<Option<i32>>,
    statuses: Vec<Option<&'static str>>,
    holds_keys: Vec<bool>,
    status_since: Vec<Option<DateTime<Utc>>>,
}

impl Columns {
    fn of(new: &[NewRedemption]) -> Self {
        let mut columns = Self::default();
        for one in new {
            let redemption = &one.redemption;
            let opened = redemption.key.map(|key| key.opened);
            columns.key_kinds.push(opened.map(Opened::key_kind));
            columns.class_ids.push(opened.and_then(Opened::class_id));
            columns.enrollment_ids.push(redemption.enrollment_id());
            columns.slots.push(one.slot);
            let status = status(&redemption.outcome);
            columns.statuses.push(status.map(Status::as_str));
            columns.holds_keys.push(one.holds_key);
            columns.status_since.push(one.status_since);
        }
        columns
    }
}
