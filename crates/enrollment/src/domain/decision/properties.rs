//! Random sequences of wishes, decided in random batches, against a model that decides each by itself.
//!
//! Between batches the world changes too (students leave or go back to the wait list, keys are revoked, the maximum is
//! raised or lowered), as it does when others lock the class in between.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::domain::class::tests::class;
use crate::domain::key::KeyKind;

const ORGANIZATION: Uuid = Uuid::from_u128(2);
const STUDENTS: u128 = 6;
const KEYS: u128 = 4;

/// One thing that happens.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// A student redeems a key: number of the redemption, student, key, and what is wished for when the class is full. Key 0
    /// is the event key.
    Redeem(u128, u128, u128, IfFull),
    /// A student leaves the class, or the wait list.
    Leave(u128),
    /// Staff put a student who is in on the wait list; the key stays the student's.
    Wait(u128),
    /// A key is revoked.
    Revoke(u128),
    /// The maximum students becomes this, if it is not below the seats taken.
    Resize(usize),
    /// What was gathered so far is decided: a batch ends.
    Commit,
}

fn event() -> impl Strategy<Value = Event> {
    let if_full = select(vec![
        IfFull::Refuse,
        IfFull::Refuse,
        IfFull::WaitWithKey,
        IfFull::WaitWithoutKey,
    ]);
    let redeem = (0..40_u128, 0..STUDENTS, 0..KEYS, if_full);
    prop_oneof![
        12 => redeem.prop_map(|(id, student, key, if_full)| Event::Redeem(id, student, key, if_full)),
        2 => (0..STUDENTS).prop_map(Event::Leave),
        2 => (0..STUDENTS).prop_map(Event::Wait),
        1 => (0..KEYS).prop_map(Event::Revoke),
        1 => (1..5_usize).prop_map(Event::Resize),
        4 => Just(Event::Commit),
    ]
}

/// What a redemption came to, in the model.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    In(u128),
    Waits(u128),
    AlreadyIn(u128),
    Reused,
    No(&'static str),
}

/// A wish: by whom, of which key, and what for when the class is full.
type Asked = (u128, u128, IfFull);

/// A redemption that was decided: what was asked, and how.
type Past = (Asked, Answer);

/// The world as one reads the rules, without batches.
#[derive(Debug, Default)]
struct Model {
    maximum: usize,
    /// Who is in, by which redemption, with which key.
    places: HashMap<u128, (u128, u128)>,
    /// Likewise who waits.
    waiting: HashMap<u128, (u128, u128)>,
    revoked: HashSet<u128>,
    past: HashMap<u128, Past>,
}

impl Model {
    fn redeem(&mut self, id: u128, asked: Asked) -> Answer {
        if let Some((earlier, answer)) = self.past.get(&id) {
            let same = *earlier == asked;
            return if same { answer.clone() } else { Answer::Reused };
        }
        let (student, key, if_full) = asked;
        let others = self.waiting.iter().filter(|(one, _)| **one != student);
        let held = self
            .places
            .iter()
            .chain(others)
            .any(|(_, place)| place.1 == key);
        let full = self.places.len() >= self.maximum;
        let answer = if let Some((by, _)) = self.places.get(&student) {
            Answer::AlreadyIn(*by)
        } else if self.revoked.contains(&key) {
            Answer::No("KEY_REVOKED")
        } else if key != 0 && held {
            Answer::No("KEY_ALREADY_REDEEMED")
        } else if full && if_full == IfFull::Refuse {
            Answer::No("CLASS_FULL")
        } else if let Some((by, _)) = self.waiting.get(&student).filter(|_| full) {
            Answer::AlreadyIn(*by)
        } else if full {
            // Who gives the key back holds no more than who came by the event key.
            let held = if if_full == IfFull::WaitWithKey {
                key
            } else {
                0
            };
            self.waiting.insert(student, (id, held));
            Answer::Waits(id)
        } else {
            self.waiting.remove(&student);
            self.places.insert(student, (id, key));
            Answer::In(id)
        };
        self.past.insert(id, (asked, answer.clone()));
        answer
    }
}

fn number(id: Uuid, base: u128) -> u128 {
    id.as_u128() - base
}

fn resolved(model: &Model, key: u128) -> ResolvedKey {
    ResolvedKey {
        key_id: Uuid::from_u128(3_000 + key),
        organization_id: ORGANIZATION,
        opens: Opens::Class {
            class_id: class().id,
            kind: if key == 0 {
                KeyKind::Event
            } else {
                KeyKind::Enrollment
            },
        },
        generation: 1,
        code_valid_until: None,
        revoked: model.revoked.contains(&key),
        live_use: None,
    }
}

