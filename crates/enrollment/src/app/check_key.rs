//! What a code would open, without doing anything.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use latchkey_code::{CanonicalCode, Malformed, parse};
use latchkey_group_commit::{Batch, BatchError};
use uuid::Uuid;

use super::desk::{Desk, Item, within_reach};
use super::guesses::{Guess, of_redemption};
use super::intake::{Recalled, batch_error};
use super::{Call, Error, Services};
use crate::domain::assignment::expiry;
use crate::domain::class::Class;
use crate::domain::decision::{Applicant, Decision, IfFull, Wish, decide};
use crate::domain::key::{KeyKind, Opens, PoolTerms};
use crate::domain::refusal::Refusal;
use crate::store;

/// What a code would open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedKey {
    /// What it would grant.
    pub opens: Opening,
    /// Until when this code can be redeemed, unless the dates of the class or pool move.
    pub redeemable_until: DateTime<Utc>,
    /// Whether the student is in already, or has used the key already.
    pub already_in: bool,
}

/// What a code would grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// A place in a class.
    Class {
        /// The kind of key.
        kind: KeyKind,
        /// The class.
        class: Arc<Class>,
    },
    /// A course.
    Course {
        /// The organization that owns the pool.
        organization_id: Uuid,
        /// The terms of the pool.
        terms: Box<PoolTerms>,
        /// Until when the course would be open, if the code were redeemed now.
        expires_at: DateTime<Utc>,
    },
}

/// What would be decided at this moment.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    /// The decision.
    pub(super) decision: Decision,
    /// The class it is about, if there is one.
    pub(super) class: Option<Arc<Class>>,
    /// At this instant.
    pub(super) now: DateTime<Utc>,
}

/// Says what the code `typed` would open for `applicant`, with the refusals that redeeming it would meet.
pub async fn check_key(
    desk: &Desk,
    call: &Call,
    applicant: Applicant,
    typed: &str,
) -> Result<CheckedKey, Error> {
    let code = parse(typed);
    let item = Item {
        wish: Wish {
            redemption_id: None,
            fingerprint: Vec::new(),
            well_formed: code.is_ok(),
            applicant,
            key: None,
            if_full: IfFull::Refuse,
        },
        call: call.clone(),
        registration: None,
    };
    let organization = match desk.recall(item.clone()).await? {
        Recalled::Answered(answer) => {
            // Without an id nothing can have been decided before: this is a refusal.
            (*answer)?;
            None
        }
        Recalled::Open(organization) => organization,
    };
    let applicant = item.wish.applicant.clone();
    let method = of_redemption("CheckKey");
    let guess = Guess::at_code(desk.services(), call, method, &applicant, organization).await?;
    let checked = check(desk, call, item, code).await;
    guess.settle(&checked);
    checked
}

async fn check(
    desk: &Desk,
    call: &Call,
    mut item: Item,
    code: Result<CanonicalCode, Malformed>,
) -> Result<CheckedKey, Error> {
    if let Ok(code) = code {
        item.wish.key = desk.resolve(code, call.deadline).await?;
    }
    let key = item.wish.key.clone();
    let judged = desk.judge(item).await?;
    let already_in = match judged.decision {
        Decision::Refuse(refusal) => return Err(refusal.into()),
        Decision::AlreadyIn(_) | Decision::AlreadyAssigned(_) => true,
        Decision::Enroll(_) | Decision::Assign(_) | Decision::HashFirst | Decision::Repeat(_) => {
            false
        }
    };
    let key = key.ok_or(Refusal::KeyNotFound)?;
    let (opens, window) = match key.opens {
        Opens::Class { kind, .. } => {
            let class = judged.class.ok_or(Refusal::KeyNotFound)?;
            let window = class.windows().until(kind);
            (Opening::Class { kind, class }, window)
        }
        Opens::Pool(terms) => {
            let (window, expires_at) = (terms.expires_at, expiry(&terms, judged.now));
            let course = Opening::Course {
                organization_id: key.organization_id,
                terms,
                expires_at,
            };
            (course, window)
        }
    };
    Ok(CheckedKey {
        opens,
        redeemable_until: key
            .code_valid_until
            .map_or(window, |until| until.min(window)),
        already_in,
    })
}

/// Judges each item by itself, on one reading for the whole batch, and does nothing.
pub(super) async fn step(
    services: &Services,
    batch: &Batch<Item>,
) -> Result<Vec<Judged>, BatchError<Error>> {
    judge(services, batch).await.map_err(batch_error)
}

async fn judge(services: &Services, items: &[Item]) -> Result<Vec<Judged>, Error> {
    let wishes: Vec<&Wish> = items.iter().map(|item| &item.wish).collect();
    let mut connection = services.standing.connection().await?;
    let mut ledger = store::facts::read(&mut connection, &wishes).await?;
    // After the clock: what is judged by it is not older.
    ledger.classes = store::facts::read_classes(&mut connection, &wishes).await?;
    connection.give_back();
    let classes: HashMap<_, _> = ledger
        .classes
        .iter()
        .map(|(id, class)| (*id, Arc::new(class.clone())))
        .collect();
    Ok(items
        .iter()
        .map(|item| {
            let home = ledger.home(&item.wish.applicant);
            let reached = within_reach(&item.call.scope, &item.wish.applicant, home);
            let key = item.wish.key.as_ref();
            Judged {
                decision: decide(&item.wish, &ledger.facts(&item.wish, reached)),
                class: key.and_then(|key| classes.get(&key.class_id()?)).cloned(),
                now: ledger.now,
            }
        })
        .collect())
}
