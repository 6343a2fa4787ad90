//! Training keys: the record, and where it stands.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::grant::{GrantKind, GrantStatus};
use super::subscription::{Terms, VersionedTerms};

/// What a key opens, and for how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Enrolls one student in one class.
    Enrollment,
    /// Enrolls everyone who has its code in one class.
    Event,
    /// Assigns one student the course of a pool.
    Pool,
    /// Assigns the courses of a subscription profile, to as many students as its terms say.
    Subscription,
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [
        Self::Enrollment,
        Self::Event,
        Self::Pool,
        Self::Subscription,
    ];

    /// The kind as the database keeps it.
    pub fn as_text(self) -> &'static str {
        match self {
            Self::Enrollment => "enrollment",
            Self::Event => "event",
            Self::Pool => "pool",
            Self::Subscription => "subscription",
        }
    }

    /// What keys of this kind open.
    pub fn opens(self) -> GrantKind {
        match self {
            Self::Enrollment | Self::Event => GrantKind::Class,
            Self::Pool => GrantKind::Pool,
            Self::Subscription => GrantKind::Profile,
        }
    }

    /// The kind of keys that are generated for `grant`.
    pub fn generated_for(grant: GrantKind) -> Self {
        match grant {
            GrantKind::Class => Self::Enrollment,
            GrantKind::Pool => Self::Pool,
            GrantKind::Profile => Self::Subscription,
        }
    }

    /// The kind that the database keeps as `text`.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_text() == text)
    }
}

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyState {
    /// A student can use it.
    Available,
    /// Used by as many students as may use it; an event key never is.
    Redeemed,
    /// Revoked; an event key: turned off.
    Revoked,
    /// Out of time, or its class was cancelled.
    Expired,
}

impl KeyState {
    /// Every state.
    pub const ALL: [Self; 4] = [
        Self::Available,
        Self::Redeemed,
        Self::Revoked,
        Self::Expired,
    ];

    /// The state as the database's function `keys.key_state` names it.
    pub fn as_text(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Redeemed => "redeemed",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }
}

/// The facts that say where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its kind.
    pub kind: KeyKind,
    /// How many live uses of it are recorded.
    pub uses: i64,
    /// Whether it was revoked (an event key: is turned off).
    pub revoked: bool,
    /// The state of what it opens.
    pub grant: GrantStatus,
    /// When that ends; a profile does not.
    pub ends_at: Option<DateTime<Utc>>,
    /// Until when the event key of that can be redeemed.
    pub event_key_until: Option<DateTime<Utc>>,
    /// The terms of a subscription key.
    pub terms: Option<Terms>,
}

impl Standing {
    /// How many students may use the key at once; `None` for any number.
    fn max_uses(&self) -> Option<i32> {
        match self.kind {
            KeyKind::Enrollment | KeyKind::Pool => Some(1),
            KeyKind::Event => None,
            KeyKind::Subscription => self.terms.and_then(|terms| terms.max_uses),
        }
    }

    /// The first instant at which the key can be redeemed no more: windows are half-open. `None` if there is none.
    pub fn redeemable_until(&self) -> Option<DateTime<Utc>> {
        match self.kind {
            KeyKind::Enrollment | KeyKind::Pool => self.ends_at,
            KeyKind::Event => self.event_key_until,
            KeyKind::Subscription => self.terms.and_then(Terms::redeemable_until),
        }
    }

    /// Where the key stands at `now`: the first that applies of redeemed, revoked, expired, available.
    ///
    /// The database's function `keys.key_state` states the same rule for filters and counts; `verify` compares them.
    pub fn state(&self, now: DateTime<Utc>) -> KeyState {
        let is_used_up = self.max_uses().is_some_and(|most| self.uses >= most.into());
        let is_over = self.redeemable_until().is_some_and(|until| now >= until);
        if is_used_up {
            KeyState::Redeemed
        } else if self.revoked {
            KeyState::Revoked
        } else if self.grant == GrantStatus::Cancelled || is_over {
            KeyState::Expired
        } else {
            KeyState::Available
        }
    }
}

/// One use of a key by one student: a copy of what the enrollment service decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUse {
    /// The redemption.
    pub redemption_id: Uuid,
    /// The student.
    pub student_id: Uuid,
    /// The generation of the code that was typed.
    pub generation: i32,
    /// When it was decided.
    pub redeemed_at: DateTime<Utc>,
}

/// That a key was revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// When.
    pub at: DateTime<Utc>,
    /// By whom: a token's subject.
    pub by: String,
    /// Why, as given; may be empty.
    pub reason: String,
}

