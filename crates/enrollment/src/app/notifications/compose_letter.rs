//! What a letter says, with the facts as they are when it is sent.

use latchkey_service_kit::database;
use secrecy::SecretString;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::app::{Error, Services};
use crate::clients::keys::Asker;
use crate::clients::keys::KeysError;
use crate::clients::smtp::Outgoing;
use crate::domain::notification::fields::{ClassTopic, Facts, Topic};
use crate::domain::notification::letter::{Addressee, Matter};
use crate::domain::notification::template::{Rendered, names_event_key, render};
use crate::domain::notification::{Letterhead, PlanSettings};
use crate::domain::student::Student;
use crate::store;
use crate::store::letters::sending::Claimed;

/// A letter that could be sent. Holds personal data, and maybe a code.
pub(super) struct Composed {
    settings: PlanSettings,
    sender: String,
    to: String,
    content: Rendered,
}

impl Composed {
    /// As it goes to the mail server.
    pub(super) fn outgoing<'c>(&'c self, letter: &Claimed) -> Outgoing<'c> {
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

/// Why there is nothing to send.
pub(super) enum Unwritten {
    /// It is not to be sent.
    Not(&'static str),
    /// It cannot be.
    Never(&'static str),
    /// It cannot be at the moment.
    NotNow(&'static str),
    /// It is not known whether: something failed here.
    Failed(Error),
}

impl From<sqlx::Error> for Unwritten {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// What a letter is about, and who the student is, if it is about one.
struct About {
    topic: Topic,
    student_id: Option<Uuid>,
}

/// Writes a letter with the facts as they are now.
pub(super) async fn compose(services: &Services, letter: &Claimed) -> Result<Composed, Unwritten> {
    let mut connection = services.pool.acquire().await?;
    let plan = store::notifications::find_placed(&mut connection, letter.plan_id).await?;
    let owner = store::organizations::find(&mut *connection, letter.organization_id).await?;
    let (plan, owner) = plan.zip(owner).ok_or(Unwritten::Not("GONE"))?;
    if plan.plan.deleted {
        return Err(Unwritten::Not("PLAN_DELETED"));
    }
    let settings = plan.plan.settings;
    let mut about = about(&mut connection, letter.matter, &settings).await?;
    let student = match about.student_id {
        Some(id) => store::students::find(&mut *connection, id).await?,
        None => None,
    };
    let letterhead = store::notifications::settings::find(&mut *connection, owner.id)
        .await?
        .letterhead;
    if let Addressee::Student(id) = letter.recipient
        && store::letters::facts::opted_out(&mut connection, id).await?
    {
        return Err(Unwritten::Not("OPTED_OUT"));
    }
    drop(connection);
    let to = address(&letter.recipient, student.as_ref(), &letterhead).map_err(Unwritten::Not)?;
    if let Topic::Class(topic) = &mut about.topic
        && names_event_key(&settings)
    {
        topic.event_key = Some(event_key(services, letter, topic.class.id).await?);
    }
    let facts = Facts {
        student: student.map(|one| (one.given_name, one.family_name)),
        organization_name: owner.display_name.clone(),
        login_page: letterhead
            .login_page
            .or_else(|| services.login_page.clone()),
        topic: about.topic,
    };
    let content = render(&settings, &facts).map_err(|_| Unwritten::Never("TEMPLATE"))?;
    Ok(Composed {
        settings,
        sender: owner.display_name,
        to,
        content,
    })
}

/// What a letter is about, unless nothing is to be written about it any more.
async fn about(
    connection: &mut PgConnection,
    matter: Matter,
    settings: &PlanSettings,
) -> Result<About, Unwritten> {
    match matter {
        Matter::Class(class_id) => about_class(connection, class_id, None, settings).await,
        Matter::Enrollment {
            enrollment_id,
            class_id,
        } => about_class(connection, class_id, Some(enrollment_id), settings).await,
        Matter::Assignment(id) => about_assignment(connection, id, settings).await,
    }
}

async fn about_class(
    connection: &mut PgConnection,
    class_id: Uuid,
    enrollment_id: Option<Uuid>,
    settings: &PlanSettings,
) -> Result<About, Unwritten> {
    let place = store::notifications::changes::places(connection, &[class_id])
        .await?
        .pop()
        .ok_or(Unwritten::Not("GONE"))?;
    if place.on_since.is_none() {
        return Err(Unwritten::Not("NOTIFICATIONS_OFF"));
    }
    let enrollment = match enrollment_id {
        Some(id) => store::letters::facts::about(connection, id).await?,
        None => None,
    };
    let status = enrollment.as_ref().map(|one| one.status);
    if settings.is_overtaken(&place.class, status) {
        return Err(Unwritten::Not("OVERTAKEN"));
    }
    Ok(About {
        topic: Topic::Class(Box::new(ClassTopic {
            class: place.class,
            enrollment_status: status.map(|status| status.as_str().replace('_', " ")),
            event_key: None,
        })),
        student_id: enrollment.map(|one| one.student_id),
    })
}

async fn about_assignment(
    connection: &mut PgConnection,
    id: Uuid,
    settings: &PlanSettings,
) -> Result<About, Unwritten> {
    let assignment = store::notifications::expiries::find(&mut *connection, id)
        .await?
        .ok_or(Unwritten::Not("GONE"))?;
    if assignment.on_since.is_none() {
        return Err(Unwritten::Not("NOTIFICATIONS_OFF"));
    }
    let now = database::now(connection).await?;
    if settings.is_too_late_for(&assignment, now) {
        return Err(Unwritten::Not("OVERTAKEN"));
    }
    Ok(About {
        student_id: Some(assignment.student_id),
        topic: Topic::Assignment(assignment),
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

/// The code of the class's event key.
async fn event_key(
    services: &Services,
    letter: &Claimed,
    class_id: Uuid,
) -> Result<SecretString, Unwritten> {
    let purpose = format!("notification_plan/{}", letter.plan_id);
    let recipient = letter.recipient.to_text();
    let itself = Asker {
        caller: &services.itself,
        peer: "",
    };
    let revealed = services
        .keys
        .reveal_code(class_id, None, &recipient, &purpose, itself);
    revealed.await.map_err(|error| match error {
        KeysError::KeyNotFound | KeysError::KeyRevoked => Unwritten::Never("NO_EVENT_KEY"),
        _ => Unwritten::NotNow("KEYS_UNAVAILABLE"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
