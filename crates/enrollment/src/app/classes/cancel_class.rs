//! Cancelling a class.

use chrono::{DateTime, Utc};
use latchkey_service_kit::database::begin;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::app::delivery::push;
use crate::app::etags::check_etag;
use crate::app::reached::lock_class;
use crate::app::{Call, Error, Services};
use crate::domain::audit::{Action, Deed};
use crate::domain::class::{Class, ClassStatus};
use crate::domain::enrollment::CancelledBy;
use crate::store;
use crate::store::classes::EndedEnrollment;

/// How many enrollments are cancelled by one statement: far within the time a statement may take.
const CHUNK: i64 = 2_000;

/// A class after its cancellation.
#[derive(Debug, Clone)]
pub struct CancelledClass {
    /// The class.
    pub class: Class,
    /// How many enrollments were cancelled with it by this call.
    pub cancelled_enrollments: usize,
}

/// Cancels a class for good, and its enrollments in the same transaction. Cancelling again changes nothing, whatever
/// the `etag`; else, if given, it must be of the class's present version.
pub async fn cancel_class(
    services: &Services,
    call: &Call,
    id: Uuid,
    etag: Option<&str>,
    reason: &str,
) -> Result<CancelledClass, Error> {
    let mut transaction = begin(&services.pool).await?;
    let found = lock_class(&mut transaction, call, id).await?;
    let (mut class, now) = (found.class, found.now);
    if class.status == ClassStatus::Cancelled {
        transaction.commit_confirmed().await?;
        return Ok(CancelledClass {
            class,
            cancelled_enrollments: 0,
        });
    }
    check_etag(etag, "class", id, class.version)?;
    let previous = class.status;
    class.status = ClassStatus::Cancelled;
    class.version += 1;
    class.seats_taken = 0;
    // Before those of its enrollments on the trail, though it tells how many they are.
    let deed_id = services.ids.new_id();
    let cancelled_enrollments = end_all(services, call, &mut transaction, &class, now).await?;
    store::classes::free_seats(&mut transaction, id).await?;
    store::classes::update(&mut transaction, &class).await?;
    let cancelled = Deed {
        action: Action::CancelClass,
        organization_id: class.organization_id,
        resource_id: id,
        student_id: None,
        details: json!({ "from": previous, "reason": reason, "cancelled_enrollments": cancelled_enrollments }),
    };
    store::audit::insert(&mut transaction, call.author(), &[(deed_id, cancelled)]).await?;
    transaction.commit().await?;
    services.wake.ring();
    push::class(services, &class).await;
    Ok(CancelledClass {
        class,
        cancelled_enrollments,
    })
}

/// Cancels the enrollments of a locked class, chunk by chunk; how many.
async fn end_all(
    services: &Services,
    call: &Call,
    connection: &mut PgConnection,
    class: &Class,
    now: DateTime<Utc>,
) -> Result<usize, Error> {
    let (mut after, mut count) = (Uuid::nil(), 0);
    loop {
        let ended =
            store::classes::end_enrollments(&mut *connection, class.id, now, after, CHUNK).await?;
        let Some(last) = ended.iter().map(|ended| ended.student_id).max() else {
            return Ok(count);
        };
        after = last;
        count += ended.len();
        let deeds = services.numbered(ended.iter().map(|ended| cancellation(class, ended)));
        store::audit::insert(&mut *connection, call.author(), &deeds).await?;
    }
}

fn cancellation(class: &Class, ended: &EndedEnrollment) -> Deed {
    Deed {
        action: Action::CancelEnrollment,
        organization_id: class.organization_id,
        resource_id: ended.enrollment_id,
        student_id: Some(ended.student_id),
        details: json!({ "class_id": class.id, "cancelled_by": CancelledBy::Class }),
    }
}
