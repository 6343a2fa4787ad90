//! Recording how far a student came in a class.

use latchkey_service_kit::database::begin;
use serde_json::json;
use uuid::Uuid;

use super::under_lock;
use crate::app::etags::check_etag;
use crate::app::{Call, Error, Services};
use crate::domain::audit::{Action, Deed};
use crate::domain::enrollment::{Completion, Enrollment};
use crate::domain::refusal::Refusal;
use crate::store;

/// A wish to record how far a student came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompletionChange<'r> {
    /// The enrollment.
    pub enrollment_id: Uuid,
    /// How far.
    pub completion: Completion,
    /// If given, of the enrollment's present version.
    pub etag: Option<&'r str>,
}

/// Records how far a student came who is in the class, enrolled or auditing. What is so already is left as it is, whatever
/// the `etag`.
pub async fn set_completion(
    services: &Services,
    call: &Call,
    wish: CompletionChange<'_>,
) -> Result<Enrollment, Error> {
    let mut transaction = begin(&services.pool).await?;
    let locked = under_lock::lock(&mut transaction, call, wish.enrollment_id).await?;
    let enrollment = &locked.found.enrollment;
    if enrollment.completion == wish.completion {
        transaction.commit_confirmed().await?;
        return Ok(locked.found.enrollment);
    }
    let id = enrollment.id;
    check_etag(wish.etag, "enrollment", id, enrollment.version)?;
    let (class_id, student_id) = (enrollment.class_id, enrollment.student_id);
    if !enrollment.status.opens_class() {
        return Err(Refusal::StudentNotIn {
            class_id,
            student_id,
        }
        .into());
    }
    let changed = Enrollment {
        completion: wish.completion,
        version: enrollment.version + 1,
        ..enrollment.clone()
    };
    under_lock::write(&mut transaction, &locked.class.class, enrollment, &changed).await?;
    let deed = Deed {
        action: Action::SetCompletion,
        organization_id: changed.organization_id,
        resource_id: id,
        student_id: Some(student_id),
        details: json!({
            "class_id": class_id,
            "from": enrollment.completion,
            "to": changed.completion,
        }),
    };
    let deeds = [(services.ids.new_id(), deed)];
    store::audit::insert(&mut transaction, call.author(), &deeds).await?;
    transaction.commit().await?;
    services.wake.ring();
    Ok(changed)
}
