//! Subscription keys: the same order of reasons, and as many uses as a key has.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::assignment::Assigned;
use crate::domain::key::{RecordedUses, SubscriptionTerms};
use crate::domain::profile::{Profile, sample};

fn terms() -> SubscriptionTerms {
    SubscriptionTerms {
        profile_id: sample::profile().id,
        max_uses: Some(1),
        expires_at: None,
        content_expires_at: None,
        recorded: RecordedUses::default(),
    }
}

/// The wish of a student for the courses of the profile.
fn subscription(number: u128, student: Uuid, change: impl FnOnce(&mut SubscriptionTerms)) -> Wish {
    let mut terms = terms();
    change(&mut terms);
    let wish = wish(number, student, KeyKind::Enrollment);
    let opens = Opens::Subscription(terms);
    Wish {
        key: wish.key.map(|key| ResolvedKey { opens, ..key }),
        ..wish
    }
}

fn plain(number: u128, student: Uuid) -> Wish {
    subscription(number, student, |_| {})
}

fn uses(taken: &[i32]) -> KeyUses {
    let live = i64::try_from(taken.len()).unwrap();
    KeyUses {
        live,
        ever: live,
        free_slots: (0..50).filter(|slot| !taken.contains(slot)).collect(),
    }
}

/// With the profile, and a key that nobody has used.
fn ledger() -> Ledger {
    let profile = sample::profile();
    Ledger {
        profiles: [(profile.id, Arc::new(profile))].into(),
        uses: [(KEY, uses(&[]))].into(),
        ..super::ledger()
    }
}

fn change(ledger: &mut Ledger, change: impl FnOnce(&mut Profile)) {
    let mut profile = (*ledger.profiles[&terms().profile_id]).clone();
    change(&mut profile);
    ledger.profiles.insert(profile.id, Arc::new(profile));
}

#[test]
fn a_student_with_a_good_key_gets_the_courses_until_they_expire() {
    let mut ledger = ledger();
    let Decision::Assign { assignment, slot } = ledger.decide(&plain(1, STUDENT), true) else {
        panic!("it is assigned");
    };
    assert_eq!((assignment.id, assignment.student_id), (id(1), STUDENT));
    assert_eq!(assignment.organization_id, ORGANIZATION);
    assert_eq!(assignment.expires_at - ledger.now, TimeDelta::days(90));
    assert_eq!((assignment.key_id, slot), (KEY, Some(0)));
    let Assigned::Subscription { courses, .. } = assignment.assigned else {
        panic!("it is a subscription");
    };
    assert_eq!(courses, sample::profile().settings.courses);
}

/// Each reason is the answer while the ones after it hold as well, and no longer when it is gone.
#[test]
fn the_first_reason_that_holds_wins() {
    let mut ledger = ledger();
    let end = ledger.now;
    ledger.uses.insert(KEY, uses(&[0]));
    ledger.assigned.insert((KEY, STUDENT), id(8));
    ledger.students.get_mut(&STUDENT).unwrap().active = false;
    let profile = ledger.profiles.remove(&terms().profile_id).unwrap();
    let mut wish = subscription(1, STUDENT, |terms| terms.expires_at = Some(end));
    let key = wish.key.as_mut().unwrap();
    key.revoked = true;
    key.code_valid_until = Some(ledger.now);
    assert_eq!(judged(&ledger, &wish), "KEY_NOT_FOUND");
    ledger.profiles.insert(profile.id, profile);
    change(&mut ledger, |profile| {
        profile.settings.enabled = false;
        profile.settings.available_to = vec![id(999)];
    });
    assert_eq!(judged(&ledger, &wish), "ORGANIZATION_MISMATCH");
    change(&mut ledger, |profile| {
        profile.settings.available_to = vec![BELOW];
    });
    assert_eq!(judged(&ledger, &wish), "already assigned");
    ledger.assigned.clear();
    assert_eq!(judged(&ledger, &wish), "CODE_REPLACED");
    wish.key.as_mut().unwrap().code_valid_until = None;
    assert_eq!(judged(&ledger, &wish), "KEY_REVOKED");
    wish.key.as_mut().unwrap().revoked = false;
    assert_eq!(judged(&ledger, &wish), "SUBSCRIPTION_PROFILE_DISABLED");
    change(&mut ledger, |profile| profile.settings.enabled = true);
    assert_eq!(judged(&ledger, &wish), "WINDOW_CLOSED");
    ledger.now -= TimeDelta::microseconds(1);
    assert_eq!(
        judged(&ledger, &wish),
        "STUDENT_INACTIVE",
        "the window is half-open"
    );
    ledger.students.get_mut(&STUDENT).unwrap().active = true;
    assert_eq!(judged(&ledger, &wish), "KEY_ALREADY_REDEEMED");
    ledger.uses.insert(KEY, uses(&[]));
    assert_eq!(judged(&ledger, &wish), "assign");
}

