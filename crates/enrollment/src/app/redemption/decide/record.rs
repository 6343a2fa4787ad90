//! Writing what a batch decided: about classes by one statement, and about courses by another, if it has such.

use latchkey_service_kit::database;
use latchkey_service_kit::faults::hold_point;
use secrecy::ExposeSecret;
use sqlx::PgConnection;
use uuid::Uuid;

use super::Failure;
use crate::app::Error;
use crate::app::redemption::desk::{Item, Registration};
use crate::app::redemption::intake::is_registration;
use crate::domain::decision::{Applicant, Decision, Ledger};
use crate::domain::key::{Opens, ResolvedKey};
use crate::domain::redemption::{Outcome, Redemption, UsedKey};
use crate::domain::refusal::Refusal;
use crate::store;
use crate::store::assignments::write as courses;
use crate::store::redemptions::write::{NewRedemption, Written};
use crate::store::students::registered::NewStudent;

/// A statement that writes has not written what it was told to.
#[derive(Debug, thiserror::Error)]
#[error("{wanted} were to be written, and {written} were")]
struct WrittenOtherwise {
    wanted: String,
    written: String,
}

/// Fails unless all was written that was to be.
fn check<W: PartialEq + std::fmt::Debug>(wanted: &W, written: &W) -> Result<(), Failure> {
    if written == wanted {
        return Ok(());
    }
    let (wanted, written) = (format!("{wanted:?}"), format!("{written:?}"));
    Err(Error::internal(WrittenOtherwise { wanted, written }).into())
}

/// Writes what was decided; whether keys were used.
pub(super) async fn write(
    connection: &mut PgConnection,
    items: &[&Item],
    decisions: &[Decision],
    ledger: &Ledger,
) -> Result<bool, Failure> {
    let students: Vec<NewStudent<'_>> = items
        .iter()
        .zip(decisions)
        .filter(|(_, decision)| matches!(decision, Decision::Enroll(_) | Decision::Assign { .. }))
        .filter_map(|(item, _)| new_student(item))
        .collect();
    if !students.is_empty() {
        store::students::registered::insert(connection, &students, ledger.now).await?;
    }
    let (mut of_classes, mut of_courses) = (Vec::new(), Vec::new());
    for (item, decision) in items.iter().zip(decisions) {
        let Some(redemption) = redemption(item, decision, ledger) else {
            continue;
        };
        if redemption
            .key
            .is_some_and(|key| key.opened.class_id().is_none())
        {
            of_courses.push(course(redemption, decision));
        } else {
            let admission = match decision {
                Decision::Enroll(admission) => Some(admission),
                _ => None,
            };
            of_classes.push(NewRedemption {
                slot: admission.and_then(|one| one.slot),
                holds_key: admission.is_some_and(|one| one.holds_key),
                status_since: admission.map(|one| one.enrollment.status_since),
                redemption,
            });
        }
    }
    if of_classes.is_empty() && of_courses.is_empty() {
        // Nothing of one's own is committed, and the answer may rest on what another has.
        if decisions
            .iter()
            .any(|decision| matches!(decision, Decision::Repeat(_)))
        {
            database::confirm(connection).await?;
        }
        return Ok(false);
    }
    let mut used = false;
    if !of_classes.is_empty() {
        let wanted = Written::by(&of_classes);
        let written = store::redemptions::write::insert(connection, &of_classes, ledger.now);
        check(&wanted, &written.await?)?;
        used |= wanted.enrollments > 0;
    }
    if !of_courses.is_empty() {
        let wanted = courses_wanted(&of_courses);
        let written = courses::insert(connection, &of_courses, ledger.now);
        check(&wanted, &written.await?)?;
        used |= wanted.assignments > 0;
    }
    hold_point("decide::written");
    Ok(used)
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn courses_wanted(redemptions: &[courses::NewRedemption]) -> courses::Written {
    let assigned = redemptions.iter().filter(|one| one.granted.is_some());
    courses::Written {
        redemptions: count(redemptions.len()),
        assignments: count(assigned.count()),
    }
}

fn course(redemption: Redemption, decision: &Decision) -> courses::NewRedemption {
    let granted = match decision {
        Decision::Assign { assignment, slot } => Some((assignment.clone(), *slot)),
        _ => None,
    };
    courses::NewRedemption {
        redemption,
        granted,
    }
}

fn new_student(item: &Item) -> Option<NewStudent<'_>> {
    let Registration {
        student,
        password_hash,
    } = item.registration.as_ref()?;
    Some(NewStudent {
        student,
        password_hash: password_hash.as_ref().map(ExposeSecret::expose_secret),
        redemption_id: item.wish.redemption_id?,
        fingerprint: &item.wish.fingerprint,
    })
}

/// Whose redemption it is: the organization that owns what the key opens. `None` if the class is unknown.
fn owner(key: &ResolvedKey, ledger: &Ledger) -> Option<Uuid> {
    match &key.opens {
        Opens::Class { class_id, .. } => Some(ledger.classes.get(class_id)?.organization_id),
        Opens::Pool(_) | Opens::Subscription(_) => Some(key.organization_id),
    }
}

fn redemption(item: &Item, decision: &Decision, ledger: &Ledger) -> Option<Redemption> {
    let (wish, call) = (&item.wish, &item.call);
    let outcome = decision.outcome()?;
    // That nobody registers here is said before the key is looked at.
    let looked_at = !matches!(
        outcome,
        Outcome::Refused(Refusal::SelfRegistrationDisabled { .. })
    );
    let key = wish.key.as_ref().filter(|_| looked_at);
    let owner = key.and_then(|key| owner(key, ledger));
    let (would_be, student_id) = match &wish.applicant {
        Applicant::Student(id) => (None, Some(*id)),
        Applicant::Newcomer {
            organization_id,
            account,
        } => {
            let made = account.as_ref().map(|account| account.student_id);
            let refused = matches!(outcome, Outcome::Refused(_));
            (Some(*organization_id), made.filter(|_| !refused))
        }
    };
    Some(Redemption {
        id: wish.redemption_id?,
        registration: is_registration(wish),
        outcome,
        fingerprint: wish.fingerprint.clone(),
        organization_id: owner.or(would_be)?,
        student_id,
        key: key.map(|key| UsedKey {
            key_id: key.key_id,
            generation: key.generation,
            opened: (&key.opens).into(),
        }),
        caller: call.caller.subject.clone(),
        peer: call.peer.clone(),
        request_id: call.request_id.clone(),
        decided_at: ledger.now,
    })
}
