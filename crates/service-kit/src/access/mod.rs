//! Who may call what: one table, and by default nobody.

mod scope;

use std::collections::HashMap;

pub use scope::{ResourceScope, Scope};

use crate::identity::{Caller, Role};

/// How far a role reaches with a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Everything there is.
    Anything,
    /// What belongs to the caller's organization or its descendants. A caller without an organization reaches nothing.
    Organization,
    /// What belongs to the classes whose instructors name the caller's subject.
    OwnClasses,
    /// The classes in which the caller, a student, is enrolled.
    EnrolledClasses,
    /// What belongs to the caller, a student.
    Myself,
}

/// One method and who may call it.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Path of the method, for example `/latchkey.enrollment.v1.ClassService/GetClass`.
    pub method: &'static str,
    /// The roles that may call it, and how far each reaches with it.
    pub grants: &'static [(Role, Reach)],
}

/// The table of a service. A method that has no row cannot be called.
#[derive(Debug, Clone)]
pub struct AccessTable {
    rows: HashMap<&'static str, &'static [(Role, Reach)]>,
}

/// What the table says about a caller and a method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// The method has no row.
    UnknownMethod,
    /// None of the caller's roles may call the method.
    NotAllowed,
    /// The caller may call it, and reaches this far with it.
    Allowed(Scope),
}

impl AccessTable {
    /// The table with these rows.
    ///
    /// # Panics
    ///
    /// If a method has two rows or a path does not look like one: the table is part of the program, and such a table
    /// must never serve.
    pub fn new(rows: &[Row]) -> Self {
        let mut table = HashMap::with_capacity(rows.len());
        for row in rows {
            let well_formed = row.method.starts_with('/') && row.method.matches('/').count() == 2;
            assert!(well_formed, "{} is not the path of a method", row.method);
            assert!(
                table.insert(row.method, row.grants).is_none(),
                "{} has two rows",
                row.method
            );
        }
        Self { rows: table }
    }

    /// The methods that have a row, in alphabetical order. Tests compare them with the contract.
    pub fn methods(&self) -> Vec<&'static str> {
        let mut methods: Vec<&'static str> = self.rows.keys().copied().collect();
        methods.sort_unstable();
        methods
    }

    /// Whether `method` has a row.
    pub fn knows(&self, method: &str) -> bool {
        self.rows.contains_key(method)
    }

    /// The roles that may call `method`, and how far each reaches; empty without a row.
    pub fn grants(&self, method: &str) -> &'static [(Role, Reach)] {
        self.rows.get(method).copied().unwrap_or_default()
    }

    /// What `caller` may do with `method`: the union of what the caller's roles may do.
    pub fn check(&self, method: &str, caller: &Caller) -> Access {
        let Some(grants) = self.rows.get(method) else {
            return Access::UnknownMethod;
        };
        let mut reaches = grants
            .iter()
            .filter(|(role, _)| caller.has(*role))
            .map(|(_, reach)| *reach)
            .peekable();
        if reaches.peek().is_none() {
            return Access::NotAllowed;
        }
        Access::Allowed(Scope::of(caller, reaches))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const GET: &str = "/test.v1.Test/Get";
    const SELF: &str = "/test.v1.Test/Self";

    fn table() -> AccessTable {
        AccessTable::new(&[
            Row {
                method: GET,
                grants: &[
                    (Role::Operator, Reach::Anything),
                    (Role::Administrator, Reach::Organization),
                    (Role::Instructor, Reach::OwnClasses),
                    (Role::Student, Reach::EnrolledClasses),
                ],
            },
            Row {
                method: SELF,
                grants: &[(Role::Student, Reach::Myself)],
            },
        ])
    }

    fn caller(roles: &[Role]) -> Caller {
        Caller {
            subject: Uuid::from_u128(1).to_string(),
            issuer: "issuer".into(),
            organization: Some(Uuid::from_u128(2)),
            roles: roles.to_vec(),
        }
    }

    #[test]
    fn a_method_without_a_row_cannot_be_called_by_anybody() {
        assert_eq!(
            table().check("/test.v1.Test/Other", &caller(&Role::ALL)),
            Access::UnknownMethod
        );
        assert_eq!(
            table().check("", &caller(&Role::ALL)),
            Access::UnknownMethod
        );
    }

    #[test]
    fn a_role_without_a_grant_is_not_allowed() {
        assert_eq!(
            table().check(SELF, &caller(&[Role::Operator, Role::Administrator])),
            Access::NotAllowed
        );
        assert_eq!(table().check(GET, &caller(&[])), Access::NotAllowed);
    }

    #[test]
    fn the_scope_is_the_union_of_the_callers_roles() {
        let scope = |roles: &[Role]| match table().check(GET, &caller(roles)) {
            Access::Allowed(scope) => scope,
            other => panic!("{other:?}"),
        };
        assert!(scope(&[Role::Operator]).everything);
        let both = scope(&[Role::Administrator, Role::Instructor]);
        assert!(!both.everything);
        assert_eq!(both.organization, Some(Uuid::from_u128(2)));
        assert_eq!(both.instructor, Some(Uuid::from_u128(1).to_string()));
        assert_eq!(both.student, None);
        assert_eq!(scope(&[Role::Student]).student, Some(Uuid::from_u128(1)));
    }

    #[test]
    fn the_methods_are_listed() {
        assert_eq!(table().methods(), [GET, SELF]);
        assert_eq!(table().grants(SELF), [(Role::Student, Reach::Myself)]);
    }

    #[test]
    #[should_panic(expected = "has two rows")]
    fn two_rows_for_one_method_are_refused() {
        AccessTable::new(&[
            Row {
                method: GET,
                grants: &[],
            },
            Row {
                method: GET,
                grants: &[],
            },
        ]);
    }
}
