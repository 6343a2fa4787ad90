//! Reading students.

use latchkey_service_kit::paging::{Page, PageRequest};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::app::{Call, Error, Services};
use crate::domain::refusal::Refusal;
use crate::domain::student::Student;
use crate::store;

pub use crate::store::students::listing::{Place as StudentPlace, StudentFilter};

/// One student, if the account exists for the caller.
pub async fn get_student(services: &Services, call: &Call, id: Uuid) -> Result<Student, Error> {
    let mut connection = services.pool.acquire().await?;
    find_student(&mut connection, call, id).await
}

/// The same, by the transaction of `connection`.
pub(in crate::app) async fn find_student(
    connection: &mut PgConnection,
    call: &Call,
    id: Uuid,
) -> Result<Student, Error> {
    let instructor = call.scope.instructor.as_deref();
    let found = store::students::find_placed(connection, id, instructor)
        .await?
        .filter(|student| call.reaches(&student.scope()))
        .ok_or(Refusal::StudentNotFound { student_id: id })?;
    Ok(found.student)
}

/// Those of the students `ids` that exist for the caller, by id.
pub async fn batch_get_students(
    services: &Services,
    call: &Call,
    ids: &[Uuid],
) -> Result<Vec<Student>, Error> {
    Ok(store::students::listing::within(&services.pool, &call.scope, ids).await?)
}

/// A page of the students within reach that pass `filter`, in the order of their places.
pub async fn list_students(
    services: &Services,
    call: &Call,
    filter: &StudentFilter,
    page: &PageRequest<StudentPlace>,
) -> Result<Page<Student>, Error> {
    let rows = store::students::listing::page(
        &services.pool,
        &call.scope,
        filter,
        page.after.as_ref(),
        page.limit(),
    )
    .await?;
    Ok(Page::new(rows, page, |last| filter.place(last)))
}
