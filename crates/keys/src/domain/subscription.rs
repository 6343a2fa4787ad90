//! Subscription profiles as far as keys must know them, and the terms of their keys.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::grant::{Grant, GrantKind, GrantStatus};

/// A copy of a subscription profile that the enrollment service owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its id.
    pub profile_id: Uuid,
    /// The organization that owns it and its keys.
    pub organization_id: Uuid,
    /// Its name.
    pub name: String,
    /// Grows with every change: the greater one is the newer.
    pub version: i64,
}

impl Profile {
    /// What its keys open, as all kinds have it in common.
    pub fn grant(self) -> Grant {
        Grant {
            grant_id: self.profile_id,
            kind: GrantKind::Profile,
            organization_id: self.organization_id,
            name: self.name,
            instructors: Vec::new(),
            dates: None,
            // Courses that are taken at one's own pace take place nowhere.
            zone: chrono_tz::UTC,
            status: GrantStatus::Open,
            maximum_keys: None,
            maximum_is_default: false,
            version: self.version,
        }
    }
}

/// How many students may use a subscription key, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How many may use it at once; `None` for any number.
    pub max_uses: Option<i32>,
    /// The first instant at which it can be redeemed no more; `None` if there is none.
    pub expires_at: Option<DateTime<Utc>>,
    /// The first instant at which what it opens is open no more, whenever it was redeemed; `None` if the profile's duration
    /// decides.
    pub content_expires_at: Option<DateTime<Utc>>,
}

impl Terms {
    /// The first instant at which the key can be redeemed no more: nobody redeems what would not be open.
    pub fn redeemable_until(self) -> Option<DateTime<Utc>> {
        [self.expires_at, self.content_expires_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// The names in the contract of the times that are over at `now`: a key that is made has none of those.
    pub fn over(self, now: DateTime<Utc>) -> Vec<&'static str> {
        [
            ("expire_time", self.expires_at),
            ("content_expire_time", self.content_expires_at),
        ]
        .into_iter()
        .filter(|(_, time)| time.is_some_and(|time| now >= time))
        .map(|(name, _)| name)
        .collect()
    }

    /// The terms for the audit trail, and for recognising them.
    pub fn described(self) -> Map<String, Value> {
        let all = json!({
            "max_uses": self.max_uses,
            "expire_time": self.expires_at,
            "content_expire_time": self.content_expires_at,
        });
        match all {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }
}

/// The terms of a key as they are now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionedTerms {
    /// The terms.
    pub terms: Terms,
    /// One more with each change.
    pub version: i64,
}

/// What an edit makes of a term, of which there may be none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Edit<T> {
    /// It stays as it is.
    #[default]
    Kept,
    /// It is this from now on.
    Set(Option<T>),
}

impl<T> Edit<T> {
    /// The term after the edit.
    pub fn of(self, present: Option<T>) -> Option<T> {
        match self {
            Self::Kept => present,
            Self::Set(term) => term,
        }
    }
}

/// What an edit changes of a key's terms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TermsChange {
    /// How many may use it.
    pub max_uses: Edit<i32>,
    /// When it expires.
    pub expires_at: Edit<DateTime<Utc>>,
    /// When what it opens does.
    pub content_expires_at: Edit<DateTime<Utc>>,
}

/// That fewer students were to use a key than do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BelowUses {
    /// How many use it.
    pub uses: i64,
    /// How many were to.
    pub max_uses: i32,
}

