//! Plans of what is written to people: kept, changed, tried out, and refused as long as they name what nobody knows.

use latchkey_proto::enrollment::v1::{
    ClassStatus, CreateNotificationPlanRequest, DeleteNotificationPlanRequest, EnrollmentStatus,
    GetNotificationPlanRequest, GetNotificationSettingsRequest, InstructorAddress,
    ListNotificationPlansRequest, NotificationPlanSettings, NotificationSettings,
    NotificationTrigger, PreviewNotificationPlanRequest, ReplaceNotificationPlanRequest,
    SetClassNotificationsRequest, SetNotificationSettingsRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use tonic_types::StatusExt;

use crate::harness::world::telling::{expiring_settings, plan_settings};
use crate::harness::{ClassDraft, Organization, Stack, new_id, refused};

#[tokio::test]
async fn a_plan_is_made_once_changed_by_its_etag_and_deleted() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let mut admin = organization.admin().notifications();
    let request = CreateNotificationPlanRequest {
        request_id: new_id(),
        organization_id: organization.id.clone(),
        settings: Some(plan_settings()),
    };
    let made = admin.create_notification_plan(request.clone()).await;
    let made = made.expect("made").into_inner().plan.expect("a plan");
    assert_eq!(made.settings, Some(plan_settings()));
    let again = admin.create_notification_plan(request.clone()).await;
    assert_eq!(
        again.expect("the same").into_inner().plan,
        Some(made.clone())
    );
    let mut other = request;
    other.settings.as_mut().expect("settings").display_name = "Other".to_owned();
    let answer = admin.create_notification_plan(other).await;
    refused(answer, ErrorReason::RequestIdReused);

    let replace = |etag: &str, name: &str| ReplaceNotificationPlanRequest {
        plan_id: made.plan_id.clone(),
        settings: Some(NotificationPlanSettings {
            display_name: name.to_owned(),
            trigger: NotificationTrigger::BeforeStart.into(),
            hours: 24,
            ..plan_settings()
        }),
        etag: etag.to_owned(),
    };
    let changed = admin
        .replace_notification_plan(replace(&made.etag, "Soon"))
        .await;
    let changed = changed.expect("changed").into_inner().plan.expect("a plan");
    assert_ne!(changed.etag, made.etag);
    let stale = admin
        .replace_notification_plan(replace(&made.etag, "Late"))
        .await;
    refused(stale, ErrorReason::EtagMismatch);
    let get = GetNotificationPlanRequest {
        plan_id: made.plan_id.clone(),
    };
    let found = admin.get_notification_plan(get.clone()).await;
    assert_eq!(found.expect("found").into_inner().plan, Some(changed));
    let list = ListNotificationPlansRequest {
        organization_id: organization.id.clone(),
        ..ListNotificationPlansRequest::default()
    };
    let listed = admin.list_notification_plans(list).await.expect("plans");
    assert_eq!(listed.into_inner().plans.len(), 1);
    let delete = |etag: &str| DeleteNotificationPlanRequest {
        plan_id: made.plan_id.clone(),
        etag: etag.to_owned(),
    };
    let stale = admin.delete_notification_plan(delete(&made.etag)).await;
    refused(stale, ErrorReason::EtagMismatch);
    for _ in 0..2 {
        let done = admin.delete_notification_plan(delete("")).await;
        done.expect("deleted");
    }
    let gone = admin.get_notification_plan(get).await;
    refused(gone, ErrorReason::NotificationPlanNotFound);
    stack.finish().await;
}

#[tokio::test]
async fn what_changes_nothing_is_answered_with_the_plan_as_it_is() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let below = organization.child().await;
    let settings = NotificationPlanSettings {
        only_organization_id: below.id.clone(),
        ..plan_settings()
    };
    let made = organization.plan(settings.clone()).await;
    let request = ReplaceNotificationPlanRequest {
        plan_id: made.plan_id.clone(),
        settings: Some(settings),
        etag: made.etag.clone(),
    };
    let mut admin = organization.admin().notifications();
    for _ in 0..2 {
        let same = admin.replace_notification_plan(request.clone()).await;
        let same = same.expect("the same").into_inner().plan;
        assert_eq!(same.as_ref(), Some(&made));
    }
    stack.finish().await;
}

#[tokio::test]
async fn a_template_that_names_what_nobody_knows_is_refused_with_all_those_names() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let request = CreateNotificationPlanRequest {
        request_id: new_id(),
        organization_id: organization.id.clone(),
        settings: Some(NotificationPlanSettings {
            subject: "{{ clas_name }}".to_owned(),
            text: "{{ student_name }} {{ class_start }} {{ event_code }}".to_owned(),
            html: "{% for x in y %}".to_owned(),
            ..plan_settings()
        }),
    };
    let mut admin = organization.admin().notifications();
    let refusal = refused(
        admin.create_notification_plan(request).await,
        ErrorReason::FieldInvalid,
    );
    let bad = refusal.get_details_bad_request().expect("fields");
    let said = format!("{:?}", bad.field_violations);
    for name in [
        "settings.subject",
        "settings.text",
        "settings.html",
        "`clas_name`",
        "`student_name`",
        "`event_code`",
    ] {
        assert!(said.contains(name), "{name}: {said}");
    }
    let elsewhere = Organization::new(&stack).await;
    let request = CreateNotificationPlanRequest {
        request_id: new_id(),
        organization_id: organization.id.clone(),
        settings: Some(NotificationPlanSettings {
            only_organization_id: elsewhere.id,
            ..plan_settings()
        }),
    };
    let answer = admin.create_notification_plan(request).await;
    refused(answer, ErrorReason::OrganizationNotFound);
    stack.finish().await;
}

