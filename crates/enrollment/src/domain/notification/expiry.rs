//! Assignments that expire, as far as letters are about them.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::letter::{Addressee, Matter, NewLetter};
use super::{Plan, PlanSettings, Recipient, Trigger};

/// An assignment that expires, and whose it is. Without a course it is a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiring {
    /// The assignment.
    pub assignment_id: Uuid,
    /// Its student.
    pub student_id: Uuid,
    /// The organization that owns what its key is of: its pool.
    pub organization_id: Uuid,
    /// The organizations above that one.
    pub ancestors: Vec<Uuid>,
    /// Since when that organization's notifications are on; `None`: they are off.
    pub on_since: Option<DateTime<Utc>>,
    /// The platform's id of its course.
    pub course_id: Option<String>,
    /// The course's name.
    pub course_name: Option<String>,
    /// Whether the student has it: it was not cancelled.
    pub live: bool,
    /// The first instant at which it is over.
    pub expires_at: DateTime<Utc>,
}

impl Plan {
    /// How long before assignments expire it writes; `None` if it is about classes.
    pub fn before_expiry(&self) -> Option<TimeDelta> {
        let ahead = TimeDelta::days(self.settings.days.into());
        self.settings
            .trigger
            .is_about_assignments()
            .then_some(ahead)
    }

    /// The letters that follow when it is time to remind of this assignment.
    pub fn on_expiry(&self, assignment: &Expiring) -> Vec<NewLetter> {
        let Some(ahead) = self.before_expiry() else {
            return Vec::new();
        };
        let at = assignment.expires_at - ahead;
        let fits = assignment.live
            && self.is_of(assignment.organization_id, &assignment.ancestors)
            && self.wants_course(assignment.course_id.as_deref())
            && self.is_about(assignment.on_since, at);
        if !fits {
            return Vec::new();
        }
        let recipients = self.settings.recipients.iter();
        let addressees = recipients.filter_map(|recipient| match recipient {
            Recipient::Student => Some(Addressee::Student(assignment.student_id)),
            Recipient::OperationsManagers => Some(Addressee::OperationsManagers),
            // An assignment has none.
            Recipient::Instructors => None,
        });
        let letter = |recipient| NewLetter {
            plan_id: self.id,
            organization_id: assignment.organization_id,
            matter: Matter::Assignment(assignment.assignment_id),
            occurred_at: at,
            recipient,
        };
        addressees.map(letter).collect()
    }

    fn wants_course(&self, course_id: Option<&str>) -> bool {
        let wanted = self.settings.course_id.as_deref();
        wanted.is_none_or(|wanted| course_id == Some(wanted))
    }
}

impl PlanSettings {
    /// Whether a letter of the plan about this assignment has been overtaken at `now` by what happened since: it was
    /// cancelled or is over, or the plan is about something else by now.
    pub fn is_too_late_for(&self, assignment: &Expiring, now: DateTime<Utc>) -> bool {
        self.trigger != Trigger::AssignmentExpiring
            || !assignment.live
            || assignment.expires_at <= now
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::{OWNER, plan, settings};
    use super::*;

    /// An assignment of a course of an organization below [`OWNER`], which expires in the middle of June 2026.
    pub(crate) fn expiring() -> Expiring {
        Expiring {
            assignment_id: Uuid::from_u128(30),
            student_id: Uuid::from_u128(21),
            organization_id: Uuid::from_u128(2),
            ancestors: vec![OWNER],
            on_since: Some("2026-05-02T00:00:00Z".parse().unwrap()),
            course_id: Some("linux-101".into()),
            course_name: Some("Linux".into()),
            live: true,
            expires_at: "2026-06-15T12:00:00Z".parse().unwrap(),
        }
    }

    fn reminder() -> PlanSettings {
        PlanSettings {
            trigger: Trigger::AssignmentExpiring,
            days: 7,
            recipients: vec![Recipient::Student, Recipient::OperationsManagers],
            ..settings()
        }
    }

    fn number(settings: PlanSettings, assignment: &Expiring) -> usize {
        plan(settings).on_expiry(assignment).len()
    }

    #[test]
    fn the_student_and_the_operations_managers_are_reminded_so_many_days_before() {
        let letters = plan(reminder()).on_expiry(&expiring());
        let recipients = [
            Addressee::Student(expiring().student_id),
            Addressee::OperationsManagers,
        ];
        assert_eq!(letters.len(), recipients.len());
        for (letter, recipient) in letters.into_iter().zip(recipients) {
            assert_eq!(letter.recipient, recipient);
            assert_eq!(letter.matter, Matter::Assignment(expiring().assignment_id));
            assert_eq!(letter.organization_id, expiring().organization_id);
            let week = TimeDelta::days(7);
            assert_eq!(letter.occurred_at, expiring().expires_at - week);
        }
        assert_eq!(plan(reminder()).before_expiry(), Some(TimeDelta::days(7)));
        assert_eq!(plan(settings()).before_expiry(), None);
        assert_eq!(number(settings(), &expiring()), 0);
    }

    #[test]
    fn filters_choose_by_course_and_organization() {
        let course = |id: &str| PlanSettings {
            course_id: Some(id.into()),
            ..reminder()
        };
        let only = |id| PlanSettings {
            only_organization_id: Some(id),
            ..reminder()
        };
        assert_eq!(number(course("linux-101"), &expiring()), 2);
        assert_eq!(number(course("other"), &expiring()), 0);
        assert_eq!(number(only(expiring().organization_id), &expiring()), 2);
        assert_eq!(number(only(OWNER), &expiring()), 0);
        let mut elsewhere = expiring();
        elsewhere.ancestors.clear();
        assert_eq!(number(reminder(), &elsewhere), 0);
        // A subscription is no course.
        let mut subscription = expiring();
        (subscription.course_id, subscription.course_name) = (None, None);
        assert_eq!(number(course("linux-101"), &subscription), 0);
        assert_eq!(number(reminder(), &subscription), 2);
    }

    #[test]
    fn nothing_is_written_of_what_was_due_before_the_plan_or_while_it_was_off() {
        let due = expiring().expires_at - TimeDelta::days(7);
        let mut off = expiring();
        off.on_since = None;
        let mut later = expiring();
        later.on_since = Some(due + TimeDelta::microseconds(1));
        let mut cancelled = expiring();
        cancelled.live = false;
        for assignment in [&off, &later, &cancelled] {
            assert_eq!(number(reminder(), assignment), 0);
        }
        let mut young = plan(reminder());
        young.created_at = due + TimeDelta::microseconds(1);
        assert_eq!(young.on_expiry(&expiring()), []);
    }

    #[test]
    fn nobody_is_reminded_of_what_is_over_or_was_cancelled() {
        let end = expiring().expires_at;
        let before = end - TimeDelta::microseconds(1);
        assert!(!reminder().is_too_late_for(&expiring(), before));
        assert!(reminder().is_too_late_for(&expiring(), end));
        let mut cancelled = expiring();
        cancelled.live = false;
        assert!(reminder().is_too_late_for(&cancelled, before));
        assert!(settings().is_too_late_for(&expiring(), before));
    }
}
