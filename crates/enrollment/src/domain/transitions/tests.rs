use chrono::TimeDelta;
use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

use super::*;
use crate::domain::class::tests::class;
use crate::domain::enrollment::{Completion, Origin};

const ACTORS: [Actor; 3] = [
    Actor::Student,
    Actor::Administrator,
    Actor::OperationsManager,
];

fn enrollment(status: Status) -> Enrollment {
    let class = class();
    Enrollment {
        id: Uuid::from_u128(1),
        class_id: class.id,
        organization_id: class.organization_id,
        student_id: Uuid::from_u128(2),
        status,
        status_since: class.created_at,
        cancelled_by: None,
        late_cancellation: false,
        completion: Completion::Unknown,
        origin: Origin::Direct,
        enrolled_at: class.created_at,
        version: 1,
    }
}

/// The reason against it before the class begins, and from its start on.
fn reasons(actor: Actor, from: Status, to: Status) -> [Option<&'static str>; 2] {
    let class = class();
    [
        class.starts_at - TimeDelta::microseconds(1),
        class.starts_at,
    ]
    .map(|now| {
        let judged = judge(&class, &enrollment(from), to, actor, now);
        judged.err().map(|refusal| refusal.reason())
    })
}

#[test]
fn from_the_start_of_the_class_on_only_an_operations_manager_cancels_an_enrolled_student() {
    for (actor, later) in [
        (Actor::Student, Some("CLASS_STARTED")),
        (Actor::Administrator, Some("CLASS_STARTED")),
        (Actor::OperationsManager, None),
    ] {
        let reasons = reasons(actor, Status::Enrolled, Status::Cancelled);
        assert_eq!(reasons, [None, later], "{actor:?}");
    }
}

#[test]
fn only_staff_removes() {
    assert_eq!(Actor::Student.cancelled_by(), CancelledBy::Student);
    assert_eq!(Actor::Administrator.cancelled_by(), CancelledBy::Staff);
    assert_eq!(Actor::OperationsManager.cancelled_by(), CancelledBy::Staff);
}

#[test]
fn a_student_cancels_and_does_nothing_else() {
    for from in Status::ALL {
        for to in Status::ALL {
            let [ahead, _] = reasons(Actor::Student, from, to);
            let may = to == Status::Cancelled && from.is_live();
            let expected = (!may).then_some("STATUS_UNREACHABLE");
            assert_eq!(ahead, expected, "{from:?} {to:?}");
        }
    }
}

#[test]
fn the_page_of_rules_shows_the_same_table() {
    let page = include_str!("../../../../../docs/domain.md");
    for from in Status::ALL {
        let letters = Status::ALL.map(|to| match may(from, to) {
            May::Nobody => "-",
            May::Staff => "s",
            May::Anyone => "a",
            May::StaffAhead => "s!",
            May::AnyoneAhead => "a!",
        });
        let name = from.as_str().replace('_', "-");
        let row = page.lines().find_map(|line| {
            let words: Vec<&str> = line.strip_prefix(&name)?.split_whitespace().collect();
            (words.len() == letters.len()).then_some(words)
        });
        assert_eq!(row.as_deref(), Some(&letters[..]), "{name}");
    }
}

fn status() -> impl Strategy<Value = Status> {
    select(Status::ALL.to_vec())
}

proptest! {
    #[test]
    fn who_may_more_may_all_that_who_may_less_may(from in status(), to in status(), begun in 0..2_usize) {
        let reached = ACTORS.map(|actor| reasons(actor, from, to)[begun].is_none());
        prop_assert!(reached.is_sorted(), "{reached:?}");
    }

    #[test]
    fn what_was_possible_once_the_class_had_begun_was_possible_before(
        from in status(), to in status(), actor in select(ACTORS.to_vec())
    ) {
        let [ahead, later] = reasons(actor, from, to);
        prop_assert!(ahead.is_none() || later.is_some());
        // The start of the class takes a seat away from nobody.
        prop_assert!(ahead == later || (from.takes_seat() && !to.takes_seat()));
    }

    #[test]
    fn whatever_staff_do_a_walk_keeps_to_the_rules(walk in proptest::collection::vec(status(), 1..30)) {
        let mut at = Status::Requested;
        for to in walk {
            if reasons(Actor::OperationsManager, at, to)[1].is_some() {
                continue;
            }
            prop_assert_ne!(to, at, "no change is no transition");
            prop_assert_ne!(to, Status::Requested, "nothing is requested twice");
            prop_assert!(at.is_live() || to.is_live(), "what has ended ends no more");
            prop_assert!(to != Status::Denied || at.is_waiting(), "who is in is not denied");
            at = to;
        }
    }

    #[test]
    fn staff_bring_everybody_to_a_seat_in_one_step(from in status()) {
        let reasons = reasons(Actor::Administrator, from, Status::Enrolled);
        prop_assert_eq!(reasons.iter().all(Option::is_none), from != Status::Enrolled);
    }
}
