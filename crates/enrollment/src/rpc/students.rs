//! `StudentService`.

pub(super) mod read;

use std::sync::Arc;

use latchkey_proto::enrollment::v1 as proto;
use latchkey_proto::enrollment::v1::student_service_server::StudentService;
use latchkey_service_kit::etag;
use latchkey_service_kit::validation::Violations;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{call, messages};
use crate::app::Services;
use crate::app::students::authenticate::authenticate;
use crate::app::students::create_student::create_student;
use crate::app::students::erase_student::{Erasure, erase_student};
use crate::app::students::read_students::{batch_get_students, get_student, list_students};
use crate::app::students::update_student::{StudentChange, update_student};
use crate::domain::student::Student;

/// The service.
#[derive(Debug, Clone)]
pub struct Students {
    services: Arc<Services>,
}

impl Students {
    /// The service, working with `services`.
    pub fn new(services: Arc<Services>) -> Self {
        Self { services }
    }

    async fn set_active<T>(
        &self,
        request: &Request<T>,
        id: Uuid,
        active: bool,
    ) -> Result<Option<proto::Student>, Status> {
        let call = call::of(request)?;
        let change = StudentChange {
            active: Some(active),
            ..StudentChange::default()
        };
        let changed = update_student(&self.services, &call, id, change, None).await?;
        Ok(Some(student(changed)))
    }
}

#[tonic::async_trait]
impl StudentService for Students {
    async fn create_student(
        &self,
        request: Request<proto::CreateStudentRequest>,
    ) -> Result<Response<proto::CreateStudentResponse>, Status> {
        let call = call::of(&request)?;
        let wish = read::new_student(request.into_inner())?;
        let made = create_student(&self.services, &call, wish).await?;
        Ok(Response::new(proto::CreateStudentResponse {
            student: Some(student(made)),
        }))
    }

    async fn get_student(
        &self,
        request: Request<proto::GetStudentRequest>,
    ) -> Result<Response<proto::GetStudentResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let id = violations.uuid("student_id", &message.student_id);
        violations.finish()?;
        let found = get_student(&self.services, &call, id).await?;
        Ok(Response::new(proto::GetStudentResponse {
            student: Some(student(found)),
        }))
    }

    async fn batch_get_students(
        &self,
        request: Request<proto::BatchGetStudentsRequest>,
    ) -> Result<Response<proto::BatchGetStudentsResponse>, Status> {
        let call = call::of(&request)?;
        let ids = read::ids(&request.into_inner())?;
        let found = batch_get_students(&self.services, &call, &ids).await?;
        Ok(Response::new(proto::BatchGetStudentsResponse {
            students: found.into_iter().map(student).collect(),
        }))
    }

    async fn list_students(
        &self,
        request: Request<proto::ListStudentsRequest>,
    ) -> Result<Response<proto::ListStudentsResponse>, Status> {
        let call = call::of(&request)?;
        let list = read::list(&request.into_inner())?;
        let found = list_students(&self.services, &call, &list.filter, &list.page)
            .await?
            .map(student);
        Ok(Response::new(proto::ListStudentsResponse {
            students: found.items,
            next_page_token: found.next_page_token,
        }))
    }

    async fn update_student(
        &self,
        request: Request<proto::UpdateStudentRequest>,
    ) -> Result<Response<proto::UpdateStudentResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let (id, change) = read::change(&message)?;
        let etag = messages::optional_text(&message.etag);
        let changed = update_student(&self.services, &call, id, change, etag).await?;
        Ok(Response::new(proto::UpdateStudentResponse {
            student: Some(student(changed)),
        }))
    }

    async fn deactivate_student(
        &self,
        request: Request<proto::DeactivateStudentRequest>,
    ) -> Result<Response<proto::DeactivateStudentResponse>, Status> {
        let message = request.get_ref();
        let mut violations = Violations::of(message);
        let id = violations.uuid("student_id", &message.student_id);
        violations.finish()?;
        let student = self.set_active(&request, id, false).await?;
        Ok(Response::new(proto::DeactivateStudentResponse { student }))
    }

    async fn activate_student(
        &self,
        request: Request<proto::ActivateStudentRequest>,
    ) -> Result<Response<proto::ActivateStudentResponse>, Status> {
        let message = request.get_ref();
        let mut violations = Violations::of(message);
        let id = violations.uuid("student_id", &message.student_id);
        violations.finish()?;
        let student = self.set_active(&request, id, true).await?;
        Ok(Response::new(proto::ActivateStudentResponse { student }))
    }

    async fn erase_student(
        &self,
        request: Request<proto::EraseStudentRequest>,
    ) -> Result<Response<proto::EraseStudentResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let wish = Erasure {
            student_id: violations.uuid("student_id", &message.student_id),
            reason: violations.line("reason", &message.reason),
            etag: messages::optional_text(&message.etag),
        };
        violations.finish()?;
        let erased = erase_student(&self.services, &call, wish).await?;
        Ok(Response::new(proto::EraseStudentResponse {
            student: Some(student(erased.student)),
            cancelled_enrollments: i32::try_from(erased.cancelled_enrollments).unwrap_or(i32::MAX),
        }))
    }

    async fn authenticate(
        &self,
        request: Request<proto::AuthenticateRequest>,
    ) -> Result<Response<proto::AuthenticateResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let organization_id = violations.uuid("organization_id", &message.organization_id);
        violations.line("email", &message.email);
        violations.finish()?;
        let password = message.password.into();
        let found = authenticate(
            &self.services,
            &call,
            organization_id,
            &message.email,
            password,
        )
        .await?;
        Ok(Response::new(proto::AuthenticateResponse {
            student: Some(student(found)),
        }))
    }
}

/// A student as messages carry it.
pub(super) fn student(student: Student) -> proto::Student {
    proto::Student {
        student_id: student.id.to_string(),
        organization_id: student.organization_id.to_string(),
        email: student.email.given().to_owned(),
        given_name: student.given_name,
        family_name: student.family_name,
        external_identity: student
            .external_identity
            .map(|identity| proto::ExternalIdentity {
                issuer: identity.issuer,
                subject: identity.subject,
            }),
        has_password: student.has_password,
        active: student.active,
        create_time: Some(messages::stamp(student.created_at)),
        etag: etag::format(student.id, student.version),
        erase_time: student.erased_at.map(messages::stamp),
    }
}
