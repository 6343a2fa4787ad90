//! What is written to people: plans and settings.

use latchkey_proto::enrollment::v1::{
    CreateNotificationPlanRequest, NotificationPlan, NotificationPlanSettings,
    NotificationRecipient, NotificationSettings, NotificationTrigger,
    SetNotificationSettingsRequest,
};

use super::Organization;
use crate::harness::{insist, new_id};

/// A plan that writes to students who were enrolled.
pub(crate) fn plan_settings() -> NotificationPlanSettings {
    NotificationPlanSettings {
        display_name: "Welcome".to_owned(),
        trigger: NotificationTrigger::Enrolled.into(),
        recipients: vec![NotificationRecipient::Student.into()],
        subject: "Welcome to {{ class_name }}".to_owned(),
        text: "Hello {{ student_given_name }}, it begins on {{ class_start }}.".to_owned(),
        ..NotificationPlanSettings::default()
    }
}

/// A plan that reminds students a day before what they are assigned expires.
pub(crate) fn expiring_settings() -> NotificationPlanSettings {
    NotificationPlanSettings {
        display_name: "Soon over".to_owned(),
        trigger: NotificationTrigger::AssignmentExpiring.into(),
        days: 1,
        subject: "{{ course_name }} ends".to_owned(),
        text: "{{ student_given_name }}: until {{ access_until }}, at {{ login_page }}".to_owned(),
        ..plan_settings()
    }
}

impl Organization<'_> {
    /// A new plan.
    pub(crate) async fn plan(&self, settings: NotificationPlanSettings) -> NotificationPlan {
        let request = CreateNotificationPlanRequest {
            request_id: new_id(),
            organization_id: self.id.clone(),
            settings: Some(settings),
        };
        let admin = self.admin().notifications();
        let made = insist(async || {
            admin
                .clone()
                .create_notification_plan(request.clone())
                .await
        });
        made.await.plan.expect("a plan")
    }

    /// Puts these settings in the place of the organization's.
    pub(crate) async fn write_as(&self, settings: NotificationSettings) {
        let request = SetNotificationSettingsRequest {
            organization_id: self.id.clone(),
            settings: Some(settings),
            etag: String::new(),
        };
        let mut admin = self.admin().notifications();
        let set = admin.set_notification_settings(request).await;
        set.expect("set");
    }

    /// Turns its notifications on.
    pub(crate) async fn write_to_people(&self) {
        self.write_as(NotificationSettings {
            enabled: true,
            ..NotificationSettings::default()
        })
        .await;
    }
}
