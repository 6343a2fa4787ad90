//! Students' accounts.

use std::fmt;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::email::{EmailAddress, fold};
use super::prefix::Prefix;

/// Who a student is elsewhere (OpenID Connect); unique over all organizations. Compared exactly, as the standard says.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ExternalIdentity {
    /// The issuer, an `https` URL.
    pub issuer: String,
    /// The `sub` claim.
    pub subject: String,
}

/// A student's account.
#[derive(Clone, PartialEq, Eq)]
pub struct Student {
    /// Its id.
    pub id: Uuid,
    /// The organization it belongs to.
    pub organization_id: Uuid,
    /// The e-mail address; empty once erased.
    pub email: EmailAddress,
    /// Given name; empty once erased, like the family name.
    pub given_name: String,
    /// Family name.
    pub family_name: String,
    /// The external identity, if there is one.
    pub external_identity: Option<ExternalIdentity>,
    /// Whether the account can sign in with a password.
    pub has_password: bool,
    /// False once deactivated.
    pub active: bool,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// Grows with every change.
    pub version: i64,
    /// When its personal data was erased, for good.
    pub erased_at: Option<DateTime<Utc>>,
}

impl Student {
    /// Both names, folded, the given name first: what a search by names compares.
    pub fn given_first(&self) -> String {
        fold(&format!("{} {}", self.given_name, self.family_name))
    }

    /// The same, the family name first.
    pub fn family_first(&self) -> String {
        fold(&format!("{} {}", self.family_name, self.given_name))
    }

    /// The text by which a search for names that begin with `prefix` finds the account and sorts it: the given name first if
    /// that begins so, else the family name first; `None` if neither does.
    pub fn found_by(&self, prefix: &Prefix) -> Option<String> {
        [self.given_first(), self.family_first()]
            .into_iter()
            .find(|text| prefix.begins(text))
    }

    /// The account at `now` without personal data: an id that means nobody any more.
    #[must_use]
    pub fn erased(self, now: DateTime<Utc>) -> Self {
        Self {
            email: EmailAddress::new(""),
            given_name: String::new(),
            family_name: String::new(),
            external_identity: None,
            has_password: false,
            active: false,
            version: self.version + 1,
            erased_at: Some(now),
            ..self
        }
    }
}

/// Personal data stays out of logs.
impl fmt::Debug for ExternalIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExternalIdentity([redacted])")
    }
}

/// Personal data stays out of logs.
impl fmt::Debug for Student {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Student")
            .field("id", &self.id)
            .field("active", &self.active)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn student() -> Student {
        Student {
            id: Uuid::from_u128(3),
            organization_id: Uuid::from_u128(4),
            email: EmailAddress::new("ann@example.com"),
            given_name: "Ann".into(),
            family_name: "Ärger".into(),
            external_identity: None,
            has_password: true,
            active: true,
            created_at: DateTime::default(),
            version: 1,
            erased_at: None,
        }
    }

    #[test]
    fn either_name_is_found_by_its_beginning_and_both_in_either_order() {
        let found = |prefix: &str| student().found_by(&Prefix::new(prefix).unwrap());
        for prefix in ["a", "ANN", "ann Ä", "Ann Ärger"] {
            assert_eq!(found(prefix).unwrap(), "ann ärger", "{prefix}");
        }
        for prefix in ["ä", "ÄRGER", "Ärger A"] {
            assert_eq!(found(prefix).unwrap(), "ärger ann", "{prefix}");
        }
        for prefix in ["nn", "rger", "ann b", "anna"] {
            assert_eq!(found(prefix), None, "{prefix}");
        }
    }

    #[test]
    fn nothing_is_left_of_an_erased_account_but_its_id_and_where_it_belonged() {
        let (before, now) = (student(), DateTime::default());
        let erased = before.clone().erased(now);
        assert_eq!(
            (erased.id, erased.organization_id),
            (before.id, before.organization_id)
        );
        assert!(!erased.active && !erased.has_password);
        assert_eq!(erased.erased_at, Some(now));
        assert_eq!(erased.version, before.version + 1);
        let personal = [
            erased.email.given(),
            &erased.given_name,
            &erased.family_name,
        ];
        assert_eq!(personal, ["", "", ""]);
        assert_eq!(erased.external_identity, None);
    }

    #[test]
    fn nothing_personal_is_shown_in_logs() {
        let mut student = student();
        student.external_identity = Some(ExternalIdentity {
            issuer: "https://login.example.com".into(),
            subject: "ann-elsewhere".into(),
        });
        let shown = format!("{student:?} {:?}", student.external_identity);
        for personal in ["Ann", "ann", "Ärger", "example.com"] {
            assert!(!shown.contains(personal), "{shown}");
        }
    }
}
