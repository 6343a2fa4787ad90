//! Listing letters.

use chrono::{DateTime, Utc};
use latchkey_service_kit::access::Scope;
use sqlx::PgExecutor;
use uuid::Uuid;

/// A letter, as staff see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its id, which is in its `Message-ID`.
    pub letter_id: Uuid,
    /// By which plan.
    pub plan_id: Uuid,
    /// The class, unless it is about an assignment.
    pub class_id: Option<Uuid>,
    /// The enrollment, if it is about one.
    pub enrollment_id: Option<Uuid>,
    /// The assignment, if it is about one.
    pub assignment_id: Option<Uuid>,
    /// When it happened that it is about.
    pub occurred_at: DateTime<Utc>,
    /// To whom: what they are and an id.
    pub recipient: String,
    /// Where it stands, by the stored name.
    pub state: String,
    /// How often it was tried.
    pub attempts: i32,
    /// When it is tried next, while it waits.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Why it was not sent, or not yet.
    pub problem: Option<String>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was sent or given up.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Which letters to list. Filters are joined with AND.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LetterFilter {
    /// Only about classes and pools of this organization.
    pub organization_id: Option<Uuid>,
    /// Only by this plan.
    pub plan_id: Option<Uuid>,
    /// Only about this class.
    pub class_id: Option<Uuid>,
    /// Only those that stand there, by the stored name.
    pub state: Option<&'static str>,
}

/// Letters within `scope` that pass `filter`, by id, after the id `after`, at most `limit`.
pub async fn page(
    executor: impl PgExecutor<'_>,
    scope: &Scope,
    filter: &LetterFilter,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Letter>> {
    sqlx::query_as!(
        Letter,
        r#"
        SELECT l.letter_id, l.plan_id, l.class_id, l.enrollment_id, l.assignment_id, l.occurred_at, l.recipient, l.state,
            l.attempts, l.next_attempt_at, l.problem, l.created_at, l.finished_at
        FROM enrollment.letters l
        CROSS JOIN LATERAL (
            SELECT true FROM enrollment.organizations o
            WHERE o.organization_id = l.organization_id
              AND ($1 OR o.organization_id = $2 OR $2 = ANY (o.ancestor_ids)) LIMIT 1
        ) within
        WHERE ($3::uuid IS NULL OR l.organization_id = $3) AND ($4::uuid IS NULL OR l.plan_id = $4)
          AND ($5::uuid IS NULL OR l.class_id = $5) AND ($6::text IS NULL OR l.state = $6)
          AND l.letter_id > $7
        ORDER BY l.letter_id LIMIT $8
        "#,
        scope.everything,
        scope.organization as _,
        filter.organization_id as _,
        filter.plan_id as _,
        filter.class_id as _,
        filter.state as _,
        after.unwrap_or(Uuid::nil()),
        limit,
    )
    .fetch_all(executor)
    .await
}
