//! Which letters follow from what happened.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::letter::{Addressee, Matter, NewLetter};
use super::{Plan, PlanSettings, Recipient, Trigger};
use crate::domain::class::{Class, ClassStatus};
use crate::domain::enrollment::Status;
use crate::domain::organization::is_or_is_below;

/// How long after its time something is still written about a time: so long the service may be away.
const LATE: TimeDelta = TimeDelta::hours(24);

/// From when on a time must have been for something to be written about it at `now`, if it lies `ahead` of what it is about
/// (negative: after it). A reminder of what has begun, or is over, is none.
pub fn earliest(ahead: TimeDelta, now: DateTime<Utc>) -> DateTime<Utc> {
    let late = if ahead > TimeDelta::zero() {
        LATE.min(ahead)
    } else {
        LATE
    };
    now - late
}

/// A class, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The class.
    pub class: Class,
    /// The organizations above its own.
    pub ancestors: Vec<Uuid>,
    /// Since when its notifications are on; `None`: they are off.
    pub on_since: Option<DateTime<Utc>>,
}

/// An enrollment, as far as letters are about one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The enrollment.
    pub enrollment_id: Uuid,
    /// Its student.
    pub student_id: Uuid,
    /// Its status.
    pub status: Status,
    /// When the student came, in whatever status.
    pub came_at: DateTime<Utc>,
}

/// A time around a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Around {
    /// Whether it is around the class's end, and not its start.
    pub of_end: bool,
    /// How long before that it is; negative: after it.
    pub ahead: TimeDelta,
}

impl Around {
    /// When it is, for this class.
    pub fn of(self, class: &Class) -> DateTime<Utc> {
        let anchor = if self.of_end {
            class.ends_at
        } else {
            class.starts_at
        };
        anchor - self.ahead
    }
}

impl Plan {
    /// Whether it is about this class at all, and about what happened at `at`: both it and the class's notifications were
    /// there by then.
    pub fn covers(&self, place: &Place, at: DateTime<Utc>) -> bool {
        let (class, settings) = (&place.class, &self.settings);
        let statuses = &settings.class_statuses;
        self.is_of(class.organization_id, &place.ancestors)
            && settings
                .course_id
                .as_ref()
                .is_none_or(|id| *id == class.course_id)
            && (statuses.is_empty() || statuses.contains(&class.status))
            && self.is_about(place.on_since, at)
    }

    /// Whether it is about what the organization `owner`, which stands below `ancestors`, owns.
    pub(super) fn is_of(&self, owner: Uuid, ancestors: &[Uuid]) -> bool {
        is_or_is_below(owner, ancestors, self.organization_id)
            && self
                .settings
                .only_organization_id
                .is_none_or(|only| only == owner)
    }

    /// Whether it is about what happened at `at`, where notifications are on since `on_since`: both were there by then.
    pub(super) fn is_about(&self, on_since: Option<DateTime<Utc>>, at: DateTime<Utc>) -> bool {
        self.created_at <= at && on_since.is_some_and(|since| since <= at)
    }

    /// The letters that follow when `about` has come into its status at `at`.
    pub fn on_change(&self, place: &Place, about: &About, at: DateTime<Utc>) -> Vec<NewLetter> {
        let fits = self.settings.trigger.fits(about, at)
            && self.settings.wants(about.status)
            && self.covers(place, at);
        if !fits {
            return Vec::new();
        }
        self.letters(place, Some(about), at, |_| true)
    }

    /// Around what of a class it writes; `None` if it is about what happens to enrollments.
    pub fn around(&self) -> Option<Around> {
        let hours = TimeDelta::hours(self.settings.hours.into());
        let (of_end, ahead) = match self.settings.trigger {
            Trigger::BeforeStart => (false, hours),
            Trigger::AfterStart => (false, -hours),
            Trigger::BeforeEnd => (true, hours),
            Trigger::AfterEnd => (true, -hours),
            _ => return None,
        };
        Some(Around { of_end, ahead })
    }

    /// The letters that follow at the time `at` around a class, to each of its enrollments that passes, and one to each of
    /// the staff.
    pub fn on_time(
        &self,
        place: &Place,
        enrollments: &[About],
        at: DateTime<Utc>,
    ) -> Vec<NewLetter> {
        if !self.covers(place, at) || place.class.status == ClassStatus::Cancelled {
            return Vec::new();
        }
        let mut letters = self.letters(place, None, at, |one| *one != Recipient::Student);
        for about in enrollments
            .iter()
            .filter(|one| self.settings.wants(one.status))
        {
            let only = |one: &Recipient| *one == Recipient::Student;
            letters.extend(self.letters(place, Some(about), at, only));
        }
        letters
    }

