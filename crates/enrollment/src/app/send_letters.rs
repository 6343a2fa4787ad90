//! Sending what is in the outbox: at least once each, by whichever replica takes it.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use latchkey_service_kit::backoff::Backoff;
use latchkey_service_kit::database::begin;
use latchkey_service_kit::faults::crash_point;

use super::{Error, Services};
use crate::clients::keys::KeysError;
use crate::clients::smtp::{Mailer, Outgoing, Unsent};
use crate::domain::class::Class;
use crate::domain::notification::fields::Facts;
use crate::domain::notification::letters::Addressee;
use crate::domain::notification::template::{names_event_key, render};
use crate::domain::notification::{Letterhead, PlanSettings};
use crate::domain::student::Student;
use crate::store;
use crate::store::letters::sending::{self, Claimed, Fate};

/// How many letters one replica takes at once, and how many of them it sends at a time.
const TAKEN: i64 = 16;
const AT_A_TIME: usize = 8;

/// How long what fails is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The longest pause after a first failure.
    pub first: Duration,
    /// The longest pause after any.
    pub longest: Duration,
    /// After how long a letter is given up.
    pub give_up: Duration,
    /// For how long letters are taken: longer than sending two after the other may last. Whoever dies with them has them sent
    /// by another after that.
    pub lease: Duration,
}

impl Patience {
    /// What becomes of a letter that failed once more, for this reason.
    fn after(&self, letter: &Claimed, why: String) -> Fate {
        let pauses = Backoff {
            first: self.first,
            longest: self.longest,
        };
        let failures = u32::try_from(letter.attempts).unwrap_or(u32::MAX);
        if letter.age >= self.give_up {
            Fate::Dead(format!("GAVE_UP {why}"))
        } else {
            // At least half of it: what comes back at once helps nobody.
            let longest = pauses.longest_after(failures);
            Fate::Again(longest / 2 + pauses.pause(failures) / 2, why)
        }
    }
}

/// Sends the letters whose time has come; whether more may be there.
pub async fn send_letters(
    services: &Services,
    mailer: &Mailer,
    patience: &Patience,
) -> Result<bool, Error> {
    let mut transaction = begin(&services.pool).await?;
    let taken = sending::claim(&mut transaction, patience.lease, TAKEN).await?;
    if taken.is_empty() {
        transaction.rollback().await?;
        return Ok(false);
    }
    transaction.commit().await?;
    let more = taken.len() >= usize::try_from(TAKEN).unwrap_or(usize::MAX);
    for some in taken.chunks(AT_A_TIME) {
        let mut sending = FuturesUnordered::new();
        for letter in some {
            sending.push(send(services, mailer, patience, letter));
        }
        // What fails does not keep the others from being sent.
        let mut failed = None;
        while let Some(outcome) = sending.next().await {
            failed = outcome.err().or(failed);
        }
        failed.map_or(Ok(()), Err)?;
    }
    Ok(more)
}

async fn send(
    services: &Services,
    mailer: &Mailer,
    patience: &Patience,
    letter: &Claimed,
) -> Result<(), Error> {
    let fate = match write(services, letter).await? {
        Ok(written) => {
            let sent = mailer.send(&written.outgoing(letter)).await;
            crash_point("letters::sent");
            match sent {
                Ok(()) => Fate::Sent,
                Err(Unsent::NotNow(why)) => patience.after(letter, why),
                Err(error) => Fate::Dead(error.to_string()),
            }
        }
        Err(Unwritten::Not(why)) => Fate::Dropped(why),
        Err(Unwritten::Never(why)) => Fate::Dead(why.to_owned()),
        Err(Unwritten::NotNow(why)) => patience.after(letter, why.to_owned()),
    };
    metrics::counter!("latchkey_letters_total", "result" => fate.as_str()).increment(1);
    if let Fate::Dead(why) = &fate {
        tracing::warn!(letter.id = %letter.letter_id, plan.id = %letter.plan_id, problem = %why, "a letter cannot be sent");
    }
    let mut transaction = begin(&services.pool).await?;
    sending::settle(&mut transaction, letter.letter_id, &fate).await?;
    transaction.commit().await?;
    Ok(())
}

/// A letter that could be sent. Holds personal data, and maybe a code.
struct Written {
    settings: PlanSettings,
    sender: String,
    to: String,
    content: crate::domain::notification::template::Rendered,
}

impl Written {
    fn outgoing<'w>(&'w self, letter: &Claimed) -> Outgoing<'w> {
        Outgoing {
            letter_id: letter.letter_id,
            from: self.settings.from.as_deref(),
            sender: &self.sender,
            to: &self.to,
            cc: &self.settings.cc,
            content: &self.content,
        }
    }
}