#[tokio::test]
async fn a_plan_about_assignments_names_nothing_of_a_class() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let expiring = expiring_settings();
    let preview = |settings: &NotificationPlanSettings| PreviewNotificationPlanRequest {
        organization_id: organization.id.clone(),
        settings: Some(settings.clone()),
        class_id: String::new(),
    };
    let mut admin = organization.admin().notifications();
    let shown = admin.preview_notification_plan(preview(&expiring)).await;
    let shown = shown.expect("shown").into_inner();
    assert!(shown.text.contains("(UTC)"), "{}", shown.text);
    let bad = NotificationPlanSettings {
        class_statuses: vec![ClassStatus::Scheduled.into()],
        enrollment_statuses: vec![EnrollmentStatus::Enrolled.into()],
        text: "{{ class_start }} {{ event_key }}".to_owned(),
        days: 0,
        ..expiring.clone()
    };
    let request = CreateNotificationPlanRequest {
        request_id: new_id(),
        organization_id: organization.id.clone(),
        settings: Some(bad),
    };
    let answer = admin.create_notification_plan(request).await;
    let refusal = refused(answer, ErrorReason::FieldInvalid);
    let said = refusal.get_details_bad_request().expect("fields");
    let said = format!("{:?}", said.field_violations);
    for part in [
        "settings.class_statuses",
        "settings.enrollment_statuses",
        "settings.days",
        "`class_start`",
        "`event_key`",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let of_class = PreviewNotificationPlanRequest {
        class_id: organization.class(ClassDraft::new()).await.class_id,
        ..preview(&expiring)
    };
    let answer = admin.preview_notification_plan(of_class).await;
    refused(answer, ErrorReason::FieldInvalid);
    stack.finish().await;
}

#[tokio::test]
async fn a_preview_shows_a_class_in_its_own_zone_and_no_code() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let settings = NotificationPlanSettings {
        text: "{{ class_start }} {{ event_key }} {{ login_page }}".to_owned(),
        html: "<p>{{ class_name }}</p>".to_owned(),
        ..plan_settings()
    };
    organization
        .write_as(NotificationSettings {
            login_page: "https://learn.example.com".to_owned(),
            ..NotificationSettings::default()
        })
        .await;
    let mut admin = organization.admin().notifications();
    for class_id in [class.class_id.clone(), String::new()] {
        let request = PreviewNotificationPlanRequest {
            organization_id: organization.id.clone(),
            settings: Some(settings.clone()),
            class_id: class_id.clone(),
        };
        let shown = admin.preview_notification_plan(request).await;
        let shown = shown.expect("shown").into_inner();
        assert!(shown.text.contains("EVENT-KEY") && !shown.text.contains(&code));
        assert!(shown.text.ends_with("https://learn.example.com"));
        if !class_id.is_empty() {
            assert!(shown.text.contains(&class.time_zone), "{}", shown.text);
            assert_eq!(shown.html, format!("<p>{}</p>", class.name));
        }
    }
    stack.finish().await;
}

#[tokio::test]
async fn settings_are_off_at_first_changed_by_their_etag_and_a_class_may_differ() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let class_id = organization.class(ClassDraft::new()).await.class_id;
    let mut admin = organization.admin().notifications();
    let get = GetNotificationSettingsRequest {
        organization_id: organization.id.clone(),
    };
    let first = admin.get_notification_settings(get).await;
    let first = first.expect("settings").into_inner();
    assert_eq!(first.settings, Some(NotificationSettings::default()));
    let class = async |enabled: Option<bool>| {
        let request = SetClassNotificationsRequest {
            class_id: class_id.clone(),
            enabled,
        };
        let mut admin = organization.admin().notifications();
        let answer = admin.set_class_notifications(request).await;
        answer.expect("set").into_inner().enabled
    };
    assert!(!class(None).await);
    assert!(class(Some(true)).await);
    let settings = NotificationSettings {
        enabled: true,
        operations_managers_email: "operations@example.com".to_owned(),
        instructors: vec![InstructorAddress {
            subject: "ann".to_owned(),
            email: "ann@example.com".to_owned(),
        }],
        ..NotificationSettings::default()
    };
    let set = |etag: &str| SetNotificationSettingsRequest {
        organization_id: organization.id.clone(),
        settings: Some(settings.clone()),
        etag: etag.to_owned(),
    };
    let done = admin.set_notification_settings(set(&first.etag)).await;
    let done = done.expect("set").into_inner();
    assert_eq!(done.settings, Some(settings.clone()));
    let stale = admin.set_notification_settings(set(&first.etag)).await;
    refused(stale, ErrorReason::EtagMismatch);
    let same = admin.set_notification_settings(set(&done.etag)).await;
    assert_eq!(same.expect("the same").into_inner(), done);
    assert!(!class(Some(false)).await);
    assert!(class(None).await);
    stack.finish().await;
}
