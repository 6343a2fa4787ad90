//! What is due, case by case, and over whole histories with closings anywhere in them.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::domain::key::KeyKind;

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + minute * 60, 0).unwrap()
}

fn course() -> Course {
    Course {
        course_id: "linux-101".to_owned(),
        course_name: "Linux".to_owned(),
    }
}

/// An enrollment or assignment that nothing was booked of.
fn account(id: u128, got: Got, reason: Reason, since: DateTime<Utc>) -> Account {
    Account {
        item: Item {
            id: Uuid::from_u128(id),
            organization_id: Uuid::from_u128(1),
            student_id: Uuid::from_u128(2),
            got,
        },
        reason,
        since,
        entries: 0,
        closed_until: None,
    }
}

fn enrollment(id: u128, reason: Reason, since: DateTime<Utc>) -> Account {
    let got = Got::InClass {
        class_id: Uuid::from_u128(3),
        class_name: "Linux in a week".to_owned(),
        course: course(),
        origin: Origin::Key {
            key_id: Uuid::from_u128(4),
            kind: KeyKind::Event,
            generation: 1,
        },
    };
    account(id, got, reason, since)
}

fn assignment(id: u128, reason: Reason, since: DateTime<Utc>) -> Account {
    let got = Got::Course {
        pool_id: Uuid::from_u128(5),
        course: course(),
        key_id: Uuid::from_u128(6),
        generation: 1,
    };
    account(id, got, reason, since)
}

/// What is billable since `since`.
fn billable(since: DateTime<Utc>) -> [Account; 2] {
    [
        enrollment(1, Reason::of_enrollment(Status::Enrolled, None), since),
        assignment(1, Reason::of_assignment(None), since),
    ]
}

/// Every way not to be billable, with what a line says of it.
fn ended() -> Vec<(Account, Reason)> {
    let cancelled = |by, reason| {
        let status = Reason::of_enrollment(Status::Cancelled, Some(by));
        (enrollment(1, status, at(30)), reason)
    };
    let other = |status, reason| {
        let account = enrollment(1, Reason::of_enrollment(status, None), at(30));
        (account, reason)
    };
    let given_back = |by, reason| {
        let account = assignment(1, Reason::of_assignment(Some(by)), at(30));
        (account, reason)
    };
    vec![
        cancelled(CancelledBy::Student, Reason::CancelledByStudent),
        cancelled(CancelledBy::Staff, Reason::CancelledByStaff),
        cancelled(CancelledBy::Class, Reason::ClassCancelled),
        cancelled(CancelledBy::Erasure, Reason::StudentErased),
        cancelled(CancelledBy::Redemption, Reason::Replaced),
        other(Status::Audit, Reason::MadeAudit),
        other(Status::Requested, Reason::PutBack),
        other(Status::WaitListed, Reason::PutBack),
        other(Status::Approved, Reason::PutBack),
        other(Status::Denied, Reason::Denied),
        given_back(EndedBy::Student, Reason::CancelledByStudent),
        given_back(EndedBy::Staff, Reason::CancelledByStaff),
    ]
}

#[test]
fn who_is_enrolled_is_charged_once_when_that_happened_and_what_is_assigned_likewise() {
    for (account, reason) in billable(at(10))
        .into_iter()
        .zip([Reason::Enrolled, Reason::Assigned])
    {
        let line = account.due().unwrap();
        assert_eq!((line.entry, line.reason), (1, reason));
        assert_eq!((line.booked_at, line.occurred_at), (at(10), at(10)));
        let charged = Account {
            entries: 1,
            closed_until: Some(at(20)),
            ..account
        };
        assert_eq!(charged.due(), None);
    }
}

#[test]
fn what_is_not_billable_when_time_is_closed_has_no_line() {
    for (account, _) in ended() {
        assert_eq!(account.due(), None);
    }
}

#[test]
fn a_closed_charge_is_taken_back_when_it_ended_and_says_why() {
    for (account, reason) in ended() {
        let charged = Account {
            entries: 1,
            closed_until: Some(at(20)),
            ..account
        };
        let line = charged.due().unwrap();
        assert_eq!((line.entry, line.reason), (2, reason));
        assert_eq!((line.booked_at, line.occurred_at), (at(30), at(30)));
        let taken_back = Account {
            entries: 2,
            ..charged
        };
        assert_eq!(taken_back.due(), None);
        let back_in = Account {
            reason: Reason::Enrolled,
            since: at(40),
            ..taken_back
        };
        let line = back_in.due().unwrap();
        assert_eq!((line.entry, line.reason), (3, Reason::Enrolled));
    }
}

#[test]
fn what_became_known_late_is_booked_at_the_end_of_closed_time() {
    for account in billable(at(10)) {
        let late = Account {
            closed_until: Some(at(20)),
            ..account
        };
        let line = late.due().unwrap();
        assert_eq!((line.booked_at, line.occurred_at), (at(20), at(10)));
    }
    for (account, _) in ended() {
        let late = Account {
            entries: 1,
            closed_until: Some(at(35)),
            ..account
        };
        let line = late.due().unwrap();
        assert_eq!((line.booked_at, line.occurred_at), (at(35), at(30)));
    }
}

