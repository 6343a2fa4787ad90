//! Every rule holds for a story as it should be, and is named when it is broken.

use latchkey_proto::enrollment::v1::{
    AccessDenial, CancelledBy, Enrollment, EnrollmentOrigin, EnrollmentStatus, GetAccessResponse,
    GetRosterResponse, Redemption, RedemptionOutcome, RosterEntry, StatusCount, Student,
    TrainingClass,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::{EventKey, KeyState, KeyUse, TrainingKey};
use prost_types::Timestamp;

use super::super::attempt::Spelling;
use super::super::scenario::SEATS;
use super::super::students::{Habit, REVOKED, Way};
use super::*;

const LEAVER: usize = 0;

/// The services as the rules have them, one try after the other.
#[derive(Default)]
struct Model {
    members: BTreeMap<usize, (String, Code)>,
    redemptions: BTreeMap<String, Redemption>,
    time: i64,
}

impl Model {
    fn answer(&mut self, person: usize, code: Code, spelling: Spelling, id: &str) -> Attempt {
        Attempt {
            person,
            code,
            spelling,
            redemption_id: id.to_owned(),
            answer: self.decide(person, code, spelling, id),
        }
    }

    fn decide(&mut self, person: usize, code: Code, spelling: Spelling, id: &str) -> Answer {
        let student_id = student(person);
        let is_in = |enrollment_id: &str, replayed, already_in| Answer::In {
            enrollment_id: enrollment_id.to_owned(),
            student_id: student(person),
            replayed,
            already_in,
        };
        let refused = |reason| Answer::Refused {
            reason,
            text: String::new(),
        };
        if spelling == Spelling::Mistyped {
            return refused(ErrorReason::KeyMalformed);
        }
        if let Some(known) = self.redemptions.get(id) {
            return match known.outcome() {
                RedemptionOutcome::Enrolled => is_in(id, true, false),
                _ => refused(known.reason()),
            };
        }
        self.time += 1;
        let mut redemption = Redemption {
            redemption_id: id.to_owned(),
            decide_time: at(self.time),
            ..Redemption::default()
        };
        let answer = if let Some((enrollment_id, _)) = self.members.get(&person) {
            redemption.set_outcome(RedemptionOutcome::AlreadyIn);
            is_in(enrollment_id, true, true)
        } else if let Some(reason) = self.refusal(code) {
            redemption.set_outcome(RedemptionOutcome::Refused);
            redemption.set_reason(reason);
            refused(reason)
        } else {
            self.members.insert(person, (id.to_owned(), code));
            redemption.set_outcome(RedemptionOutcome::Enrolled);
            is_in(id, false, false)
        };
        if let Answer::In { enrollment_id, .. } = &answer {
            redemption.enrollment_id.clone_from(enrollment_id);
            redemption.student_id = student_id;
        }
        self.redemptions.insert(id.to_owned(), redemption);
        answer
    }

    fn refusal(&self, code: Code) -> Option<ErrorReason> {
        let used = self.members.values().any(|(_, other)| *other == code);
        if code == Code::Enrollment(REVOKED) {
            Some(ErrorReason::KeyRevoked)
        } else if code != Code::Event && used {
            Some(ErrorReason::KeyAlreadyRedeemed)
        } else if i32::try_from(self.members.len()) == Ok(SEATS) {
            Some(ErrorReason::ClassFull)
        } else {
            None
        }
    }
}

fn student(person: usize) -> String {
    format!("student-{person:02}")
}

fn key(number: usize) -> String {
    format!("key-{number:02}")
}

#[expect(clippy::unnecessary_wraps, reason = "message fields are optional")]
fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

fn story() -> Story {
    let mut model = Model::default();
    let mut race = Vec::new();
    for (number, person) in FORTY.iter().enumerate() {
        let (first, second) = (format!("{number:02}-1"), format!("{number:02}-2"));
        let tries = match person.habit {
            Habit::Plain => vec![(Spelling::Printed, &first)],
            Habit::Sloppy => vec![(Spelling::Sloppy, &first)],
            Habit::Mistypes => vec![(Spelling::Mistyped, &first), (Spelling::Printed, &second)],
            Habit::PressesTwice => vec![(Spelling::Printed, &first), (Spelling::Printed, &first)],
            Habit::ComesAgain => vec![(Spelling::Printed, &first), (Spelling::Printed, &second)],
        };
        for (spelling, id) in tries {
            race.push(model.answer(number, person.code, spelling, id));
        }
    }
    let (left, code) = model.members.remove(&LEAVER).expect("the first one is in");
    let late = race
        .iter()
        .find(|attempt| attempt.reason() == Some(ErrorReason::ClassFull));
    let successor = late.expect("the class is full").person;
    let printed = Spelling::Printed;
    let attempts = vec![
        model.answer(successor, code, printed, "successor"),
        model.answer(LEAVER, code, printed, "leaver"),
    ];
    let aftermath = Aftermath {
        class: TrainingClass {
            start_time: at(1_000),
            end_time: at(2_000),
            access_until: at(3_000),
            ..TrainingClass::default()
        },
        leaver: LEAVER,
        left,
        attempts,
    };
    Story {
        key_ids: (0..30).map(key).collect(),
        event_key_id: "event".to_owned(),
        race,
        records: records(&model, &aftermath),
        aftermath,
    }
}

fn records(model: &Model, aftermath: &Aftermath) -> Records {
    let mut entries = vec![entry(LEAVER, &aftermath.left, &key(0), true)];
    let mut access = BTreeMap::from([(
        student(LEAVER),
        GetAccessResponse {
            denial: AccessDenial::NotEnrolled.into(),
            ..GetAccessResponse::default()
        },
    )]);
    let mut keys: BTreeMap<String, TrainingKey> = (0..30).map(|n| (key(n), unused(n))).collect();
    for (person, (enrollment_id, code)) in &model.members {
        let key_id = match code {
            Code::Event => "event".to_owned(),
            Code::Enrollment(number) => {
                let used = keys.get_mut(&key(*number)).expect("one of the keys");
                used.set_state(KeyState::Redeemed);
                used.uses.push(KeyUse {
                    student_id: student(*person),
                    ..KeyUse::default()
                });
                key(*number)
            }
        };
        entries.push(entry(*person, enrollment_id, &key_id, false));
        let granted = GetAccessResponse {
            denial: AccessDenial::NotStarted.into(),
            access_from: at(1_000),
            access_until: at(3_000),
            ..GetAccessResponse::default()
        };
        access.insert(student(*person), granted);
    }
    let by_event = model.members.values();
    let by_event = by_event.filter(|(_, code)| *code == Code::Event).count();
    let has_account =
        |person: &usize| FORTY[*person].way == Way::Account || model.members.contains_key(person);
    let accounts = (0..FORTY.len()).filter(has_account);
    Records {
        roster: GetRosterResponse {
            maximum_students: SEATS,
            seats_taken: SEATS,
            counts: vec![
                count(EnrollmentStatus::Enrolled, SEATS),
                count(EnrollmentStatus::Cancelled, 1),
            ],
            entries,
            ..GetRosterResponse::default()
        },
        keys,
        event_key: EventKey {
            redeemable_until: at(2_000),
            use_count: i32::try_from(by_event).expect("a few"),
            ..EventKey::default()
        },
        redemptions: model.redemptions.clone(),
        accounts: accounts.map(|person| (person, student(person))).collect(),
        access,
    }
}

fn unused(number: usize) -> TrainingKey {
    let state = if number == REVOKED {
        KeyState::Revoked
    } else {
        KeyState::Available
    };
    TrainingKey {
        key_id: key(number),
        state: state.into(),
        redeemable_until: at(2_000),
        ..TrainingKey::default()
    }
}

fn count(status: EnrollmentStatus, count: i32) -> StatusCount {
    StatusCount {
        status: status.into(),
        count,
    }
}

fn entry(person: usize, enrollment_id: &str, key_id: &str, cancelled: bool) -> RosterEntry {
    let (status, cancelled_by) = if cancelled {
        (EnrollmentStatus::Cancelled, CancelledBy::Student)
    } else {
        (EnrollmentStatus::Enrolled, CancelledBy::Unspecified)
    };
    RosterEntry {
        enrollment: Some(Enrollment {
            enrollment_id: enrollment_id.to_owned(),
            student_id: student(person),
            status: status.into(),
            cancelled_by: cancelled_by.into(),
            origin: Some(EnrollmentOrigin {
                key_id: key_id.to_owned(),
                generation: 1,
                ..EnrollmentOrigin::default()
            }),
            ..Enrollment::default()
        }),
        student: Some(Student {
            student_id: student(person),
            ..Student::default()
        }),
    }
}

/// The first try of the race for which `which` holds.
fn first(story: &mut Story, which: impl Fn(&Attempt) -> bool) -> &mut Attempt {
    let mut tries = story.race.iter_mut();
    tries.find(|attempt| which(attempt)).expect("there is one")
}

fn refuse(attempt: &mut Attempt, reason: ErrorReason) {
    attempt.answer = Answer::Refused {
        reason,
        text: String::new(),
    };
}

fn let_in(attempt: &mut Attempt) {
    attempt.answer = Answer::In {
        enrollment_id: "another".to_owned(),
        student_id: student(attempt.person),
        replayed: false,
        already_in: false,
    };
}

type Break = fn(&mut Story);

/// For each rule something that breaks it.
const BREAKS: [(&str, Break); 18] = [
    ("a typing error is", |story| {
        let_in(first(story, |one| one.spelling == Spelling::Mistyped));
    }),
    ("spelling does not", |story| {
        let sloppy = first(story, |one| one.spelling == Spelling::Sloppy);
        refuse(sloppy, ErrorReason::KeyMalformed);
    }),
    ("a revoked key", |story| {
        let_in(first(story, |one| one.code == Code::Enrollment(REVOKED)));
    }),
    ("a key of one's own", |story| {
        let own = first(story, |one| one.code == Code::Enrollment(2));
        refuse(own, ErrorReason::KeyAlreadyRedeemed);
    }),
    ("an enrollment key lets", |story| {
        let second = |one: &Attempt| one.reason() == Some(ErrorReason::KeyAlreadyRedeemed);
        let_in(first(story, second));
    }),
    ("exactly 30", |story| {
        let late = |one: &Attempt| one.reason() == Some(ErrorReason::ClassFull);
        let_in(first(story, late));
    }),
    ("nobody is told CLASS_FULL", |story| {
        let late = |one: &Attempt| one.reason() == Some(ErrorReason::ClassFull);
        let id = first(story, late).redemption_id.clone();
        let redemption = story.records.redemptions.get_mut(&id).expect("recorded");
        redemption.decide_time = at(0);
    }),
    ("the same redemption", |story| {
        let twice = |one: &Attempt| FORTY[one.person].habit == Habit::PressesTwice;
        refuse(first(story, twice), ErrorReason::ClassFull);
    }),
    ("whoever comes again", |story| {
        let again = |one: &Attempt| {
            matches!(
                one.answer,
                Answer::In {
                    already_in: true,
                    ..
                }
            )
        };
        let_in(first(story, again));
    }),
    ("every decision", |story| {
        let mut ids = story.records.redemptions.keys().cloned();
        let id = ids.next().expect("there are some");
        drop(ids);
        story.records.redemptions.remove(&id);
    }),
    ("account and enrollment", |story| {
        let refused = FORTY.len() - 1;
        story.records.accounts.insert(refused, student(refused));
    }),
    ("moving the class", |story| {
        story.records.event_key.redeemable_until = at(1_999);
    }),
    ("and everyone's access", |story| {
        let mut all = story.records.access.values_mut();
        all.next_back().expect("somebody").access_until = at(2_999);
    }),
    ("a cancellation frees", |story| {
        refuse(&mut story.aftermath.attempts[0], ErrorReason::ClassFull);
    }),
    ("who gave a key up", |story| {
        let_in(&mut story.aftermath.attempts[1]);
    }),
    ("the roster shows", |story| {
        story.records.roster.entries.pop();
    }),
    ("the keys show", |story| {
        let used = story.records.keys.get_mut(&key(1)).expect("a key");
        used.uses[0].student_id = student(39);
    }),
    ("30 keys =", |story| {
        let spare = story.records.keys.get_mut(&key(29)).expect("a key");
        spare.set_state(KeyState::Expired);
    }),
];

fn broken(story: &Story) -> Vec<&'static str> {
    let verdicts = judge(story).into_iter();
    let broken = verdicts.filter(|verdict| !verdict.problems.is_empty());
    broken.map(|verdict| verdict.rule).collect()
}

#[test]
fn a_story_as_it_should_be_breaks_no_rule() {
    let verdicts = judge(&story());
    let problems: Vec<&Verdict> = verdicts
        .iter()
        .filter(|verdict| !verdict.problems.is_empty())
        .collect();
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn a_broken_rule_is_named() {
    for ((rule, _), (name, break_it)) in RULES.iter().zip(BREAKS) {
        assert!(rule.starts_with(name), "`{name}` is to break `{rule}`");
        let mut story = story();
        break_it(&mut story);
        let broken = broken(&story);
        assert!(broken.contains(rule), "`{rule}` is not among {broken:?}");
    }
}

#[test]
fn an_answer_that_no_rule_foresees_breaks_one() {
    for number in 0..story().race.len() {
        let mut story = story();
        story.race[number].answer = Answer::Unforeseen("what?".to_owned());
        assert!(!broken(&story).is_empty(), "try {number}");
    }
}