    fn letters(
        &self,
        place: &Place,
        about: Option<&About>,
        occurred_at: DateTime<Utc>,
        wanted: impl Fn(&Recipient) -> bool,
    ) -> Vec<NewLetter> {
        let recipients = self.settings.recipients.iter().filter(|one| wanted(one));
        let addressees = recipients.flat_map(|recipient| match recipient {
            Recipient::Student => about
                .map(|about| Addressee::Student(about.student_id))
                .into_iter()
                .collect(),
            Recipient::Instructors => place
                .class
                .instructors
                .iter()
                .cloned()
                .map(Addressee::Instructor)
                .collect(),
            Recipient::OperationsManagers => vec![Addressee::OperationsManagers],
        });
        let class_id = place.class.id;
        let matter = about.map_or(Matter::Class(class_id), |about| Matter::Enrollment {
            enrollment_id: about.enrollment_id,
            class_id,
        });
        addressees
            .map(|recipient| NewLetter {
                plan_id: self.id,
                organization_id: place.class.organization_id,
                matter,
                occurred_at,
                recipient,
            })
            .collect()
    }
}

impl Trigger {
    /// The status of enrollments that it is about; `None` of a time.
    fn status(self) -> Option<Status> {
        match self {
            Self::Enrolled | Self::Promoted => Some(Status::Enrolled),
            Self::WaitListed => Some(Status::WaitListed),
            Self::Cancelled => Some(Status::Cancelled),
            Self::BeforeStart
            | Self::AfterStart
            | Self::BeforeEnd
            | Self::AfterEnd
            | Self::AssignmentExpiring => None,
        }
    }

    /// Whether it is about this enrollment, which came into its status at `at`.
    fn fits(self, about: &About, at: DateTime<Utc>) -> bool {
        let later = at > about.came_at;
        self.status() == Some(about.status)
            && match self {
                Self::Enrolled => !later,
                Self::Promoted => later,
                _ => true,
            }
    }
}

impl PlanSettings {
    /// Whether enrollments in this status pass. At a time around a class it is those that are enrolled, unless something
    /// else was chosen.
    pub fn wants(&self, status: Status) -> bool {
        if self.enrollment_statuses.is_empty() {
            return !self.trigger.is_timed() || status == Status::Enrolled;
        }
        self.enrollment_statuses.contains(&status)
    }

