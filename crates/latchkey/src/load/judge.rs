//! Whether anything that was answered cannot be: what was seen at once during the runs, uses of keys, and the rosters.
//!
//! It may only be called when nothing is going on any more.

use std::collections::HashMap;

use anyhow::Context;
use futures::stream::{self, StreamExt, TryStreamExt};
use latchkey_proto::enrollment::v1::class_service_client::ClassServiceClient;
use latchkey_proto::enrollment::v1::enrollment_service_client::EnrollmentServiceClient;
use latchkey_proto::enrollment::v1::{
    Enrollment, EnrollmentStatus, GetClassRequest, ListEnrollmentsRequest, TrainingClass,
};
use latchkey_proto::keys::v1::KeyKind;
use latchkey_service_kit::identity::Role;
use tonic::transport::Channel;
use uuid::Uuid;

use super::run::{KeyUse, Run, Seat, WrongKind, Wrongs};
use super::supply::Supply;
use super::target::Target;
use crate::stack::sample::authorized;

/// How many rosters are read at once.
const AT_ONCE: usize = 8;

/// Enrollments in one answer. A whole roster may not fit into one.
const PAGE: i32 = 1_000;

/// Who is in a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    /// The number of the class in the supply.
    pub number: u32,
    /// The class.
    pub class: Uuid,
    /// Its seats.
    pub maximum: i32,
    /// How many of them are taken, as the class says.
    pub taken: i32,
    /// Those who are enrolled.
    pub entries: Vec<Entry>,
}

/// Somebody who is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// By this enrollment.
    pub enrollment: Uuid,
    /// Who.
    pub student: Uuid,
    /// The enrollment key it took, if it was one.
    pub key: Option<Uuid>,
}

/// What is wrong, as far as that could be found out.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// What is wrong in the answers; and in the rosters, if they could be read.
    pub wrong: Wrongs,
    /// Why the rosters could not be read, if so: then nobody knows whether all answers came true.
    pub unread: Option<String>,
}

/// All that is wrong in `runs`, which were made out of `supply`, as far as that can be found out.
pub async fn verdict(target: &Target, supply: &Supply, runs: &[&Run]) -> Verdict {
    match judge(target, supply, runs).await {
        Ok(wrong) => Verdict {
            wrong,
            unread: None,
        },
        Err(error) => Verdict {
            wrong: of_answers(supply, runs),
            unread: Some(format!("{error:#}")),
        },
    }
}

/// All that is wrong in `runs`, which were made out of `supply`.
///
/// # Errors
/// When a roster cannot be read.
pub async fn judge(target: &Target, supply: &Supply, runs: &[&Run]) -> anyhow::Result<Wrongs> {
    let rosters = rosters(target, supply).await?;
    let mut wrong = of_answers(supply, runs);
    for roster in &rosters {
        of_roster(roster, &mut wrong);
    }
    if supply.is_own {
        // Elsewhere, somebody else may have cancelled since.
        let seats = runs.iter().flat_map(|run| &run.seats);
        not_on_the_roster(&rosters, seats, &mut wrong);
        let full = runs.iter().flat_map(|run| &run.full).copied();
        full_with_seats_left(&rosters, full, &mut wrong);
    }
    Ok(wrong)
}

/// What is wrong in the answers alone.
fn of_answers(supply: &Supply, runs: &[&Run]) -> Wrongs {
    let mut wrong = Wrongs::default();
    for run in runs {
        wrong.merge(run.wrong.clone());
    }
    let uses = runs.iter().flat_map(|run| &run.key_uses);
    keys_used_twice(supply, uses, &mut wrong);
    wrong
}

/// Keys for one student that enrolled two, as they were answered.
fn keys_used_twice<'u>(
    supply: &Supply,
    uses: impl Iterator<Item = &'u KeyUse>,
    wrong: &mut Wrongs,
) {
    let mut students: HashMap<(u32, u32), Uuid> = HashMap::new();
    for used in uses {
        let first = *students
            .entry((used.class, used.key))
            .or_insert(used.student);
        if first != used.student {
            let class = &supply.classes[used.class as usize];
            let key = match class.keys[used.key as usize].id {
                Some(id) => format!("the key {id}"),
                None => format!("the enrollment key number {}", used.key),
            };
            let what = format!(
                "{key} of the class {} enrolled the students {first} and {}",
                class.id, used.student
            );
            wrong.add(WrongKind::KeyUsedTwice, what);
        }
    }
}

