//! The fourth act: a class that is full, somebody who waits for a seat in it, and the letters that people get.

use std::time::Duration;

use anyhow::{Context, bail};
use chrono::{DurationRound, TimeDelta};
use latchkey_proto::enrollment::v1::{
    CancelEnrollmentRequest, CreateClassRequest, CreateNotificationPlanRequest, Enrollment,
    EnrollmentStatus, GetEnrollmentRequest, IfFull, NotificationPlanSettings,
    NotificationRecipient, NotificationSettings, NotificationTrigger, RedeemKeyRequest,
    SetNotificationSettingsRequest, TrainingClass, UpdateClassRequest, UpdateOrganizationRequest,
};
use latchkey_proto::keys::v1::{EventKeyChange, EventKeyGenerated};
use latchkey_service_kit::clock::{Clock, SystemClock};
use prost_types::FieldMask;
use tokio::time::{Instant, sleep};

use super::expectations::Verdict;
use super::scenario::{Handout, Scenario, new_id, reveal_event_key, timestamp};
use super::students::FORTY;
use crate::mail_server::{MailServer, Received};

/// How far ahead the class begins at first.
const BEGINS_IN: TimeDelta = TimeDelta::days(14);
/// How long it lasts.
const LASTS: TimeDelta = TimeDelta::hours(8);
/// How long before it begins its students are reminded, in hours.
const REMINDED: i32 = 24;
/// How long to wait for a letter: far longer than any takes, also on a busy machine.
const ARRIVES_WITHIN: Duration = Duration::from_secs(20);
/// How often to look for it.
const LOOK: Duration = Duration::from_millis(50);

/// The subject and the text of who is given a seat.
const PROMOTED: (&str, &str) = (
    "A seat in {{ class_name }} is yours",
    "Hello {{ student_given_name }},\n\na seat came free, and it is yours. The class begins on {{ class_start }}.\n\n\
     {{ organization_name }}",
);

/// Those of the reminder.
const REMINDER: (&str, &str) = (
    "{{ class_name }} begins soon",
    "Hello {{ student_given_name }},\n\n{{ class_name }} begins on {{ class_start }}.\n\
     Whoever comes along needs the key {{ event_key }}, at {{ login_page }}.\n\n{{ organization_name }}",
);

/// All that happened.
#[derive(Debug, Clone)]
pub(super) struct Telling {
    /// The class, as it was made.
    pub(super) class: TrainingClass,
    /// Its event key.
    pub(super) event_key: Handout,
    /// Who had the seat and gave it up: the number among the forty.
    pub(super) leaver: usize,
    /// Who waited for it.
    pub(super) waiter: usize,
    /// Where the enrollment of who waited stood, before and after.
    statuses: [EnrollmentStatus; 2],
    /// What the mail server got, in that order.
    pub(super) letters: Vec<Received>,
}

/// Plays the act with two students who have accounts.
pub(super) async fn run(scenario: &Scenario<'_>, server: &MailServer) -> anyhow::Result<Telling> {
    turn_on(scenario)
        .await
        .context("cannot turn notifications on")?;
    for (name, trigger, hours, letter) in [
        ("Promoted", NotificationTrigger::Promoted, 0, PROMOTED),
        ("Soon", NotificationTrigger::BeforeStart, REMINDED, REMINDER),
    ] {
        plan(scenario, name, trigger, hours, letter)
            .await
            .context("cannot make a plan of what is written")?;
    }
    let (class, event_key) = class(scenario).await.context("cannot make the class")?;
    let mut accounts = scenario.accounts.iter();
    let (leaver, waiter) = accounts
        .next()
        .zip(accounts.next())
        .context("no accounts")?;
    let seat = redeem(scenario, leaver.1, &event_key.code).await?;
    let waiting = redeem(scenario, waiter.1, &event_key.code).await?;
    cancel(scenario, leaver.1, &seat.enrollment_id).await?;
    let promoted = enrollment(scenario, &waiting.enrollment_id).await?;
    let email = FORTY[*waiter.0].email();
    arrived(server, &email, 1).await?;
    bring_forward(scenario, &class)
        .await
        .context("cannot move the class")?;
    arrived(server, &email, 2).await?;
    Ok(Telling {
        class,
        event_key,
        leaver: *leaver.0,
        waiter: *waiter.0,
        statuses: [waiting.status(), promoted.status()],
        letters: server.received(),
    })
}

