//! `EnrollmentService`.

mod read;
mod roster;
pub(super) mod write;

pub(super) use read::status as read_status;
pub(super) use write::status as write_status;

use std::sync::Arc;

use latchkey_proto::enrollment::v1 as proto;
use latchkey_proto::enrollment::v1::enrollment_service_server::EnrollmentService;
use latchkey_service_kit::validation::Violations;
use tonic::{Request, Response, Status};

use super::call;
use crate::app::Services;
use crate::app::enrollments::cancel_enrollment::cancel_enrollment;
use crate::app::enrollments::change_status::change_status;
use crate::app::enrollments::enroll_student::enroll_student;
use crate::app::enrollments::enroll_students::enroll_students;
use crate::app::enrollments::get_access::{get_access, get_course_access};
use crate::app::enrollments::move_enrollment::move_enrollment;
use crate::app::enrollments::read_enrollments::{get_enrollment, list_enrollments};
use crate::app::enrollments::read_roster::get_roster;
use crate::app::enrollments::set_completion::set_completion;

/// The service.
#[derive(Debug, Clone)]
pub struct Enrollments {
    services: Arc<Services>,
}

impl Enrollments {
    /// The service, working with `services`.
    pub fn new(services: Arc<Services>) -> Self {
        Self { services }
    }
}

#[tonic::async_trait]
impl EnrollmentService for Enrollments {
    async fn enroll_student(
        &self,
        request: Request<proto::EnrollStudentRequest>,
    ) -> Result<Response<proto::EnrollStudentResponse>, Status> {
        let call = call::of(&request)?;
        let wish = read::direct(&request.into_inner())?;
        let enrolled = enroll_student(&self.services, &call, wish).await?;
        Ok(Response::new(proto::EnrollStudentResponse {
            enrollment: Some(write::enrollment(&enrolled.enrollment)),
            already_in: enrolled.already_in,
        }))
    }

    async fn batch_enroll_students(
        &self,
        request: Request<proto::BatchEnrollStudentsRequest>,
    ) -> Result<Response<proto::BatchEnrollStudentsResponse>, Status> {
        let call = call::of(&request)?;
        let wish = read::many(&request.into_inner())?;
        let outcomes = enroll_students(&self.services, &call, &wish).await?;
        Ok(Response::new(proto::BatchEnrollStudentsResponse {
            outcomes: outcomes.into_iter().map(write::outcome).collect(),
        }))
    }

    async fn change_enrollment_status(
        &self,
        request: Request<proto::ChangeEnrollmentStatusRequest>,
    ) -> Result<Response<proto::ChangeEnrollmentStatusResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let changed = change_status(&self.services, &call, read::change(&message)?).await?;
        Ok(Response::new(proto::ChangeEnrollmentStatusResponse {
            enrollment: Some(write::enrollment(&changed)),
        }))
    }

    async fn cancel_enrollment(
        &self,
        request: Request<proto::CancelEnrollmentRequest>,
    ) -> Result<Response<proto::CancelEnrollmentResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let cancelled =
            cancel_enrollment(&self.services, &call, read::cancellation(&message)?).await?;
        Ok(Response::new(proto::CancelEnrollmentResponse {
            enrollment: Some(write::enrollment(&cancelled.enrollment)),
            replacement: cancelled.replacement.as_ref().map(write::enrollment),
        }))
    }

    async fn move_enrollment(
        &self,
        request: Request<proto::MoveEnrollmentRequest>,
    ) -> Result<Response<proto::MoveEnrollmentResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let moved = move_enrollment(&self.services, &call, read::moving(&message)?).await?;
        Ok(Response::new(proto::MoveEnrollmentResponse {
            enrollment: Some(write::enrollment(&moved)),
        }))
    }

    async fn set_completion(
        &self,
        request: Request<proto::SetCompletionRequest>,
    ) -> Result<Response<proto::SetCompletionResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let changed = set_completion(&self.services, &call, read::completion(&message)?).await?;
        Ok(Response::new(proto::SetCompletionResponse {
            enrollment: Some(write::enrollment(&changed)),
        }))
    }

    async fn get_enrollment(
        &self,
        request: Request<proto::GetEnrollmentRequest>,
    ) -> Result<Response<proto::GetEnrollmentResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let id = violations.uuid("enrollment_id", &message.enrollment_id);
        violations.finish()?;
        let found = get_enrollment(&self.services, &call, id).await?;
        Ok(Response::new(proto::GetEnrollmentResponse {
            enrollment: Some(write::enrollment(&found)),
        }))
    }

    async fn list_enrollments(
        &self,
        request: Request<proto::ListEnrollmentsRequest>,
    ) -> Result<Response<proto::ListEnrollmentsResponse>, Status> {
        let call = call::of(&request)?;
        let list = read::list(&request.into_inner())?;
        let found = list_enrollments(&self.services, &call, &list.filter, &list.page)
            .await?
            .map(|one| write::enrollment(&one));
        Ok(Response::new(proto::ListEnrollmentsResponse {
            enrollments: found.items,
            next_page_token: found.next_page_token,
        }))
    }

    async fn get_roster(
        &self,
        request: Request<proto::GetRosterRequest>,
    ) -> Result<Response<proto::GetRosterResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let id = violations.uuid("class_id", &message.class_id);
        violations.finish()?;
        let roster = get_roster(&self.services, &call, id).await?;
        Ok(Response::new(roster::roster(roster)))
    }

    async fn get_access(
        &self,
        request: Request<proto::GetAccessRequest>,
    ) -> Result<Response<proto::GetAccessResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let student_id = violations.uuid("student_id", &message.student_id);
        let class_id = violations.optional_uuid("class_id", &message.class_id);
        violations.line("course_id", &message.course_id);
        if message.class_id.is_empty() == message.course_id.is_empty() {
            for field in ["class_id", "course_id"] {
                violations.add(
                    field,
                    "exactly one of `class_id` and `course_id` must be set",
                );
            }
        }
        violations.finish()?;
        let Some(class_id) = class_id else {
            let course_id = &message.course_id;
            let access = get_course_access(&self.services, &call, student_id, course_id).await?;
            return Ok(Response::new(write::course_access(access)));
        };
        let access = get_access(&self.services, &call, student_id, class_id).await?;
        Ok(Response::new(write::access(&access)))
    }
}
