//! Rules of the race.

use std::collections::{BTreeMap, BTreeSet};

use latchkey_proto::enrollment::v1::{Redemption, RedemptionOutcome};
use latchkey_proto::errors::v1::ErrorReason;

use super::super::attempt::{Answer, Attempt, Spelling};
use super::super::scenario::SEATS;
use super::super::students::{Code, FORTY, Habit, REVOKED};
use super::{Story, described, unless};

/// Tries with a well-typed code.
fn typed_right(story: &Story) -> impl Iterator<Item = &Attempt> {
    story
        .race
        .iter()
        .filter(|attempt| attempt.spelling != Spelling::Mistyped)
}

/// How many of the forty were given this code.
fn holders(code: Code) -> usize {
    FORTY.iter().filter(|person| person.code == code).count()
}

fn is_shared(code: Code) -> bool {
    code != Code::Event && holders(code) > 1
}

/// The tries of each person with this habit, in order.
fn of_habit(story: &Story, habit: Habit) -> BTreeMap<usize, Vec<&Attempt>> {
    let mut tries: BTreeMap<usize, Vec<&Attempt>> = BTreeMap::new();
    for attempt in &story.race {
        if FORTY[attempt.person].habit == habit {
            tries.entry(attempt.person).or_default().push(attempt);
        }
    }
    tries
}

pub(super) fn typing_errors(story: &Story) -> Vec<String> {
    let mistyped = || {
        story
            .race
            .iter()
            .filter(|attempt| attempt.spelling == Spelling::Mistyped)
    };
    let mut problems = unless(mistyped(), |attempt| {
        attempt.reason() == Some(ErrorReason::KeyMalformed)
    });
    let traces = mistyped().filter(|attempt| {
        story
            .records
            .redemptions
            .contains_key(&attempt.redemption_id)
    });
    problems.extend(
        traces.map(|attempt| format!("the typing error of {} is recorded", described(attempt))),
    );
    problems
}

pub(super) fn spelling(story: &Story) -> Vec<String> {
    let unknown = [ErrorReason::KeyMalformed, ErrorReason::KeyNotFound].map(Some);
    unless(typed_right(story), |attempt| {
        !unknown.contains(&attempt.reason())
    })
}

pub(super) fn revoked_key(story: &Story) -> Vec<String> {
    let tries = typed_right(story).filter(|attempt| attempt.code == Code::Enrollment(REVOKED));
    unless(tries, |attempt| {
        attempt.reason() == Some(ErrorReason::KeyRevoked)
    })
}

pub(super) fn own_keys(story: &Story) -> Vec<String> {
    let own = |code: Code| {
        code == Code::Event || (holders(code) == 1 && code != Code::Enrollment(REVOKED))
    };
    let tries = typed_right(story).filter(|attempt| own(attempt.code));
    unless(tries, |attempt| {
        attempt.is_in() || attempt.reason() == Some(ErrorReason::ClassFull)
    })
}

/// Of those who share a key one is in and the others find it used, or all came too late.
pub(super) fn shared_keys(story: &Story) -> Vec<String> {
    let mut by_code: BTreeMap<&str, Vec<&Attempt>> = BTreeMap::new();
    for attempt in typed_right(story).filter(|attempt| is_shared(attempt.code)) {
        by_code
            .entry(story.key_id(attempt.code))
            .or_default()
            .push(attempt);
    }
    let mut problems = Vec::new();
    for (key_id, tries) in by_code {
        let let_in = tries.iter().filter(|attempt| attempt.is_in()).count();
        let rest = match let_in {
            0 => ErrorReason::ClassFull,
            1 => ErrorReason::KeyAlreadyRedeemed,
            more => {
                problems.push(format!("the key {key_id} let in {more} students"));
                continue;
            }
        };
        problems.extend(unless(tries, |attempt| {
            attempt.is_in() || attempt.reason() == Some(rest)
        }));
    }
    problems
}

pub(super) fn seats(story: &Story) -> Vec<String> {
    let students: BTreeSet<&str> = story
        .race
        .iter()
        .filter_map(|attempt| match &attempt.answer {
            Answer::In { student_id, .. } => Some(student_id.as_str()),
            Answer::Refused { .. } | Answer::Unforeseen(_) => None,
        })
        .collect();
    if i32::try_from(students.len()) == Ok(SEATS) {
        Vec::new()
    } else {
        vec![format!(
            "{} students were told that they are in",
            students.len()
        )]
    }
}