impl TermsChange {
    /// The terms after the change of a key that `uses` students use; refused if it leaves room for fewer than those.
    ///
    /// A limit that stays as it is is no change, though more use the key: a redemption that was being decided while the limit
    /// was lowered stands.
    pub fn apply(self, present: Terms, uses: i64) -> Result<Terms, BelowUses> {
        let changed = Terms {
            max_uses: self.max_uses.of(present.max_uses),
            expires_at: self.expires_at.of(present.expires_at),
            content_expires_at: self.content_expires_at.of(present.content_expires_at),
        };
        match changed.max_uses {
            Some(max_uses) if changed.max_uses != present.max_uses && uses > max_uses.into() => {
                Err(BelowUses { uses, max_uses })
            }
            _ => Ok(changed),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::super::audit::difference;
    use super::*;

    fn time(day: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(day)
    }

    fn terms() -> Terms {
        Terms {
            max_uses: Some(3),
            expires_at: Some(time(20)),
            content_expires_at: Some(time(30)),
        }
    }

    fn limit(max_uses: Option<i32>) -> TermsChange {
        TermsChange {
            max_uses: Edit::Set(max_uses),
            ..TermsChange::default()
        }
    }

    #[test]
    fn what_would_not_be_open_cannot_be_redeemed() {
        assert_eq!(terms().redeemable_until(), Some(time(20)));
        let content = Terms {
            content_expires_at: Some(time(10)),
            ..terms()
        };
        assert_eq!(content.redeemable_until(), Some(time(10)));
        let always = Terms {
            expires_at: None,
            content_expires_at: None,
            ..terms()
        };
        assert_eq!(always.redeemable_until(), None);
    }

    #[test]
    fn times_that_are_over_are_named() {
        let instant = TimeDelta::microseconds(1);
        assert!(terms().over(time(20) - instant).is_empty());
        assert_eq!(terms().over(time(20)), ["expire_time"]);
        let both = ["expire_time", "content_expire_time"];
        assert_eq!(terms().over(time(30)), both);
        let none = Terms {
            expires_at: None,
            content_expires_at: None,
            ..terms()
        };
        assert!(none.over(time(1_000)).is_empty());
    }

    #[test]
    fn the_limit_is_not_lowered_under_the_uses() {
        let below = Err(BelowUses {
            uses: 3,
            max_uses: 2,
        });
        assert_eq!(limit(Some(2)).apply(terms(), 3), below);
        assert!(limit(Some(3)).apply(terms(), 3).is_ok());
        assert!(limit(None).apply(terms(), 3).is_ok());
        // One more came in while it was lowered: what does not touch the limit goes on, and so does what makes room.
        assert!(limit(Some(3)).apply(terms(), 5).is_ok());
        assert!(limit(Some(5)).apply(terms(), 5).is_ok());
        assert!(limit(Some(4)).apply(terms(), 5).is_err());
        let never = TermsChange {
            expires_at: Edit::Set(None),
            ..TermsChange::default()
        };
        let changed = never.apply(terms(), 5);
        assert_eq!(changed.map(|terms| terms.expires_at), Ok(None));
    }

    #[test]
    fn the_trail_is_told_what_changed_and_nothing_else() {
        let change = TermsChange {
            content_expires_at: Edit::Set(None),
            ..limit(Some(3))
        };
        let changed = change.apply(terms(), 0).unwrap();
        assert_eq!(
            difference(&terms().described(), &changed.described()),
            json!({ "content_expire_time": { "from": "1970-01-31T00:00:00Z", "to": null } })
        );
    }

    fn some_time() -> impl Strategy<Value = Option<DateTime<Utc>>> {
        prop::option::of((0..4_i64).prop_map(time))
    }

    fn some_limit() -> impl Strategy<Value = Option<i32>> {
        prop::option::of(1..5_i32)
    }

    fn some_terms() -> impl Strategy<Value = Terms> {
        (some_limit(), some_time(), some_time()).prop_map(|(max_uses, expires_at, content)| Terms {
            max_uses,
            expires_at,
            content_expires_at: content,
        })
    }

    fn edit<T: Clone + std::fmt::Debug>(
        term: impl Strategy<Value = Option<T>>,
    ) -> impl Strategy<Value = Edit<T>> {
        prop::option::of(term).prop_map(|term| term.map_or(Edit::Kept, Edit::Set))
    }

    proptest! {
        /// A change changes what it names, leaves the rest, changes nothing when it is made again, and brings the limit below
        /// the uses only where it was so before.
        #[test]
        fn a_change_changes_what_it_names(
            present in some_terms(),
            max_uses in edit(some_limit()),
            expires_at in edit(some_time()),
            content_expires_at in edit(some_time()),
            uses in 0..6_i64,
        ) {
            let change = TermsChange { max_uses, expires_at, content_expires_at };
            let Ok(changed) = change.apply(present, uses) else {
                prop_assert!(max_uses.of(None).is_some_and(|most| i64::from(most) < uses));
                return Ok(());
            };
            prop_assert_eq!(changed.max_uses, max_uses.of(present.max_uses));
            prop_assert_eq!(changed.expires_at, expires_at.of(present.expires_at));
            prop_assert_eq!(changed.content_expires_at, content_expires_at.of(present.content_expires_at));
            prop_assert_eq!(change.apply(changed, uses), Ok(changed));
            let below = |terms: Terms| terms.max_uses.is_some_and(|most| i64::from(most) < uses);
            prop_assert!(!below(changed) || below(present));
        }
    }
}
