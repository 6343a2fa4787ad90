//! Changing a student's account: names, e-mail address, activity.

use latchkey_service_kit::database::begin;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::etags::check_etag;
use crate::app::reached::lock_student;
use crate::app::{Call, Error, Services};
use crate::domain::audit::{Action, Deed};
use crate::domain::email::EmailAddress;
use crate::domain::refusal::Refusal;
use crate::domain::student::Student;
use crate::store;

/// What to change of an account; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StudentChange {
    /// The e-mail address.
    pub email: Option<EmailAddress>,
    /// Given name.
    pub given_name: Option<String>,
    /// Family name.
    pub family_name: Option<String>,
    /// Whether the account is active.
    pub active: Option<bool>,
}

impl StudentChange {
    fn apply(self, student: &Student) -> Student {
        let mut changed = student.clone();
        if let Some(email) = self.email {
            changed.email = email;
        }
        if let Some(name) = self.given_name {
            changed.given_name = name;
        }
        if let Some(name) = self.family_name {
            changed.family_name = name;
        }
        if let Some(active) = self.active {
            changed.active = active;
        }
        changed
    }
}

/// Changes an account that was not erased. `etag`, if given, must be of its present version. A change that changes nothing leaves no trace.
pub async fn update_student(
    services: &Services,
    call: &Call,
    id: Uuid,
    change: StudentChange,
    etag: Option<&str>,
) -> Result<Student, Error> {
    let mut transaction = begin(&services.pool).await?;
    let student = lock_student(&mut transaction, call, id).await?.student;
    check_etag(etag, "student", id, student.version)?;
    let mut changed = change.apply(&student);
    if changed == student {
        transaction.commit_confirmed().await?;
        return Ok(student);
    }
    if student.erased_at.is_some() {
        return Err(Refusal::StudentErased { student_id: id }.into());
    }
    changed.version += 1;
    if !store::students::update(&mut transaction, &changed).await? {
        return Err(Refusal::EmailTaken.into());
    }
    let deed = Deed {
        action: action(&student, &changed),
        organization_id: student.organization_id,
        resource_id: id,
        student_id: Some(id),
        details: changed_fields(&student, &changed),
    };
    let deeds = [(services.ids.new_id(), deed)];
    store::audit::insert(&mut transaction, call.author(), &deeds).await?;
    transaction.commit().await?;
    Ok(changed)
}

fn action(student: &Student, changed: &Student) -> Action {
    match (student.active, changed.active) {
        (false, true) => Action::ActivateStudent,
        (true, false) => Action::DeactivateStudent,
        _ => Action::UpdateStudent,
    }
}

/// Which fields changed. Not what they hold: the trail outlives an account's personal data.
fn changed_fields(student: &Student, changed: &Student) -> Value {
    let fields: Vec<&str> = [
        ("email", student.email != changed.email),
        ("given_name", student.given_name != changed.given_name),
        ("family_name", student.family_name != changed.family_name),
        ("active", student.active != changed.active),
    ]
    .into_iter()
    .filter_map(|(field, differs)| differs.then_some(field))
    .collect();
    json!({ "changed": fields })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::student::tests::student;

    #[test]
    fn only_what_is_set_changes_and_no_personal_data_reaches_the_trail() {
        let student = student();
        assert_eq!(StudentChange::default().apply(&student), student);
        let change = StudentChange {
            email: Some(EmailAddress::new("Ann@example.com")),
            family_name: Some("Bloom".into()),
            ..StudentChange::default()
        };
        let changed = change.apply(&student);
        assert_eq!(changed.given_name, student.given_name);
        assert_eq!(
            changed_fields(&student, &changed),
            json!({ "changed": ["email", "family_name"] })
        );
        assert_eq!(action(&student, &changed), Action::UpdateStudent);
    }

    #[test]
    fn deactivation_and_activation_are_deeds_of_their_own() {
        let active = student();
        let off = StudentChange {
            active: Some(false),
            ..StudentChange::default()
        };
        let inactive = off.apply(&active);
        assert_eq!(action(&active, &inactive), Action::DeactivateStudent);
        assert_eq!(action(&inactive, &active), Action::ActivateStudent);
    }
}
