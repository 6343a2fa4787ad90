//! Who waits for a seat, and in which order.

use super::*;
use crate::domain::enrollment::Status;

#[test]
fn who_waits_is_let_in_by_a_key_into_a_free_seat_and_gives_up_what_waited() {
    let place = (class().id, STUDENT);
    for kind in [KeyKind::Enrollment, KeyKind::Event] {
        let mut ledger = ledger();
        ledger.live.insert(place, is_in(id(9), true));
        // The student's own key, while they wait by it, and another that they give back.
        ledger.keys_in_use = [(KEY, id(9)), (id(31), id(9)), (id(32), id(8))].into();
        let full = class().maximum_students;
        the_class(&mut ledger).seats_taken = full;
        let first = wish(1, STUDENT, kind);
        assert_eq!(judged(&ledger, &first), "CLASS_FULL");
        the_class(&mut ledger).seats_taken = full - 1;
        let Decision::Enroll(admission) = ledger.decide(&first, true) else {
            panic!("there is a seat");
        };
        assert_eq!(admission.instead_of, Some(id(9)));
        assert_eq!(the_class(&mut ledger).seats_taken, full);
        assert_eq!(ledger.live[&place], is_in(id(1), false));
        let mut held = vec![id(32)];
        held.extend(admission.slot.map(|_| KEY));
        held.sort();
        let mut left: Vec<Uuid> = ledger.keys_in_use.keys().copied().collect();
        left.sort();
        assert_eq!(
            left, held,
            "what was held by the enrollment that ended is free"
        );
        let again = wish(2, STUDENT, KeyKind::Event);
        assert_eq!(ledger.decide(&again, true), Decision::AlreadyIn(id(1)));
    }
}

#[test]
fn who_would_wait_waits_where_there_is_no_seat_with_or_without_the_key() {
    for (if_full, holds_key) in [(IfFull::WaitWithKey, true), (IfFull::WaitWithoutKey, false)] {
        let mut ledger = ledger();
        let full = class().maximum_students;
        the_class(&mut ledger).seats_taken = full;
        let wish = |number, student| Wish {
            if_full,
            ..wish(number, student, KeyKind::Enrollment)
        };
        let decision = ledger.decide(&wish(1, STUDENT), true);
        assert_eq!(decision.outcome(), Some(Outcome::WaitListed));
        let Decision::Enroll(admission) = decision else {
            panic!("{decision:?}");
        };
        assert_eq!(admission.enrollment.status, Status::WaitListed);
        assert_eq!(admission.holds_key, holds_key);
        assert_eq!(the_class(&mut ledger).seats_taken, full);
        // Again, the student waits already; another finds the key free, or not.
        assert_eq!(
            ledger.decide(&wish(2, STUDENT), true),
            Decision::AlreadyIn(id(1))
        );
        let expected = if holds_key {
            "KEY_ALREADY_REDEEMED"
        } else {
            "enroll"
        };
        assert_eq!(judged(&ledger, &wish(3, id(101))), expected);
        // With a seat, whoever would wait is in.
        the_class(&mut ledger).seats_taken = full - 1;
        let decision = ledger.decide(&wish(4, STUDENT), true);
        assert_eq!(decision.outcome(), Some(Outcome::Enrolled));
        assert_eq!(ledger.live[&(class().id, STUDENT)], is_in(id(4), false));
    }
}

#[test]
fn who_comes_first_in_a_batch_waits_first() {
    let mut ledger = ledger();
    the_class(&mut ledger).seats_taken = the_class(&mut ledger).maximum_students;
    // Ids in the other order: they are of the callers' making, and give nobody a better place.
    let since: Vec<DateTime<Utc>> = (0..20)
        .map(|number| Wish {
            if_full: IfFull::WaitWithKey,
            ..wish(1000 - number, id(100 + number), KeyKind::Event)
        })
        .map(|wish| match ledger.decide(&wish, true) {
            Decision::Enroll(admission) => admission.enrollment.status_since,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(since.is_sorted_by(|one, next| one < next), "{since:?}");
    assert_eq!(since[0], ledger.now);
}