/// More students than seats, keys that two took, students who are in twice.
fn of_roster(roster: &Roster, wrong: &mut Wrongs) {
    let class = roster.class;
    let seated = roster.entries.len();
    let maximum = usize::try_from(roster.maximum).unwrap_or(0);
    if seated > maximum || roster.taken > roster.maximum {
        let what = format!(
            "the class {class} has {maximum} seats, {} of them taken, and {seated} students",
            roster.taken
        );
        wrong.add(WrongKind::MoreThanSeats, what);
    }
    let mut keys = HashMap::new();
    let mut students = HashMap::new();
    for entry in &roster.entries {
        if let Some(key) = entry.key
            && let Some(first) = keys.insert(key, entry.student)
        {
            let second = entry.student;
            let what =
                format!("on the roster of {class}, {first} and {second} came by the key {key}");
            wrong.add(WrongKind::KeyUsedTwice, what);
        }
        if let Some(first) = students.insert(entry.student, entry.enrollment) {
            let what = format!(
                "on the roster of {class}, {} stands by {first} and {}",
                entry.student, entry.enrollment
            );
            wrong.add(WrongKind::TwiceOnTheRoster, what);
        }
    }
}

/// Who was told to be in and is not.
fn not_on_the_roster<'s>(
    rosters: &[Roster],
    seats: impl Iterator<Item = &'s Seat>,
    wrong: &mut Wrongs,
) {
    let entries = rosters.iter().flat_map(|roster| &roster.entries);
    let there: HashMap<Uuid, Uuid> = entries
        .map(|entry| (entry.enrollment, entry.student))
        .collect();
    for seat in seats {
        if there.get(&seat.enrollment) != Some(&seat.student) {
            let what = format!(
                "{} was told to be in by the enrollment {}",
                seat.student, seat.enrollment
            );
            wrong.add(WrongKind::NotOnTheRoster, what);
        }
    }
}

/// Classes that were said to be full, and are not. Nobody cancelled.
fn full_with_seats_left(rosters: &[Roster], full: impl Iterator<Item = u32>, wrong: &mut Wrongs) {
    let mut full: Vec<u32> = full.collect();
    full.sort_unstable();
    full.dedup();
    for roster in rosters {
        let left = usize::try_from(roster.maximum)
            .unwrap_or(0)
            .saturating_sub(roster.entries.len());
        if left > 0 && full.binary_search(&roster.number).is_ok() {
            let what = format!(
                "somebody was told that the class {} is full, which has {left} seats left",
                roster.class
            );
            wrong.add(WrongKind::FullWithSeatsLeft, what);
        }
    }
}

