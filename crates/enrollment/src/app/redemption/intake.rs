//! The first steps of a redemption: what was decided before, and what the code is. Neither writes anything.

use std::collections::HashMap;

use latchkey_group_commit::{Batch, BatchError};
use uuid::Uuid;

use super::admission::{Answer, Found, answers};
use super::desk::{Item, Sought, within_reach};
use super::planted::distort;
use crate::app::{Error, Services};
use crate::domain::decision::{Account, Applicant, Decision, Wish};
use crate::domain::key::ResolvedKey;
use crate::store;

/// What is known of an item before its key is.
#[derive(Debug, Clone)]
pub(super) enum Recalled {
    /// The answer.
    Answered(Box<Answer>),
    /// Its key has to be known.
    Open {
        /// The organization the applicant belongs to, if they exist.
        organization: Option<Uuid>,
        /// The account of a student, if there is one.
        account: Option<Account>,
    },
}

/// For each item what is known before its key is: one reading for the whole batch.
pub(super) async fn recall(
    services: &Services,
    batch: &Batch<Item>,
) -> Result<Vec<Recalled>, BatchError<Error>> {
    recall_all(services, batch).await.map_err(batch_error)
}

async fn recall_all(services: &Services, items: &[Item]) -> Result<Vec<Recalled>, Error> {
    let wishes: Vec<&Wish> = items.iter().map(|item| &item.wish).collect();
    let mut connection = services.standing.connection().await?;
    let mut ledger = store::facts::read_before_key(&mut connection, &wishes).await?;
    connection.give_back();
    distort(&mut ledger, &wishes);
    let early: Vec<Option<Decision>> = items
        .iter()
        .map(|item| {
            let home = ledger.home(&item.wish.applicant);
            let reached = within_reach(&item.call.scope, &item.wish.applicant, home);
            ledger.decide_before_key(&item.wish, reached)
        })
        .collect();
    let found: Vec<Found> = items
        .iter()
        .zip(&early)
        .filter_map(|(item, decision)| match decision {
            Some(Decision::Repeat(outcome)) => Some(Found {
                redemption_id: item.wish.redemption_id?,
                outcome: outcome.clone(),
                registration: is_registration(&item.wish),
            }),
            _ => None,
        })
        .collect();
    let mut repeated = repeat(services, &found).await?.into_iter();
    let recalled = |(item, decision): (&Item, Option<Decision>)| {
        let answer = match decision {
            Some(Decision::Repeat(_)) => repeated.next(),
            Some(Decision::Refuse(refusal)) => Some(Err(refusal)),
            _ => None,
        };
        let home = || ledger.home(&item.wish.applicant);
        answer.map_or_else(
            || Recalled::Open {
                organization: home().map(|home| home.organization_id),
                account: ledger.account(&item.wish.applicant).cloned(),
            },
            |answer| Recalled::Answered(Box::new(answer)),
        )
    };
    Ok(items.iter().zip(early).map(recalled).collect())
}

/// The answers to what was decided before. They rest on commits of others, and are given once those are as safe as a
/// commit of one's own.
async fn repeat(services: &Services, found: &[Found]) -> Result<Vec<Answer>, Error> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let mut transaction = services.standing.begin().await?;
    let answers = answers(&mut transaction, found).await?;
    transaction.commit_confirmed().await?;
    Ok(answers)
}

/// What each code is, if a key has it: one call for the whole batch.
pub(super) async fn resolve(
    services: &Services,
    batch: &Batch<Sought>,
) -> Result<Vec<Option<ResolvedKey>>, BatchError<Error>> {
    // A code that many type, as that of an event key, is asked about once.
    let mut codes: Vec<&str> = batch.iter().map(Sought::text).collect();
    codes.sort_unstable();
    codes.dedup();
    let asked = codes.iter().map(|code| (*code).to_owned()).collect();
    let resolved = services.keys.resolve_codes(asked).await;
    let resolved = resolved.map_err(|error| BatchError::Whole(error.into()))?;
    let keys: HashMap<&str, &Option<ResolvedKey>> = codes.into_iter().zip(&resolved).collect();
    let key = |sought: &Sought| keys.get(sought.text()).copied().cloned().flatten();
    Ok(batch.iter().map(key).collect())
}

pub(super) fn is_registration(wish: &Wish) -> bool {
    matches!(wish.applicant, Applicant::Newcomer { .. })
}

/// How a batch failed of which nothing was done: an outage meets them all; for anything else, one item is at fault.
pub(super) fn batch_error(error: Error) -> BatchError<Error> {
    match error {
        Error::DependencyUnavailable(_) => BatchError::Whole(error),
        _ => BatchError::Item(error),
    }
}