/// What a fresh reading of the database would show.
fn ledger(model: &Model) -> Ledger {
    let mut class = class();
    class.maximum_students = i32::try_from(model.maximum).unwrap();
    class.seats_taken = i32::try_from(model.places.len()).unwrap();
    let place = |student: u128| (class.id, Uuid::from_u128(1_000 + student));
    let recorded = |(id, (asked, answer)): (&u128, &Past)| {
        let outcome = match answer {
            Answer::In(_) => Outcome::Enrolled,
            Answer::Waits(_) => Outcome::WaitListed,
            Answer::AlreadyIn(by) => Outcome::AlreadyIn {
                enrollment_id: Uuid::from_u128(2_000 + by),
            },
            // Which one does not matter here: it is repeated, not made.
            _ => Outcome::Refused(Refusal::OrganizationMismatch),
        };
        let fingerprint = fingerprint(*asked);
        let recorded = Recorded {
            fingerprint,
            outcome,
        };
        (Uuid::from_u128(2_000 + id), recorded)
    };
    Ledger {
        now: class.starts_at,
        recorded: model.past.iter().map(recorded).collect(),
        students: (0..STUDENTS)
            .map(|student| {
                let account = Account {
                    organization_id: ORGANIZATION,
                    ancestors: Vec::new(),
                    active: true,
                };
                (Uuid::from_u128(1_000 + student), account)
            })
            .collect(),
        live: places(model)
            .map(|(student, (by, _), waiting)| {
                let enrollment_id = Uuid::from_u128(2_000 + by);
                let live = Live {
                    enrollment_id,
                    waiting,
                };
                (place(*student), live)
            })
            .collect(),
        keys_in_use: places(model)
            .filter(|(_, (_, key), _)| *key != 0)
            .map(|(_, (by, key), _)| (Uuid::from_u128(3_000 + key), Uuid::from_u128(2_000 + by)))
            .collect(),
        classes: [(class.id, class)].into(),
        ..Ledger::default()
    }
}

/// Who is in or waits, by what; and whether they wait.
fn places(model: &Model) -> impl Iterator<Item = (&u128, &(u128, u128), bool)> {
    let seated = model
        .places
        .iter()
        .map(|(student, by)| (student, by, false));
    let waiting = model
        .waiting
        .iter()
        .map(|(student, by)| (student, by, true));
    seated.chain(waiting)
}

fn fingerprint(asked: Asked) -> Vec<u8> {
    format!("{asked:?}").into_bytes()
}

fn answer(id: u128, decision: &Decision, before: &HashMap<u128, Past>) -> Answer {
    match decision {
        Decision::Enroll(admission) => {
            let id = number(admission.enrollment.id, 2_000);
            if admission.enrollment.status.is_waiting() {
                Answer::Waits(id)
            } else {
                Answer::In(id)
            }
        }
        Decision::Repeat(Outcome::Enrolled) => Answer::In(id),
        Decision::AlreadyIn(enrollment_id)
        | Decision::Repeat(Outcome::AlreadyIn { enrollment_id }) => {
            Answer::AlreadyIn(number(*enrollment_id, 2_000))
        }
        Decision::Repeat(Outcome::Refused(refusal)) => match before.get(&id) {
            Some((_, answer)) => answer.clone(),
            None => Answer::No(refusal.reason()),
        },
        Decision::Refuse(Refusal::RequestIdReused { .. }) => Answer::Reused,
        Decision::Refuse(refusal) => Answer::No(refusal.reason()),
        Decision::Repeat(Outcome::WaitListed) => Answer::Waits(id),
        Decision::HashFirst => panic!("there is no password"),
        Decision::Assign { .. }
        | Decision::AlreadyAssigned(_)
        | Decision::Repeat(Outcome::Assigned | Outcome::AlreadyAssigned { .. }) => {
            panic!("nothing is assigned")
        }
    }
}

/// Decides the gathered redemptions as one batch, and holds each answer against the model's.
fn commit(model: &mut Model, gathered: &mut Vec<(u128, Asked)>) -> Result<(), TestCaseError> {
    let mut ledger = ledger(model);
    let before = model.past.clone();
    for (id, asked) in gathered.drain(..) {
        let (student, key, if_full) = asked;
        let wish = Wish {
            redemption_id: Some(Uuid::from_u128(2_000 + id)),
            fingerprint: fingerprint(asked),
            well_formed: true,
            applicant: Applicant::Student(Uuid::from_u128(1_000 + student)),
            key: Some(resolved(model, key)),
            if_full,
        };
        let decided = answer(id, &ledger.decide(&wish, true), &before);
        prop_assert_eq!(decided, model.redeem(id, asked));
        let class = &ledger.classes[&class().id];
        prop_assert!(class.seats_taken <= class.maximum_students);
        let seated = ledger.live.values().filter(|live| !live.waiting).count();
        prop_assert_eq!(usize::try_from(class.seats_taken), Ok(seated));
        prop_assert_eq!(ledger.live.len() - seated, model.waiting.len());
        prop_assert!(model.places.len() <= model.maximum);
        let spent = places(model).map(|(_, (_, key), _)| *key);
        let spent: Vec<u128> = spent.filter(|key| *key != 0).collect();
        let different: HashSet<&u128> = spent.iter().collect();
        prop_assert_eq!(different.len(), spent.len(), "a key has one winner");
        prop_assert_eq!(ledger.keys_in_use.len(), spent.len());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn batches_decide_as_if_each_redemption_came_alone(
        events in proptest::collection::vec(event(), 1..120)
    ) {
        let mut model = Model { maximum: 3, ..Model::default() };
        let mut gathered = Vec::new();
        for event in events {
            if let Event::Redeem(id, student, key, if_full) = event {
                gathered.push((id, (student, key, if_full)));
                continue;
            }
            // Whatever else happens, happens between batches: it takes the class's lock.
            commit(&mut model, &mut gathered)?;
            match event {
                Event::Leave(student) => {
                    model.places.remove(&student);
                    model.waiting.remove(&student);
                }
                Event::Wait(student) => {
                    let place = model.places.remove(&student);
                    model.waiting.extend(place.map(|place| (student, place)));
                }
                Event::Revoke(key) => {
                    model.revoked.insert(key);
                }
                Event::Resize(maximum) if maximum >= model.places.len() => {
                    model.maximum = maximum;
                }
                _ => {}
            }
        }
        commit(&mut model, &mut gathered)?;
    }
}
