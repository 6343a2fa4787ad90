//! Good requests for the methods of courses that are taken at one's own pace.

use latchkey_proto::enrollment::v1 as enrollment;
use prost::Message;

use super::Scene;

impl Scene<'_> {
    pub(super) async fn of_assignments(&self, method: &str, fresh: bool) -> Vec<u8> {
        let assignment_id = self.assignment_id.clone();
        match method {
            "GetAssignment" => enrollment::GetAssignmentRequest { assignment_id }.encode_to_vec(),
            "ListAssignments" => enrollment::ListAssignmentsRequest {
                student_id: self.student.student_id.clone(),
                ..enrollment::ListAssignmentsRequest::default()
            }
            .encode_to_vec(),
            "CancelAssignment" => {
                let student = &self.student.student_id;
                let assignment_id = if fresh {
                    let made = self.organization.assign(student, &self.pool_id).await;
                    made.assignment_id
                } else {
                    assignment_id
                };
                enrollment::CancelAssignmentRequest {
                    assignment_id,
                    reason: String::new(),
                }
                .encode_to_vec()
            }
            "RecordLaunch" => enrollment::RecordLaunchRequest { assignment_id }.encode_to_vec(),
            other => panic!("no scene knows {other}"),
        }
    }
}