/// Judges each rule of the act.
pub(super) fn judge(act: &Telling) -> Vec<Verdict> {
    let person = &FORTY[act.waiter];
    let is_for_waiter = |letter: &Received| letter.to == [person.email()];
    let tells = |place: usize, parts: &[&str]| {
        act.letters
            .get(place)
            .is_some_and(|letter| parts.iter().all(|part| letter.text.contains(part)))
    };
    let name = act.class.name.as_str();
    let [before, after] = act.statuses;
    [
        (
            "who redeems into a full class may wait for a seat",
            before == EnrollmentStatus::WaitListed,
        ),
        (
            "a seat that a student gives up goes to who waits for it",
            after == EnrollmentStatus::Enrolled,
        ),
        (
            "who is given a seat is told by mail",
            tells(0, &[person.given, name, "it is yours"]),
        ),
        (
            "before a class begins its students are reminded, with its key",
            tells(1, &[person.given, name, &act.event_key.code]),
        ),
        (
            "each letter is sent once, and nobody else is told",
            act.letters.len() == 2 && act.letters.iter().all(is_for_waiter),
        ),
    ]
    .into_iter()
    .map(|(rule, holds)| Verdict {
        rule,
        problems: if holds {
            Vec::new()
        } else {
            vec![format!(
                "{before:?}, then {after:?}; {} letters",
                act.letters.len()
            )]
        },
    })
    .collect()
}

/// Seats that are given up go to who waits, and people are told.
async fn turn_on(scenario: &Scenario<'_>) -> anyhow::Result<()> {
    let organization_id = scenario.organization_id.clone();
    let request = UpdateOrganizationRequest {
        organization_id: organization_id.clone(),
        update_mask: Some(mask(&["wait_list_promotion_enabled"])),
        wait_list_promotion_enabled: true,
        ..UpdateOrganizationRequest::default()
    };
    let administrator = &scenario.administrator;
    administrator
        .organizations()
        .update_organization(request)
        .await?;
    let request = SetNotificationSettingsRequest {
        organization_id,
        settings: Some(NotificationSettings {
            enabled: true,
            ..NotificationSettings::default()
        }),
        etag: String::new(),
    };
    administrator
        .notifications()
        .set_notification_settings(request)
        .await?;
    Ok(())
}

async fn plan(
    scenario: &Scenario<'_>,
    name: &str,
    trigger: NotificationTrigger,
    hours: i32,
    (subject, text): (&str, &str),
) -> anyhow::Result<()> {
    let request = CreateNotificationPlanRequest {
        request_id: new_id(),
        organization_id: scenario.organization_id.clone(),
        settings: Some(NotificationPlanSettings {
            display_name: name.to_owned(),
            trigger: trigger.into(),
            hours,
            recipients: vec![NotificationRecipient::Student.into()],
            subject: subject.to_owned(),
            text: text.to_owned(),
            ..NotificationPlanSettings::default()
        }),
    };
    let administrator = &scenario.administrator;
    administrator
        .notifications()
        .create_notification_plan(request)
        .await?;
    Ok(())
}

async fn class(scenario: &Scenario<'_>) -> anyhow::Result<(TrainingClass, Handout)> {
    let begins = (SystemClock.now() + BEGINS_IN).duration_trunc(TimeDelta::hours(1))?;
    let request = CreateClassRequest {
        request_id: new_id(),
        organization_id: scenario.organization_id.clone(),
        course_id: "containers-101".to_owned(),
        course_name: "Containers".to_owned(),
        name: "Containers in a day".to_owned(),
        start_time: Some(timestamp(begins)),
        end_time: Some(timestamp(begins + LASTS)),
        time_zone: "Europe/Berlin".to_owned(),
        maximum_students: Some(1),
        event_key: Some(EventKeyChange {
            generated: Some(EventKeyGenerated { grace: None }),
            ..EventKeyChange::default()
        }),
        ..CreateClassRequest::default()
    };
    let administrator = &scenario.administrator;
    let made = administrator.classes().create_class(request).await?;
    let made = made.into_inner();
    let event_key = made.event_key.context("no event key")?;
    let event_key = reveal_event_key(administrator, event_key).await?;
    Ok((made.training_class.context("no class")?, event_key))
}

