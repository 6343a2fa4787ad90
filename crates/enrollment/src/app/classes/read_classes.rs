//! Reading classes.

use latchkey_service_kit::paging::{Page, PageRequest};
use uuid::Uuid;

use crate::app::{Call, Error, Services};
use crate::domain::class::{Class, ClassFilter};
use crate::domain::refusal::Refusal;
use crate::store;
use crate::store::classes::PlacedClass;

/// Where a page of classes ends.
pub use crate::store::classes::listing::Place as ClassPlace;

/// One class, if it exists for the caller.
pub async fn get_class(services: &Services, call: &Call, id: Uuid) -> Result<Class, Error> {
    Ok(placed_class(services, call, id).await?.class)
}

/// One class with what says whom it exists for, if it exists for the caller.
pub(in crate::app) async fn placed_class(
    services: &Services,
    call: &Call,
    id: Uuid,
) -> Result<PlacedClass, Error> {
    let found = store::classes::find_placed(&services.pool, id, call.scope.student).await?;
    let found = found
        .filter(|class| call.reaches(&class.scope()))
        .ok_or(Refusal::ClassNotFound { class_id: id })?;
    Ok(found)
}

/// A page of the classes within reach that pass `filter`, those that start latest first.
pub async fn list_classes(
    services: &Services,
    call: &Call,
    filter: &ClassFilter,
    page: &PageRequest<ClassPlace>,
) -> Result<Page<Class>, Error> {
    let rows = store::classes::listing::page(
        &services.pool,
        &call.scope,
        filter,
        page.after,
        page.limit(),
    )
    .await?;
    let place = |last: &Class| (last.starts_at, last.id);
    let bytes = |one: &Class| one.instructors.iter().map(String::len).sum();
    Ok(Page::weighed(rows, page, place, bytes))
}
