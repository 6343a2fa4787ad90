//! Reading what was written to people.

use latchkey_service_kit::paging::{Page, PageRequest};
use uuid::Uuid;

use crate::app::{Call, Error, Services};
use crate::store::letters::listing;

pub use crate::store::letters::listing::{Letter, LetterFilter};

/// A page of the letters within reach that pass `filter`, by id.
pub async fn list_letters(
    services: &Services,
    call: &Call,
    filter: &LetterFilter,
    page: &PageRequest<Uuid>,
) -> Result<Page<Letter>, Error> {
    let rows = listing::page(
        &services.pool,
        &call.scope,
        filter,
        page.after,
        page.limit(),
    )
    .await?;
    Ok(Page::new(rows, page, |last| last.letter_id))
}
