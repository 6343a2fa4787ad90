//! Training keys: the record, and where it stands.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::grant::{GrantKind, GrantStatus};

/// What a key opens, and for how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Enrolls one student in one class.
    Enrollment,
    /// Enrolls everyone who has its code in one class.
    Event,
    /// Assigns one student the course of a pool.
    Pool,
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Enrollment, Self::Event, Self::Pool];

    /// The kind as the database keeps it.
    pub fn as_text(self) -> &'static str {
        match self {
            Self::Enrollment => "enrollment",
            Self::Event => "event",
            Self::Pool => "pool",
        }
    }

    /// What keys of this kind open.
    pub fn opens(self) -> GrantKind {
        match self {
            Self::Enrollment | Self::Event => GrantKind::Class,
            Self::Pool => GrantKind::Pool,
        }
    }

    /// The kind of keys that are generated for `grant`, one for each student.
    pub fn generated_for(grant: GrantKind) -> Self {
        match grant {
            GrantKind::Class => Self::Enrollment,
            GrantKind::Pool => Self::Pool,
        }
    }

    /// Whether such a key is for one student.
    pub fn is_single_use(self) -> bool {
        self != Self::Event
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
    /// A key for one student, who uses it.
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
    /// Whether a live use of it is recorded.
    pub in_use: bool,
    /// Whether it was revoked (an event key: is turned off).
    pub revoked: bool,
    /// The state of what it opens.
    pub grant: GrantStatus,
    /// The first instant at which it can be redeemed no more.
    pub redeemable_until: DateTime<Utc>,
}

impl Standing {
    /// Where the key stands at `now`: the first that applies of redeemed, revoked, expired, available.
    ///
    /// The database's function `keys.key_state` states the same rule for filters and counts; `verify` compares them.
    pub fn state(&self, now: DateTime<Utc>) -> KeyState {
        if self.kind.is_single_use() && self.in_use {
            KeyState::Redeemed
        } else if self.revoked {
            KeyState::Revoked
        } else if self.grant == GrantStatus::Cancelled || now >= self.redeemable_until {
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
    /// The class or pool it opens.
    pub grant_id: Uuid,
    /// The name of that.
    pub grant_name: String,
    /// Where it stands.
    pub state: KeyState,
    /// Its present code, masked.
    pub masked_code: String,
    /// How many codes it has had.
    pub generation: i32,
    /// From when on it can be redeemed; `None` for keys of classes, which open whenever the class does.
    pub redeemable_from: Option<DateTime<Utc>>,
    /// The first instant at which it can be redeemed no more.
    pub redeemable_until: DateTime<Utc>,
    /// The use of a key for one student, if there is one.
    pub key_use: Option<KeyUse>,
    /// How many students use it.
    pub use_count: i64,
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
pub(crate) mod sample {
    use super::*;

    /// An enrollment key that nobody has used.
    pub(crate) fn key() -> TrainingKey {
        let at = |text: &str| text.parse().expect("a time");
        TrainingKey {
            key_id: Uuid::from_u128(0xe1),
            kind: KeyKind::Enrollment,
            organization_id: Uuid::from_u128(0x01),
            grant_id: Uuid::from_u128(0xc1),
            grant_name: "Rust in a day".to_owned(),
            state: KeyState::Available,
            masked_code: "EK-••••-4M".to_owned(),
            generation: 1,
            redeemable_from: None,
            redeemable_until: at("2030-03-01T16:00:00Z"),
            key_use: None,
            use_count: 0,
            batch_id: Uuid::from_u128(0xb1),
            created_at: at("2030-01-01T08:00:00Z"),
            created_by: "ada".to_owned(),
            revocation: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    fn standing(kind: KeyKind) -> Standing {
        Standing {
            kind,
            in_use: false,
            revoked: false,
            grant: GrantStatus::Open,
            redeemable_until: DateTime::from_timestamp(1_900_000_000, 0).expect("a time"),
        }
    }

    #[test]
    fn a_window_is_half_open() {
        let key = standing(KeyKind::Enrollment);
        let end = key.redeemable_until;
        assert_eq!(
            key.state(end - TimeDelta::microseconds(1)),
            KeyState::Available
        );
        assert_eq!(key.state(end), KeyState::Expired);
    }

    #[test]
    fn redeemed_comes_before_revoked_and_revoked_before_expired() {
        let mut key = Standing {
            in_use: true,
            revoked: true,
            ..standing(KeyKind::Enrollment)
        };
        let late = key.redeemable_until;
        assert_eq!(key.state(late), KeyState::Redeemed);
        key.in_use = false;
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
        assert_eq!(
            key.state(key.redeemable_until - TimeDelta::days(100)),
            KeyState::Expired
        );
    }

    #[test]
    fn an_event_key_is_never_redeemed() {
        let key = Standing {
            in_use: true,
            ..standing(KeyKind::Event)
        };
        assert_eq!(
            key.state(key.redeemable_until - TimeDelta::days(1)),
            KeyState::Available
        );
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
            assert!(kind.opens() == grant && kind.is_single_use());
        }
    }

    proptest! {
        /// Time only ever turns an available key into an expired one.
        #[test]
        fn time_changes_nothing_but_available_to_expired(
            kind in prop::sample::select(KeyKind::ALL.to_vec()),
            in_use: bool,
            revoked: bool,
            grant in prop::sample::select(GrantStatus::ALL.to_vec()),
            offsets in prop::array::uniform2(-1_000_000_i64..1_000_000),
        ) {
            let key = Standing { in_use, revoked, grant, ..standing(kind) };
            let at = |offset: i64| key.state(key.redeemable_until + TimeDelta::seconds(offset));
            let (before, after) = (at(offsets[0].min(offsets[1])), at(offsets[0].max(offsets[1])));
            prop_assert!(before == after || (before == KeyState::Available && after == KeyState::Expired));
        }
    }
}