#[test]
fn what_is_open_to_nobody_any_more_is_given_to_nobody() {
    let mut ledger = ledger();
    let end = ledger.now;
    let wish = subscription(1, STUDENT, |terms| {
        terms.expires_at = Some(end + TimeDelta::days(1));
        terms.content_expires_at = Some(end);
    });
    assert_eq!(judged(&ledger, &wish), "WINDOW_CLOSED");
    ledger.now -= TimeDelta::microseconds(1);
    assert_eq!(judged(&ledger, &wish), "assign");
}

#[test]
fn neighbours_in_a_batch_see_each_other() {
    let mut ledger = ledger();
    let of = |number, student| subscription(number, student, |terms| terms.max_uses = Some(2));
    let mut decide = |wish: &Wish| reason(&ledger.decide(wish, true));
    assert_eq!(decide(&of(1, STUDENT)), "assign");
    assert_eq!(decide(&of(2, STUDENT)), "already assigned");
    assert_eq!(decide(&of(3, id(101))), "assign");
    assert_eq!(decide(&of(4, id(102))), "KEY_ALREADY_REDEEMED");
    assert_eq!(decide(&of(3, id(101))), "repeat");
}

#[test]
fn a_key_without_a_limit_lets_everybody_in_and_has_no_slots() {
    let mut ledger = ledger();
    ledger.uses.clear();
    for student in 100..150 {
        let wish = subscription(student, id(student), |terms| terms.max_uses = None);
        let decision = ledger.decide(&wish, true);
        assert!(matches!(decision, Decision::Assign { slot: None, .. }));
    }
}

#[test]
fn uses_that_only_keys_knows_are_never_freed() {
    let mut ledger = ledger();
    ledger.uses.insert(KEY, uses(&[0]));
    let of = |number, student, ever, live| {
        subscription(number, id(student), |terms| {
            terms.max_uses = Some(3);
            terms.recorded = RecordedUses { ever, live };
        })
    };
    let one = |ever, live| of(1, 100, ever, live);
    assert_eq!(judged(&ledger, &one(0, 0)), "assign", "the copy may lag");
    assert_eq!(
        judged(&ledger, &one(2, 2)),
        "assign",
        "one is lost, one is left"
    );
    assert_eq!(judged(&ledger, &one(3, 3)), "KEY_ALREADY_REDEEMED");
    assert_eq!(judged(&ledger, &one(3, 2)), "KEY_ALREADY_REDEEMED");
    assert_eq!(judged(&ledger, &one(9, 0)), "assign", "those were given up");
    // What one of a batch is given makes up for none that is lost.
    let mut decide = |wish: &Wish| reason(&ledger.decide(wish, true));
    assert_eq!(decide(&of(2, 101, 2, 2)), "assign");
    assert_eq!(decide(&of(3, 102, 2, 2)), "KEY_ALREADY_REDEEMED");
}

/// What happens to a key.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// A student redeems it.
    Redeem(u128),
    /// The assignment of a student is cancelled.
    Cancel(u128),
    /// It gets another limit, if that is not below the uses made.
    Limit(i32),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        5 => (100..112_u128).prop_map(Event::Redeem),
        3 => (100..112_u128).prop_map(Event::Cancel),
        1 => (1..8_i32).prop_map(Event::Limit),
    ]
}

proptest! {
    #[test]
    fn a_key_is_never_used_by_more_than_it_has_uses(
        events in proptest::collection::vec(event(), 1..100)
    ) {
        let mut max_uses = 3;
        // Who uses it, in which slot.
        let mut model: BTreeMap<u128, i32> = BTreeMap::new();
        for (number, event) in (1_u128..).zip(events) {
            let slots: Vec<i32> = model.values().copied().collect();
            match event {
                Event::Redeem(student) => {
                    let mut ledger = ledger();
                    ledger.uses.insert(KEY, KeyUses {
                        free_slots: (0..max_uses).filter(|slot| !slots.contains(slot)).collect(),
                        ..uses(&slots)
                    });
                    let own = (KEY, id(student));
                    ledger.assigned.extend(model.contains_key(&student).then_some((own, id(1))));
                    let wish = subscription(number, id(student), |terms| terms.max_uses = Some(max_uses));
                    let full = model.len() >= usize::try_from(max_uses).unwrap();
                    match ledger.decide(&wish, true) {
                        Decision::Assign { slot: Some(slot), .. } => {
                            prop_assert!(!full && !slots.contains(&slot) && (0..max_uses).contains(&slot));
                            model.insert(student, slot);
                        }
                        Decision::AlreadyAssigned(_) => prop_assert!(model.contains_key(&student)),
                        Decision::Refuse(refusal) => {
                            prop_assert!(full);
                            prop_assert_eq!(refusal.reason(), "KEY_ALREADY_REDEEMED");
                        }
                        other => prop_assert!(false, "{other:?}"),
                    }
                }
                Event::Cancel(student) => {
                    model.remove(&student);
                }
                Event::Limit(limit) => {
                    if model.len() <= usize::try_from(limit).unwrap() {
                        max_uses = limit;
                    }
                }
            }
            prop_assert!(model.len() <= usize::try_from(max_uses).unwrap());
        }
    }
}