/// During the race nobody left: once it was full it stayed full.
pub(super) fn full_when_full(story: &Story) -> Vec<String> {
    let decided = |attempt: &Attempt| {
        let redemption = story.records.redemptions.get(&attempt.redemption_id)?;
        let time = redemption.decide_time.as_ref()?;
        Some((time.seconds, time.nanos))
    };
    let of_enrolled = story.race.iter().filter(|attempt| {
        let redemption = story.records.redemptions.get(&attempt.redemption_id);
        redemption.is_some_and(|redemption| redemption.outcome() == RedemptionOutcome::Enrolled)
    });
    let last_in = of_enrolled.filter_map(decided).max();
    let full = story
        .race
        .iter()
        .filter(|attempt| attempt.reason() == Some(ErrorReason::ClassFull));
    unless(full, |attempt| {
        let decided = decided(attempt);
        decided.is_some() && decided >= last_in
    })
}

pub(super) fn sent_twice(story: &Story) -> Vec<String> {
    let mut problems = Vec::new();
    for (person, tries) in of_habit(story, Habit::PressesTwice) {
        let fits = match tries.as_slice() {
            [first, second] => match (&first.answer, &second.answer) {
                (
                    Answer::In {
                        enrollment_id: first_id,
                        replayed: first_replayed,
                        ..
                    },
                    Answer::In {
                        enrollment_id: second_id,
                        replayed: second_replayed,
                        ..
                    },
                ) => first_id == second_id && first_replayed != second_replayed,
                _ => first.reason().is_some() && first.reason() == second.reason(),
            },
            _ => false,
        };
        if !fits {
            let answers: Vec<String> = tries.into_iter().map(described).collect();
            let name = FORTY[person].name();
            problems.push(format!("two answers to {name}: {}", answers.join(", ")));
        }
    }
    problems
}

pub(super) fn come_again(story: &Story) -> Vec<String> {
    let mut problems = Vec::new();
    for (person, tries) in of_habit(story, Habit::ComesAgain) {
        let fits = match tries.as_slice() {
            [first, second] => match (&first.answer, &second.answer) {
                (
                    Answer::In {
                        enrollment_id: one,
                        already_in: false,
                        ..
                    },
                    Answer::In {
                        enrollment_id: other,
                        replayed: true,
                        already_in: true,
                        ..
                    },
                ) => one == other,
                _ => first.reason().is_some() && first.reason() == second.reason(),
            },
            _ => false,
        };
        if !fits {
            let answers: Vec<String> = tries.into_iter().map(described).collect();
            let name = FORTY[person].name();
            problems.push(format!("{name} came again: {}", answers.join(", ")));
        }
    }
    problems
}

/// One row for each decision and no other.
pub(super) fn recorded(story: &Story) -> Vec<String> {
    let mut problems = Vec::new();
    let mut decisions = BTreeSet::new();
    for attempt in story.race.iter().chain(&story.aftermath.attempts) {
        if attempt.reason() == Some(ErrorReason::KeyMalformed) {
            continue;
        }
        decisions.insert(attempt.redemption_id.as_str());
        match story.records.redemptions.get(&attempt.redemption_id) {
            Some(redemption) if is_of(redemption, &attempt.answer) => {}
            Some(redemption) => problems.push(format!(
                "{}, and recorded is {:?} {:?}",
                described(attempt),
                redemption.outcome(),
                redemption.reason()
            )),
            None => problems.push(format!("{}, and nothing is recorded", described(attempt))),
        }
    }
    let others = story.records.redemptions.keys();
    let others = others.filter(|id| !decisions.contains(id.as_str()));
    problems.extend(others.map(|id| format!("the redemption {id} is nobody's")));
    problems
}

fn is_of(redemption: &Redemption, answer: &Answer) -> bool {
    let outcome = redemption.outcome();
    match answer {
        Answer::In {
            already_in,
            enrollment_id,
            student_id,
            ..
        } => {
            let expected = if *already_in {
                RedemptionOutcome::AlreadyIn
            } else {
                RedemptionOutcome::Enrolled
            };
            outcome == expected
                && redemption.enrollment_id == *enrollment_id
                && redemption.student_id == *student_id
        }
        Answer::Refused { reason, .. } => {
            outcome == RedemptionOutcome::Refused && redemption.reason() == *reason
        }
        Answer::Unforeseen(_) => false,
    }
}
