//! The event key of a class: off, or on with one present code; its generations only ever grow.

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_code::OwnCode;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::grant::{Grant, GrantStatus};
use super::warning::Warning;

/// The event key of a class as people see it, at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventKey {
    /// The class it opens.
    pub class_id: Uuid,
    /// Its id; `None` if the class never had one.
    pub key_id: Option<Uuid>,
    /// Whether it is on.
    pub enabled: bool,
    /// How many codes it has had.
    pub generation: i32,
    /// The present code, masked; empty while off.
    pub masked_code: String,
    /// Whether the present code is a text of the administrator's.
    pub own_code: bool,
    /// Until when the code before the present one is still accepted, if it is.
    pub previous_code_valid_until: Option<DateTime<Utc>>,
    /// The first instant at which it can be redeemed no more.
    pub redeemable_until: DateTime<Utc>,
    /// How many students came by it and are still in.
    pub use_count: i64,
    /// One more with each change; 0 if the class never had one.
    pub version: i64,
}

/// What a change has to know of an event key: the locked row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Present {
    /// Its id.
    pub key_id: Uuid,
    /// The generation of its latest code.
    pub generation: i32,
    /// One more with each change.
    pub version: i64,
    /// Whether it is on.
    pub enabled: bool,
}

/// What somebody asks to make of an event key.
#[derive(Debug, Clone)]
pub enum Change {
    /// Turn it off.
    Off,
    /// Turn it on with a new generated code.
    Generated {
        /// How long the code that is replaced stays valid.
        grace: TimeDelta,
    },
    /// Turn it on with one's own text.
    Own {
        /// How long the code that is replaced stays valid.
        grace: TimeDelta,
        /// The text.
        code: OwnCode,
    },
}

impl Change {
    /// The text that is asked for, if one is.
    pub fn own_code(&self) -> Option<&OwnCode> {
        match self {
            Self::Own { code, .. } => Some(code),
            Self::Off | Self::Generated { .. } => None,
        }
    }

    /// The wish in it. `is_present`: whether the text that is asked for is the present code.
    pub fn wish(&self, is_present: bool) -> Wish {
        match self {
            Self::Off => Wish::Off,
            Self::Generated { grace } => Wish::Generated { grace: *grace },
            Self::Own { grace, .. } => Wish::Own {
                grace: *grace,
                is_present,
            },
        }
    }
}

/// What somebody wants of an event key, without the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Off, with all its codes, at once.
    Off,
    /// On, with a new generated code.
    Generated {
        /// How long the code that is replaced stays valid.
        grace: TimeDelta,
    },
    /// On, with one's own text.
    Own {
        /// How long the code that is replaced stays valid.
        grace: TimeDelta,
        /// Whether the text is the present code.
        is_present: bool,
    },
}

/// What has to be done for a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing: it is so already.
    Nothing,
    /// Turn it off: all its codes end now and are retired.
    TurnOff {
        /// The version after it.
        version: i64,
    },
    /// Give it a new code.
    Issue {
        /// The generation of the new code.
        generation: i32,
        /// The version after it.
        version: i64,
        /// When the code that is replaced ends, if one is in force.
        replaced_until: Option<DateTime<Utc>>,
    },
}

/// That an event key cannot be turned on, because its class was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassCancelled;

/// What has to be done at `now` to make of `present` (none: the class never had an event key) what is wished.
///
/// A wish for a *new* generated code is never there already. Codes of older generations end with the one that is replaced,
/// if they have not ended before.
pub fn step(
    present: Option<&Present>,
    wish: Wish,
    grant: &Grant,
    now: DateTime<Utc>,
) -> Result<Step, ClassCancelled> {
    let enabled = present.filter(|key| key.enabled);
    let grace = match wish {
        Wish::Off => {
            return Ok(enabled.map_or(Step::Nothing, |key| Step::TurnOff {
                version: key.version + 1,
            }));
        }
        _ if grant.status == GrantStatus::Cancelled => return Err(ClassCancelled),
        Wish::Own {
            is_present: true, ..
        } if enabled.is_some() => return Ok(Step::Nothing),
        Wish::Own { grace, .. } | Wish::Generated { grace } => grace,
    };
    Ok(Step::Issue {
        generation: present.map_or(1, |key| key.generation + 1),
        version: present.map_or(1, |key| key.version + 1),
        replaced_until: enabled.map(|_| now + grace),
    })
}

