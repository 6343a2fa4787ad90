//! Instructor-led classes and their seats.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::calendar;
use super::key::KeyKind;

pub mod settings;

/// The maximum students of a class for which nobody set one.
pub const DEFAULT_MAXIMUM_STUDENTS: i32 = 30;

/// The days of post-class lab access of a class for which nobody set them.
pub const DEFAULT_POST_CLASS_DAYS: i32 = 180;

/// Where a class stands. Keys open it only while it is scheduled or guaranteed to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassStatus {
    /// Planned.
    Tentative,
    /// On the schedule.
    Scheduled,
    /// Takes place whatever the number of students.
    GuaranteedToRun,
    /// Cancelled, for good.
    Cancelled,
}

impl ClassStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Tentative,
        Self::Scheduled,
        Self::GuaranteedToRun,
        Self::Cancelled,
    ];

    /// The name, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tentative => "tentative",
            Self::Scheduled => "scheduled",
            Self::GuaranteedToRun => "guaranteed_to_run",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status with this stored name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether keys open a class in this status, as far as the status goes.
    pub fn opens_to_keys(self) -> bool {
        matches!(self, Self::Scheduled | Self::GuaranteedToRun)
    }
}

/// How long a class's event key can be redeemed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKeyWindow {
    /// Until the class ends.
    UntilClassEnds,
    /// During the class or after it ends: until post-class lab access expires.
    UntilAccessExpires,
}

impl EventKeyWindow {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::UntilClassEnds, Self::UntilAccessExpires];

    /// The name, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UntilClassEnds => "until_class_ends",
            Self::UntilAccessExpires => "until_access_expires",
        }
    }

    /// The window with this stored name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|window| window.as_str() == name)
    }
}

/// An instructor-led class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Its id, derived from the request that created it.
    pub id: Uuid,
    /// The organization that owns it.
    pub organization_id: Uuid,
    /// The platform's id of its course.
    pub course_id: String,
    /// The course's name.
    pub course_name: String,
    /// Its name.
    pub name: String,
    /// Token subjects of its instructors.
    pub instructors: Vec<String>,
    /// When it starts.
    pub starts_at: DateTime<Utc>,
    /// When it ends; not part of it.
    pub ends_at: DateTime<Utc>,
    /// Where it takes place.
    pub time_zone: Tz,
    /// Below this many students it may not take place; not enforced.
    pub minimum_students: i32,
    /// Never more enrolled students than this; others in the class do not count.
    pub maximum_students: i32,
    /// Whether the maximum was never set on purpose.
    pub maximum_is_default: bool,
    /// Days of lab access after it; never negative.
    pub post_class_days: i32,
    /// Where it stands.
    pub status: ClassStatus,
    /// How long its event key can be redeemed.
    pub event_key_window: EventKeyWindow,
    /// Seats taken: enrolled students.
    pub seats_taken: i32,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// Grows with every change of the settings; taking a seat does not change it.
    pub version: i64,
}

/// Which classes to list. Filters are joined with AND; an unset one lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClassFilter {
    /// Only classes of this organization.
    pub organization_id: Option<Uuid>,
    /// Only classes in this status.
    pub status: Option<ClassStatus>,
    /// Only classes that end after this time.
    pub ends_after: Option<DateTime<Utc>>,
    /// Only classes that start before this time.
    pub starts_before: Option<DateTime<Utc>>,
}

/// The times that follow from a class's dates. All are half-open: what ends at an instant is over at that instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// Until when an enrollment key of the class can be redeemed: until the class ends.
    pub enrollment_key_until: DateTime<Utc>,
    /// Until when the class's event key can be redeemed, by its setting.
    pub event_key_until: DateTime<Utc>,
    /// When post-class lab access expires.
    pub access_until: DateTime<Utc>,
}

impl Windows {
    /// Until when a key of this kind can be redeemed.
    pub fn until(&self, kind: KeyKind) -> DateTime<Utc> {
        match kind {
            KeyKind::Enrollment => self.enrollment_key_until,
            KeyKind::Event => self.event_key_until,
        }
    }

    /// Whether a key of this kind can be redeemed at `now`, as far as the time goes. Keys can be redeemed from their
    /// creation on, so only the end matters.
    pub fn is_open(&self, kind: KeyKind, now: DateTime<Utc>) -> bool {
        now < self.until(kind)
    }
}

impl Class {
    /// The times that follow from its dates.
    pub fn windows(&self) -> Windows {
        let access_until = access_until(self.ends_at, self.post_class_days, self.time_zone);
        let event_key_until = match self.event_key_window {
            EventKeyWindow::UntilClassEnds => self.ends_at,
            EventKeyWindow::UntilAccessExpires => access_until,
        };
        Windows {
            enrollment_key_until: self.ends_at,
            event_key_until,
            access_until,
        }
    }

    /// When post-class lab access expires.
    pub fn access_until(&self) -> DateTime<Utc> {
        access_until(self.ends_at, self.post_class_days, self.time_zone)
    }

    /// Seats left; never negative.
    pub fn seats_left(&self) -> i32 {
        (self.maximum_students - self.seats_taken).max(0)
    }

    /// Whether giving up a seat at `now` is late, where that is so from `window` before it begins on; never without one.
    pub fn is_late(&self, window: Option<TimeDelta>, now: DateTime<Utc>) -> bool {
        window.is_some_and(|window| self.starts_at.signed_duration_since(now) <= window)
    }

    /// Whether it has begun at `now`.
    pub fn has_begun(&self, now: DateTime<Utc>) -> bool {
        self.starts_at <= now
    }
}

/// When post-class lab access expires: `days` calendar days after the end, at the same wall-clock time in the class's
/// own zone ([`calendar::days_later`]).
pub fn access_until(ends_at: DateTime<Utc>, days: i32, zone: Tz) -> DateTime<Utc> {
    calendar::days_later(ends_at, days.max(0).unsigned_abs(), zone)
}

#[cfg(test)]
pub(crate) mod tests;
