//! The order of reasons, one by one, and what a batch's neighbours see of each other.

mod courses;
mod subscriptions;
mod waiting;

use chrono::TimeDelta;

use super::*;
use crate::domain::class::tests::class;
use crate::domain::class::{ClassStatus, EventKeyWindow};
use crate::domain::enrollment::Origin;
use crate::domain::key::{KeyKind, KeyUse};

const STUDENT: Uuid = Uuid::from_u128(100);
const ORGANIZATION: Uuid = Uuid::from_u128(2);
const BELOW: Uuid = Uuid::from_u128(20);
const KEY: Uuid = Uuid::from_u128(30);

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn key(kind: KeyKind) -> ResolvedKey {
    ResolvedKey {
        key_id: KEY,
        organization_id: ORGANIZATION,
        opens: Opens::Class {
            class_id: class().id,
            kind,
        },
        generation: 3,
        code_valid_until: None,
        revoked: false,
        live_use: None,
    }
}

fn wish(number: u128, student: Uuid, kind: KeyKind) -> Wish {
    Wish {
        redemption_id: Some(id(number)),
        fingerprint: vec![1],
        well_formed: true,
        applicant: Applicant::Student(student),
        key: Some(key(kind)),
        if_full: IfFull::Refuse,
    }
}

fn newcomer(number: u128, email: &str) -> Wish {
    Wish {
        applicant: Applicant::Newcomer {
            organization_id: BELOW,
            account: Some(NewAccount {
                student_id: id(number + 10_000),
                email_folded: email.to_owned(),
                identity: Some(ExternalIdentity {
                    issuer: "https://login.example.com".to_owned(),
                    subject: format!("subject-{number}"),
                }),
                hash_missing: false,
            }),
        },
        ..wish(number, STUDENT, KeyKind::Event)
    }
}

/// A class with free seats, on its first day, and students 100 to 199 below the organization that owns it.
fn ledger() -> Ledger {
    let class = class();
    let account = |_| Account {
        organization_id: BELOW,
        ancestors: vec![ORGANIZATION],
        active: true,
    };
    Ledger {
        now: class.starts_at,
        students: (100..200).map(|one| (id(one), account(one))).collect(),
        organizations: [(
            BELOW,
            Holder {
                ancestors: vec![ORGANIZATION],
                self_registration: true,
            },
        )]
        .into(),
        classes: [(class.id, class)].into(),
        ..Ledger::default()
    }
}

fn is_in(enrollment_id: Uuid, waiting: bool) -> Live {
    Live {
        enrollment_id,
        waiting,
    }
}

fn the_class(ledger: &mut Ledger) -> &mut Class {
    ledger.classes.get_mut(&class().id).unwrap()
}

fn reason(decision: &Decision) -> &'static str {
    match decision {
        Decision::Repeat(_) => "repeat",
        Decision::Enroll(_) => "enroll",
        Decision::AlreadyIn(_) => "already in",
        Decision::Assign { .. } => "assign",
        Decision::AlreadyAssigned(_) => "already assigned",
        Decision::HashFirst => "hash first",
        Decision::Refuse(refusal) => refusal.reason(),
    }
}

fn judged(ledger: &Ledger, wish: &Wish) -> &'static str {
    reason(&ledger.clone().decide(wish, true))
}

#[test]
fn a_student_with_a_good_key_gets_the_seat() {
    for (kind, slot) in [(KeyKind::Enrollment, Some(0)), (KeyKind::Event, None)] {
        let mut ledger = ledger();
        let decision = ledger.decide(&wish(1, STUDENT, kind), true);
        let Decision::Enroll(admission) = decision else {
            panic!("{decision:?}");
        };
        assert_eq!(admission.slot, slot);
        let enrollment = admission.enrollment;
        assert_eq!((enrollment.id, enrollment.student_id), (id(1), STUDENT));
        assert_eq!(enrollment.enrolled_at, ledger.now);
        assert_eq!(
            enrollment.origin,
            Origin::Key {
                key_id: KEY,
                kind,
                generation: 3
            }
        );
        assert_eq!(the_class(&mut ledger).seats_taken, 1);
    }
}