/// What the caller should know after `wish` was granted. `guessable`: whether the own text is easy to guess.
pub fn warnings(wish: Wish, grant: &Grant, guessable: bool) -> Vec<Warning> {
    let on = wish != Wish::Off;
    let mut warnings = Vec::new();
    if on && grant.maximum_is_default {
        warnings.push(Warning::MaximumIsDefault);
    }
    if guessable && matches!(wish, Wish::Own { .. }) {
        warnings.push(Warning::CodeGuessable);
    }
    warnings
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::grant::sample;
    use super::*;

    const HOUR: TimeDelta = TimeDelta::hours(1);
    const NONE: TimeDelta = TimeDelta::zero();
    const FRESH: Wish = Wish::Generated { grace: HOUR };
    const OWN: Wish = Wish::Own {
        grace: NONE,
        is_present: false,
    };
    const SAME: Wish = Wish::Own {
        grace: NONE,
        is_present: true,
    };

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).expect("a time")
    }

    fn key(generation: i32, version: i64, enabled: bool) -> Present {
        Present {
            key_id: Uuid::from_u128(7),
            generation,
            version,
            enabled,
        }
    }

    fn open(present: Option<&Present>, wish: Wish) -> Step {
        step(present, wish, &sample::grant(), now()).expect("the class is open")
    }

    #[test]
    fn the_first_code_is_generation_one_and_replaces_nothing() {
        assert_eq!(
            open(None, FRESH),
            Step::Issue {
                generation: 1,
                version: 1,
                replaced_until: None
            }
        );
        assert_eq!(
            open(None, OWN),
            Step::Issue {
                generation: 1,
                version: 1,
                replaced_until: None
            }
        );
    }

    #[test]
    fn a_new_code_ends_the_present_one_now_or_after_the_grace() {
        let present = key(3, 5, true);
        let issue = |replaced_until| Step::Issue {
            generation: 4,
            version: 6,
            replaced_until: Some(replaced_until),
        };
        assert_eq!(open(Some(&present), OWN), issue(now()));
        assert_eq!(open(Some(&present), FRESH), issue(now() + HOUR));
    }

    #[test]
    fn generations_go_on_through_off_and_on() {
        let off = key(3, 6, false);
        assert_eq!(
            open(Some(&off), FRESH),
            Step::Issue {
                generation: 4,
                version: 7,
                replaced_until: None
            }
        );
        // The same text as before it was turned off is a new code: what was ended stays ended.
        assert_eq!(
            open(Some(&off), SAME),
            Step::Issue {
                generation: 4,
                version: 7,
                replaced_until: None
            }
        );
    }

    #[test]
    fn what_is_so_already_changes_nothing() {
        assert_eq!(open(None, Wish::Off), Step::Nothing);
        assert_eq!(open(Some(&key(3, 5, false)), Wish::Off), Step::Nothing);
        assert_eq!(open(Some(&key(3, 5, true)), SAME), Step::Nothing);
    }

    #[test]
    fn a_cancelled_class_can_only_have_its_event_key_turned_off() {
        let grant = Grant {
            status: GrantStatus::Cancelled,
            ..sample::grant()
        };
        let present = key(3, 5, true);
        for wish in [FRESH, OWN, SAME] {
            assert_eq!(
                step(Some(&present), wish, &grant, now()),
                Err(ClassCancelled)
            );
        }
        assert_eq!(
            step(Some(&present), Wish::Off, &grant, now()),
            Ok(Step::TurnOff { version: 6 })
        );
    }

    #[test]
    fn warnings_come_only_with_a_key_that_is_on() {
        let default = Grant {
            maximum_is_default: true,
            ..sample::grant()
        };
        assert_eq!(
            warnings(FRESH, &default, false),
            [Warning::MaximumIsDefault]
        );
        assert_eq!(
            warnings(OWN, &default, true),
            [Warning::MaximumIsDefault, Warning::CodeGuessable]
        );
        assert_eq!(
            warnings(OWN, &sample::grant(), true),
            [Warning::CodeGuessable]
        );
        assert_eq!(warnings(Wish::Off, &default, true), []);
    }

    proptest! {
        /// Whatever is wished in whatever order: each issue is the next generation, each change the next version.
        #[test]
        fn generations_and_versions_only_grow(wishes in prop::collection::vec(0..4_u8, 1..40)) {
            let mut present: Option<Present> = None;
            let mut issued = 0;
            for wish in wishes {
                let wish = [Wish::Off, FRESH, OWN, SAME][usize::from(wish)];
                let version = present.map_or(0, |key| key.version);
                match open(present.as_ref(), wish) {
                    Step::Nothing => {}
                    Step::TurnOff { version: next } => {
                        prop_assert_eq!(next, version + 1);
                        let was = present.expect("only what is on is turned off");
                        prop_assert!(was.enabled);
                        present = Some(Present { version: next, enabled: false, ..was });
                    }
                    Step::Issue { generation, version: next, replaced_until } => {
                        issued += 1;
                        prop_assert_eq!(generation, issued);
                        prop_assert_eq!(next, version + 1);
                        prop_assert_eq!(replaced_until.is_some(), present.is_some_and(|key| key.enabled));
                        present = Some(key(generation, next, true));
                    }
                }
            }
        }
    }
}
