//! What an organization lays down for its new classes.

use latchkey_proto::enrollment::v1::{
    ClassDefaults, ClassStatus, CreateClassRequest, CreateClassResponse, Organization as Shown,
    SetClassNotificationsRequest, UpdateOrganizationRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::EventKey;

use crate::harness::mail::{mail_server, mail_settings};
use crate::harness::world::telling::plan_settings;
use crate::harness::world::{come_in, mask, off};
use crate::harness::{ClassDraft, Options, Organization, Stack, eventually, new_id, refused};

pub(crate) const SMALL: ClassDefaults = ClassDefaults {
    maximum_students: Some(12),
    minimum_students: Some(4),
    status: ClassStatus::Tentative as i32,
    event_key_enabled: true,
    post_class_days: Some(30),
    notifications_enabled: None,
};

pub(crate) async fn lay_down(
    organization: &Organization<'_>,
    defaults: Option<ClassDefaults>,
) -> Shown {
    let request = UpdateOrganizationRequest {
        organization_id: organization.id.clone(),
        update_mask: mask(&["class_defaults"]),
        class_defaults: defaults,
        ..UpdateOrganizationRequest::default()
    };
    let mut organizations = organization.admin().organizations();
    let updated = organizations.update_organization(request).await;
    let updated = updated.expect("updated").into_inner().organization;
    updated.expect("an organization")
}

pub(crate) fn silent(organization: &Organization<'_>) -> CreateClassRequest {
    let draft = ClassDraft::new().change(|request| {
        request.minimum_students = None;
        request.maximum_students = None;
    });
    draft.request(&organization.id)
}

pub(crate) async fn create(
    organization: &Organization<'_>,
    request: CreateClassRequest,
) -> CreateClassResponse {
    let mut classes = organization.admin().classes();
    let made = classes.create_class(request).await;
    made.expect("a class").into_inner()
}

pub(crate) fn is_on(event_key: Option<&EventKey>) -> bool {
    event_key.is_some_and(|key| key.enabled)
}

#[tokio::test]
async fn a_new_class_has_what_its_request_does_not_say() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let shown = lay_down(&organization, Some(SMALL)).await;
    assert_eq!(shown.class_defaults, Some(SMALL));
    let made = create(&organization, silent(&organization)).await;
    assert!(is_on(made.event_key.as_ref()));
    let class = made.training_class.expect("a class");
    assert_eq!((class.minimum_students, class.maximum_students), (4, 12));
    assert!(class.maximum_is_default);
    assert_eq!(class.status(), ClassStatus::Tentative);
    assert_eq!(class.post_class_days, 30);
    organization.event_code(&class.class_id).await;

    let said = CreateClassRequest {
        minimum_students: Some(0),
        maximum_students: Some(3),
        status: ClassStatus::Scheduled.into(),
        post_class_days: Some(0),
        event_key: Some(off()),
        ..silent(&organization)
    };
    let made = create(&organization, said).await;
    assert_eq!(made.event_key, None);
    let class = made.training_class.expect("a class");
    assert_eq!((class.minimum_students, class.maximum_students), (0, 3));
    assert!(!class.maximum_is_default);
    assert_eq!(class.status(), ClassStatus::Scheduled);
    assert_eq!(class.post_class_days, 0);

    // Only of this organization.
    let below = organization.child().await;
    let made = create(&below, silent(&below)).await;
    assert_eq!(made.event_key, None);
    let class = made.training_class.expect("a class");
    assert_eq!((class.minimum_students, class.maximum_students), (0, 30));
    stack.finish().await;
}

#[tokio::test]
async fn the_same_request_makes_the_same_class_whatever_is_laid_down_meanwhile() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let requests = [silent(&organization), silent(&organization)];
    let plain = create(&organization, requests[0].clone()).await;
    lay_down(&organization, Some(SMALL)).await;
    let by_default = create(&organization, requests[1].clone()).await;
    assert_eq!(create(&organization, requests[0].clone()).await, plain);
    lay_down(&organization, None).await;
    let again = create(&organization, requests[1].clone()).await;
    assert_eq!(again.training_class, by_default.training_class);
    let key = |made: &CreateClassResponse| made.event_key.clone().expect("a key").key_id;
    assert_eq!(key(&again), key(&by_default));
    stack.finish().await;
}

#[tokio::test]
async fn what_is_laid_down_fits_together_and_so_does_what_a_request_adds() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let wrong = ClassDefaults {
        minimum_students: Some(13),
        ..SMALL
    };
    let request = UpdateOrganizationRequest {
        organization_id: organization.id.clone(),
        update_mask: mask(&["class_defaults"]),
        class_defaults: Some(wrong),
        ..UpdateOrganizationRequest::default()
    };
    let mut organizations = organization.admin().organizations();
    let answer = organizations.update_organization(request).await;
    refused(answer, ErrorReason::FieldInvalid);
    lay_down(&organization, Some(SMALL)).await;
    let too_many = CreateClassRequest {
        minimum_students: Some(13),
        ..silent(&organization)
    };
    let answer = organization.admin().classes().create_class(too_many).await;
    refused(answer, ErrorReason::FieldInvalid);
    let few = CreateClassRequest {
        request_id: new_id(),
        maximum_students: Some(2),
        ..silent(&organization)
    };
    let class = create(&organization, few).await.training_class;
    assert_eq!(class.expect("a class").minimum_students, 2);
    stack.finish().await;
}

#[tokio::test]
async fn a_new_class_tells_people_or_not_as_is_laid_down_whatever_the_organization_does() {
    let server = mail_server().await;
    let stack = Stack::with(Options {
        enrollment: mail_settings(&server),
        ..Options::default()
    })
    .await;
    let organization = Organization::new(&stack).await;
    organization.plan(plan_settings()).await;
    let told = async |laid_down: Option<bool>| {
        let defaults = ClassDefaults {
            event_key_enabled: true,
            notifications_enabled: laid_down,
            ..ClassDefaults::default()
        };
        let shown = lay_down(&organization, Some(defaults)).await;
        assert_eq!(shown.class_defaults, Some(defaults));
        let class = create(&organization, silent(&organization)).await;
        let class = class.training_class.expect("a class").class_id;
        let code = organization.event_code(&class).await;
        let student = organization.student().await;
        come_in(&stack, &student.student_id, &code).await;
        (class, student.email)
    };
    let (_, first) = told(Some(true)).await;
    let (left, second) = told(None).await;
    organization.write_to_people().await;
    let (_, third) = told(Some(false)).await;
    let (_, fourth) = told(None).await;
    for (email, number) in [(&fourth, 1), (&first, 1), (&second, 0), (&third, 0)] {
        eventually("as many letters", async || {
            let found = server.received_for(email).len();
            if found == number {
                Ok(())
            } else {
                Err(format!("{found} of {number} to {email}"))
            }
        })
        .await;
    }
    // What was laid down is the class's own setting, and can be changed.
    let request = SetClassNotificationsRequest {
        class_id: left,
        enabled: None,
    };
    let mut admin = organization.admin().notifications();
    let now = admin.set_class_notifications(request).await.expect("set");
    assert!(now.into_inner().enabled);
    stack.finish().await;
}