/// Each reason is the answer while the ones after it hold as well, and no longer when it is gone.
#[test]
fn the_first_reason_that_holds_wins_for_a_student() {
    let mut ledger = ledger();
    let wish = Wish {
        key: Some(ResolvedKey {
            revoked: true,
            code_valid_until: Some(ledger.now),
            organization_id: id(77),
            ..key(KeyKind::Event)
        }),
        well_formed: false,
        ..wish(1, STUDENT, KeyKind::Event)
    };
    let end = class().ends_at;
    ledger.now = end;
    ledger.students.get_mut(&STUDENT).unwrap().active = false;
    ledger.blocked.insert((class().id, STUDENT));
    let class = the_class(&mut ledger);
    class.status = ClassStatus::Cancelled;
    class.seats_taken = class.maximum_students;
    ledger.taken_ids.insert(id(1));
    let account = ledger.students.remove(&STUDENT).unwrap();

    let (mut ledger, mut wish) = (ledger, wish);
    let unreached = reason(&ledger.clone().decide(&wish, false));
    assert_eq!(unreached, "STUDENT_NOT_FOUND");
    assert_eq!(judged(&ledger, &wish), "REQUEST_ID_REUSED");
    ledger.taken_ids.clear();
    assert_eq!(judged(&ledger, &wish), "KEY_MALFORMED");
    wish.well_formed = true;
    assert_eq!(judged(&ledger, &wish), "STUDENT_NOT_FOUND");
    ledger.students.insert(STUDENT, account);
    let resolved = wish.key.take();
    assert_eq!(judged(&ledger, &wish), "KEY_NOT_FOUND");
    wish.key = resolved;
    let known = std::mem::take(&mut ledger.classes);
    assert_eq!(judged(&ledger, &wish), "KEY_NOT_FOUND");
    ledger.classes = known;
    assert_eq!(judged(&ledger, &wish), "ORGANIZATION_MISMATCH");
    wish.key.as_mut().unwrap().organization_id = ORGANIZATION;
    let place = (the_class(&mut ledger).id, STUDENT);
    ledger.live.insert(place, is_in(id(9), false));
    assert_eq!(judged(&ledger, &wish), "already in");
    ledger.live.clear();
    assert_eq!(judged(&ledger, &wish), "CODE_REPLACED");
    wish.key.as_mut().unwrap().code_valid_until = Some(end + TimeDelta::microseconds(1));
    assert_eq!(judged(&ledger, &wish), "KEY_REVOKED");
    wish.key.as_mut().unwrap().revoked = false;
    assert_eq!(judged(&ledger, &wish), "CLASS_CANCELLED");
    the_class(&mut ledger).status = ClassStatus::Tentative;
    assert_eq!(judged(&ledger, &wish), "CLASS_NOT_SCHEDULED");
    the_class(&mut ledger).status = ClassStatus::GuaranteedToRun;
    assert_eq!(judged(&ledger, &wish), "WINDOW_CLOSED");
    the_class(&mut ledger).event_key_window = EventKeyWindow::UntilAccessExpires;
    assert_eq!(judged(&ledger, &wish), "STUDENT_INACTIVE");
    ledger.students.get_mut(&STUDENT).unwrap().active = true;
    assert_eq!(judged(&ledger, &wish), "STUDENT_BLOCKED");
    ledger.blocked.clear();
    assert_eq!(judged(&ledger, &wish), "CLASS_FULL");
    the_class(&mut ledger).seats_taken -= 1;
    assert_eq!(judged(&ledger, &wish), "enroll");
}

