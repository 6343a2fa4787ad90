//! What an earlier call with the same request id made.

use latchkey_service_kit::database::Transaction;
use uuid::Uuid;

use crate::app::Error;
use crate::domain::refusal::Refusal;

/// Ends the `transaction` that has `found` what the request `request_id` made, and the fingerprint of that request: what was
/// made, if this is the same request. It rests on the commit of another call, and is told once that is as safe as a commit
/// of one's own.
pub(super) async fn made_before<T>(
    transaction: Transaction,
    found: Option<(T, Vec<u8>)>,
    request_id: Uuid,
    fingerprint: &[u8],
) -> Result<Option<T>, Error> {
    let Some((made, recorded)) = found else {
        transaction.rollback().await?;
        return Ok(None);
    };
    if recorded != fingerprint {
        transaction.rollback().await?;
        return Err(Refusal::RequestIdReused { id: request_id }.into());
    }
    transaction.commit_confirmed().await?;
    Ok(Some(made))
}
