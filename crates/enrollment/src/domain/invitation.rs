//! The text that is sent to somebody who is to redeem a key.

use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use secrecy::{ExposeSecret, SecretString};

use super::calendar::in_words;
use super::class::{Class, ClassStatus};
use super::key::{KeyKind, PoolTerms, SubscriptionTerms};
use super::organization::Organization;
use super::profile::Profile;
use super::refusal::{Closed, Refusal};
use super::student::Student;

/// What an invitation is made of.
#[derive(Debug, Clone, Copy)]
pub struct Invited<'i> {
    /// What the key opens.
    pub to: Offer<'i>,
    /// The organization that owns it.
    pub organization: &'i Organization,
    /// Who is invited, if they have an account.
    pub student: Option<&'i Student>,
    /// Where students sign in and type their keys, if that is known.
    pub login_page: Option<&'i str>,
}

/// What a key opens to who is invited.
#[derive(Debug, Clone, Copy)]
pub enum Offer<'i> {
    /// A class, by a key of this kind.
    Class(&'i Class, KeyKind),
    /// The course of a pool.
    Course(&'i PoolTerms),
    /// The courses of a subscription profile.
    Subscription(&'i Profile, &'i SubscriptionTerms),
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
    /// Until when the key can be redeemed; `None`: always.
    pub redeemable_until: Option<DateTime<Utc>>,
}

/// Whether it makes sense at `now` to invite to a class by a key of this kind: the class was not cancelled, and the key can
/// still be redeemed.
pub fn judge_class(class: &Class, kind: KeyKind, now: DateTime<Utc>) -> Result<(), Refusal> {
    if class.status == ClassStatus::Cancelled {
        return Err(Refusal::ClassCancelled { class_id: class.id });
    }
    if !class.windows().is_open(kind, now) {
        return Err(Refusal::WindowClosed {
            of: Closed::Class(class.id),
            closed_at: class.windows().until(kind),
            time_zone: class.time_zone,
        });
    }
    Ok(())
}

/// Whether it makes sense to invite somebody: who has an account is there to redeem the key.
pub fn judge_student(student: Option<&Student>) -> Result<(), Refusal> {
    match student {
        Some(student) if student.erased_at.is_some() => Err(Refusal::StudentErased {
            student_id: student.id,
        }),
        Some(student) if !student.active => Err(Refusal::StudentInactive {
            student_id: student.id,
        }),
        _ => Ok(()),
    }
}

impl Offer<'_> {
    /// What it is called.
    fn name(&self) -> &str {
        match self {
            Self::Class(class, _) => &class.name,
            Self::Course(terms) => &terms.course_name,
            Self::Subscription(profile, _) => &profile.settings.name,
        }
    }

    /// What it is, and when.
    fn described(&self) -> String {
        match self {
            Self::Class(class, _) => format!(
                "the class \"{}\" ({}).\nIt begins on {}\nand ends on {}.",
                class.name,
                class.course_name,
                in_words(class.starts_at, class.time_zone),
                in_words(class.ends_at, class.time_zone),
            ),
            Self::Course(terms) => format!(
                "the course \"{}\", which you take at your own pace.\nFrom the moment you redeem your key it is open to you \
                 for {}.",
                terms.course_name,
                days(terms.availability),
            ),
            Self::Subscription(profile, terms) => subscription(profile, terms),
        }
    }

    /// Until when the key can be redeemed; `None`: always.
    fn redeemable_until(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Class(class, kind) => Some(class.windows().until(*kind)),
            Self::Course(terms) => Some(terms.expires_at),
            Self::Subscription(_, terms) => terms.redeemable_until(),
        }
    }

    /// For whom the key is, and when it can be redeemed.
    fn use_of_key(&self) -> String {
        let own = "The key is yours alone: it lets one student in, once.";
        match self {
            Self::Class(class, kind) => {
                let whose = match kind {
                    KeyKind::Enrollment => own,
                    KeyKind::Event => {
                        "Everybody in the class uses the same key: please do not pass it on."
                    }
                };
                let until = in_words(class.windows().until(*kind), class.time_zone);
                format!("{whose} It can be redeemed until {until}.")
            }
            Self::Course(terms) => format!(
                "{own} It can be redeemed from {} until {}.",
                in_words(terms.starts_at, Tz::UTC),
                in_words(terms.expires_at, Tz::UTC),
            ),
            Self::Subscription(_, terms) => {
                let whose = if terms.max_uses == Some(1) {
                    own
                } else {
                    "Others use the same key: please do not pass it on."
                };
                match terms.redeemable_until() {
                    Some(until) => {
                        let until = in_words(until, Tz::UTC);
                        format!("{whose} It can be redeemed until {until}.")
                    }
                    None => format!("{whose} It can be redeemed at any time."),
                }
            }
        }
    }
}

/// What a subscription is, and for how long it is open.
fn subscription(profile: &Profile, terms: &SubscriptionTerms) -> String {
    let settings = &profile.settings;
    let names: Vec<&str> = settings
        .courses
        .iter()
        .map(|course| &*course.course_name)
        .collect();
    let open = match terms.content_expires_at {
        Some(until) => format!("They are open to you until {}.", in_words(until, Tz::UTC)),
        None => format!(
            "From the moment you redeem your key they are open to you for {}.",
            days(settings.duration)
        ),
    };
    format!(
        "the courses of \"{}\", which you take at your own pace:\n- {}\n{open}",
        settings.name,
        names.join("\n- ")
    )
}

/// A span as people say it, not longer than it is.
fn days(span: TimeDelta) -> String {
    match span.num_days() {
        0 => "less than a day".to_owned(),
        1 => "one day".to_owned(),
        days => format!("{days} days"),
    }
}

