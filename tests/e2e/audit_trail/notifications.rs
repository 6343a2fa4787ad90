//! Who is written to: what staff and students say of it leaves rows.

use latchkey_proto::enrollment::v1::{SetClassNotificationsRequest, SetNotificationOptOutRequest};

use super::trails::Trails;
use crate::harness::{ClassDraft, Organization, Stack};

#[tokio::test]
async fn a_class_and_a_student_leave_a_row_for_each_change_of_who_is_written_to() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let class_id = organization.class(ClassDraft::new()).await.class_id;
    let student_id = organization.student().await.student_id;
    let mut trails = Trails::of(&organization);
    trails.news().await;
    let mut notifications = organization.admin().notifications();
    for times in [1, 0] {
        let request = SetClassNotificationsRequest {
            class_id: class_id.clone(),
            enabled: Some(true),
        };
        let set = notifications.set_class_notifications(request).await;
        set.expect("on");
        let expected = [("class_notifications.set", class_id.as_str())];
        for event in trails.expect(&expected[..times]).await {
            assert_eq!(event.details_json, r#"{"enabled":{"from":null,"to":true}}"#);
        }
    }
    for times in [1, 0] {
        let request = SetNotificationOptOutRequest {
            student_id: student_id.clone(),
            opted_out: true,
        };
        let set = notifications.set_notification_opt_out(request).await;
        set.expect("noted");
        let expected = [("notification_opt_out.set", student_id.as_str())];
        for event in trails.expect(&expected[..times]).await {
            assert_eq!(event.student_id, student_id);
            assert_eq!(event.details_json, r#"{"opted_out":true}"#);
        }
    }
    stack.finish().await;
}
