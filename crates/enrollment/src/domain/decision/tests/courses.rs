//! Keys of pools: the same order of reasons, and no class.

use super::*;
use crate::domain::assignment::sample;
use crate::domain::key::PoolTerms;

/// The wish of a student for the course of a pool.
fn course(number: u128, student: Uuid, change: impl FnOnce(&mut PoolTerms)) -> Wish {
    let mut terms = sample::terms();
    change(&mut terms);
    let wish = wish(number, student, KeyKind::Enrollment);
    let opens = Opens::Pool(Box::new(terms));
    Wish {
        key: wish.key.map(|key| ResolvedKey { opens, ..key }),
        ..wish
    }
}

fn plain(number: u128, student: Uuid) -> Wish {
    course(number, student, |_| {})
}

/// On the day the pool starts.
fn ledger() -> Ledger {
    Ledger {
        now: sample::terms().starts_at,
        ..super::ledger()
    }
}

#[test]
fn a_student_with_a_good_key_gets_the_course_until_it_expires() {
    let mut ledger = ledger();
    let Decision::Assign { assignment, .. } = ledger.decide(&plain(1, STUDENT), true) else {
        panic!("it is assigned");
    };
    assert_eq!((assignment.id, assignment.student_id), (id(1), STUDENT));
    assert_eq!(assignment.organization_id, ORGANIZATION);
    assert_eq!(assignment.expires_at - ledger.now, TimeDelta::days(30));
    assert_eq!((assignment.key_id, assignment.generation), (KEY, 3));
    assert_eq!(the_class(&mut ledger).seats_taken, 0, "no seat is taken");
}

/// Each reason is the answer while the ones after it hold as well, and no longer when it is gone.
#[test]
fn the_first_reason_that_holds_wins() {
    let mut ledger = ledger();
    let end = sample::terms().expires_at;
    ledger.now = end;
    ledger.keys_in_use.insert(KEY, id(9));
    ledger.assigned.insert((KEY, STUDENT), id(8));
    ledger.students.get_mut(&STUDENT).unwrap().active = false;
    let mut wish = course(1, STUDENT, |terms| terms.open_to_descendants = false);
    let key = wish.key.as_mut().unwrap();
    key.revoked = true;
    key.code_valid_until = Some(ledger.now);
    assert_eq!(judged(&ledger, &wish), "ORGANIZATION_MISMATCH");
    ledger.students.get_mut(&STUDENT).unwrap().organization_id = ORGANIZATION;
    assert_eq!(judged(&ledger, &wish), "already assigned");
    ledger.assigned.clear();
    assert_eq!(judged(&ledger, &wish), "CODE_REPLACED");
    wish.key.as_mut().unwrap().code_valid_until = None;
    assert_eq!(judged(&ledger, &wish), "KEY_REVOKED");
    wish.key.as_mut().unwrap().revoked = false;
    assert_eq!(judged(&ledger, &wish), "WINDOW_CLOSED");
    let moment = TimeDelta::microseconds(1);
    ledger.now = sample::terms().starts_at - moment;
    assert_eq!(judged(&ledger, &wish), "WINDOW_NOT_OPEN");
    ledger.now += moment;
    assert_eq!(judged(&ledger, &wish), "STUDENT_INACTIVE");
    ledger.students.get_mut(&STUDENT).unwrap().active = true;
    assert_eq!(judged(&ledger, &wish), "KEY_ALREADY_REDEEMED");
    ledger.keys_in_use.clear();
    assert_eq!(judged(&ledger, &wish), "assign");
    ledger.now = end - moment;
    assert_eq!(judged(&ledger, &wish), "assign", "the window is half-open");
}

#[test]
fn those_below_are_let_in_only_by_a_pool_that_is_open_to_them() {
    let closed = course(1, STUDENT, |terms| terms.open_to_descendants = false);
    assert_eq!(judged(&ledger(), &closed), "ORGANIZATION_MISMATCH");
    assert_eq!(judged(&ledger(), &plain(1, STUDENT)), "assign");
    let mut elsewhere = ledger();
    let account = elsewhere.students.get_mut(&STUDENT).unwrap();
    account.ancestors.clear();
    assert_eq!(
        judged(&elsewhere, &plain(1, STUDENT)),
        "ORGANIZATION_MISMATCH"
    );
}

#[test]
fn neighbours_in_a_batch_see_each_other() {
    let mut ledger = ledger();
    let mut decide = |wish: &Wish| reason(&ledger.decide(wish, true));
    assert_eq!(decide(&plain(1, STUDENT)), "assign");
    assert_eq!(decide(&plain(2, STUDENT)), "already assigned");
    assert_eq!(decide(&plain(3, id(101))), "KEY_ALREADY_REDEEMED");
    assert_eq!(decide(&plain(1, STUDENT)), "repeat");
    assert_eq!(decide(&plain(1, id(101))), "repeat");
}

#[test]
fn a_use_that_only_keys_knows_is_never_freed() {
    let mut ledger = ledger();
    let mut wish = plain(1, STUDENT);
    wish.key.as_mut().unwrap().live_use = Some(KeyUse {
        redemption_id: id(77),
        student_id: id(101),
    });
    assert_eq!(judged(&ledger, &wish), "KEY_ALREADY_REDEEMED");
    ledger.known_uses.insert(id(77));
    assert_eq!(judged(&ledger, &wish), "assign");
}

#[test]
fn who_registers_gets_an_account_with_the_course() {
    let mut ledger = ledger();
    let wish = Wish {
        key: plain(1, STUDENT).key,
        ..newcomer(1, "ann@example.com")
    };
    assert_eq!(reason(&ledger.decide(&wish, true)), "assign");
    assert!(ledger.emails.contains(&(BELOW, "ann@example.com".into())));
    let again = Wish {
        key: plain(2, STUDENT).key.map(|key| ResolvedKey {
            key_id: id(31),
            ..key
        }),
        ..newcomer(2, "ann@example.com")
    };
    assert_eq!(reason(&ledger.decide(&again, true)), "EMAIL_TAKEN");
}
