//! `enrollment.redemptions`: recorded decisions, never changed.

pub(super) mod columns;
pub mod listing;
pub mod purge;
pub mod write;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::BadRow;
use crate::domain::key::KeyKind;
use crate::domain::redemption::{Opened, Outcome, Redemption, UsedKey};

const TABLE: &str = "enrollment.redemptions";

pub(super) struct RedemptionRow {
    pub(super) redemption_id: Uuid,
    pub(super) registration: bool,
    pub(super) outcome: String,
    pub(super) refusal: Option<Value>,
    pub(super) fingerprint: Vec<u8>,
    pub(super) organization_id: Uuid,
    pub(super) student_id: Option<Uuid>,
    pub(super) key_id: Option<Uuid>,
    pub(super) key_kind: Option<String>,
    pub(super) generation: Option<i32>,
    pub(super) class_id: Option<Uuid>,
    pub(super) pool_id: Option<Uuid>,
    pub(super) profile_id: Option<Uuid>,
    pub(super) enrollment_id: Option<Uuid>,
    pub(super) assignment_id: Option<Uuid>,
    pub(super) caller: String,
    pub(super) peer: String,
    pub(super) request_id: String,
    pub(super) decided_at: DateTime<Utc>,
}

impl TryFrom<RedemptionRow> for Redemption {
    type Error = BadRow;

    fn try_from(row: RedemptionRow) -> Result<Self, BadRow> {
        let id = row.redemption_id;
        let granted = Granted {
            enrollment_id: row.enrollment_id,
            assignment_id: row.assignment_id,
        };
        let outcome = read_outcome(id, &row.outcome, granted, row.refusal)?;
        let bad = |column, value: &str| BadRow::new(TABLE, column, id, value);
        let kind = row.key_kind.as_deref();
        let opened = match (row.class_id, row.pool_id, row.profile_id) {
            (Some(class_id), None, None) => Some(Opened::Class {
                class_id,
                kind: kind
                    .and_then(KeyKind::parse)
                    .ok_or_else(|| bad("key_kind", kind.unwrap_or("nothing")))?,
            }),
            (None, Some(pool_id), None) => Some(Opened::Pool { pool_id }),
            (None, None, Some(profile_id)) => Some(Opened::Subscription { profile_id }),
            (None, None, None) => None,
            _ => return Err(bad("pool_id", "several of class, pool and profile")),
        };
        let key = match (row.key_id, row.generation, opened) {
            (None, None, None) => None,
            (Some(key_id), Some(generation), Some(opened)) => Some(UsedKey {
                key_id,
                generation,
                opened,
            }),
            _ => {
                return Err(bad(
                    "key_id",
                    "only some of key, generation and what it opens",
                ));
            }
        };
        Ok(Self {
            id,
            registration: row.registration,
            outcome,
            fingerprint: row.fingerprint,
            organization_id: row.organization_id,
            student_id: row.student_id,
            key,
            caller: row.caller,
            peer: row.peer,
            request_id: row.request_id,
            decided_at: row.decided_at,
        })
    }
}

/// What a redemption granted, or found granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) enrollment_id: Option<Uuid>,
    pub(super) assignment_id: Option<Uuid>,
}

/// What the row of the redemption `id` says was decided.
pub(super) fn read_outcome(
    id: Uuid,
    outcome: &str,
    granted: Granted,
    refusal: Option<Value>,
) -> Result<Outcome, BadRow> {
    let bad = |column, value: &str| BadRow::new(TABLE, column, id, value);
    let Granted {
        enrollment_id,
        assignment_id,
    } = granted;
    match (outcome, enrollment_id, assignment_id, refusal) {
        ("enrolled", Some(own), None, None) if own == id => Ok(Outcome::Enrolled),
        ("wait_listed", Some(own), None, None) if own == id => Ok(Outcome::WaitListed),
        ("assigned", None, Some(own), None) if own == id => Ok(Outcome::Assigned),
        ("already_in", Some(enrollment_id), None, None) => Ok(Outcome::AlreadyIn { enrollment_id }),
        ("already_in", None, Some(assignment_id), None) => {
            Ok(Outcome::AlreadyAssigned { assignment_id })
        }
        ("refused", None, None, Some(refusal)) => {
            let shown = refusal.to_string();
            serde_json::from_value(refusal)
                .map(Outcome::Refused)
                .map_err(|_| bad("refusal", &shown))
        }
        (other, ..) => Err(bad("outcome", other)),
    }
}

/// Recorded decisions, by what follows `SELECT ... FROM enrollment.redemptions r`.
macro_rules! redemptions {
    ($after:expr $(, $parameter:expr)* $(,)?) => {
        sqlx::query_as!(
            crate::store::redemptions::RedemptionRow,
            "SELECT r.redemption_id, r.registration, r.outcome, r.refusal, r.fingerprint, r.organization_id, \
             r.student_id, r.key_id, r.key_kind, r.generation, r.class_id, r.pool_id, r.profile_id, r.enrollment_id, r.assignment_id, \
             r.caller, r.peer, \
             r.request_id, r.decided_at FROM enrollment.redemptions r " + $after
            $(, $parameter)*
        )
    };
}
use redemptions;

/// The decision recorded under `id`.
pub async fn find(executor: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Redemption>> {
    let row = redemptions!("WHERE r.redemption_id = $1", id)
        .fetch_optional(executor)
        .await?;
    Ok(row.map(Redemption::try_from).transpose()?)
}
