//! After the race: the class moves, one student cancels, and another takes the freed key.

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use latchkey_proto::enrollment::v1::{CancelEnrollmentRequest, TrainingClass, UpdateClassRequest};
use latchkey_proto::errors::v1::ErrorReason;
use prost_types::FieldMask;

use super::attempt::{Answer, Attempt, Spelling};
use super::race::attempt;
use super::scenario::{Scenario, new_id, time, timestamp};
use super::students::{Code, FORTY, Habit, Way};

/// How far the class is moved.
const MOVED_BY: TimeDelta = TimeDelta::days(7);

/// What happened after the race.
#[derive(Debug, Clone)]
pub(super) struct Aftermath {
    /// The class with its new dates.
    pub(super) class: TrainingClass,
    /// Who cancelled.
    pub(super) leaver: usize,
    /// The enrollment that was cancelled.
    pub(super) left: String,
    /// The tries after that: of the successor with the freed key, then of the leaver with the same key.
    pub(super) attempts: Vec<Attempt>,
}

/// Moves the class, lets one student cancel, another take the freed key, and the first come back for it.
pub(super) async fn run(scenario: &Scenario<'_>, race: &[Attempt]) -> anyhow::Result<Aftermath> {
    let class = moved(scenario).await.context("cannot move the class")?;
    let (leaver, left, code) =
        leaver(race).context("nobody with an account got in by a key of their own")?;
    let successor = successor(race).context("nobody was told that the class is full")?;
    cancel(scenario, leaver, &left)
        .await
        .context("the student cannot cancel")?;
    let mut attempts = Vec::new();
    for person in [successor, leaver] {
        let spelling = Spelling::Printed;
        attempts.push(attempt(scenario, person, code, spelling, new_id()).await?);
    }
    Ok(Aftermath {
        class,
        leaver,
        left,
        attempts,
    })
}

/// Somebody with an account who got in by an enrollment key, in one simple step; the enrollment and the key.
fn leaver(race: &[Attempt]) -> Option<(usize, String, Code)> {
    race.iter().find_map(|attempt| {
        let person = &FORTY[attempt.person];
        let simple = person.way == Way::Account && person.habit == Habit::Plain;
        match (&attempt.answer, person.code) {
            (Answer::In { enrollment_id, .. }, Code::Enrollment(_)) if simple => {
                Some((attempt.person, enrollment_id.clone(), person.code))
            }
            _ => None,
        }
    })
}

/// Somebody who came too late, with an account if there is one.
fn successor(race: &[Attempt]) -> Option<usize> {
    let late = race
        .iter()
        .filter(|attempt| attempt.reason() == Some(ErrorReason::ClassFull));
    late.map(|attempt| attempt.person)
        .min_by_key(|person| FORTY[*person].way != Way::Account)
}

async fn moved(scenario: &Scenario<'_>) -> anyhow::Result<TrainingClass> {
    let class = &scenario.class;
    let later = |old: DateTime<Utc>| Some(timestamp(old + MOVED_BY));
    let request = UpdateClassRequest {
        class_id: class.class_id.clone(),
        update_mask: Some(FieldMask {
            paths: vec!["start_time".to_owned(), "end_time".to_owned()],
        }),
        start_time: later(time(class.start_time.as_ref())?),
        end_time: later(time(class.end_time.as_ref())?),
        ..UpdateClassRequest::default()
    };
    let updated = scenario
        .administrator
        .classes()
        .update_class(request)
        .await?;
    updated.into_inner().training_class.context("no class")
}

async fn cancel(scenario: &Scenario<'_>, person: usize, enrollment: &str) -> anyhow::Result<()> {
    let student = scenario.student(&scenario.accounts[&person])?;
    let request = CancelEnrollmentRequest {
        enrollment_id: enrollment.to_owned(),
        reason: "cannot come".to_owned(),
        ..CancelEnrollmentRequest::default()
    };
    student.enrollments().cancel_enrollment(request).await?;
    Ok(())
}