impl Invited<'_> {
    /// The invitation with this code.
    pub fn write(&self, code: SecretString) -> Invitation {
        let text = self.text(code.expose_secret());
        Invitation {
            subject: format!("Your training key for {}", self.to.name()),
            text: text.into(),
            code,
            redeemable_until: self.to.redeemable_until(),
        }
    }

    fn text(&self, code: &str) -> String {
        let mut text = String::with_capacity(1024);
        let name = self
            .student
            .map(|student| format!(" {}", student.given_name));
        // Nothing that is written into a `String` fails.
        let _ = write!(
            text,
            "Hello{},\n\n{} invites you to {}\n\nYour training key:\n\n    {code}\n\n",
            name.unwrap_or_default(),
            self.organization.display_name,
            self.to.described(),
        );
        for (number, step) in self.steps().iter().enumerate() {
            let _ = writeln!(text, "{}. {step}", number + 1);
        }
        let _ = writeln!(text, "\n{}", self.to.use_of_key());
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
    use crate::domain::assignment::sample::terms;
    use crate::domain::class::tests::class;
    use crate::domain::key::RecordedUses;
    use crate::domain::organization::Settings;
    use crate::domain::profile::sample::profile;
    use crate::domain::student::tests::student;
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

    fn invited<'i>(to: Offer<'i>, organization: &'i Organization) -> Invited<'i> {
        Invited {
            to,
            organization,
            student: None,
            login_page: Some("https://learn.example.com"),
        }
    }

    #[test]
    fn it_says_where_to_go_with_which_key_and_until_when() {
        let (class, organization, ann) = (class(), organization(), student());
        let mut wish = invited(Offer::Class(&class, KeyKind::Event), &organization);
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
        assert_eq!(newcomer.redeemable_until, Some(class.ends_at));
        wish.student = Some(&ann);
        wish.to = Offer::Class(&class, KeyKind::Enrollment);
        let known = wish.write("EK-1".into());
        let text = known.text.expose_secret();
        assert!(text.starts_with("Hello Ann,\n"), "{text}");
        assert!(text.contains("yours alone") && !text.contains("register"));
    }

    #[test]
    fn an_invitation_to_a_course_says_for_how_long_it_is_open() {
        let (terms, organization) = (terms(), organization());
        let invitation = invited(Offer::Course(&terms), &organization).write("PK-1".into());
        let text = invitation.text.expose_secret();
        for part in [
            "invites you to the course \"Linux\", which you take at your own pace",
            "open to you for 30 days",
            "    PK-1\n",
            "yours alone",
            "from 1 January 2030, 00:00 (UTC) until 1 February 2030, 00:00 (UTC)",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(invitation.subject, "Your training key for Linux");
        assert_eq!(invitation.redeemable_until, Some(terms.expires_at));
        for (hours, words) in [(23, "less than a day"), (47, "one day"), (48, "2 days")] {
            assert_eq!(days(TimeDelta::hours(hours)), words);
        }
    }

    #[test]
    fn an_invitation_to_a_subscription_names_its_courses_and_who_may_use_the_key() {
        let (profile, organization) = (profile(), organization());
        let mut terms = SubscriptionTerms {
            profile_id: profile.id,
            max_uses: Some(1),
            expires_at: None,
            content_expires_at: None,
            recorded: RecordedUses::default(),
        };
        let text = |terms: &SubscriptionTerms| {
            let to = Offer::Subscription(&profile, terms);
            let invitation = invited(to, &organization).write("SK-1".into());
            invitation.text.expose_secret().to_owned()
        };
        let alone = text(&terms);
        for part in [
            "the courses of \"Administration\", which you take at your own pace:\n- Linux\n- Networks\n",
            "open to you for 90 days",
            "yours alone",
            "at any time",
        ] {
            assert!(alone.contains(part), "{part}: {alone}");
        }
        terms.max_uses = None;
        terms.content_expires_at = "2030-02-01T00:00:00Z".parse().ok();
        let shared = text(&terms);
        for part in [
            "do not pass it on",
            "open to you until 1 February 2030, 00:00 (UTC)",
        ] {
            assert!(shared.contains(part), "{part}: {shared}");
        }
    }

    #[test]
    fn nobody_is_invited_to_what_cannot_be_redeemed_any_more() {
        let mut class = class();
        let before = class.ends_at - TimeDelta::microseconds(1);
        assert_eq!(judge_class(&class, KeyKind::Event, before), Ok(()));
        let late = judge_class(&class, KeyKind::Event, class.ends_at);
        assert!(matches!(late, Err(Refusal::WindowClosed { .. })));
        assert_eq!(judge_student(None), Ok(()));
        assert_eq!(judge_student(Some(&student())), Ok(()));
        let gone = student().erased(before);
        let mut inactive = student();
        inactive.active = false;
        for (who, reason) in [(&gone, "STUDENT_ERASED"), (&inactive, "STUDENT_INACTIVE")] {
            assert_eq!(judge_student(Some(who)).unwrap_err().reason(), reason);
        }
        class.status = ClassStatus::Cancelled;
        let refusal = judge_class(&class, KeyKind::Event, before).unwrap_err();
        assert_eq!(refusal, Refusal::ClassCancelled { class_id: class.id });
    }

    #[test]
    fn the_code_is_not_shown_in_logs() {
        let (class, organization) = (class(), organization());
        let to = Offer::Class(&class, KeyKind::Event);
        let invitation = invited(to, &organization).write("EV-1234".into());
        assert!(!format!("{invitation:?}").contains("1234"));
    }
}
