//! From which status an enrollment comes into which, by whose hand and until when: one table.
//!
//! What a class, its seats and the student's account say to it is judged where a student is let in
//! ([`super::direct::judge`]).

use chrono::{DateTime, Utc};

use super::class::Class;
use super::enrollment::{CancelledBy, Enrollment, Status};
use super::refusal::Refusal;

/// Who changes the status of an enrollment within reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// The student whose enrollment it is.
    Student,
    /// An administrator of the class's organization.
    Administrator,
    /// An operations manager of the class's organization.
    OperationsManager,
}

impl Actor {
    /// What the enrollment keeps of who cancelled it.
    pub fn cancelled_by(self) -> CancelledBy {
        match self {
            Self::Student => CancelledBy::Student,
            Self::Administrator | Self::OperationsManager => CancelledBy::Staff,
        }
    }
}

/// Whose change one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum May {
    /// Nobody's.
    Nobody,
    /// Staff's.
    Staff,
    /// The student's and staff's.
    Anyone,
    /// Staff's; once the class has begun, an operations manager's only.
    StaffAhead,
    /// The student's and staff's; once the class has begun, an operations manager's only.
    AnyoneAhead,
}

use May::{Anyone as A, AnyoneAhead as B, Nobody as N, Staff as S, StaffAhead as L};

/// The table: a row for each status from which, a column for each into which, both in the order of [`Status::ALL`].
///
/// Once the class has begun, only an operations manager takes a seat away from somebody.
const TABLE: [[May; 7]; 7] = [
    // requested, wait-listed, approved, denied, audit, enrolled, cancelled
    [N, S, S, S, S, S, A], // requested
    [N, N, S, S, S, S, A], // wait-listed
    [N, S, N, S, S, S, A], // approved
    [N, S, S, N, S, S, N], // denied
    [N, S, S, N, N, S, A], // audit
    [N, L, L, N, L, N, B], // enrolled
    [N, S, S, N, S, S, N], // cancelled
];

fn may(from: Status, to: Status) -> May {
    let place = |status: Status| Status::ALL.iter().position(|one| *one == status);
    place(from)
        .zip(place(to))
        .map_or(May::Nobody, |(from, to)| TABLE[from][to])
}

/// Whether `actor` may bring `enrollment`, of `class`, into the status `to` at `now`.
pub fn judge(
    class: &Class,
    enrollment: &Enrollment,
    to: Status,
    actor: Actor,
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    let from = enrollment.status;
    let unreachable = Refusal::StatusUnreachable {
        enrollment_id: enrollment.id,
        from,
        to,
    };
    let (students, only_ahead) = match may(from, to) {
        May::Nobody => return Err(unreachable),
        May::Staff => (false, false),
        May::Anyone => (true, false),
        May::StaffAhead => (false, true),
        May::AnyoneAhead => (true, true),
    };
    if actor == Actor::Student && !students {
        return Err(unreachable);
    }
    if only_ahead && class.has_begun(now) && actor != Actor::OperationsManager {
        return Err(Refusal::ClassStarted {
            class_id: class.id,
            starts_at: class.starts_at,
            time_zone: class.time_zone,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
