//! Writing what a batch decided about keys that assign courses.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::assignment::{Assigned, Assignment};
use crate::domain::redemption::{Opened, Redemption};
use crate::store::redemptions::columns::Decisions;

/// A decision about a key that assigns courses, to be recorded.
#[derive(Debug, Clone)]
pub struct NewRedemption {
    /// The decision.
    pub redemption: Redemption,
    /// What it grants, and which use of the key that is, for a key with a limited number of them.
    pub granted: Option<(Assignment, Option<i32>)>,
}

/// How many rows were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Decisions recorded.
    pub redemptions: i64,
    /// Assignments made.
    pub assignments: i64,
}

/// Records decisions that were made at `now`, and makes the assignments among them, all by one statement. Whatever the facts
/// did not show is an error: a unique violation. Keys are taken in the order of their ids, and the uses of each in the order of
/// their slots, so that batches of several replicas wait for each other in one direction.
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
                $1::uuid[], $2::bool[], $3::text[], $4::text[], $5::jsonb[], $6::bytea[], $7::uuid[], $8::uuid[],
                $9::uuid[], $10::int4[], $11::uuid[], $12::uuid[], $13::text[], $14::text[], $15::text[],
                $16::text[], $17::text[], $18::timestamptz[], $19::text[], $20::uuid[], $21::int4[]
            ) AS n (
                redemption_id, registration, outcome, reason, refusal, fingerprint, organization_id, student_id,
                key_id, generation, pool_id, assignment_id, caller, peer, request_id, course_id, course_name, expires_at,
                key_kind, profile_id, slot
            )
            ORDER BY key_id, slot, student_id, redemption_id
        ), assigned AS (
            INSERT INTO enrollment.assignments (
                assignment_id, pool_id, profile_id, organization_id, student_id, course_id, course_name, status, key_id,
                generation, slot, holds_key, assigned_at, expires_at
            )
            SELECT n.assignment_id, n.pool_id, n.profile_id, n.organization_id, n.student_id, n.course_id, n.course_name,
                'assigned', n.key_id, n.generation, n.slot, true, $22, n.expires_at
            FROM n WHERE n.outcome = 'assigned'
            RETURNING 1
        ), recorded AS (
            INSERT INTO enrollment.redemptions (
                redemption_id, registration, outcome, reason, refusal, fingerprint, organization_id, student_id,
                key_id, key_kind, generation, pool_id, profile_id, assignment_id, caller, peer, request_id, decided_at
            )
            SELECT n.redemption_id, n.registration, n.outcome, n.reason, n.refusal, n.fingerprint, n.organization_id,
                n.student_id, n.key_id, n.key_kind, n.generation, n.pool_id, n.profile_id, n.assignment_id, n.caller, n.peer,
                n.request_id, $22
            FROM n
            RETURNING 1
        )
        SELECT (SELECT count(*) FROM recorded) AS "redemptions!", (SELECT count(*) FROM assigned) AS "assignments!"
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
        &decisions.generations as _,
        &columns.pool_ids as _,
        &columns.assignment_ids as _,
        &decisions.callers as _,
        &decisions.peers as _,
        &decisions.request_ids as _,
        &columns.course_ids as _,
        &columns.course_names as _,
        &columns.expiries as _,
        &columns.key_kinds as _,
        &columns.profile_ids as _,
        &columns.slots as _,
        now,
    )
    .fetch_one(connection)
    .await
}

/// What the rows have besides: of the pool or profile, and of the assignment that is made.
#[derive(Default)]
struct Columns<'r> {
    pool_ids: Vec<Option<Uuid>>,
    assignment_ids: Vec<Option<Uuid>>,
    course_ids: Vec<Option<&'r str>>,
    course_names: Vec<Option<&'r str>>,
    expiries: Vec<Option<DateTime<Utc>>>,
    key_kinds: Vec<Option<&'static str>>,
    profile_ids: Vec<Option<Uuid>>,
    slots: Vec<Option<i32>>,
}

impl<'r> Columns<'r> {
    fn of(new: &'r [NewRedemption]) -> Self {
        let mut columns = Self::default();
        for one in new {
            let (redemption, granted) = (&one.redemption, one.granted.as_ref());
            let course = granted.and_then(|(assignment, _)| match &assignment.assigned {
                Assigned::Course { course, .. } => Some(course),
                Assigned::Subscription { .. } => None,
            });
            let opened = redemption.key.map(|key| key.opened);
            columns.pool_ids.push(opened.and_then(Opened::pool_id));
            columns.assignment_ids.push(redemption.assignment_id());
            columns
                .profile_ids
                .push(opened.and_then(Opened::profile_id));
            columns.key_kinds.push(opened.map(Opened::key_kind));
            columns.course_ids.push(course.map(|one| &*one.course_id));
            columns
                .course_names
                .push(course.map(|one| &*one.course_name));
            columns
                .expiries
                .push(granted.map(|(one, _)| one.expires_at));
            columns.slots.push(granted.and_then(|(_, slot)| *slot));
        }
        columns
    }
}
