//! Reading enrollments.

use latchkey_service_kit::access::Scope;
use latchkey_service_kit::paging::{Page, PageRequest};
use uuid::Uuid;

use crate::app::classes::read_classes::placed_class;
use crate::app::organizations::read_organizations::get_organization;
use crate::app::students::read_students::get_student;
use crate::app::{Call, Error, Services};
use crate::domain::enrollment::Enrollment;
use crate::domain::refusal::Refusal;
use crate::store;
use crate::store::classes::PlacedClass;
use crate::store::enrollments::listing::Ground;

pub use crate::store::enrollments::listing::{EnrollmentFilter, Place as EnrollmentPlace};

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

/// A page of the enrollments within reach that pass `filter`, in the order of their places.
///
/// Refused with `ClassNotFound`, `StudentNotFound` or `OrganizationNotFound` if what the filter names does not exist for the
/// caller; an organization that is not within reach as a whole does not.
pub async fn list_enrollments(
    services: &Services,
    call: &Call,
    filter: &EnrollmentFilter,
    page: &PageRequest<EnrollmentPlace>,
) -> Result<Page<Enrollment>, Error> {
    let mut ground = None;
    if let Some(organization_id) = filter.organization_id {
        get_organization(services, call, organization_id).await?;
        ground = Some(Ground {
            organization_id,
            only: None,
        });
    }
    if let Some(class_id) = filter.class_id {
        let class = placed_class(services, call, class_id).await?;
        // Students of a class belong to its organization or to one below it.
        ground = Some(Ground {
            organization_id: class.class.organization_id,
            only: call.scope.student.filter(|_| !whole(call, &class)),
        });
    }
    if let Some(student_id) = filter.student_id {
        get_student(services, call, student_id).await?;
    }
    let searches = filter.name.is_some() || filter.email.is_some();
    let ground = ground.filter(|_| searches && filter.student_id.is_none());
    let mut connection = services.pool.acquire().await?;
    let rows = store::enrollments::listing::page(
        &mut connection,
        &call.scope,
        filter,
        ground,
        page.after.as_ref(),
        page.limit(),
    )
    .await?;
    let found = Page::new(rows, page, |(_, place)| place.clone());
    Ok(found.map(|(enrollment, _)| enrollment))
}

/// Whether the caller reaches all students of a class, not only themselves.
fn whole(call: &Call, class: &PlacedClass) -> bool {
    let others = Scope {
        student: None,
        ..call.scope.clone()
    };
    others.covers(&class.scope())
}
