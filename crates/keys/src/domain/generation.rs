//! The rule for generating enrollment keys.

use chrono::{DateTime, TimeDelta, Utc};

use super::grant::{Grant, GrantStatus};
use super::key::KeyKind;
use super::warning::Warning;

/// How near its end a class draws a warning: a day is short notice for a student who still has to get a code.
pub const NEAR_END: TimeDelta = TimeDelta::hours(24);

/// Why no keys are generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The class was cancelled.
    Cancelled,
    /// The class has ended: no key generated now could be redeemed.
    Ended,
    /// The live keys would exceed the class's maximum.
    LimitExceeded {
        /// How many more can be generated.
        can_generate: i64,
    },
}

/// Whether `count` more enrollment keys may be generated at `now` for `grant`, which has `live` unrevoked ones; and what
/// the caller should know then.
///
/// Holds as long as the grant is locked: `live` must have been counted after the lock was taken.
pub fn admit(
    grant: &Grant,
    live: i64,
    count: i32,
    now: DateTime<Utc>,
) -> Result<Option<Warning>, Refused> {
    if grant.status == GrantStatus::Cancelled {
        return Err(Refused::Cancelled);
    }
    let until = grant.redeemable_until(KeyKind::Enrollment);
    if now >= until {
        return Err(Refused::Ended);
    }
    let can_generate = (i64::from(grant.maximum_keys) - live).max(0);
    if i64::from(count) > can_generate {
        return Err(Refused::LimitExceeded { can_generate });
    }
    let near = until - now <= NEAR_END;
    Ok(near.then_some(Warning::ClassNearEnd {
        ends_at: until,
        zone: grant.zone,
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::grant::sample;
    use super::*;

    fn early(grant: &Grant) -> DateTime<Utc> {
        grant.ends_at - TimeDelta::days(10)
    }

    #[test]
    fn up_to_the_maximum_and_not_one_more() {
        let grant = sample::grant();
        assert_eq!(admit(&grant, 0, 30, early(&grant)), Ok(None));
        assert_eq!(admit(&grant, 29, 1, early(&grant)), Ok(None));
        assert_eq!(
            admit(&grant, 29, 2, early(&grant)),
            Err(Refused::LimitExceeded { can_generate: 1 })
        );
        assert_eq!(
            admit(&grant, 30, 1, early(&grant)),
            Err(Refused::LimitExceeded { can_generate: 0 })
        );
        // The maximum was lowered under the keys handed out: none can be generated, and none is owed.
        assert_eq!(
            admit(&grant, 45, 1, early(&grant)),
            Err(Refused::LimitExceeded { can_generate: 0 })
        );
    }

    #[test]
    fn not_for_a_class_that_was_cancelled_or_has_ended() {
        let mut grant = sample::grant();
        assert_eq!(admit(&grant, 0, 1, grant.ends_at), Err(Refused::Ended));
        assert!(admit(&grant, 0, 1, grant.ends_at - TimeDelta::microseconds(1)).is_ok());
        grant.status = GrantStatus::Cancelled;
        assert_eq!(admit(&grant, 0, 1, grant.ends_at), Err(Refused::Cancelled));
    }

    #[test]
    fn within_a_day_of_the_end_the_answer_says_so() {
        let grant = sample::grant();
        let warning = Warning::ClassNearEnd {
            ends_at: grant.ends_at,
            zone: grant.zone,
        };
        assert_eq!(
            admit(&grant, 0, 1, grant.ends_at - NEAR_END),
            Ok(Some(warning))
        );
        assert_eq!(
            admit(
                &grant,
                0,
                1,
                grant.ends_at - NEAR_END - TimeDelta::microseconds(1)
            ),
            Ok(None)
        );
    }

    proptest! {
        #[test]
        fn live_keys_never_pass_the_maximum(maximum in 1..2_000_i32, counts in prop::collection::vec(1..1_000_i32, 1..20)) {
            let grant = Grant { maximum_keys: maximum, ..sample::grant() };
            let mut live = 0;
            for count in counts {
                match admit(&grant, live, count, early(&grant)) {
                    Ok(_) => live += i64::from(count),
                    Err(Refused::LimitExceeded { can_generate }) => {
                        prop_assert!(can_generate < i64::from(count));
                        if let Ok(rest @ 1..) = i32::try_from(can_generate) {
                            prop_assert!(admit(&grant, live, rest, early(&grant)).is_ok());
                        }
                    }
                    Err(other) => prop_assert!(false, "{:?}", other),
                }
                prop_assert!(live <= i64::from(maximum));
            }
        }
    }
}
