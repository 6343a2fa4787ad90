//! Who may cancel an enrollment, and until when.

use chrono::{DateTime, Utc};

use super::class::Class;
use super::enrollment::CancelledBy;
use super::refusal::Refusal;

/// Who cancels an enrollment within reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canceller {
    /// The student whose enrollment it is.
    Student,
    /// An administrator of the class's organization.
    Administrator,
    /// An operations manager of the class's organization.
    OperationsManager,
}

impl Canceller {
    /// What the enrollment keeps of it.
    pub fn cancelled_by(self) -> CancelledBy {
        match self {
            Self::Student => CancelledBy::Student,
            Self::Administrator | Self::OperationsManager => CancelledBy::Staff,
        }
    }
}

/// Whether `canceller` may cancel an enrollment in `class` at `now`: once the class has begun, only an operations manager
/// may.
pub fn judge(class: &Class, canceller: Canceller, now: DateTime<Utc>) -> Result<(), Refusal> {
    if class.has_begun(now) && canceller != Canceller::OperationsManager {
        return Err(Refusal::ClassStarted {
            class_id: class.id,
            starts_at: class.starts_at,
            time_zone: class.time_zone,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::class::tests::class;
    use chrono::TimeDelta;

    #[test]
    fn from_the_start_of_the_class_on_only_an_operations_manager_cancels() {
        let class = class();
        let before = class.starts_at - TimeDelta::microseconds(1);
        for (canceller, later) in [
            (Canceller::Student, false),
            (Canceller::Administrator, false),
            (Canceller::OperationsManager, true),
        ] {
            assert!(judge(&class, canceller, before).is_ok(), "{canceller:?}");
            assert_eq!(
                judge(&class, canceller, class.starts_at).is_ok(),
                later,
                "{canceller:?}"
            );
        }
    }

    #[test]
    fn only_staff_removes() {
        assert_eq!(Canceller::Student.cancelled_by(), CancelledBy::Student);
        assert_eq!(Canceller::Administrator.cancelled_by(), CancelledBy::Staff);
        assert_eq!(
            Canceller::OperationsManager.cancelled_by(),
            CancelledBy::Staff
        );
    }
}
