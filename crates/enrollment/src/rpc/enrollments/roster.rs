//! Rosters as messages carry them.

use std::cmp::Reverse;

use latchkey_proto::enrollment::v1 as proto;
use prost::Message;

use super::write::{enrollment, status};
use crate::app::enrollments::read_roster::{Roster, RosterEntry, StatusCount};
use crate::rpc::students::student;

/// How many bytes the entries of a roster have at most, as the contract says: the rest of an answer fits beside them into the
/// 4 MiB that libraries of gRPC take unless they are told otherwise.
const MAXIMUM_BYTES: usize = 3 * 1024 * 1024;

/// What stands before an entry in a message: its field's number, and its length.
const PREFIX_BYTES: usize = 4;

/// A roster.
pub(super) fn roster(roster: Roster) -> proto::GetRosterResponse {
    let class = roster.class;
    proto::GetRosterResponse {
        class_id: class.id.to_string(),
        minimum_students: class.minimum_students,
        maximum_students: class.maximum_students,
        seats_taken: class.seats_taken,
        seats_left: class.seats_left(),
        counts: roster.counts.iter().map(count).collect(),
        entries: fitting(roster.entries, MAXIMUM_BYTES),
    }
}

fn count(count: &StatusCount) -> proto::StatusCount {
    proto::StatusCount {
        status: status(count.status).into(),
        count: i32::try_from(count.count).unwrap_or(i32::MAX),
    }
}

/// As many of `entries`, in their order, as have `bytes` at most: the live ones before the others, and of those the first; of the
/// others those that ended last.
fn fitting(entries: Vec<RosterEntry>, bytes: usize) -> Vec<proto::RosterEntry> {
    let mut by_weight: Vec<(usize, RosterEntry)> = entries.into_iter().enumerate().collect();
    // Stable: the live ones stay in their order.
    by_weight.sort_by_key(|(_, one)| {
        let ended = (!one.enrollment.is_live()).then_some(one.enrollment.status_since);
        ended.map(Reverse)
    });
    let mut left = bytes;
    let mut fit: Vec<(usize, proto::RosterEntry)> = by_weight
        .into_iter()
        .map(|(at, one)| (at, entry(one)))
        .map_while(|(at, one)| {
            left = left.checked_sub(one.encoded_len() + PREFIX_BYTES)?;
            Some((at, one))
        })
        .collect();
    fit.sort_unstable_by_key(|(at, _)| *at);
    fit.into_iter().map(|(_, one)| one).collect()
}

fn entry(entry: RosterEntry) -> proto::RosterEntry {
    proto::RosterEntry {
        enrollment: Some(enrollment(&entry.enrollment)),
        student: Some(student(entry.student)),
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use uuid::Uuid;

    use super::*;
    use crate::domain::email::EmailAddress;
    use crate::domain::enrollment::{CancelledBy, Completion, Enrollment, Origin, Status};
    use crate::domain::student::{ExternalIdentity, Student};

    const NOBODY: u128 = u128::MAX;

    fn came(number: u128, ended: Option<i64>) -> RosterEntry {
        let began = DateTime::<Utc>::UNIX_EPOCH;
        let id = Uuid::from_u128(number);
        RosterEntry {
            enrollment: Enrollment {
                id,
                class_id: Uuid::from_u128(NOBODY),
                organization_id: Uuid::from_u128(NOBODY),
                student_id: id,
                status: ended.map_or(Status::Enrolled, |_| Status::Cancelled),
                status_since: began + TimeDelta::seconds(ended.unwrap_or_default()),
                cancelled_by: ended.map(|_| CancelledBy::Staff),
                late_cancellation: false,
                completion: Completion::Unknown,
                origin: Origin::Direct,
                enrolled_at: began,
                version: 1,
            },
            student: Student {
                id,
                organization_id: Uuid::from_u128(NOBODY),
                email: EmailAddress::new(&"e".repeat(254)),
                given_name: "g".repeat(100),
                family_name: "f".repeat(100),
                external_identity: Some(ExternalIdentity {
                    issuer: "i".repeat(255),
                    subject: "s".repeat(255),
                }),
                has_password: false,
                active: true,
                created_at: began,
                version: 1,
                erased_at: None,
            },
        }
    }

    fn shown(entries: &[proto::RosterEntry]) -> Vec<u128> {
        let student =
            |one: &proto::RosterEntry| one.student.as_ref()?.student_id.parse::<Uuid>().ok();
        let students = entries.iter().filter_map(student);
        students.map(|id| id.as_u128()).collect()
    }

    #[test]
    fn those_who_are_in_come_before_those_who_are_not_any_more() {
        let all = || {
            vec![
                came(1, Some(20)),
                came(2, None),
                came(3, Some(30)),
                came(4, None),
                came(5, Some(10)),
            ]
        };
        let one = entry(came(1, Some(20))).encoded_len() + PREFIX_BYTES;
        assert_eq!(shown(&fitting(all(), 6 * one)), [1, 2, 3, 4, 5]);
        assert_eq!(shown(&fitting(all(), 4 * one)), [1, 2, 3, 4]);
        assert_eq!(shown(&fitting(all(), 3 * one)), [2, 3, 4]);
        assert_eq!(shown(&fitting(all(), 2 * one)), [2, 4]);
        assert_eq!(shown(&fitting(all(), one)), [2]);
    }

    #[test]
    fn an_answer_is_never_larger_than_a_client_takes() {
        let all = (0..10_000).map(|number| came(number, None)).collect();
        let message = proto::GetRosterResponse {
            entries: fitting(all, MAXIMUM_BYTES),
            ..Default::default()
        };
        let bytes = message.encoded_len();
        assert!(
            bytes > MAXIMUM_BYTES / 2 && bytes <= MAXIMUM_BYTES,
            "{bytes}"
        );
    }
}
