//! Recorded decisions about redemptions.

use std::fmt;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::key::{KeyKind, Opens};
use super::refusal::Refusal;

/// The names of students registered by a redemption (UUID version 5) stand in this space, which is ours alone.
const STUDENT_IDS: Uuid = Uuid::from_u128(0x9b1d_30c7_52fe_4a06_b7e4_88a1_6d0f_c35b);

/// The id of the student whom a registration with this redemption id makes: every repetition means the same student.
pub fn registered_student_id(redemption_id: Uuid) -> Uuid {
    Uuid::new_v5(&STUDENT_IDS, redemption_id.as_bytes())
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The student was enrolled by it: the enrollment has the redemption's id.
    Enrolled,
    /// The class was full and the student waits for a seat: the enrollment has the redemption's id.
    WaitListed,
    /// The student was in already, by this enrollment; nothing was spent.
    AlreadyIn {
        /// The enrollment that was there.
        enrollment_id: Uuid,
    },
    /// The student was assigned a course or courses by it: the assignment has the redemption's id.
    Assigned,
    /// The student has used the key already, by this assignment; nothing was spent.
    AlreadyAssigned {
        /// The assignment that was there.
        assignment_id: Uuid,
    },
    /// It was refused.
    Refused(Refusal),
}

impl Outcome {
    /// The name, as it is stored.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Enrolled => "enrolled",
            Self::WaitListed => "wait_listed",
            Self::Assigned => "assigned",
            Self::AlreadyIn { .. } | Self::AlreadyAssigned { .. } => "already_in",
            Self::Refused(_) => "refused",
        }
    }

    /// The refusal, if it is one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Enrolled
            | Self::WaitListed
            | Self::AlreadyIn { .. }
            | Self::Assigned
            | Self::AlreadyAssigned { .. } => None,
        }
    }
}

/// What the key of a redemption opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// A class.
    Class {
        /// The class.
        class_id: Uuid,
        /// For how many.
        kind: KeyKind,
    },
    /// The course of a pool.
    Pool {
        /// The pool.
        pool_id: Uuid,
    },
    /// The courses of a subscription profile.
    Subscription {
        /// The profile.
        profile_id: Uuid,
    },
}

impl Opened {
    /// The kind of the key, as it is stored.
    pub fn key_kind(self) -> &'static str {
        match self {
            Self::Class { kind, .. } => kind.as_str(),
            Self::Pool { .. } => "pool",
            Self::Subscription { .. } => "subscription",
        }
    }

    /// The class, if it is one.
    pub fn class_id(self) -> Option<Uuid> {
        match self {
            Self::Class { class_id, .. } => Some(class_id),
            Self::Pool { .. } | Self::Subscription { .. } => None,
        }
    }

    /// The pool, if it is one.
    pub fn pool_id(self) -> Option<Uuid> {
        match self {
            Self::Class { .. } | Self::Subscription { .. } => None,
            Self::Pool { pool_id } => Some(pool_id),
        }
    }

    /// The subscription profile, if it is one.
    pub fn profile_id(self) -> Option<Uuid> {
        match self {
            Self::Class { .. } | Self::Pool { .. } => None,
            Self::Subscription { profile_id } => Some(profile_id),
        }
    }
}

/// What assigns courses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assigning {
    /// A pool.
    Pool(Uuid),
    /// A subscription profile.
    Profile(Uuid),
}

impl Assigning {
    /// Its id.
    pub fn id(self) -> Uuid {
        match self {
            Self::Pool(id) | Self::Profile(id) => id,
        }
    }

    /// Its id, if it is a pool.
    pub fn pool_id(self) -> Option<Uuid> {
        match self {
            Self::Pool(id) => Some(id),
            Self::Profile(_) => None,
        }
    }

    /// Its id, if it is a subscription profile.
    pub fn profile_id(self) -> Option<Uuid> {
        match self {
            Self::Pool(_) => None,
            Self::Profile(id) => Some(id),
        }
    }

    /// The kind of its keys, as it is stored.
    pub fn key_kind(self) -> &'static str {
        match self {
            Self::Pool(_) => "pool",
            Self::Profile(_) => "subscription",
        }
    }
}

impl From<&Opens> for Opened {
    fn from(opens: &Opens) -> Self {
        match opens {
            Opens::Class { class_id, kind } => Self::Class {
                class_id: *class_id,
                kind: *kind,
            },
            Opens::Pool(terms) => Self::Pool {
                pool_id: terms.pool_id,
            },
            Opens::Subscription(terms) => Self::Subscription {
                profile_id: terms.profile_id,
            },
        }
    }
}

/// The key a redemption was decided about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedKey {
    /// The key.
    pub key_id: Uuid,
    /// The generation of the code that was typed.
    pub generation: i32,
    /// What it opens.
    pub opened: Opened,
}

/// A recorded decision: the answer that the same id gets again, the audit row of the redemption, and the operator's
/// history. Never changed.
#[derive(Clone, PartialEq, Eq)]
pub struct Redemption {
    /// The caller's id of it.
    pub id: Uuid,
    /// Whether it was a registration.
    pub registration: bool,
    /// What was decided.
    pub outcome: Outcome,
    /// Keyed digest of what was asked.
    pub fingerprint: Vec<u8>,
    /// The organization of the key; without one, of the would-be student.
    pub organization_id: Uuid,
    /// The student; `None` for a refused registration.
    pub student_id: Option<Uuid>,
    /// The key; `None` if refused before the key was looked at.
    pub key: Option<UsedKey>,
    /// Subject of the token the call was made with.
    pub caller: String,
    /// The address the call came from; empty when unknown.
    pub peer: String,
    /// The name of the call.
    pub request_id: String,
    /// When it was decided, by the database's clock.
    pub decided_at: DateTime<Utc>,
}

impl Redemption {
    /// The enrollment: the one made, or the one that was there.
    pub fn enrollment_id(&self) -> Option<Uuid> {
        match self.outcome {
            Outcome::Enrolled | Outcome::WaitListed => Some(self.id),
            Outcome::AlreadyIn { enrollment_id } => Some(enrollment_id),
            Outcome::Assigned | Outcome::AlreadyAssigned { .. } | Outcome::Refused(_) => None,
        }
    }

    /// The assignment: the one made, or the one that was there.
    pub fn assignment_id(&self) -> Option<Uuid> {
        match self.outcome {
            Outcome::Assigned => Some(self.id),
            Outcome::AlreadyAssigned { assignment_id } => Some(assignment_id),
            Outcome::Enrolled
            | Outcome::WaitListed
            | Outcome::AlreadyIn { .. }
            | Outcome::Refused(_) => None,
        }
    }
}

/// Fingerprints stay out of logs.
impl fmt::Debug for Redemption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redemption")
            .field("id", &self.id)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

/// Which decisions to list. Filters are joined with AND; an unset one lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RedemptionFilter {
    /// Only those of this student.
    pub student_id: Option<Uuid>,
    /// Only those of this key.
    pub key_id: Option<Uuid>,
    /// Only those of this class.
    pub class_id: Option<Uuid>,
    /// Only those of this pool or subscription profile.
    pub assigning: Option<Assigning>,
    /// Only those of keys of this organization, not of its descendants.
    pub organization_id: Option<Uuid>,
    /// Only those with this outcome, by its stored name.
    pub outcome: Option<&'static str>,
    /// Only those at or after this time.
    pub from: Option<DateTime<Utc>>,
    /// Only those before this time.
    pub until: Option<DateTime<Utc>>,
}
