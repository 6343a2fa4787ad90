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
use crate::app::{Call, Error, Services};
use crate::domain::assignment::{expiry, subscription_expiry};
use crate::domain::class::Class;
use crate::domain::decision::{Account, Applicant, Decision, IfFull, Wish, decide};
use crate::domain::key::{KeyKind, Opens, PoolTerms, ResolvedKey};
use crate::domain::profile::Profile;
use crate::domain::refusal::Refusal;
use crate::store;

/// What a code would open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedKey {
    /// What it would grant.
    pub opens: Opening,
    /// Until when this code can be redeemed, unless the dates of the class or pool move, or its own; `None`: always.
    pub redeemable_until: Option<DateTime<Utc>>,
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
    /// The courses of a subscription profile.
    Subscription {
        /// The profile.
        profile: Arc<Profile>,
        /// Until when its courses would be open, if the code were redeemed now.
        expires_at: DateTime<Utc>,
        /// How many more students can use the key; `None`: any number.
        uses_left: Option<i64>,
    },
}

/// A wish of which it is asked what would be decided.
pub(super) struct Inquiry {
    /// The wish, whose key is resolved.
    pub(super) item: Item,
    /// The account of the student, as it was recalled a moment ago.
    pub(super) account: Option<Account>,
}

/// What would be decided at this moment.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    /// The decision.
    pub(super) decision: Decision,
    /// The class it is about, if there is one.
    pub(super) class: Option<Arc<Class>>,
    /// The subscription profile it is about, if there is one.
    pub(super) profile: Option<Arc<Profile>>,
    /// How many uses of a subscription key with a limit are left.
    pub(super) uses_left: Option<i64>,
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
    let (organization, account) = match desk.recall(item.clone()).await? {
        Recalled::Answered(answer) => {
            // Without an id nothing can have been decided before: this is a refusal.
            (*answer)?;
            (None, None)
        }
        Recalled::Open {
            organization,
            account,
        } => (organization, account),
    };
    let applicant = &item.wish.applicant;
    let method = of_redemption("CheckKey");
    let guess = Guess::at_code(desk.services(), call, method, applicant, organization).await?;
    let checked = check(desk, call, item, account, code).await;
    guess.settle(&checked);
    checked
}

async fn check(
    desk: &Desk,
    call: &Call,
    mut item: Item,
    account: Option<Account>,
    code: Result<CanonicalCode, Malformed>,
) -> Result<CheckedKey, Error> {
    let key = match code {
        Ok(code) => desk.resolve(code, call.deadline).await?,
        Err(_) => None,
    };
    item.wish.key.clone_from(&key);
    checked(key, desk.judge(Inquiry { item, account }).await?)
}

fn checked(key: Option<ResolvedKey>, judged: Judged) -> Result<CheckedKey, Error> {
    let already_in = match &judged.decision {
        Decision::Refuse(refusal) => return Err(refusal.clone().into()),
        Decision::AlreadyIn(_) | Decision::AlreadyAssigned(_) => true,
        Decision::Enroll(_)
        | Decision::Assign { .. }
        | Decision::HashFirst
        | Decision::Repeat(_) => false,
    };
    let key = key.ok_or(Refusal::KeyNotFound)?;
    let code_valid_until = key.code_valid_until;
    let (opens, window) = opening(key, judged).ok_or(Refusal::KeyNotFound)?;
    Ok(CheckedKey {
        opens,
        redeemable_until: [code_valid_until, window].into_iter().flatten().min(),
        already_in,
    })
}

/// What `key` would grant, and until when it can be redeemed, if that has an end.
fn opening(key: ResolvedKey, judged: Judged) -> Option<(Opening, Option<DateTime<Utc>>)> {
    Some(match key.opens {
        Opens::Class { kind, .. } => {
            let class = judged.class?;
            let window = class.windows().until(kind);
            (Opening::Class { kind, class }, Some(window))
        }
        Opens::Pool(terms) => {
            let (window, expires_at) = (terms.expires_at, expiry(&terms, judged.now));
            let course = Opening::Course {
                organization_id: key.organization_id,
                terms,
                expires_at,
            };
            (course, Some(window))
        }
        Opens::Subscription(terms) => {
            let profile = judged.profile?;
            let subscription = Opening::Subscription {
                expires_at: subscription_expiry(&terms, &profile, judged.now),
                profile,
                uses_left: judged.uses_left,
            };
            (subscription, terms.redeemable_until())
        }
    })
}

/// Judges each item by itself, on one reading for the whole batch, and does nothing.
pub(super) async fn step(
    services: &Services,
    batch: &Batch<Inquiry>,
) -> Result<Vec<Judged>, BatchError<Error>> {
    judge(services, batch).await.map_err(batch_error)
}

async fn judge(services: &Services, inquiries: &[Inquiry]) -> Result<Vec<Judged>, Error> {
    let items = || inquiries.iter().map(|inquiry| &inquiry.item);
    let wishes: Vec<&Wish> = items().map(|item| &item.wish).collect();
    let mut connection = services.standing.connection().await?;
    let mut ledger = store::facts::read_of_keys(&mut connection, &wishes).await?;
    for Inquiry { item, account } in inquiries {
        if let (Applicant::Student(id), Some(account)) = (&item.wish.applicant, account) {
            ledger.students.insert(*id, account.clone());
        }
    }
    // After the clock: what is judged by it is not older.
    ledger.classes = store::facts::read_classes(&mut connection, &wishes).await?;
    connection.give_back();
    let classes: HashMap<_, _> = ledger
        .classes
        .iter()
        .map(|(id, class)| (*id, Arc::new(class.clone())))
        .collect();
    Ok(items()
        .map(|item| {
            let home = ledger.home(&item.wish.applicant);
            let reached = within_reach(&item.call.scope, &item.wish.applicant, home);
            let key = item.wish.key.as_ref();
            Judged {
                decision: decide(&item.wish, &ledger.facts(&item.wish, reached)),
                class: key.and_then(|key| classes.get(&key.class_id()?)).cloned(),
                profile: key.and_then(|key| ledger.profile(key)).cloned(),
                uses_left: key.and_then(|key| ledger.uses_left(key)),
                now: ledger.now,
            }
        })
        .collect())
}
