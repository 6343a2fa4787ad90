//! How far a caller reaches.

use uuid::Uuid;

use super::Reach;
use crate::identity::Caller;

/// How far a caller reaches with one method: the union of its parts. What lies beyond does not exist for the caller.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// Everything there is.
    pub everything: bool,
    /// What belongs to this organization or to its descendants.
    pub organization: Option<Uuid>,
    /// What belongs to the classes whose instructors name this subject.
    pub instructor: Option<String>,
    /// What belongs to this student, or the classes in which this student is enrolled: which of the two, the method
    /// says.
    pub student: Option<Uuid>,
}

/// Where a resource stands: whom it belongs to.
#[derive(Debug, Clone, Copy)]
pub struct ResourceScope<'r> {
    /// The organization that owns it.
    pub organization: Uuid,
    /// The organizations above that one, in any order.
    pub ancestors: &'r [Uuid],
    /// The subjects of the instructors of its class or classes.
    pub instructors: &'r [String],
    /// The students it belongs to: the student of an enrollment; for a class, those enrolled in it (or just the
    /// caller, when the caller is).
    pub students: &'r [Uuid],
}

impl Scope {
    /// The union of `reaches` for `caller`. A reach that needs what the caller's token lacks adds nothing.
    pub fn of(caller: &Caller, reaches: impl IntoIterator<Item = Reach>) -> Self {
        let mut scope = Self::default();
        for reach in reaches {
            match reach {
                Reach::Anything => scope.everything = true,
                Reach::Organization => scope.organization = caller.organization,
                Reach::OwnClasses => scope.instructor = Some(caller.subject.clone()),
                Reach::EnrolledClasses | Reach::Myself => scope.student = caller.student(),
            }
        }
        scope
    }

    /// Whether the scope contains nothing at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether `organization`, which stands below `ancestors`, is within reach as a whole: not only classes or
    /// students of it.
    pub fn covers_organization(&self, organization: Uuid, ancestors: &[Uuid]) -> bool {
        self.everything
            || self
                .organization
                .is_some_and(|own| own == organization || ancestors.contains(&own))
    }

    /// Whether `resource` is within reach.
    pub fn covers(&self, resource: &ResourceScope<'_>) -> bool {
        self.covers_organization(resource.organization, resource.ancestors)
            || self
                .instructor
                .as_ref()
                .is_some_and(|subject| resource.instructors.contains(subject))
            || self
                .student
                .is_some_and(|student| resource.students.contains(&student))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Role;

    const fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    const ANCESTORS: [Uuid; 2] = [id(1), id(2)];

    fn caller(subject: &str, organization: Option<Uuid>, roles: &[Role]) -> Caller {
        Caller {
            subject: subject.into(),
            issuer: "i".into(),
            organization,
            roles: roles.to_vec(),
        }
    }

    fn resource<'r>(instructors: &'r [String], students: &'r [Uuid]) -> ResourceScope<'r> {
        ResourceScope {
            organization: id(10),
            ancestors: &ANCESTORS,
            instructors,
            students,
        }
    }

    #[test]
    fn an_organization_covers_itself_and_its_descendants() {
        let covers = |own| {
            let scope = Scope::of(
                &caller("a", own, &[Role::Administrator]),
                [Reach::Organization],
            );
            scope.covers(&resource(&[], &[]))
        };
        assert!(covers(Some(id(10))), "its own");
        assert!(covers(Some(id(1))), "below");
        assert!(!covers(Some(id(11))), "beside");
    }

    #[test]
    fn without_an_organization_an_administrator_reaches_nothing() {
        let scope = Scope::of(
            &caller("a", None, &[Role::Administrator]),
            [Reach::Organization],
        );
        assert!(scope.is_empty());
        assert!(!scope.covers(&resource(&["a".into()], &[id(5)])));
    }

    #[test]
    fn an_instructor_reaches_the_classes_that_name_them() {
        let scope = Scope::of(
            &caller("ann", Some(id(10)), &[Role::Instructor]),
            [Reach::OwnClasses],
        );
        assert!(scope.covers(&resource(&["bob".into(), "ann".into()], &[])));
        assert!(!scope.covers(&resource(&["bob".into()], &[])));
        assert!(!scope.covers_organization(id(10), &[]));
    }

    #[test]
    fn a_student_reaches_what_belongs_to_them() {
        let subject = id(5).to_string();
        let scope = Scope::of(
            &caller(&subject, Some(id(10)), &[Role::Student]),
            [Reach::Myself],
        );
        assert!(scope.covers(&resource(&[], &[id(4), id(5)])));
        assert!(!scope.covers(&resource(&[], &[id(4)])));
    }

    #[test]
    fn a_student_whose_subject_is_no_id_reaches_nothing() {
        assert!(Scope::of(&caller("root", None, &[Role::Student]), [Reach::Myself]).is_empty());
        let not_a_student = caller(&id(5).to_string(), None, &[Role::Instructor]);
        assert!(Scope::of(&not_a_student, [Reach::Myself]).is_empty());
    }

    #[test]
    fn everything_covers_everything() {
        let scope = Scope::of(&caller("op", None, &[Role::Operator]), [Reach::Anything]);
        assert!(scope.covers(&resource(&[], &[])));
    }
}
