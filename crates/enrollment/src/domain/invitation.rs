//! The text that is sent to somebody who is to redeem a key.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};

use super::calendar::in_words;
use super::class::{Class, ClassStatus};
use super::key::KeyKind;
use super::organization::Organization;
use super::refusal::{Closed, Refusal};
use super::student::Student;

/// What an invitation is made of.
#[derive(Debug, Clone, Copy)]
pub struct Invited<'i> {
    /// The class.
    pub class: &'i Class,
    /// The organization that owns it.
    pub organization: &'i Organization,
    /// Who is invited, if they have an account.
    pub student: Option<&'i Student>,
    /// The kind of the key.
    pub kind: KeyKind,
    /// Where students sign in and type their keys, if that is known.
    pub login_page: Option<&'i str>,
}

/// An invitation. Its text holds a code: neither is shown by `Debug`.
#[derive(Debug)]
pub struct Invitation {
    /// A subject, of one line.
    pub subject: String,
    /// The text.
    pub text: SecretString,
    /// The code that is in it.
    pub code: SecretString,
    /// Until when the key can be redeemed.
    pub redeemable_until: DateTime<Utc>,
}

impl Invited<'_> {
    /// Whether it makes sense at `now` to invite: the class was not cancelled, the key can still be redeemed, and the
    /// student is there to do it.
    pub fn judge(&self, now: DateTime<Utc>) -> Result<(), Refusal> {
        let class = self.class;
        if class.status == ClassStatus::Cancelled {
            return Err(Refusal::ClassCancelled { class_id: class.id });
        }
        if !class.windows().is_open(self.kind, now) {
            return Err(Refusal::WindowClosed {
                of: Closed::Class(class.id),
                closed_at: class.windows().until(self.kind),
                time_zone: class.time_zone,
            });
        }
        match self.student {
            Some(student) if student.erased_at.is_some() => Err(Refusal::StudentErased {
                student_id: student.id,
            }),
            Some(student) if !student.active => Err(Refusal::StudentInactive {
                student_id: student.id,
            }),
            _ => Ok(()),
        }
    }

    /// The invitation with this code.
    pub fn write(&self, code: SecretString) -> Invitation {
        let text = self.text(code.expose_secret());
        Invitation {
            subject: format!("Your training key for {}", self.class.name),
            text: text.into(),
            code,
            redeemable_until: self.class.windows().until(self.kind),
        }
    }

    fn text(&self, code: &str) -> String {
        let (class, zone) = (self.class, self.class.time_zone);
        let mut text = String::with_capacity(1024);
        let name = self
            .student
            .map(|student| format!(" {}", student.given_name));
        let at = |instant| in_words(instant, zone);
        // Nothing that is written into a `String` fails.
        let _ = write!(
            text,
            "Hello{},\n\n{} invites you to the class \"{}\" ({}).\nIt begins on {}\nand ends on {}.\n\n\
             Your training key:\n\n    {code}\n\n",
            name.unwrap_or_default(),
            self.organization.display_name,
            class.name,
            class.course_name,
            at(class.starts_at),
            at(class.ends_at),
        );
        for (number, step) in self.steps().iter().enumerate() {
            let _ = writeln!(text, "{}. {step}", number + 1);
        }
        let _ = write!(
            text,
            "\n{} It can be redeemed until {}.\n",
            match self.kind {
                KeyKind::Enrollment => "The key is yours alone: it lets one student in, once.",
                KeyKind::Event =>
                    "Everybody in the class uses the same key: please do not pass it on.",
            },
            at(class.windows().until(self.kind)),
        );
        text
    }

    fn steps(&self) -> Vec<String> {
        let page = match self.login_page {
            Some(page) => format!("Open {page}"),
            None => "Open the page on which you sign in to your training".to_owned(),
        };
        let sign_in = if self.student.is_none() && self.organization.self_registration {
            "Sign in. If you have no account yet, register there with the key."
        } else {
            "Sign in with your account."
        };
        let redeem = "Choose to redeem a training key, and type or paste yours. Capitals, hyphens and spaces do not matter.";
        vec![page, sign_in.to_owned(), redeem.to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::class::tests::class;
    use crate::domain::organization::Settings;
    use crate::domain::student::tests::student;
    use chrono::TimeDelta;
    use uuid::Uuid;

    fn organization() -> Organization {
        Organization {
            id: Uuid::from_u128(2),
            parent_id: None,
            ancestor_ids: Vec::new(),
            display_name: "Acme Training".into(),
            self_registration: true,
            settings: Settings::default(),
            created_at: DateTime::default(),
            version: 1,
        }
    }

    fn invited<'i>(class: &'i Class, organization: &'i Organization) -> Invited<'i> {
        Invited {
            class,
            organization,
            student: None,
            kind: KeyKind::Event,
            login_page: Some("https://learn.example.com"),
        }
    }

    #[test]
    fn it_says_where_to_go_with_which_key_and_until_when() {
        let (class, organization, ann) = (class(), organization(), student());
        let mut wish = invited(&class, &organization);
        let newcomer = wish.write("EV-1234".into());
        let text = newcomer.text.expose_secret();
        for part in [
            "Acme Training",
            "\"Clusters in June\" (Clusters)",
            "1 June 2026, 09:00 (Europe/Berlin)",
            "    EV-1234\n",
            "1. Open https://learn.example.com\n",
            "register there with the key",
            "redeemed until 2 June 2026, 17:00 (Europe/Berlin)",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(newcomer.subject, "Your training key for Clusters in June");
        assert_eq!(newcomer.redeemable_until, class.ends_at);
        wish.student = Some(&ann);
        wish.kind = KeyKind::Enrollment;
        let known = wish.write("EK-1".into());
        let text = known.text.expose_secret();
        assert!(text.starts_with("Hello Ann,\n"), "{text}");
        assert!(text.contains("yours alone") && !text.contains("register"));
    }

    #[test]
    fn nobody_is_invited_to_what_cannot_be_redeemed_any_more() {
        let (mut class, organization) = (class(), organization());
        let before = class.ends_at - TimeDelta::microseconds(1);
        assert_eq!(invited(&class, &organization).judge(before), Ok(()));
        let late = invited(&class, &organization).judge(class.ends_at);
        assert!(matches!(late, Err(Refusal::WindowClosed { .. })));
        let gone = student().erased(before);
        let mut inactive = student();
        inactive.active = false;
        for (who, reason) in [(&gone, "STUDENT_ERASED"), (&inactive, "STUDENT_INACTIVE")] {
            let mut wish = invited(&class, &organization);
            wish.student = Some(who);
            assert_eq!(wish.judge(before).unwrap_err().reason(), reason);
        }
        class.status = ClassStatus::Cancelled;
        let refusal = invited(&class, &organization).judge(before).unwrap_err();
        assert_eq!(refusal, Refusal::ClassCancelled { class_id: class.id });
    }

    #[test]
    fn the_code_is_not_shown_in_logs() {
        let (class, organization) = (class(), organization());
        let invitation = invited(&class, &organization).write("EV-1234".into());
        assert!(!format!("{invitation:?}").contains("1234"));
    }
}