#[test]
fn the_first_reason_that_holds_wins_for_a_newcomer() {
    let mut ledger = ledger();
    let mut wish = newcomer(1, "ann@example.com");
    let Applicant::Newcomer {
        account: Some(account),
        ..
    } = &mut wish.applicant
    else {
        unreachable!()
    };
    account.hash_missing = true;
    ledger.identities.extend(account.identity.clone());
    ledger.emails.insert((BELOW, account.email_folded.clone()));
    let class = the_class(&mut ledger);
    class.seats_taken = class.maximum_students;
    let holder = ledger.organizations.remove(&BELOW).unwrap();
    let resolved = wish.key.take();

    assert_eq!(judged(&ledger, &wish), "ORGANIZATION_NOT_FOUND");
    ledger.organizations.insert(
        BELOW,
        Holder {
            self_registration: false,
            ..holder.clone()
        },
    );
    assert_eq!(judged(&ledger, &wish), "SELF_REGISTRATION_DISABLED");
    ledger.organizations.insert(BELOW, holder);
    assert_eq!(judged(&ledger, &wish), "KEY_NOT_FOUND");
    wish.key = resolved;
    assert_eq!(judged(&ledger, &wish), "CLASS_FULL");
    the_class(&mut ledger).seats_taken = 0;
    assert_eq!(judged(&ledger, &wish), "EMAIL_TAKEN");
    ledger.emails.clear();
    assert_eq!(judged(&ledger, &wish), "IDENTITY_TAKEN");
    ledger.identities.clear();
    assert_eq!(judged(&ledger, &wish), "hash first");
    if let Applicant::Newcomer {
        account: Some(account),
        ..
    } = &mut wish.applicant
    {
        account.hash_missing = false;
    }
    assert_eq!(judged(&ledger, &wish), "enroll");
}

#[test]
fn an_enrollment_key_is_open_until_the_class_ends_and_lets_the_blocked_in() {
    let mut ledger = ledger();
    the_class(&mut ledger).event_key_window = EventKeyWindow::UntilAccessExpires;
    ledger.blocked.insert((class().id, STUDENT));
    let wish = wish(1, STUDENT, KeyKind::Enrollment);
    ledger.now = class().ends_at - TimeDelta::microseconds(1);
    assert_eq!(judged(&ledger, &wish), "enroll");
    ledger.now = class().ends_at;
    assert_eq!(judged(&ledger, &wish), "WINDOW_CLOSED");
}

#[test]
fn a_key_in_use_is_spent_and_comes_before_full() {
    let mut ledger = ledger();
    ledger.keys_in_use.insert(KEY, id(9));
    let class = the_class(&mut ledger);
    class.seats_taken = class.maximum_students;
    let spent = wish(1, STUDENT, KeyKind::Enrollment);
    assert_eq!(judged(&ledger, &spent), "KEY_ALREADY_REDEEMED");
    ledger.keys_in_use.clear();
    assert_eq!(judged(&ledger, &spent), "CLASS_FULL");
}

#[test]
fn a_recorded_use_counts_only_if_it_is_unknown_here() {
    let mut ledger = ledger();
    let mut wish = wish(1, STUDENT, KeyKind::Enrollment);
    wish.key.as_mut().unwrap().live_use = Some(KeyUse {
        redemption_id: id(5),
        student_id: id(101),
    });
    assert_eq!(judged(&ledger, &wish), "KEY_ALREADY_REDEEMED");
    // Known here, and not holding the key any more: the release is on its way.
    ledger.known_uses.insert(id(5));
    assert_eq!(judged(&ledger, &wish), "enroll");
}

#[test]
fn a_recorded_decision_is_repeated_whatever_became_of_everything() {
    let mut ledger = ledger();
    let mut first = wish(1, STUDENT, KeyKind::Event);
    assert_eq!(reason(&ledger.decide(&first, true)), "enroll");
    the_class(&mut ledger).status = ClassStatus::Cancelled;
    first.key = None;
    assert_eq!(
        ledger.decide(&first, true),
        Decision::Repeat(Outcome::Enrolled)
    );
    first.fingerprint = vec![2];
    assert_eq!(judged(&ledger, &first), "REQUEST_ID_REUSED");
    assert_eq!(
        reason(&ledger.clone().decide(&first, false)),
        "STUDENT_NOT_FOUND"
    );
}

