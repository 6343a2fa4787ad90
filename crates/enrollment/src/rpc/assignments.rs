//! `AssignmentService`, and assignments as messages carry them.

mod read;

use std::sync::Arc;

use latchkey_proto::enrollment::v1 as proto;
use latchkey_proto::enrollment::v1::assignment_service_server::AssignmentService;
use latchkey_service_kit::validation::Violations;
use tonic::{Request, Response, Status};

use super::messages::stamp;
use super::{call, errors};
use crate::app::Services;
use crate::app::cancel_assignment::cancel_assignment;
use crate::app::read_assignments::{get_assignment, list_assignments};
use crate::app::record_launch::record_launch;
use crate::domain::assignment::{self, CourseAssignment, EndedBy};

/// The service.
#[derive(Debug, Clone)]
pub struct Assignments {
    services: Arc<Services>,
}

impl Assignments {
    /// The service, working with `services`.
    pub fn new(services: Arc<Services>) -> Self {
        Self { services }
    }
}

#[tonic::async_trait]
impl AssignmentService for Assignments {
    async fn get_assignment(
        &self,
        request: Request<proto::GetAssignmentRequest>,
    ) -> Result<Response<proto::GetAssignmentResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let id = violations.uuid("assignment_id", &message.assignment_id);
        violations.finish()?;
        let found = get_assignment(&self.services, &call, id)
            .await
            .map_err(errors::status)?;
        Ok(Response::new(proto::GetAssignmentResponse {
            assignment: Some(course_assignment(found)),
        }))
    }

    async fn list_assignments(
        &self,
        request: Request<proto::ListAssignmentsRequest>,
    ) -> Result<Response<proto::ListAssignmentsResponse>, Status> {
        let call = call::of(&request)?;
        let list = read::list(&request.into_inner())?;
        let query: Vec<&str> = list.query.iter().map(String::as_str).collect();
        let found = list_assignments(&self.services, &call, &list.filter, &list.page, &query)
            .await
            .map_err(errors::status)?
            .map(course_assignment);
        Ok(Response::new(proto::ListAssignmentsResponse {
            assignments: found.items,
            next_page_token: found.next_page_token,
        }))
    }

    async fn cancel_assignment(
        &self,
        request: Request<proto::CancelAssignmentRequest>,
    ) -> Result<Response<proto::CancelAssignmentResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let id = violations.uuid("assignment_id", &message.assignment_id);
        let reason = violations.line("reason", &message.reason);
        violations.finish()?;
        let cancelled = cancel_assignment(&self.services, &call, id, reason)
            .await
            .map_err(errors::status)?;
        Ok(Response::new(proto::CancelAssignmentResponse {
            assignment: Some(course_assignment(cancelled)),
        }))
    }

    async fn record_launch(
        &self,
        request: Request<proto::RecordLaunchRequest>,
    ) -> Result<Response<proto::RecordLaunchResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let id = violations.uuid("assignment_id", &message.assignment_id);
        violations.finish()?;
        let launched = record_launch(&self.services, &call, id)
            .await
            .map_err(errors::status)?;
        Ok(Response::new(proto::RecordLaunchResponse {
            assignment: Some(course_assignment(launched)),
        }))
    }
}

/// An assignment.
pub(in crate::rpc) fn course_assignment(assignment: CourseAssignment) -> proto::CourseAssignment {
    let (status, cancelled_at, ended_by) = match assignment.status {
        assignment::Status::Assigned => (
            proto::AssignmentStatus::Assigned,
            None,
            proto::AssignmentEndedBy::Unspecified,
        ),
        assignment::Status::Cancelled { at, by } => (
            proto::AssignmentStatus::Cancelled,
            Some(at),
            match by {
                EndedBy::Student => proto::AssignmentEndedBy::Student,
                EndedBy::Staff => proto::AssignmentEndedBy::Staff,
            },
        ),
    };
    proto::CourseAssignment {
        assignment_id: assignment.id.to_string(),
        pool_id: assignment.pool_id.to_string(),
        organization_id: assignment.organization_id.to_string(),
        student_id: assignment.student_id.to_string(),
        course_id: assignment.course_id,
        course_name: assignment.course_name,
        key_id: assignment.key_id.to_string(),
        status: status.into(),
        assign_time: Some(stamp(assignment.assigned_at)),
        expire_time: Some(stamp(assignment.expires_at)),
        launch_time: assignment.launched_at.map(stamp),
        cancel_time: cancelled_at.map(stamp),
        ended_by: ended_by.into(),
    }
}
