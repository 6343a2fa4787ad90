//! Whether keys may be made.

use chrono::{DateTime, Utc};
use latchkey_service_kit::database::Transaction;
use uuid::Uuid;

use super::{Error, FieldProblem};
use crate::domain::generation::{self, Census, Refused, Summary};
use crate::domain::grant::{Grant, GrantKind};
use crate::domain::refusal::Refusal;
use crate::domain::target::Target;
use crate::store::batches;

/// Whether `count` keys of the batch may be made, and what is told at its end then. The grant is locked.
pub(super) async fn admit(
    transaction: &mut Transaction,
    grant: &Grant,
    batch_id: Uuid,
    count: i32,
    now: DateTime<Utc>,
) -> Result<Result<Summary, Refusal>, Error> {
    let census = batches::census(transaction, grant.grant_id, batch_id).await?;
    let admitted = generation::admit(grant, census, count, now);
    Ok(admitted.map_err(|refused| refusal(refused, grant, census)))
}

fn refusal(refused: Refused, grant: &Grant, census: Census) -> Refusal {
    let class_id = grant.grant_id;
    match refused {
        Refused::Cancelled => Refusal::ClassCancelled { class_id },
        Refused::Ended { ended_at } if grant.kind == GrantKind::Pool => Refusal::PoolExpired {
            pool_id: grant.grant_id,
            expired_at: ended_at,
        },
        Refused::Ended { ended_at } => Refusal::WindowClosed {
            class_id,
            closed_at: ended_at,
            zone: grant.zone,
        },
        Refused::LimitExceeded { can_generate } => Refusal::KeyLimitExceeded {
            class_id,
            maximum_keys: grant.maximum_keys.unwrap_or(i32::MAX),
            live_keys: census.live,
            reserved_keys: census.reserved,
            can_generate,
        },
    }
}

/// Nobody makes keys that nobody could redeem: fails if a time of the terms is over.
pub(super) fn check_terms(target: Target, now: DateTime<Utc>) -> Result<(), Error> {
    let over = target.terms().map(|terms| terms.over(now));
    let over = over.unwrap_or_default();
    if over.is_empty() {
        return Ok(());
    }
    let problems = over.into_iter().map(|field| FieldProblem {
        field: format!("terms.{field}"),
        description: "must not be over".to_owned(),
    });
    Err(Error::Invalid(problems.collect()))
}
