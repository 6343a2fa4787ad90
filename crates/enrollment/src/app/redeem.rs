//! Redeeming a code for a student who has an account.

use latchkey_code::{CanonicalCode, Malformed, parse};
use uuid::Uuid;

use super::admission::Admitted;
use super::desk::{Desk, Item};
use super::guesses::{Guess, of_redemption};
use super::intake::Recalled;
use super::{Call, Error};
use crate::domain::decision::{Applicant, Wish};
use crate::domain::fingerprint::Fingerprint;
use crate::domain::key::ResolvedKey;

/// Asked to hash no password, and hashing one first all the same.
#[derive(Debug, thiserror::Error)]
#[error("a redemption without a password waits for its hash")]
pub(super) struct NothingToHash;

/// Redeems the code `typed` for a student. One decision per `redemption_id`: the same id again gets the same answer.
pub async fn redeem(
    desk: &Desk,
    call: &Call,
    redemption_id: Uuid,
    student_id: Uuid,
    typed: &str,
) -> Result<Admitted, Error> {
    let code = parse(typed);
    let begun = desk.services().fingerprint_key.begin("RedeemKey");
    let fingerprint = with_code(begun, code.as_ref(), typed)
        .bytes(student_id.as_bytes())
        .finish();
    let item = Item {
        wish: Wish {
            redemption_id: Some(redemption_id),
            fingerprint,
            well_formed: code.is_ok(),
            applicant: Applicant::Student(student_id),
            key: None,
        },
        call: call.clone(),
        registration: None,
    };
    let key = desk.ask(code, call.deadline);
    let organization = match desk.recall(item.clone()).await? {
        Recalled::Answered(answer) => return Ok((*answer)?),
        Recalled::Open(organization) => organization,
    };
    let applicant = item.wish.applicant.clone();
    let method = of_redemption("RedeemKey");
    let guess = Guess::at_code(desk.services(), call, method, &applicant, organization).await?;
    let decided = decide(desk, item, key).await;
    guess.settle(&decided);
    decided
}

async fn decide(
    desk: &Desk,
    mut item: Item,
    key: impl Future<Output = Result<Option<ResolvedKey>, Error>>,
) -> Result<Admitted, Error> {
    item.wish.key = key.await?;
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
