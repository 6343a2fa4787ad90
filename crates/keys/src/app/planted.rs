//! Bugs planted for tests: each lets codes go where nobody may find one. Nothing of this is in what is shipped.

use latchkey_service_kit::database::begin;
use latchkey_service_kit::faults::planted;
use metrics::counter;

use super::{App, Error};
use crate::store;

/// Gives `codes` away as the planted bugs demand.
pub(super) async fn give_away(app: &App, codes: &[String]) -> Result<(), Error> {
    if planted("bug::code_logged") {
        tracing::trace!(?codes, "resolving");
    }
    if planted("bug::code_traced") {
        tracing::info_span!("resolving", ?codes).in_scope(|| ());
    }
    if planted("bug::code_measured") {
        let codes = codes.join(" ");
        counter!("latchkey_wrong_codes_total", "codes" => codes).increment(1);
    }
    if planted("bug::code_written_ahead") {
        let mut transaction = begin(&app.pool).await?;
        store::planted::write_ahead(&mut transaction, &codes.join(" ")).await?;
        transaction.commit().await?;
    }
    Ok(())
}