    /// Whether a letter of the plan, about an enrollment in this status if about one, has been overtaken by what happened
    /// since: the plan may be about something else by now.
    pub fn is_overtaken(&self, class: &Class, status: Option<Status>) -> bool {
        let gone = class.status == ClassStatus::Cancelled && self.trigger != Trigger::Cancelled;
        gone || self.trigger.is_about_assignments()
            || status.is_some_and(|status| match self.trigger.status() {
                None => !self.wants(status),
                Some(wanted) => wanted != status,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{OWNER, plan, settings};
    use super::*;
    use crate::domain::class::tests::class;

    fn place() -> Place {
        Place {
            class: class(),
            ancestors: vec![OWNER],
            on_since: Some("2026-05-02T00:00:00Z".parse().unwrap()),
        }
    }

    fn about(status: Status) -> About {
        About {
            enrollment_id: Uuid::from_u128(20),
            student_id: Uuid::from_u128(21),
            status,
            came_at: at(),
        }
    }

    fn at() -> DateTime<Utc> {
        "2026-05-03T00:00:00Z".parse().unwrap()
    }

    fn number(plan: &Plan, place: &Place) -> usize {
        plan.on_change(place, &about(Status::Enrolled), at()).len()
    }

    #[test]
    fn everybody_named_gets_one_letter() {
        let everybody = PlanSettings {
            recipients: vec![
                Recipient::Student,
                Recipient::Instructors,
                Recipient::OperationsManagers,
            ],
            ..settings()
        };
        let letters = plan(everybody.clone()).on_change(&place(), &about(Status::Enrolled), at());
        let recipients: Vec<Addressee> = letters.into_iter().map(|one| one.recipient).collect();
        let student = Addressee::Student(Uuid::from_u128(21));
        let instructor = Addressee::Instructor("ann".into());
        let staff = [instructor, Addressee::OperationsManagers];
        assert_eq!(recipients[0], student);
        assert_eq!(recipients[1..], staff);
        // At a time, the staff is written to once, and not once for each student.
        let timed = plan(PlanSettings {
            trigger: Trigger::BeforeStart,
            hours: 24,
            ..everybody
        });
        let enrollments = [
            about(Status::Enrolled),
            about(Status::Cancelled),
            about(Status::Enrolled),
        ];
        let letters = timed.on_time(&place(), &enrollments, at());
        assert_eq!(letters.len(), 2 + 2);
        let around = timed.around().unwrap();
        let due = class().starts_at - TimeDelta::hours(24);
        assert_eq!(around.of(&class()), due);
        // What is late is written for a day, and a reminder until it reminds of nothing.
        let hours = TimeDelta::hours;
        for (ahead, late) in [(24, 24), (48, 24), (2, 2), (-2, 24)] {
            assert_eq!(earliest(hours(ahead), at()), at() - hours(late), "{ahead}");
        }
        assert_eq!(plan(settings()).around(), None);
    }

    #[test]
    fn filters_choose() {
        let all = plan(settings());
        assert_eq!(number(&all, &place()), 1);
        assert!(
            all.on_change(&place(), &about(Status::Cancelled), at())
                .is_empty()
        );
        for narrow in [
            PlanSettings {
                course_id: Some("other".into()),
                ..settings()
            },
            PlanSettings {
                class_statuses: vec![ClassStatus::Tentative],
                ..settings()
            },
            PlanSettings {
                only_organization_id: Some(OWNER),
                ..settings()
            },
            PlanSettings {
                enrollment_statuses: vec![Status::Cancelled],
                ..settings()
            },
        ] {
            assert_eq!(number(&plan(narrow.clone()), &place()), 0, "{narrow:?}");
        }
        let mut elsewhere = place();
        elsewhere.ancestors.clear();
        assert_eq!(number(&all, &elsewhere), 0);
    }

    #[test]
    fn who_waited_is_promoted_and_who_did_not_is_enrolled() {
        let with = |trigger| {
            plan(PlanSettings {
                trigger,
                ..settings()
            })
        };
        let waited = About {
            came_at: at() - TimeDelta::hours(1),
            ..about(Status::Enrolled)
        };
        for (trigger, at_once, later, waiting) in [
            (Trigger::Enrolled, 1, 0, 0),
            (Trigger::Promoted, 0, 1, 0),
            (Trigger::WaitListed, 0, 0, 1),
        ] {
            let letters = |about: &About| with(trigger).on_change(&place(), about, at()).len();
            assert_eq!(letters(&about(Status::Enrolled)), at_once, "{trigger:?}");
            assert_eq!(letters(&waited), later, "{trigger:?}");
            assert_eq!(letters(&about(Status::WaitListed)), waiting, "{trigger:?}");
        }
    }

    #[test]
    fn nothing_is_written_of_what_was_before_the_plan_or_while_it_was_off() {
        let mut off = place();
        off.on_since = None;
        let mut later = place();
        later.on_since = Some(at() + TimeDelta::microseconds(1));
        for place in [&off, &later] {
            assert_eq!(number(&plan(settings()), place), 0);
        }
        let mut young = plan(settings());
        young.created_at = at() + TimeDelta::microseconds(1);
        assert_eq!(number(&young, &place()), 0);
    }

    #[test]
    fn what_was_overtaken_is_known() {
        let sample = class();
        let mut class = sample.clone();
        let welcome = settings();
        assert!(!welcome.is_overtaken(&class, Some(Status::Enrolled)));
        assert!(welcome.is_overtaken(&class, Some(Status::Cancelled)));
        let reminder = PlanSettings {
            trigger: Trigger::BeforeStart,
            ..settings()
        };
        assert!(!reminder.is_overtaken(&class, None));
        assert!(reminder.is_overtaken(&class, Some(Status::Cancelled)));
        class.status = ClassStatus::Cancelled;
        assert!(reminder.is_overtaken(&class, None));
        let farewell = PlanSettings {
            trigger: Trigger::Cancelled,
            ..settings()
        };
        assert!(!farewell.is_overtaken(&class, Some(Status::Cancelled)));
        // The plan has become one about assignments.
        let other = PlanSettings {
            trigger: Trigger::AssignmentExpiring,
            ..settings()
        };
        assert!(other.is_overtaken(&sample, Some(Status::Enrolled)));
    }
}
