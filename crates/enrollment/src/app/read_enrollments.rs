//! Reading enrollments.

use latchkey_service_kit::paging::{Page, PageRequest};
use uuid::Uuid;

use super::read_classes::placed_class;
use super::read_students::placed_student;
use super::{Call, Error, Services};
use crate::domain::enrollment::Enrollment;
use crate::domain::refusal::Refusal;
use crate::store;

pub use crate::store::enrollments::listing::{Place as EnrollmentPlace, Whose};

/// One enrollment, if it exists for the caller.
pub async fn get_enrollment(
    services: &Services,
    call: &Call,
    id: Uuid,
) -> Result<Enrollment, Error> {
    let mut connection = services.pool.acquire().await?;
    let found = store::enrollments::find_placed(&mut connection, id)
        .await?
        .filter(|enrollment| call.reaches(&enrollment.scope()))
        .ok_or(Refusal::EnrollmentNotFound { enrollment_id: id })?;
    Ok(found.enrollment)
}

/// A page of the enrollments of a class or student that are within reach, the newest first; with `status`, only those in
/// it, by its stored name. `query` binds its token.
pub async fn list_enrollments(
    services: &Services,
    call: &Call,
    whose: Whose,
    status: Option<&str>,
    page: &PageRequest<EnrollmentPlace>,
    query: &[&str],
) -> Result<Page<Enrollment>, Error> {
    let (class_id, student_id) = match whose {
        Whose::Class(class_id) => (Some(class_id), None),
        Whose::Student {
            student_id,
            class_id,
        } => (class_id, Some(student_id)),
    };
    if let Some(class_id) = class_id {
        placed_class(services, call, class_id).await?;
    }
    if let Some(student_id) = student_id {
        placed_student(services, call, student_id).await?;
    }
    let rows = store::enrollments::listing::page(
        &services.pool,
        &call.scope,
        whose,
        status,
        page.after,
        page.limit(),
    )
    .await?;
    Ok(Page::new(rows, page, query, |last| {
        (last.enrolled_at, last.id)
    }))
}
