//! Rules of what comes after the race, and of what the services say at the end.

use std::collections::BTreeMap;

use latchkey_proto::enrollment::v1::{AccessDenial, EnrollmentStatus, GetAccessResponse};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::KeyState;

use super::super::attempt::{Answer, Attempt};
use super::super::scenario::SEATS;
use super::super::students::{Code, FORTY, REVOKED, Way};
use super::{Story, unless};

/// Whoever registered has an account exactly if they were let in.
pub(super) fn registrations(story: &Story) -> Vec<String> {
    let mut problems = Vec::new();
    for (number, person) in FORTY.iter().enumerate() {
        if person.way != Way::Registers {
            continue;
        }
        let tries = story.race.iter().chain(&story.aftermath.attempts);
        let let_in = tries
            .filter(|attempt| attempt.person == number)
            .find_map(|attempt| match &attempt.answer {
                Answer::In { student_id, .. } => Some(student_id),
                Answer::Refused { .. } | Answer::Unforeseen(_) => None,
            });
        let account = story.records.accounts.get(&number);
        if let_in != account {
            let name = person.name();
            problems.push(match (let_in, account) {
                (_, None) => format!("{name} is in and has no account"),
                (None, _) => format!("{name} was refused and has an account"),
                _ => format!("{name} has another account than the one that is in"),
            });
        }
    }
    problems
}

pub(super) fn windows(story: &Story) -> Vec<String> {
    let end = story.aftermath.class.end_time.as_ref();
    let keys = story.records.keys.values();
    let enrollment = keys.map(|key| (&key.key_id, key.redeemable_until.as_ref()));
    let event = &story.records.event_key;
    let all = enrollment.chain([(&event.key_id, event.redeemable_until.as_ref())]);
    let others = all.filter(|(_, until)| *until != end || until.is_none());
    others
        .map(|(key_id, until)| format!("the key {key_id} is redeemable until {until:?}"))
        .collect()
}

pub(super) fn access(story: &Story) -> Vec<String> {
    let members = story.members();
    let mut problems = Vec::new();
    for (student_id, access) in &story.records.access {
        let right = if members.contains_key(student_id.as_str()) {
            is_from_start_to_expiry(story, access)
        } else {
            !access.allowed && access.denial() == AccessDenial::NotEnrolled
        };
        if !right {
            problems.push(format!("the student {student_id} has {access:?}"));
        }
    }
    let unasked = members
        .keys()
        .filter(|student_id| !story.records.access.contains_key(**student_id));
    problems.extend(unasked.map(|student_id| format!("the student {student_id} has no access")));
    problems
}

/// The class has not begun, so nobody may open it yet, and everybody knows from when to when they may.
fn is_from_start_to_expiry(story: &Story, access: &GetAccessResponse) -> bool {
    let class = &story.aftermath.class;
    !access.allowed
        && access.denial() == AccessDenial::NotStarted
        && access.access_from.is_some()
        && access.access_from == class.start_time
        && access.access_until.is_some()
        && access.access_until == class.access_until
}

pub(super) fn freed_key(story: &Story) -> Vec<String> {
    let new = |attempt: &Attempt| {
        let Answer::In {
            enrollment_id,
            replayed,
            ..
        } = &attempt.answer
        else {
            return false;
        };
        !replayed && *enrollment_id != story.aftermath.left
    };
    match story.aftermath.attempts.first() {
        Some(successor) => unless([successor], new),
        None => vec!["nobody tried".to_owned()],
    }
}

pub(super) fn given_up(story: &Story) -> Vec<String> {
    let leaver = story.aftermath.attempts.get(1);
    match leaver.filter(|attempt| attempt.person == story.aftermath.leaver) {
        Some(leaver) => unless([leaver], |attempt| {
            attempt.reason() == Some(ErrorReason::KeyAlreadyRedeemed)
        }),
        None => vec!["nobody tried".to_owned()],
    }
}