/// A key as people see it, at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingKey {
    /// Its id.
    pub key_id: Uuid,
    /// Its kind.
    pub kind: KeyKind,
    /// The organization that owns it.
    pub organization_id: Uuid,
    /// The class, pool or profile it opens.
    pub grant_id: Uuid,
    /// The name of that.
    pub grant_name: String,
    /// Where it stands.
    pub state: KeyState,
    /// Its present code, masked.
    pub masked_code: String,
    /// How many codes it has had.
    pub generation: i32,
    /// From when on the key of a pool can be redeemed; those of classes open whenever the class does.
    pub redeemable_from: Option<DateTime<Utc>>,
    /// The first instant at which it can be redeemed no more, if there is one.
    pub redeemable_until: Option<DateTime<Utc>>,
    /// The use of a key for one student, if there is one.
    pub key_use: Option<KeyUse>,
    /// How many students use it.
    pub use_count: i64,
    /// The terms of a subscription key.
    pub terms: Option<VersionedTerms>,
    /// The request that made it.
    pub batch_id: Uuid,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Who made it: a token's subject.
    pub created_by: String,
    /// That it was revoked, if it was.
    pub revocation: Option<Revocation>,
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    /// A key that nobody has used. It can be redeemed until 2030-03-17, whatever its kind, and if it is a subscription key by
    /// two students.
    fn standing(kind: KeyKind) -> Standing {
        let end = DateTime::from_timestamp(1_900_000_000, 0);
        let of_subscription = kind == KeyKind::Subscription;
        Standing {
            kind,
            uses: 0,
            revoked: false,
            grant: GrantStatus::Open,
            ends_at: end.filter(|_| !of_subscription),
            event_key_until: end.filter(|_| !of_subscription),
            terms: of_subscription.then_some(Terms {
                max_uses: Some(2),
                expires_at: end,
                content_expires_at: None,
            }),
        }
    }

    fn end(key: &Standing) -> DateTime<Utc> {
        key.redeemable_until().expect("an end")
    }

    #[test]
    fn a_window_is_half_open() {
        for kind in KeyKind::ALL {
            let key = standing(kind);
            let last = end(&key) - TimeDelta::microseconds(1);
            assert_eq!(key.state(last), KeyState::Available, "{kind:?}");
            assert_eq!(key.state(end(&key)), KeyState::Expired, "{kind:?}");
        }
    }

    #[test]
    fn an_enrollment_key_ends_with_the_class_and_an_event_key_by_its_setting() {
        let ends_at = standing(KeyKind::Enrollment).ends_at;
        let event_key_until = ends_at.map(|end| end + TimeDelta::days(180));
        for (kind, until) in [
            (KeyKind::Enrollment, ends_at),
            (KeyKind::Event, event_key_until),
        ] {
            let key = Standing {
                event_key_until,
                ..standing(kind)
            };
            assert_eq!(key.redeemable_until(), until);
        }
    }

    #[test]
    fn redeemed_comes_before_revoked_and_revoked_before_expired() {
        let mut key = Standing {
            uses: 1,
            revoked: true,
            ..standing(KeyKind::Enrollment)
        };
        let late = end(&key);
        assert_eq!(key.state(late), KeyState::Redeemed);
        key.uses = 0;
        assert_eq!(key.state(late), KeyState::Revoked);
        key.revoked = false;
        assert_eq!(key.state(late), KeyState::Expired);
    }

    #[test]
    fn a_cancelled_class_expires_its_keys_at_once() {
        let key = Standing {
            grant: GrantStatus::Cancelled,
            ..standing(KeyKind::Event)
        };
        let early = end(&key) - TimeDelta::days(100);
        assert_eq!(key.state(early), KeyState::Expired);
    }

    #[test]
    fn an_event_key_is_never_redeemed() {
        let key = Standing {
            uses: 1_000,
            ..standing(KeyKind::Event)
        };
        let early = end(&key) - TimeDelta::days(1);
        assert_eq!(key.state(early), KeyState::Available);
    }

    #[test]
    fn a_subscription_key_is_redeemed_once_its_uses_are_made_and_without_a_limit_never() {
        let mut key = standing(KeyKind::Subscription);
        let early = end(&key) - TimeDelta::days(1);
        for (uses, state) in [
            (0, KeyState::Available),
            (1, KeyState::Available),
            (2, KeyState::Redeemed),
            // Its limit was lowered while a redemption was being decided.
            (3, KeyState::Redeemed),
        ] {
            key.uses = uses;
            assert_eq!(key.state(early), state, "{uses}");
        }
        key.terms = key.terms.map(|terms| Terms {
            max_uses: None,
            ..terms
        });
        assert_eq!(key.state(early), KeyState::Available);
    }

    #[test]
    fn a_subscription_key_expires_with_its_content_and_without_times_never() {
        let mut key = standing(KeyKind::Subscription);
        let (late, early) = (end(&key), end(&key) - TimeDelta::days(9));
        key.terms = key.terms.map(|terms| Terms {
            content_expires_at: Some(early),
            ..terms
        });
        assert_eq!(key.state(early), KeyState::Expired);
        key.terms = key.terms.map(|terms| Terms {
            content_expires_at: None,
            expires_at: None,
            ..terms
        });
        assert_eq!(key.redeemable_until(), None);
        assert_eq!(key.state(late), KeyState::Available);
    }

    #[test]
    fn kinds_come_back_from_their_text() {
        for kind in KeyKind::ALL {
            assert_eq!(KeyKind::from_text(kind.as_text()), Some(kind));
        }
        assert_eq!(KeyKind::from_text("course"), None);
    }

    #[test]
    fn what_is_generated_for_a_grant_opens_it() {
        for grant in GrantKind::ALL {
            let kind = KeyKind::generated_for(grant);
            assert!(kind.opens() == grant && kind != KeyKind::Event);
        }
    }

    proptest! {
        /// Time only ever turns an available key into an expired one.
        #[test]
        fn time_changes_nothing_but_available_to_expired(
            kind in prop::sample::select(KeyKind::ALL.to_vec()),
            uses in 0..4_i64,
            revoked: bool,
            grant in prop::sample::select(GrantStatus::ALL.to_vec()),
            offsets in prop::array::uniform2(-1_000_000_i64..1_000_000),
        ) {
            let key = Standing { uses, revoked, grant, ..standing(kind) };
            let at = |offset: i64| key.state(end(&key) + TimeDelta::seconds(offset));
            let (before, after) = (at(offsets[0].min(offsets[1])), at(offsets[0].max(offsets[1])));
            prop_assert!(before == after || (before == KeyState::Available && after == KeyState::Expired));
        }
    }
}
