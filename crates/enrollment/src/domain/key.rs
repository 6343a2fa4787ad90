//! What this service knows of training keys: their kinds, and what they open.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::profile::Course;

/// For how many a key opens a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// Enrolls one student in one class.
    Enrollment,
    /// Enrolls everyone who has its code in one class, up to the class's maximum students.
    Event,
}

impl KeyKind {
    /// The name, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enrollment => "enrollment",
            Self::Event => "event",
        }
    }

    /// The kind with this stored name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "enrollment" => Some(Self::Enrollment),
            "event" => Some(Self::Event),
            _ => None,
        }
    }
}

/// What a key opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opens {
    /// A class.
    Class {
        /// The class.
        class_id: Uuid,
        /// For how many.
        kind: KeyKind,
    },
    /// The course of a pool, for one student. Boxed: most keys open classes.
    Pool(Box<PoolTerms>),
    /// The courses of a subscription profile.
    Subscription(SubscriptionTerms),
}

/// What a pool grants and when, as the keys service says it of one of its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolTerms {
    /// The pool.
    pub pool_id: Uuid,
    /// The platform's id of its course.
    pub course_id: String,
    /// The course's name.
    pub course_name: String,
    /// From when on its keys can be redeemed.
    pub starts_at: DateTime<Utc>,
    /// The first instant at which they can be redeemed no more.
    pub expires_at: DateTime<Utc>,
    /// For how long the course stays open after a redemption.
    pub availability: TimeDelta,
    /// Whether students of the organizations below may redeem its keys too.
    pub open_to_descendants: bool,
}

impl PoolTerms {
    /// Its course.
    pub fn course(&self) -> Course {
        Course {
            course_id: self.course_id.clone(),
            course_name: self.course_name.clone(),
        }
    }
}

/// To how many a subscription key opens its profile, and until when, as the keys service says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionTerms {
    /// The profile.
    pub profile_id: Uuid,
    /// How many students may use it at once; `None`: any number.
    pub max_uses: Option<i32>,
    /// The first instant at which it can be redeemed no more; `None`: always.
    pub expires_at: Option<DateTime<Utc>>,
    /// The first instant at which what it opens is not open any more; `None`: the profile's duration after the redemption.
    pub content_expires_at: Option<DateTime<Utc>>,
    /// The uses of a key with `max_uses` that the keys service has heard of.
    pub recorded: RecordedUses,
}

/// How many uses of a key the keys service has heard of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordedUses {
    /// All that ever were, those included that were given up.
    pub ever: i64,
    /// Those that were not given up.
    pub live: i64,
}

impl SubscriptionTerms {
    /// The first instant at which the key can be redeemed no more: what is open to nobody any more is given to nobody.
    pub fn redeemable_until(&self) -> Option<DateTime<Utc>> {
        [self.expires_at, self.content_expires_at]
            .into_iter()
            .flatten()
            .min()
    }
}

/// What the keys service says of one code. Never kept beyond the request it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedKey {
    /// The key.
    pub key_id: Uuid,
    /// The organization that owns it.
    pub organization_id: Uuid,
    /// What it opens.
    pub opens: Opens,
    /// The generation this code belongs to.
    pub generation: i32,
    /// Until when this code is accepted, if a newer one replaced it. To be judged by the database's clock.
    pub code_valid_until: Option<DateTime<Utc>>,
    /// Whether the key was revoked, or is an event key that is turned off.
    pub revoked: bool,
    /// The live use of a key for one student as the keys service has it: a copy, milliseconds late.
    pub live_use: Option<KeyUse>,
}

impl ResolvedKey {
    /// The class it opens, if it opens one.
    pub fn class_id(&self) -> Option<Uuid> {
        match self.opens {
            Opens::Class { class_id, .. } => Some(class_id),
            Opens::Pool(_) | Opens::Subscription(_) => None,
        }
    }

    /// Whether it is of a kind that is for one student.
    pub fn is_single_use(&self) -> bool {
        match self.opens {
            Opens::Class { kind, .. } => kind == KeyKind::Enrollment,
            Opens::Pool(_) => true,
            Opens::Subscription(_) => false,
        }
    }
}

/// A recorded use of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUse {
    /// The redemption, which is also the id of the enrollment or assignment.
    pub redemption_id: Uuid,
    /// The student.
    pub student_id: Uuid,
}

/// A use of a key, as the keys service keeps a copy of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The redemption that used the key.
    pub redemption_id: Uuid,
    /// The key.
    pub key_id: Uuid,
    /// The student.
    pub student_id: Uuid,
    /// The generation of the code.
    pub generation: i32,
    /// When it was decided.
    pub redeemed_at: DateTime<Utc>,
    /// When it was given up; `None` while live.
    pub released_at: Option<DateTime<Utc>>,
}

/// Enrollment keys of one class by state. `generated` is the sum of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyCount {
    /// The class.
    pub class_id: Uuid,
    /// All that were ever generated.
    pub generated: i64,
    /// Used by a student.
    pub redeemed: i64,
    /// Not used, revoked.
    pub revoked: i64,
    /// Not used, not revoked, out of time.
    pub expired: i64,
    /// Can be used.
    pub available: i64,
}