/// The roster of each class.
async fn rosters(target: &Target, supply: &Supply) -> anyhow::Result<Vec<Roster>> {
    let token = target.tokens.of(Role::PlatformService, None)?;
    let channel = target.enrollment_channel().await?;
    let classes = supply.classes.iter().map(|class| class.id).enumerate();
    stream::iter(classes)
        .map(|(number, class)| {
            let (channel, token) = (channel.clone(), &token);
            async move {
                let roster = roster(channel, token, u32::try_from(number)?, class).await;
                roster.with_context(|| format!("cannot read the roster of the class {class}"))
            }
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

async fn roster(channel: Channel, token: &str, number: u32, class: Uuid) -> anyhow::Result<Roster> {
    let mut enrollments = EnrollmentServiceClient::new(channel.clone());
    let mut entries = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListEnrollmentsRequest {
            class_id: class.to_string(),
            status: EnrollmentStatus::Enrolled.into(),
            page_size: PAGE,
            page_token,
            ..ListEnrollmentsRequest::default()
        };
        let page = enrollments
            .list_enrollments(authorized(request, token)?)
            .await?
            .into_inner();
        let read = page.enrollments.iter().map(entry);
        entries.extend(read.collect::<anyhow::Result<Vec<Entry>>>()?);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let request = GetClassRequest {
        class_id: class.to_string(),
    };
    let got = ClassServiceClient::new(channel)
        .get_class(authorized(request, token)?)
        .await?
        .into_inner();
    let TrainingClass {
        maximum_students,
        seats_taken,
        ..
    } = got.training_class.context("no class")?;
    Ok(Roster {
        number,
        class,
        maximum: maximum_students,
        taken: seats_taken,
        entries,
    })
}

fn entry(enrollment: &Enrollment) -> anyhow::Result<Entry> {
    let key = match &enrollment.origin {
        Some(origin) if origin.key_kind() == KeyKind::Enrollment => Some(origin.key_id.parse()?),
        _ => None,
    };
    Ok(Entry {
        enrollment: enrollment.enrollment_id.parse()?,
        student: enrollment.student_id.parse()?,
        key,
    })
}

#[cfg(test)]
mod tests {
    use super::super::supply::{Class, Key};
    use super::*;

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    /// Two seats, both taken, by the keys 11 and 12.
    fn good() -> Roster {
        let entry = |number| Entry {
            enrollment: id(number),
            student: id(100 + number),
            key: Some(id(10 + number)),
        };
        Roster {
            number: 0,
            class: id(5),
            maximum: 2,
            taken: 2,
            entries: vec![entry(1), entry(2)],
        }
    }

    fn found(judge: impl FnOnce(&mut Wrongs)) -> Vec<WrongKind> {
        let mut wrong = Wrongs::default();
        judge(&mut wrong);
        wrong.kept().iter().map(|wrong| wrong.kind).collect()
    }

    fn of(roster: &Roster) -> Vec<WrongKind> {
        found(|wrong| of_roster(roster, wrong))
    }

    #[test]
    fn more_students_than_seats_are_seen() {
        assert_eq!(of(&good()), []);
        let fewer_seats = Roster {
            maximum: 1,
            taken: 1,
            ..good()
        };
        assert_eq!(of(&fewer_seats), [WrongKind::MoreThanSeats]);
        let taken = Roster { taken: 3, ..good() };
        assert_eq!(of(&taken), [WrongKind::MoreThanSeats]);
    }

    #[test]
    fn a_key_that_enrolled_two_is_seen_on_the_roster() {
        let mut roster = good();
        roster.entries[1].key = roster.entries[0].key;
        assert_eq!(of(&roster), [WrongKind::KeyUsedTwice]);
        // An event key may be shared by all.
        for entry in &mut roster.entries {
            entry.key = None;
        }
        assert_eq!(of(&roster), []);
    }

    #[test]
    fn a_student_who_is_in_twice_is_seen() {
        let mut roster = good();
        roster.entries[1].student = roster.entries[0].student;
        assert_eq!(of(&roster), [WrongKind::TwiceOnTheRoster]);
    }

    #[test]
    fn a_key_that_enrolled_two_is_seen_in_the_answers() {
        let supply = Supply {
            classes: vec![Class {
                keys: vec![
                    Key {
                        id: None,
                        code: String::new(),
                    };
                    2
                ],
                ..Class::default()
            }],
            ..Supply::default()
        };
        let used = |key, student| KeyUse {
            class: 0,
            key,
            student: id(student),
        };
        let twice = |uses: &[KeyUse]| found(|wrong| keys_used_twice(&supply, uses.iter(), wrong));
        assert_eq!(twice(&[used(0, 1), used(1, 2), used(0, 1)]), []);
        assert_eq!(
            twice(&[used(0, 1), used(1, 2), used(0, 3)]),
            [WrongKind::KeyUsedTwice]
        );
    }

    #[test]
    fn an_answer_that_did_not_come_true_is_seen() {
        let seat = |enrollment, student| Seat {
            class: 0,
            enrollment: id(enrollment),
            student: id(student),
        };
        let missing =
            |seat: Seat| found(|wrong| not_on_the_roster(&[good()], [seat].iter(), wrong));
        assert_eq!(missing(seat(1, 101)), []);
        assert_eq!(missing(seat(9, 101)), [WrongKind::NotOnTheRoster]);
        assert_eq!(missing(seat(1, 102)), [WrongKind::NotOnTheRoster]);
    }

    #[test]
    fn a_class_that_was_said_to_be_full_is() {
        let full = |roster: Roster| {
            found(|wrong| full_with_seats_left(&[roster], [0, 0].into_iter(), wrong))
        };
        assert_eq!(full(good()), []);
        let larger = Roster {
            maximum: 3,
            ..good()
        };
        assert_eq!(full(larger.clone()), [WrongKind::FullWithSeatsLeft]);
        let other = Roster {
            number: 1,
            ..larger
        };
        assert_eq!(full(other), []);
    }
}
