//! Writing what a batch decided about keys of pools.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::assignment::CourseAssignment;
use crate::domain::redemption::Redemption;
use crate::domain::refusal::Refusal;

/// A decision about the key of a pool, to be recorded.
#[derive(Debug, Clone)]
pub struct NewRedemption {
    /// The decision.
    pub redemption: Redemption,
    /// What it grants.
    pub assignment: Option<CourseAssignment>,
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
/// did not show is an error: a unique violation. Keys are taken in the order of their ids, so that batches of several replicas
/// wait for each other in one direction.
pub async fn insert(
    connection: &mut PgConnection,
    new: &[NewRedemption],
    now: DateTime<Utc>,
) -> sqlx::Result<Written> {
    let columns = Columns::of(new)?;
    sqlx::query_as!(
        Written,
        r#"
        WITH n AS MATERIALIZED (
            SELECT * FROM unnest(
                $1::uuid[], $2::bool[], $3::text[], $4::text[], $5::jsonb[], $6::bytea[], $7::uuid[], $8::uuid[],
                $9::uuid[], $10::int4[], $11::uuid[], $12::uuid[], $13::text[], $14::text[], $15::text[],
                $16::text[], $17::text[], $18::timestamptz[]
            ) AS n (
                redemption_id, registration, outcome, reason, refusal, fingerprint, organization_id, student_id,
                key_id, generation, pool_id, assignment_id, caller, peer, request_id, course_id, course_name, expires_at
            )
            ORDER BY key_id, redemption_id
        ), assigned AS (
            INSERT INTO enrollment.assignments (
                assignment_id, pool_id, organization_id, student_id, course_id, course_name, status, key_id, generation,
                slot, holds_key, assigned_at, expires_at
            )
            SELECT n.assignment_id, n.pool_id, n.organization_id, n.student_id, n.course_id, n.course_name, 'assigned',
                n.key_id, n.generation, 0, true, $19, n.expires_at
            FROM n WHERE n.outcome = 'assigned'
            RETURNING 1
        ), recorded AS (
            INSERT INTO enrollment.redemptions (
                redemption_id, registration, outcome, reason, refusal, fingerprint, organization_id, student_id,
                key_id, key_kind, generation, pool_id, assignment_id, caller, peer, request_id, decided_at
            )
            SELECT n.redemption_id, n.registration, n.outcome, n.reason, n.refusal, n.fingerprint, n.organization_id,
                n.student_id, n.key_id, 'pool', n.generation, n.pool_id, n.assignment_id, n.caller, n.peer,
                n.request_id, $19
            FROM n
            RETURNING 1
        )
        SELECT (SELECT count(*) FROM recorded) AS "redemptions!", (SELECT count(*) FROM assigned) AS "assignments!"
        "#,
        &columns.ids,
        &columns.registrations,
        &columns.outcomes as _,
        &columns.reasons as _,
        &columns.refusals as _,
        &columns.fingerprints as _,
        &columns.organization_ids,
        &columns.student_ids as _,
        &columns.key_ids as _,
        &columns.generations as _,
        &columns.pool_ids as _,
        &columns.assignment_ids as _,
        &columns.callers as _,
        &columns.peers as _,
        &columns.request_ids as _,
        &columns.course_ids as _,
        &columns.course_names as _,
        &columns.expiries as _,
        now,
    )
    .fetch_one(connection)
    .await
}

/// The rows, column by column.
#[derive(Default)]
struct Columns<'r> {
    ids: Vec<Uuid>,
    registrations: Vec<bool>,
    outcomes: Vec<&'static str>,
    reasons: Vec<Option<&'static str>>,
    refusals: Vec<Option<Value>>,
    fingerprints: Vec<&'r [u8]>,
    organization_ids: Vec<Uuid>,
    student_ids: Vec<Option<Uuid>>,
    key_ids: Vec<Option<Uuid>>,
    generations: Vec<Option<i32>>,
    pool_ids: Vec<Option<Uuid>>,
    assignment_ids: Vec<Option<Uuid>>,
    callers: Vec<&'r str>,
    peers: Vec<&'r str>,
    request_ids: Vec<&'r str>,
    course_ids: Vec<Option<&'r str>>,
    course_names: Vec<Option<&'r str>>,
    expiries: Vec<Option<DateTime<Utc>>>,
}

impl<'r> Columns<'r> {
    fn of(new: &'r [NewRedemption]) -> sqlx::Result<Self> {
        let mut columns = Self::default();
        for one in new {
            let (redemption, assignment) = (&one.redemption, one.assignment.as_ref());
            let refusal = redemption.outcome.refusal();
            let stored = refusal
                .map(serde_json::to_value)
                .transpose()
                .map_err(|error| sqlx::Error::Encode(error.into()))?;
            let key = redemption.key;
            columns.ids.push(redemption.id);
            columns.registrations.push(redemption.registration);
            columns.outcomes.push(redemption.outcome.as_str());
            columns.reasons.push(refusal.map(Refusal::reason));
            columns.refusals.push(stored);
            columns.fingerprints.push(&redemption.fingerprint);
            columns.organization_ids.push(redemption.organization_id);
            columns.student_ids.push(redemption.student_id);
            columns.key_ids.push(key.map(|key| key.key_id));
            columns.generations.push(key.map(|key| key.generation));
            columns
                .pool_ids
                .push(key.and_then(|key| key.opened.pool_id()));
            columns.assignment_ids.push(redemption.assignment_id());
            columns.callers.push(&redemption.caller);
            columns.peers.push(&redemption.peer);
            columns.request_ids.push(&redemption.request_id);
            columns
                .course_ids
                .push(assignment.map(|one| &*one.course_id));
            columns
                .course_names
                .push(assignment.map(|one| &*one.course_name));
            columns.expiries.push(assignment.map(|one| one.expires_at));
        }
        Ok(columns)
    }
}