/// Moves the class so that it is time to remind of it.
async fn bring_forward(scenario: &Scenario<'_>, class: &TrainingClass) -> anyhow::Result<()> {
    // In a moment, for the plan is about what comes after it.
    let soon = SystemClock.now() + TimeDelta::seconds(1);
    let begins = soon.duration_trunc(TimeDelta::seconds(1))? + TimeDelta::hours(REMINDED.into());
    let request = UpdateClassRequest {
        class_id: class.class_id.clone(),
        update_mask: Some(mask(&["start_time", "end_time"])),
        start_time: Some(timestamp(begins)),
        end_time: Some(timestamp(begins + LASTS)),
        ..UpdateClassRequest::default()
    };
    let administrator = &scenario.administrator;
    administrator.classes().update_class(request).await?;
    Ok(())
}

async fn redeem(
    scenario: &Scenario<'_>,
    student_id: &str,
    code: &str,
) -> anyhow::Result<Enrollment> {
    let request = RedeemKeyRequest {
        redemption_id: new_id(),
        code: code.to_owned(),
        student_id: student_id.to_owned(),
        if_full: IfFull::WaitKeepingKey.into(),
    };
    let student = scenario.student(student_id)?;
    let redeemed = student.redemptions().redeem_key(request).await?;
    redeemed.into_inner().enrollment.context("no enrollment")
}

async fn cancel(
    scenario: &Scenario<'_>,
    student_id: &str,
    enrollment_id: &str,
) -> anyhow::Result<()> {
    let request = CancelEnrollmentRequest {
        enrollment_id: enrollment_id.to_owned(),
        reason: "cannot come".to_owned(),
        ..CancelEnrollmentRequest::default()
    };
    let student = scenario.student(student_id)?;
    student.enrollments().cancel_enrollment(request).await?;
    Ok(())
}

async fn enrollment(scenario: &Scenario<'_>, enrollment_id: &str) -> anyhow::Result<Enrollment> {
    let request = GetEnrollmentRequest {
        enrollment_id: enrollment_id.to_owned(),
    };
    let administrator = &scenario.administrator;
    let found = administrator.enrollments().get_enrollment(request).await?;
    found.into_inner().enrollment.context("no enrollment")
}

/// Waits until the mail server has got so many letters for this address.
async fn arrived(server: &MailServer, address: &str, number: usize) -> anyhow::Result<()> {
    let deadline = Instant::now() + ARRIVES_WITHIN;
    while server.received_for(address).len() < number {
        if Instant::now() > deadline {
            bail!("letter {number} to {address} has not come");
        }
        sleep(LOOK).await;
    }
    Ok(())
}

fn mask(paths: &[&str]) -> FieldMask {
    FieldMask {
        paths: paths.iter().map(ToString::to_string).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::expectations::broken_of;

    fn as_it_must_be() -> Telling {
        let class = TrainingClass {
            name: "Containers in a day".to_owned(),
            ..TrainingClass::default()
        };
        let letter = |text: &str| Received {
            to: vec![FORTY[1].email()],
            text: format!("Hello {}, {} {text}", FORTY[1].given, class.name),
        };
        Telling {
            event_key: Handout {
                key_id: String::new(),
                code: "EV-1234".to_owned(),
                masked: "EV-••••".to_owned(),
            },
            leaver: 0,
            waiter: 1,
            statuses: [EnrollmentStatus::WaitListed, EnrollmentStatus::Enrolled],
            letters: vec![letter("it is yours"), letter("EV-1234")],
            class,
        }
    }

    fn broken(act: &Telling) -> Vec<usize> {
        broken_of(&judge(act))
    }

    type Change = fn(&mut Telling);

    #[test]
    fn each_rule_is_judged_by_itself() {
        assert!(broken(&as_it_must_be()).is_empty());
        let changes: [(usize, Change); 5] = [
            (0, |act| act.statuses[0] = EnrollmentStatus::Requested),
            (1, |act| act.statuses[1] = EnrollmentStatus::WaitListed),
            (2, |act| act.letters[0].text.clear()),
            (3, |act| act.letters[1].text.truncate(20)),
            (4, |act| act.letters.push(act.letters[1].clone())),
        ];
        for (rule, change) in changes {
            let mut act = as_it_must_be();
            change(&mut act);
            assert_eq!(broken(&act), [rule]);
        }
    }
}
