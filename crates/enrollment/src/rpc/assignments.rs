//! `AssignmentService`, and assignments as messages carry them.

mod read;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use latchkey_proto::enrollment::v1 as proto;
use latchkey_proto::enrollment::v1::assignment_service_server::AssignmentService;
use latchkey_service_kit::validation::Violations;
use tonic::{Request, Response, Status};

use super::call;
use super::messages::stamp;
use crate::app::Services;
use crate::app::assignments::cancel_assignment::cancel_assignment;
use crate::app::assignments::read_assignments::{get_assignment, list_assignments};
use crate::app::assignments::record_launch::record_launch;
use crate::domain::assignment::{self, Assigned, EndedBy};
use crate::domain::profile::Course;
use crate::domain::redemption::Assigning;

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
        let found = get_assignment(&self.services, &call, id).await?;
        Ok(Response::new(proto::GetAssignmentResponse {
            assignment: Some(assignment(found)),
        }))
    }

    async fn list_assignments(
        &self,
        request: Request<proto::ListAssignmentsRequest>,
    ) -> Result<Response<proto::ListAssignmentsResponse>, Status> {
        let call = call::of(&request)?;
        let list = read::list(&request.into_inner())?;
        let found = list_assignments(&self.services, &call, &list.filter, &list.page)
            .await?
            .map(assignment);
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
        let cancelled = cancel_assignment(&self.services, &call, id, reason).await?;
        Ok(Response::new(proto::CancelAssignmentResponse {
            assignment: Some(assignment(cancelled)),
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
        let launched = record_launch(&self.services, &call, id).await?;
        Ok(Response::new(proto::RecordLaunchResponse {
            assignment: Some(assignment(launched)),
        }))
    }
}

/// The pool or subscription profile that a list is limited to: one of them at most.
pub(in crate::rpc) fn assigning(
    violations: &mut Violations,
    pool_id: &str,
    profile_id: &str,
) -> Option<Assigning> {
    let pool = violations.optional_uuid("pool_id", pool_id);
    let profile = violations.optional_uuid("profile_id", profile_id);
    if !pool_id.is_empty() && !profile_id.is_empty() {
        for field in ["pool_id", "profile_id"] {
            violations.add(
                field,
                "nothing is of a pool and of a profile: set one of them",
            );
        }
    }
    pool.map(Assigning::Pool)
        .or(profile.map(Assigning::Profile))
}

/// An assignment, as `AssignmentService` carries it.
fn assignment(one: assignment::Assignment) -> proto::Assignment {
    match of_kind(one) {
        Message::Course(one) => proto::Assignment {
            course_assignment: Some(one),
            subscription_assignment: None,
        },
        Message::Subscription(one) => proto::Assignment {
            course_assignment: None,
            subscription_assignment: Some(one),
        },
    }
}

/// The message of an assignment, by its kind.
pub(in crate::rpc) enum Message {
    /// Of a course.
    Course(proto::CourseAssignment),
    /// Of the courses of a subscription profile.
    Subscription(proto::SubscriptionAssignment),
}

/// An assignment as its message.
pub(in crate::rpc) fn of_kind(one: assignment::Assignment) -> Message {
    let (status, cancelled_at, ended_by) = standing(one.status);
    match one.assigned {
        Assigned::Course { pool_id, course } => Message::Course(proto::CourseAssignment {
            assignment_id: one.id.to_string(),
            pool_id: pool_id.to_string(),
            organization_id: one.organization_id.to_string(),
            student_id: one.student_id.to_string(),
            course_id: course.course_id,
            course_name: course.course_name,
            key_id: one.key_id.to_string(),
            status: status.into(),
            assign_time: Some(stamp(one.assigned_at)),
            expire_time: Some(stamp(one.expires_at)),
            launch_time: one.launched_at.map(stamp),
            cancel_time: cancelled_at.map(stamp),
            ended_by: ended_by.into(),
        }),
        Assigned::Subscription {
            profile_id,
            profile_name,
            courses: of_profile,
        } => Message::Subscription(proto::SubscriptionAssignment {
            assignment_id: one.id.to_string(),
            profile_id: profile_id.to_string(),
            organization_id: one.organization_id.to_string(),
            student_id: one.student_id.to_string(),
            profile_name,
            courses: courses(&of_profile),
            key_id: one.key_id.to_string(),
            status: status.into(),
            assign_time: Some(stamp(one.assigned_at)),
            expire_time: Some(stamp(one.expires_at)),
            launch_time: one.launched_at.map(stamp),
            cancel_time: cancelled_at.map(stamp),
            ended_by: ended_by.into(),
        }),
    }
}

fn standing(
    status: assignment::Status,
) -> (
    proto::AssignmentStatus,
    Option<DateTime<Utc>>,
    proto::AssignmentEndedBy,
) {
    match status {
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
    }
}

/// Courses as messages carry them.
pub(in crate::rpc) fn courses(courses: &[Course]) -> Vec<proto::Course> {
    let course = |one: &Course| proto::Course {
        course_id: one.course_id.clone(),
        course_name: one.course_name.clone(),
    };
    courses.iter().map(course).collect()
}