pub(super) fn roster(story: &Story) -> Vec<String> {
    let roster = &story.records.roster;
    let mut problems = Vec::new();
    let mut expect = |what: &str, is: i32, should: i32| {
        if is != should {
            problems.push(format!("{what}: {is} instead of {should}"));
        }
    };
    expect("maximum", roster.maximum_students, SEATS);
    expect("seats taken", roster.seats_taken, SEATS);
    expect("seats left", roster.seats_left, 0);
    for (status, should) in [
        (EnrollmentStatus::Enrolled, SEATS),
        (EnrollmentStatus::Cancelled, 1),
    ] {
        let counted = roster
            .counts
            .iter()
            .filter(|count| count.status() == status);
        let is = counted.map(|count| count.count).sum();
        expect(status.as_str_name(), is, should);
    }
    let mut shown = BTreeMap::new();
    for entry in &roster.entries {
        let student_id = entry.student.as_ref().map(|student| &student.student_id);
        let Some((enrollment, student_id)) = entry.enrollment.as_ref().zip(student_id) else {
            problems.push("an entry without enrollment or student".to_owned());
            continue;
        };
        let origin = enrollment.origin.clone().unwrap_or_default();
        if enrollment.status() == EnrollmentStatus::Enrolled {
            shown.insert(student_id.as_str(), (origin.key_id, origin.generation));
        }
    }
    let members = story.members();
    let should: BTreeMap<&str, (String, i32)> = members
        .iter()
        .map(|(student, code)| (*student, (story.key_id(*code).to_owned(), 1)))
        .collect();
    problems.extend(difference(&shown, &should));
    problems
}

pub(super) fn uses(story: &Story) -> Vec<String> {
    let mut should = BTreeMap::new();
    let mut by_event = 0;
    for (student_id, code) in story.members() {
        match code {
            Code::Event => by_event += 1,
            Code::Enrollment(number) => {
                should.insert(story.key_ids[number].as_str(), student_id.to_owned());
            }
        }
    }
    let keys = &story.records.keys;
    let used = keys
        .values()
        .flat_map(|key| key.uses.iter().map(|one| (key.key_id.as_str(), one)));
    let shown: BTreeMap<&str, String> = used
        .map(|(key_id, one)| (key_id, one.student_id.clone()))
        .collect();
    let mut problems = difference(&shown, &should);
    let event = story.records.event_key.use_count;
    if event != by_event {
        problems.push(format!(
            "the event key shows {event} uses instead of {by_event}"
        ));
    }
    problems
}

pub(super) fn key_states(story: &Story) -> Vec<String> {
    let in_state = |state: KeyState| {
        let keys = story.records.keys.values();
        keys.filter(|key| key.state() == state).count()
    };
    let codes = story.members().into_values();
    let redeemed = codes.filter(|code| *code != Code::Event).count();
    let all = story.key_ids.len();
    let mut problems = Vec::new();
    for (state, should) in [
        (KeyState::Redeemed, redeemed),
        (KeyState::Revoked, 1),
        (KeyState::Expired, 0),
        (KeyState::Available, all.saturating_sub(redeemed + 1)),
    ] {
        let is = in_state(state);
        if is != should {
            problems.push(format!("{is} keys instead of {should} are {state:?}"));
        }
    }
    let revoked = story.records.keys.get(&story.key_ids[REVOKED]);
    if revoked.is_none_or(|key| key.state() != KeyState::Revoked) {
        problems.push("the revoked key is not shown as revoked".to_owned());
    }
    problems
}

/// What is shown and should not be, and the other way round.
fn difference<V: PartialEq + std::fmt::Debug>(
    shown: &BTreeMap<&str, V>,
    should: &BTreeMap<&str, V>,
) -> Vec<String> {
    let wrong = shown
        .iter()
        .filter(|(id, value)| should.get(*id) != Some(value))
        .map(|(id, value)| format!("{id} is shown with {value:?}"));
    let missing = should
        .iter()
        .filter(|(id, _)| !shown.contains_key(*id))
        .map(|(id, value)| format!("{id} is not shown with {value:?}"));
    wrong.chain(missing).collect()
}
