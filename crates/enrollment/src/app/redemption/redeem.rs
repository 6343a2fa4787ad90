//! Redeeming a code for a student who has an account.

use std::fmt;

use latchkey_code::{CanonicalCode, Malformed, parse};
use uuid::Uuid;

use super::admission::Admitted;
use super::desk::{Desk, Item};
use super::guesses::{Guess, of_redemption};
use super::intake::Recalled;
use crate::app::{Call, Error};
use crate::domain::decision::{Applicant, IfFull, Wish};
use crate::domain::fingerprint::Fingerprint;

/// Asked to hash no password, and hashing one first all the same.
#[derive(Debug, thiserror::Error)]
#[error("a redemption without a password waits for its hash")]
pub(super) struct NothingToHash;

/// A student's wish to redeem a code.
#[derive(Clone, Copy)]
pub struct Redeeming<'t> {
    /// The caller's id of the redemption.
    pub redemption_id: Uuid,
    /// The student.
    pub student_id: Uuid,
    /// The code as typed.
    pub typed: &'t str,
    /// What is wished for when the class is full.
    pub if_full: IfFull,
}

/// A code never shows itself.
impl fmt::Debug for Redeeming<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redeeming")
            .field("redemption_id", &self.redemption_id)
            .field("student_id", &self.student_id)
            .field("if_full", &self.if_full)
            .finish_non_exhaustive()
    }
}

/// Redeems a code for a student. One decision per `redemption_id`: the same id again gets the same answer.
pub async fn redeem(desk: &Desk, call: &Call, wish: Redeeming<'_>) -> Result<Admitted, Error> {
    let Redeeming {
        redemption_id,
        student_id,
        typed,
        ..
    } = wish;
    let code = parse(typed);
    let begun = desk.services().fingerprint_key.begin("RedeemKey");
    let fingerprint = with_code(begun, code.as_ref(), typed)
        .bytes(student_id.as_bytes())
        .text(match wish.if_full {
            IfFull::Refuse => "refuse",
            IfFull::WaitWithKey => "wait with key",
            IfFull::WaitWithoutKey => "wait without key",
        })
        .finish();
    let item = Item {
        wish: Wish {
            redemption_id: Some(redemption_id),
            fingerprint,
            well_formed: code.is_ok(),
            applicant: Applicant::Student(student_id),
            key: None,
            if_full: wish.if_full,
        },
        call: call.clone(),
        registration: None,
    };
    let organization = match desk.recall(item.clone()).await? {
        Recalled::Answered(answer) => return Ok((*answer)?),
        Recalled::Open { organization, .. } => organization,
    };
    let applicant = &item.wish.applicant;
    let method = of_redemption("RedeemKey");
    let guess = Guess::at_code(desk.services(), call, method, applicant, organization).await?;
    let decided = decide(desk, call, item, code).await;
    guess.settle(&decided);
    decided
}

async fn decide(
    desk: &Desk,
    call: &Call,
    mut item: Item,
    code: Result<CanonicalCode, Malformed>,
) -> Result<Admitted, Error> {
    if let Ok(code) = code {
        item.wish.key = desk.resolve(code, call.deadline).await?;
    }
    match desk.decide(item).await? {
        Some(answer) => Ok(answer?),
        None => Err(Error::internal(NothingToHash)),
    }
}

/// Adds the code that was typed: all spellings of one code are the same content, and so is nothing else.
pub(super) fn with_code(
    fingerprint: Fingerprint,
    code: Result<&CanonicalCode, &Malformed>,
    typed: &str,
) -> Fingerprint {
    match code {
        Ok(code) => fingerprint.text("code").text(code.expose()),
        Err(_) => fingerprint.text("no code").text(typed),
    }
}