#[test]
fn an_enrollment_and_an_assignment_of_the_same_id_stand_one_after_the_other() {
    let mut lines: Vec<Line> = billable(at(10))
        .into_iter()
        .filter_map(|account| account.due())
        .collect();
    lines.sort_by_key(Line::place);
    let kinds: Vec<ItemKind> = lines.iter().map(|line| line.item.got.kind()).collect();
    assert_eq!(kinds, [ItemKind::Assignment, ItemKind::Enrollment]);
    assert!(kinds[0].as_str() < kinds[1].as_str(), "as they are stored");
    let first = lines[0].place();
    assert_eq!(first.entry_of(ItemKind::Assignment), 1);
    assert_eq!(first.entry_of(ItemKind::Enrollment), 0);
    assert_eq!(lines[1].place().entry_of(ItemKind::Assignment), i32::MAX);
}

#[test]
fn reasons_are_read_as_they_are_stored() {
    for reason in Reason::ALL {
        assert_eq!(Reason::parse(reason.as_str()), Some(reason));
    }
    assert_eq!(Reason::parse("unknown"), None);
}

/// One thing that happens in a history, a minute after the one before.
#[derive(Debug, Clone)]
enum Step {
    /// The student with this number is enrolled, or has something assigned, or not any more; others see it only so many minutes
    /// later.
    Change(u128, i64),
    /// Time is closed up to so many minutes before.
    Close(i64),
}

/// A history, as the tables would hold it.
#[derive(Debug, Default)]
struct World {
    /// Each enrollment or assignment as it became, with when others see that.
    changes: BTreeMap<u128, Vec<(Account, i64)>>,
    closed_until: Option<DateTime<Utc>>,
    lines: Vec<Line>,
}

impl World {
    fn change(&mut self, number: u128, minute: i64, lag: i64) {
        let changes = self.changes.entry(number).or_default();
        match changes.last() {
            // Its class is locked until the change before is there.
            Some((_, seen)) if *seen > minute => {}
            None => {
                let [enrolled, assigned] = billable(at(minute));
                let mut made = if number.is_multiple_of(2) {
                    enrolled
                } else {
                    assigned
                };
                made.item.id = Uuid::from_u128(number);
                changes.push((made, minute + lag));
            }
            Some((before, _)) => {
                let reason = match before.reason {
                    Reason::Enrolled => Reason::MadeAudit,
                    Reason::MadeAudit => Reason::Enrolled,
                    // What was assigned is cancelled once, for good.
                    Reason::Assigned => Reason::CancelledByStaff,
                    _ => return,
                };
                let next = Account {
                    reason,
                    since: at(minute),
                    ..before.clone()
                };
                changes.push((next, minute + lag));
            }
        }
    }

    /// What is due as somebody sees it who looks at `minute`, and no further back than is looked.
    fn due(&self, minute: i64) -> Vec<Line> {
        let seen = |changes: &Vec<(Account, i64)>| {
            let last = changes.iter().rev().find(|(_, seen)| *seen <= minute);
            last.map(|(account, _)| account.clone())
        };
        let with_lines = |mut account: Account| {
            let own = |line: &&Line| line.item.id == account.item.id;
            let entries = self.lines.iter().filter(own).count();
            account.entries = i32::try_from(entries).unwrap();
            account.closed_until = self.closed_until;
            account
        };
        let accounts = self.changes.values().filter_map(seen).map(with_lines);
        let near = |line: &Line| {
            self.closed_until
                .is_none_or(|end| line.occurred_at >= end - LATE)
        };
        accounts.filter_map(|one| one.due()).filter(near).collect()
    }

    fn close(&mut self, minute: i64, until: DateTime<Utc>) {
        if self.closed_until.is_some_and(|closed| closed >= until) {
            return;
        }
        let mut due = self.due(minute);
        due.retain(|line| line.booked_at < until);
        for line in &due {
            // What is closed stays: nothing is booked into it.
            assert!(
                self.closed_until
                    .is_none_or(|closed| closed <= line.booked_at)
            );
            assert!(line.occurred_at <= line.booked_at);
        }
        self.lines.extend(due);
        self.closed_until = Some(until);
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..6_u128, 0..LATE.num_minutes()).prop_map(|(number, lag)| Step::Change(number, lag)),
        1 => (0..90_i64).prop_map(Step::Close),
    ];
    prop::collection::vec(step, 0..80)
}

proptest! {
    /// Wherever time is closed, and however late what happened before that is seen.
    #[test]
    fn charges_less_credits_are_what_is_billable(steps in steps()) {
        let mut world = World::default();
        let mut minute = 0;
        for step in &steps {
            minute += 1;
            match step {
                Step::Change(number, lag) => world.change(*number, minute, *lag),
                Step::Close(back) => world.close(minute, at(minute - back)),
            }
        }
        let in_the_end = minute + LATE.num_minutes();
        let due = world.due(in_the_end);
        for (number, changes) in &world.changes {
            let own = |line: &&Line| line.item.id == Uuid::from_u128(*number);
            let lines: Vec<&Line> = world.lines.iter().filter(own).chain(due.iter().filter(own)).collect();
            for (line, entry) in lines.iter().zip(1..) {
                prop_assert_eq!(line.entry, entry);
                prop_assert_eq!(line.reason.charges(), entry % 2 == 1);
            }
            let (last, _) = changes.last().unwrap();
            prop_assert_eq!(lines.len() % 2 == 1, last.reason.charges(), "{:?}", lines);
        }
    }
}
