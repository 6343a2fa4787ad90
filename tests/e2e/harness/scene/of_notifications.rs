//! Good requests for the methods that tell people.

use latchkey_proto::enrollment::v1 as enrollment;
use prost::Message;

use super::Scene;
use crate::harness::new_id;
use crate::harness::world::telling::plan_settings;

impl Scene<'_> {
    pub(super) async fn of_notifications(&self, method: &str, fresh: bool) -> Vec<u8> {
        let organization_id = self.organization.id.clone();
        let class_id = self.class.class_id.clone();
        let plan_id = self.plan.plan_id.clone();
        let settings = Some(plan_settings());
        match method {
            "RenderInvitation" => enrollment::RenderInvitationRequest {
                class_id,
                ..enrollment::RenderInvitationRequest::default()
            }
            .encode_to_vec(),
            "CreateNotificationPlan" => enrollment::CreateNotificationPlanRequest {
                request_id: new_id(),
                organization_id,
                settings,
            }
            .encode_to_vec(),
            "GetNotificationPlan" => {
                enrollment::GetNotificationPlanRequest { plan_id }.encode_to_vec()
            }
            "ListNotificationPlans" => enrollment::ListNotificationPlansRequest {
                organization_id,
                ..enrollment::ListNotificationPlansRequest::default()
            }
            .encode_to_vec(),
            "ReplaceNotificationPlan" => enrollment::ReplaceNotificationPlanRequest {
                plan_id,
                settings,
                etag: String::new(),
            }
            .encode_to_vec(),
            "DeleteNotificationPlan" => {
                let plan_id = if fresh {
                    self.organization.plan(plan_settings()).await.plan_id
                } else {
                    plan_id
                };
                enrollment::DeleteNotificationPlanRequest {
                    plan_id,
                    etag: String::new(),
                }
                .encode_to_vec()
            }
            "PreviewNotificationPlan" => enrollment::PreviewNotificationPlanRequest {
                organization_id,
                settings,
                class_id: String::new(),
            }
            .encode_to_vec(),
            other => self.of_notification_switches(other),
        }
    }

    fn of_notification_switches(&self, method: &str) -> Vec<u8> {
        let organization_id = self.organization.id.clone();
        let class_id = self.class.class_id.clone();
        let student_id = self.student.student_id.clone();
        match method {
            "GetNotificationSettings" => {
                enrollment::GetNotificationSettingsRequest { organization_id }.encode_to_vec()
            }
            "SetNotificationSettings" => enrollment::SetNotificationSettingsRequest {
                organization_id,
                settings: Some(enrollment::NotificationSettings::default()),
                etag: String::new(),
            }
            .encode_to_vec(),
            "SetClassNotifications" => enrollment::SetClassNotificationsRequest {
                class_id,
                enabled: None,
            }
            .encode_to_vec(),
            "ListNotifications" => enrollment::ListNotificationsRequest {
                organization_id,
                ..enrollment::ListNotificationsRequest::default()
            }
            .encode_to_vec(),
            "GetNotificationOptOut" => {
                enrollment::GetNotificationOptOutRequest { student_id }.encode_to_vec()
            }
            "SetNotificationOptOut" => enrollment::SetNotificationOptOutRequest {
                student_id,
                opted_out: true,
            }
            .encode_to_vec(),
            other => panic!("no scene knows {other}"),
        }
    }
}