/// Why a letter is not written.
enum Unwritten {
    /// It is not to be.
    Not(&'static str),
    /// It cannot be.
    Never(&'static str),
    /// It cannot be at the moment.
    NotNow(&'static str),
}

/// Writes a letter with the facts as they are now.
async fn write(services: &Services, letter: &Claimed) -> Result<Result<Written, Unwritten>, Error> {
    let mut connection = services.pool.acquire().await?;
    let plan = store::notifications::find_placed(&mut connection, letter.plan_id).await?;
    let place = store::notifications::changes::places(&mut connection, &[letter.class_id])
        .await?
        .pop();
    let owner = store::organizations::find(&mut *connection, letter.organization_id).await?;
    let (Some(plan), Some(place), Some(owner)) = (plan, place, owner) else {
        return Ok(Err(Unwritten::Not("GONE")));
    };
    if plan.plan.deleted {
        return Ok(Err(Unwritten::Not("PLAN_DELETED")));
    }
    if place.on_since.is_none() {
        return Ok(Err(Unwritten::Not("NOTIFICATIONS_OFF")));
    }
    let (settings, class) = (plan.plan.settings, place.class);
    let enrollment = match letter.enrollment_id {
        Some(id) => store::letters::facts::about(&mut connection, id).await?,
        None => None,
    };
    let status = enrollment.as_ref().map(|one| one.status);
    if settings.is_overtaken(&class, status) {
        return Ok(Err(Unwritten::Not("OVERTAKEN")));
    }
    let student = match &enrollment {
        Some(one) => store::students::find(&mut *connection, one.student_id).await?,
        None => None,
    };
    let letterhead = store::notifications::settings::find(&mut *connection, owner.id)
        .await?
        .letterhead;
    let silent = match &letter.recipient {
        Addressee::Student(id) => store::letters::facts::opted_out(&mut connection, *id).await?,
        _ => false,
    };
    drop(connection);
    if silent {
        return Ok(Err(Unwritten::Not("OPTED_OUT")));
    }
    let to = match address(&letter.recipient, student.as_ref(), &letterhead) {
        Ok(to) => to,
        Err(why) => return Ok(Err(Unwritten::Not(why))),
    };
    let event_key = match event_key(services, letter, &settings, &class).await {
        Ok(code) => code,
        Err(unwritten) => return Ok(Err(unwritten)),
    };
    let facts = Facts {
        student: student.map(|one| (one.given_name, one.family_name)),
        organization_name: owner.display_name.clone(),
        class,
        enrollment_status: enrollment.map(|one| one.status.as_str().replace('_', " ")),
        login_page: letterhead
            .login_page
            .or_else(|| services.login_page.clone()),
        event_key,
    };
    Ok(match render(&settings, &facts) {
        Ok(content) => Ok(Written {
            settings,
            sender: owner.display_name,
            to,
            content,
        }),
        Err(_) => Err(Unwritten::Never("TEMPLATE")),
    })
}

/// Where a letter goes, or why it goes nowhere.
fn address(
    recipient: &Addressee,
    student: Option<&Student>,
    letterhead: &Letterhead,
) -> Result<String, &'static str> {
    match recipient {
        Addressee::Student(id) => match student {
            Some(student) if student.id == *id && student.active => {
                Ok(student.email.given().to_owned())
            }
            _ => Err("STUDENT_GONE"),
        },
        Addressee::Instructor(subject) => {
            let email = letterhead.instructors.get(subject);
            email.cloned().ok_or("NO_ADDRESS")
        }
        Addressee::OperationsManagers => letterhead
            .operations_managers_email
            .clone()
            .ok_or("NO_ADDRESS"),
    }
}

/// The code of the class's event key, if the plan names it.
async fn event_key(
    services: &Services,
    letter: &Claimed,
    settings: &PlanSettings,
    class: &Class,
) -> Result<Option<secrecy::SecretString>, Unwritten> {
    if !names_event_key(settings) {
        return Ok(None);
    }
    let purpose = format!("notification_plan/{}", letter.plan_id);
    let recipient = letter.recipient.to_text();
    let revealed =
        services
            .keys
            .reveal_code(class.id, None, &recipient, &purpose, &services.itself);
    match revealed.await {
        Ok(code) => Ok(Some(code)),
        Err(KeysError::KeyNotFound | KeysError::KeyRevoked) => {
            Err(Unwritten::Never("NO_EVENT_KEY"))
        }
        Err(_) => Err(Unwritten::NotNow("KEYS_UNAVAILABLE")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn letter(attempts: i32, age: u64) -> Claimed {
        Claimed {
            letter_id: Uuid::nil(),
            plan_id: Uuid::nil(),
            organization_id: Uuid::nil(),
            class_id: Uuid::nil(),
            enrollment_id: None,
            recipient: Addressee::OperationsManagers,
            attempts,
            age: Duration::from_secs(age),
        }
    }

    #[test]
    fn pauses_grow_until_a_letter_is_given_up() {
        let patience = Patience {
            first: Duration::from_secs(10),
            longest: Duration::from_mins(1),
            give_up: Duration::from_hours(1),
            lease: Duration::from_secs(1),
        };
        for (attempts, least, most) in [(1, 5, 10), (2, 10, 20), (9, 30, 60)] {
            match patience.after(&letter(attempts, 0), "TIMEOUT".into()) {
                Fate::Again(pause, why) => {
                    assert!((least..=most).contains(&pause.as_secs()), "{pause:?}");
                    assert_eq!(why, "TIMEOUT");
                }
                other => panic!("{other:?}"),
            }
        }
        let old = patience.after(&letter(9, 3_600), "TIMEOUT".into());
        assert_eq!(old, Fate::Dead("GAVE_UP TIMEOUT".into()));
    }

    #[test]
    fn who_has_no_address_here_gets_no_letter() {
        let student = crate::domain::student::tests::student();
        let to_student = Addressee::Student(student.id);
        let head = Letterhead {
            instructors: [("ann".to_owned(), "ann@example.com".to_owned())].into(),
            ..Letterhead::default()
        };
        let of = |recipient: &Addressee, student| address(recipient, student, &head);
        assert_eq!(of(&to_student, Some(&student)).unwrap(), "ann@example.com");
        let mut inactive = student.clone();
        inactive.active = false;
        assert_eq!(of(&to_student, Some(&inactive)), Err("STUDENT_GONE"));
        assert_eq!(of(&to_student, None), Err("STUDENT_GONE"));
        assert!(of(&Addressee::Instructor("ann".into()), None).is_ok());
        for nobody in [
            Addressee::Instructor("bob".into()),
            Addressee::OperationsManagers,
        ] {
            assert_eq!(of(&nobody, None), Err("NO_ADDRESS"));
        }
    }
}
