//! Good requests for the methods of courses that are taken at one's own pace.

use latchkey_proto::enrollment::v1 as enrollment;
use prost::Message;

use super::Scene;
use crate::harness::subscriptions::profile_request;
use crate::harness::world::mask;

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

    pub(super) fn of_profiles(&self, method: &str) -> Vec<u8> {
        let profile_id = self.profile_id.clone();
        let organization_id = self.organization.id.clone();
        match method {
            "CreateSubscriptionProfile" => profile_request(&organization_id).encode_to_vec(),
            "GetSubscriptionProfile" => {
                enrollment::GetSubscriptionProfileRequest { profile_id }.encode_to_vec()
            }
            "ListSubscriptionProfiles" => enrollment::ListSubscriptionProfilesRequest {
                organization_id,
                ..enrollment::ListSubscriptionProfilesRequest::default()
            }
            .encode_to_vec(),
            "UpdateSubscriptionProfile" => enrollment::UpdateSubscriptionProfileRequest {
                profile_id,
                update_mask: mask(&["enabled"]),
                enabled: true,
                ..enrollment::UpdateSubscriptionProfileRequest::default()
            }
            .encode_to_vec(),
            other => panic!("no scene knows {other}"),
        }
    }
}