#[test]
fn being_in_already_is_recorded_and_spends_nothing() {
    let mut ledger = ledger();
    ledger.decide(&wish(1, STUDENT, KeyKind::Event), true);
    let second = wish(2, STUDENT, KeyKind::Enrollment);
    assert_eq!(ledger.decide(&second, true), Decision::AlreadyIn(id(1)));
    assert!(ledger.keys_in_use.is_empty(), "the key stays unspent");
    // Its own retry does not enroll anew, though the student has left meanwhile.
    ledger.live.clear();
    assert_eq!(
        ledger.decide(&second, true),
        Decision::Repeat(Outcome::AlreadyIn {
            enrollment_id: id(1)
        })
    );
}

#[test]
fn a_refusal_is_repeated_word_for_word() {
    let mut ledger = ledger();
    the_class(&mut ledger).status = ClassStatus::Tentative;
    let wish = wish(1, STUDENT, KeyKind::Event);
    let Decision::Refuse(refusal) = ledger.decide(&wish, true) else {
        panic!("a tentative class opens to nobody");
    };
    the_class(&mut ledger).status = ClassStatus::Scheduled;
    assert_eq!(
        ledger.decide(&wish, true),
        Decision::Repeat(Outcome::Refused(refusal))
    );
}

#[test]
fn what_is_no_decision_leaves_nothing_behind() {
    let mut changed = ledger();
    changed.emails.insert((BELOW, "taken@example.com".into()));
    let before = changed.clone();
    let mut mistyped = wish(1, STUDENT, KeyKind::Event);
    mistyped.well_formed = false;
    let mut unknown = wish(1, STUDENT, KeyKind::Event);
    unknown.key = None;
    let nobody = wish(1, id(999), KeyKind::Event);
    let taken = newcomer(1, "taken@example.com");
    let mut unhashed = newcomer(1, "ann@example.com");
    if let Applicant::Newcomer {
        account: Some(account),
        ..
    } = &mut unhashed.applicant
    {
        account.hash_missing = true;
    }
    for (wish, expected) in [
        (mistyped, "KEY_MALFORMED"),
        (unknown, "KEY_NOT_FOUND"),
        (nobody, "STUDENT_NOT_FOUND"),
        (taken, "EMAIL_TAKEN"),
        (unhashed, "hash first"),
    ] {
        let decision = changed.decide(&wish, true);
        assert_eq!(reason(&decision), expected);
        assert_eq!(decision.outcome(), None, "{expected}");
        assert_eq!(changed, before, "{expected}");
    }
}

#[test]
fn a_question_changes_nothing() {
    let mut changed = ledger();
    let before = changed.clone();
    let question = Wish {
        redemption_id: None,
        ..wish(1, STUDENT, KeyKind::Enrollment)
    };
    assert_eq!(reason(&changed.decide(&question, true)), "enroll");
    let stranger = Wish {
        applicant: Applicant::Newcomer {
            organization_id: BELOW,
            account: None,
        },
        ..question
    };
    assert_eq!(reason(&changed.decide(&stranger, true)), "enroll");
    assert_eq!(changed, before);
}

#[test]
fn neighbours_in_a_batch_see_each_other() {
    let mut ledger = ledger();
    let one = wish(1, STUDENT, KeyKind::Enrollment);
    let other = wish(2, id(101), KeyKind::Enrollment);
    assert_eq!(reason(&ledger.decide(&one, true)), "enroll");
    assert_eq!(reason(&ledger.decide(&other, true)), "KEY_ALREADY_REDEEMED");

    let ann = newcomer(3, "ann@example.com");
    assert_eq!(reason(&ledger.decide(&ann, true)), "enroll");
    let same_address = newcomer(4, "ann@example.com");
    assert_eq!(reason(&ledger.decide(&same_address, true)), "EMAIL_TAKEN");
    assert_eq!(reason(&ledger.decide(&ann, true)), "repeat");
    // The account can be used at once.
    let again = wish(5, id(10_003), KeyKind::Event);
    assert_eq!(ledger.decide(&again, true), Decision::AlreadyIn(id(3)));
}
