//! Until when keys open a class, and a class is open to its students. Windows belong to the class, are half-open, and are
//! judged by the database's clock; their exact edges, and those of the clocks of the world, are held by unit tests.

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use latchkey_proto::enrollment::v1::{
    CheckKeyResponse, EventKeyWindow, TrainingClass, UpdateClassRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_service_kit::status::metadata_of;

use crate::harness::time::read;
use crate::harness::world::{check, come_in, redeem};
use crate::harness::{ClassDraft, Organization, Stack, at, now, refused};

/// What `code` would open for a student, at this moment.
async fn opened(stack: &Stack, student_id: &str, code: &str) -> CheckKeyResponse {
    let checked = check(stack, student_id, code).await;
    checked.expect("it would open").into_inner()
}

async fn move_to(
    organization: &Organization<'_>,
    class: &TrainingClass,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
) -> TrainingClass {
    let change = UpdateClassRequest {
        start_time: at(start),
        end_time: at(end),
        ..UpdateClassRequest::default()
    };
    let dates = &["start_time", "end_time"];
    organization
        .update_class(&class.class_id, dates, change)
        .await
}

#[tokio::test]
async fn moving_the_dates_moves_the_window_of_every_key_at_once() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let draft = ClassDraft::new().running().with_event_key();
    let (class, codes) = organization.keyed_class(draft, 1).await;
    let event_code = organization.event_code(&class.class_id).await;
    let student = organization.student().await.student_id;
    let both = [codes[0].code.as_str(), event_code.as_str()];
    for code in both {
        let until = opened(&stack, &student, code).await.redeemable_until;
        assert_eq!(until, class.end_time);
    }
    let hours = TimeDelta::hours;
    move_to(&organization, &class, now() - hours(5), now() - hours(3)).await;
    for code in both {
        let answer = redeem(&stack, &student, code).await;
        refused(answer, ErrorReason::WindowClosed);
    }
    move_to(&organization, &class, now() + hours(24), now() + hours(48)).await;
    come_in(&stack, &student, both[0]).await;
    let other = organization.student().await.student_id;
    come_in(&stack, &other, both[1]).await;
    stack.finish().await;
}

#[tokio::test]
async fn an_event_key_outlives_the_class_if_it_is_set_so_and_an_enrollment_key_never() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let draft = ClassDraft::new().with_event_key().change(|request| {
        request.event_key_window = EventKeyWindow::UntilAccessExpires.into();
        request.post_class_days = Some(10);
    });
    let (class, codes) = organization.keyed_class(draft, 1).await;
    let event_code = organization.event_code(&class.class_id).await;
    let student = organization.student().await.student_id;
    let over = now() - TimeDelta::days(1);
    let class = move_to(&organization, &class, over - TimeDelta::hours(8), over).await;

    let answer = redeem(&stack, &student, &codes[0].code).await;
    let refusal = refused(answer, ErrorReason::WindowClosed);
    let told = metadata_of(&refusal);
    assert_eq!(told["time_zone"], "Europe/Berlin");
    let closed: DateTime<Utc> = told["closed_at"].parse().expect("a time");
    assert_eq!(closed, read(class.end_time.as_ref()));

    let checked = opened(&stack, &student, &event_code).await;
    let opened = checked.opened_class.expect("a class");
    assert_eq!(checked.redeemable_until, opened.access_until);
    come_in(&stack, &student, &event_code).await;

    let long_over = now() - TimeDelta::days(12);
    move_to(
        &organization,
        &class,
        long_over - TimeDelta::hours(8),
        long_over,
    )
    .await;
    let late = organization.student().await.student_id;
    let answer = redeem(&stack, &late, &event_code).await;
    refused(answer, ErrorReason::WindowClosed);
    stack.finish().await;
}

#[tokio::test]
async fn a_window_closes_at_the_instant_it_names_on_the_clock_of_the_database() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let students = organization.students(60).await;
    let end = now() + TimeDelta::milliseconds(1_500);
    move_to(&organization, &class, now() - TimeDelta::hours(1), end).await;
    let (mut last_in, mut first_out) = (None, None);
    for student in &students {
        match redeem(&stack, student, &code).await {
            Ok(answer) => {
                let enrollment = answer.into_inner().enrollment.expect("an enrollment");
                last_in = Some(read(enrollment.enroll_time.as_ref()));
                assert!(first_out.is_none(), "a closed window opened again");
            }
            Err(refusal) => {
                let answer: Result<tonic::Response<()>, _> = Err(refusal);
                refused(answer, ErrorReason::WindowClosed);
                first_out = Some(());
                break;
            }
        }
        // Spread over the edge, which no event announces.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(last_in.expect("somebody was in time") < end);
    first_out.expect("somebody was too late");
    stack.finish().await;
}

#[tokio::test]
async fn post_class_access_ends_at_the_same_time_of_day_across_a_change_of_clocks() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    // Berlin's clocks go back on 25 October 2037: 17:00 there is 15:00 UTC before, and 16:00 UTC after.
    let utc = |month, day, hour| Utc.with_ymd_and_hms(2037, month, day, hour, 0, 0).unwrap();
    let (start, end) = (utc(10, 19, 7), utc(10, 23, 15));
    let draft = ClassDraft::new().dates(start, end).change(|request| {
        request.post_class_days = Some(10);
    });
    let (_, code) = organization.event_class(draft).await;
    let student = organization.student().await.student_id;
    let opened = opened(&stack, &student, &code).await.opened_class;
    let until = read(opened.expect("a class").access_until.as_ref());
    assert_eq!(until, utc(11, 2, 16));
    stack.finish().await;
}
