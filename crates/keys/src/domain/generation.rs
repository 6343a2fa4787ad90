//! The rules for generating keys: how many may be made, and how far the making has come.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::grant::{Grant, GrantKind, GrantStatus};
use super::warning::Warning;

/// How near its end a class draws a warning: a day is short notice for a student who still has to get a code.
pub const NEAR_END: TimeDelta = TimeDelta::hours(24);

/// How many keys are made by one transaction. So many take some hundred milliseconds under the class's lock, and far more
/// work than their commit does.
pub const CHUNK: i32 = 2_000;

/// For how long after its last key a generation keeps room for those that are missing: long enough for whoever was cut off
/// to come back on the next working day, and no class is blocked for good by one who does not.
pub const RESERVED_FOR: TimeDelta = TimeDelta::hours(24);

/// Why no keys are generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The class was cancelled.
    Cancelled,
    /// The class has ended or the pool has expired: no key generated now could be redeemed.
    Ended {
        /// The first instant at which none could.
        ended_at: DateTime<Utc>,
    },
    /// The live keys would exceed the class's maximum.
    LimitExceeded {
        /// How many more can be generated.
        can_generate: i64,
    },
}

/// What of a class's maximum is taken, as a generation sees it: what it has reserved for itself is not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Census {
    /// How many generated keys of the grant are not revoked.
    pub live: i64,
    /// How many other generations were admitted for and have not made yet.
    pub reserved: i64,
}

impl Census {
    /// How many keys there are, or are sure to be.
    pub fn taken(self) -> i64 {
        self.live + self.reserved
    }
}

/// What a generation tells at its end, as it was when it was admitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Live keys of the grant, with all of this generation's and those reserved for others.
    pub live_keys: i64,
    /// The most it could have; `None` without a limit.
    pub maximum_keys: Option<i32>,
    /// What the caller should know.
    pub warnings: Vec<Warning>,
}

/// Whether `count` more keys may be generated at `now` for `grant`, of which `census` is taken; and what is told
/// at the end then.
///
/// Holds as long as the grant is locked: the census must have been taken after the lock.
pub fn admit(
    grant: &Grant,
    census: Census,
    count: i32,
    now: DateTime<Utc>,
) -> Result<Summary, Refused> {
    let until = opens_until(grant, now)?;
    if let Some(maximum) = grant.maximum_keys {
        let can_generate = (i64::from(maximum) - census.taken()).max(0);
        if i64::from(count) > can_generate {
            return Err(Refused::LimitExceeded { can_generate });
        }
    }
    let near = until.filter(|end| grant.kind == GrantKind::Class && *end - now <= NEAR_END);
    let warning = near.map(|ends_at| Warning::ClassNearEnd {
        ends_at,
        zone: grant.zone,
    });
    Ok(Summary {
        live_keys: census.taken() + i64::from(count),
        maximum_keys: grant.maximum_keys,
        warnings: warning.into_iter().collect(),
    })
}

/// Until when keys that are made now can be redeemed, as far as the grant says; refused if they cannot at all.
fn opens_until(grant: &Grant, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Refused> {
    let ends_at = grant.dates.map(|dates| dates.ends_at);
    match ends_at {
        _ if grant.status == GrantStatus::Cancelled => Err(Refused::Cancelled),
        Some(ended_at) if now >= ended_at => Err(Refused::Ended { ended_at }),
        _ => Ok(ends_at),
    }
}

/// A generation under way, or at its end: the keys of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The request that makes them.
    pub batch_id: Uuid,
    /// How many it asks for.
    pub wanted: i32,
    /// How many there are.
    pub made: i32,
    /// The last of these; every further one has a greater id.
    pub last_key_id: Uuid,
    /// The version of the grant by which the missing ones were admitted.
    pub grant_version: i64,
    /// Until when there is room kept for the missing ones.
    pub reserved_until: DateTime<Utc>,
    /// What is told at the end.
    pub summary: Summary,
}

impl Batch {
    /// A generation of which all is missing, admitted by `grant`.
    pub fn of(batch_id: Uuid, wanted: i32, grant: &Grant, summary: Summary) -> Self {
        Self {
            batch_id,
            wanted,
            made: 0,
            last_key_id: Uuid::nil(),
            grant_version: grant.version,
            reserved_until: DateTime::UNIX_EPOCH,
            summary,
        }
    }

    /// How many keys are not made yet.
    pub fn missing(&self) -> i32 {
        self.wanted - self.made
    }

    /// Whether every key is made.
    pub fn is_whole(&self) -> bool {
        self.missing() == 0
    }

    /// Whether the missing keys may be made at `now` as they were admitted. If not, they are to be admitted again: the grant
    /// was changed since then, has ended, or the room was given back.
    pub fn may_go_on(&self, grant: &Grant, now: DateTime<Utc>) -> bool {
        self.grant_version == grant.version
            && now < self.reserved_until
            && opens_until(grant, now).is_ok()
    }

    /// Notes that the missing keys were admitted by `grant`.
    pub fn admitted(&mut self, grant: &Grant, summary: Summary) {
        self.grant_version = grant.version;
        self.summary = summary;
    }

    /// Notes that `key_ids` were made at `now`, not more than are missing; keeps room for the rest.
    pub fn add(&mut self, key_ids: &[Uuid], now: DateTime<Utc>) {
        self.made += i32::try_from(key_ids.len()).unwrap_or(i32::MAX);
        if let Some(last) = key_ids.last() {
            self.last_key_id = *last;
        }
        self.reserved_until = now + RESERVED_FOR;
    }
}

/// Where the milliseconds of a UUIDv7 stand.
const MILLIS: u32 = 80;

/// Fresh `ids` (UUIDv7) in ascending order, all greater than `after`: one that is not takes the next millisecond. Clocks of
/// replicas differ, and within one millisecond ids have no order.
pub fn ascending(mut ids: Vec<Uuid>, after: Option<Uuid>) -> Vec<Uuid> {
    if let Some(after) = after {
        let next = (after.as_u128() >> MILLIS) + 1;
        for id in &mut ids {
            if (id.as_u128() >> MILLIS) < next {
                let random = id.as_u128() & ((1 << MILLIS) - 1);
                *id = Uuid::from_u128(next << MILLIS | random);
            }
        }
    }
    ids.sort_unstable();
    ids
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::grant::sample;
    use super::*;

    fn taken(live: i64) -> Census {
        Census { live, reserved: 0 }
    }

    fn warnings(grant: &Grant, now: DateTime<Utc>) -> Vec<Warning> {
        admit(grant, taken(0), 1, now).unwrap().warnings
    }

    fn end(grant: &Grant) -> DateTime<Utc> {
        grant.dates.expect("dates").ends_at
    }

    fn early(grant: &Grant) -> DateTime<Utc> {
        end(grant) - TimeDelta::days(10)
    }

    #[test]
    fn up_to_the_maximum_and_not_one_more() {
        let grant = sample::grant();
        assert_eq!(
            admit(&grant, taken(0), 30, early(&grant)).map(|told| told.live_keys),
            Ok(30)
        );
        assert_eq!(
            admit(&grant, taken(29), 1, early(&grant)).map(|told| told.live_keys),
            Ok(30)
        );
        assert_eq!(
            admit(&grant, taken(29), 2, early(&grant)),
            Err(Refused::LimitExceeded { can_generate: 1 })
        );
        assert_eq!(
            admit(&grant, taken(30), 1, early(&grant)),
            Err(Refused::LimitExceeded { can_generate: 0 })
        );
        // The maximum was lowered under the keys handed out: none can be generated, and none is owed.
        assert_eq!(
            admit(&grant, taken(45), 1, early(&grant)),
            Err(Refused::LimitExceeded { can_generate: 0 })
        );
    }

    #[test]
    fn a_pool_has_no_limit_and_draws_no_warning() {
        let pool = Grant {
            kind: GrantKind::Pool,
            maximum_keys: None,
            ..sample::grant()
        };
        let census = Census {
            live: i64::from(i32::MAX),
            reserved: 1,
        };
        let ended_at = end(&pool);
        let near = ended_at - TimeDelta::hours(1);
        let told = admit(&pool, census, i32::MAX, near).unwrap();
        assert_eq!((told.maximum_keys, told.warnings), (None, Vec::new()));
        assert_eq!(told.live_keys, 2 * i64::from(i32::MAX) + 1);
        let late = admit(&pool, census, 1, ended_at);
        assert_eq!(late, Err(Refused::Ended { ended_at }));
    }

    #[test]
    fn a_profile_never_ends() {
        let profile = Grant {
            kind: GrantKind::Profile,
            dates: None,
            maximum_keys: None,
            ..sample::grant()
        };
        let told = admit(&profile, taken(5), 3, DateTime::<Utc>::MAX_UTC).unwrap();
        assert_eq!((told.live_keys, told.maximum_keys), (8, None));
        assert_eq!(told.warnings, []);
    }

    #[test]
    fn what_is_reserved_counts_as_live() {
        let grant = sample::grant();
        let census = Census {
            live: 10,
            reserved: 15,
        };
        let told = admit(&grant, census, 5, early(&grant)).unwrap();
        assert_eq!((told.live_keys, told.maximum_keys), (30, Some(30)));
        assert_eq!(
            admit(&grant, census, 6, early(&grant)),
            Err(Refused::LimitExceeded { can_generate: 5 })
        );
    }

    fn begun(grant: &Grant, wanted: i32, made: i32) -> Batch {
        Batch {
            batch_id: Uuid::from_u128(7),
            wanted,
            made,
            last_key_id: Uuid::from_u128(1),
            grant_version: grant.version,
            reserved_until: early(grant) + RESERVED_FOR,
            summary: admit(grant, taken(0), wanted, early(grant)).unwrap(),
        }
    }

    #[test]
    fn it_goes_on_as_admitted_until_the_class_changes_or_ends_or_the_room_is_given_back() {
        let grant = sample::grant();
        let batch = begun(&grant, 30, 10);
        assert!(batch.may_go_on(&grant, early(&grant)));
        assert!(!batch.may_go_on(&grant, batch.reserved_until));
        let lasting = Batch {
            reserved_until: end(&grant) + TimeDelta::hours(1),
            ..batch.clone()
        };
        assert!(lasting.may_go_on(&grant, end(&grant) - TimeDelta::microseconds(1)));
        assert!(!lasting.may_go_on(&grant, end(&grant)));
        let mut changed = Grant {
            version: grant.version + 1,
            ..grant.clone()
        };
        assert!(!batch.may_go_on(&changed, early(&grant)));
        let mut again = batch.clone();
        again.admitted(&changed, batch.summary.clone());
        assert!(again.may_go_on(&changed, early(&grant)));
        changed.status = GrantStatus::Cancelled;
        assert!(!again.may_go_on(&changed, early(&grant)));
    }

    #[test]
    fn ids_ascend_past_the_last_one_whatever_the_clock_says() {
        let id = |millis: u128, random: u128| Uuid::from_u128(millis << MILLIS | random);
        assert_eq!(
            ascending(vec![id(5, 9), id(5, 3), id(4, 7)], None),
            [id(4, 7), id(5, 3), id(5, 9)]
        );
        assert_eq!(
            ascending(vec![id(5, 9), id(8, 1), id(5, 3)], Some(id(6, 1))),
            [id(7, 3), id(7, 9), id(8, 1)]
        );
        assert_eq!(ascending(vec![id(6, 2)], Some(id(6, 1))), [id(7, 2)]);
    }

    #[test]
    fn not_for_a_class_that_was_cancelled_or_has_ended() {
        let mut grant = sample::grant();
        let ended_at = end(&grant);
        let at = |grant: &Grant, now| admit(grant, taken(0), 1, now);
        assert_eq!(at(&grant, ended_at), Err(Refused::Ended { ended_at }));
        assert!(at(&grant, ended_at - TimeDelta::microseconds(1)).is_ok());
        grant.status = GrantStatus::Cancelled;
        assert_eq!(at(&grant, ended_at), Err(Refused::Cancelled));
    }

    #[test]
    fn within_a_day_of_the_end_the_answer_says_so() {
        let grant = sample::grant();
        let ends_at = end(&grant);
        let warning = Warning::ClassNearEnd {
            ends_at,
            zone: grant.zone,
        };
        assert_eq!(warnings(&grant, ends_at - NEAR_END), [warning]);
        let earlier = ends_at - NEAR_END - TimeDelta::microseconds(1);
        assert_eq!(warnings(&grant, earlier), []);
    }

    proptest! {
        #[test]
        fn live_keys_never_pass_the_maximum(maximum in 1..2_000_i32, counts in prop::collection::vec(1..1_000_i32, 1..20)) {
            let grant = Grant { maximum_keys: Some(maximum), ..sample::grant() };
            let mut live = 0;
            for count in counts {
                match admit(&grant, taken(live), count, early(&grant)) {
                    Ok(_) => live += i64::from(count),
                    Err(Refused::LimitExceeded { can_generate }) => {
                        prop_assert!(can_generate < i64::from(count));
                        if let Ok(rest @ 1..) = i32::try_from(can_generate) {
                            prop_assert!(admit(&grant, taken(live), rest, early(&grant)).is_ok());
                        }
                    }
                    Err(other) => prop_assert!(false, "{:?}", other),
                }
                prop_assert!(live <= i64::from(maximum));
            }
        }

        /// Generations that go on, stop and are given up in any order: what is live and reserved never passes the maximum,
        /// and no batch has more keys than it asked for.
        #[test]
        fn reservations_never_pass_the_maximum(
            maximum in 1..60_i32,
            steps in prop::collection::vec((0..3_usize, 1..40_i32, prop::bool::weighted(0.2)), 1..60),
        ) {
            let grant = Grant { maximum_keys: Some(maximum), ..sample::grant() };
            let now = early(&grant);
            let mut batches: Vec<Batch> = Vec::new();
            for (place, count, given_back) in steps {
                let live: i64 = batches.iter().map(|batch| i64::from(batch.made)).sum();
                let others = |place: usize| {
                    let others = batches.iter().enumerate().filter(|(other, _)| *other != place);
                    let kept = others.filter(|(_, batch)| now < batch.reserved_until);
                    kept.map(|(_, batch)| i64::from(batch.missing())).sum()
                };
                let census = Census { live, reserved: others(place) };
                let Some(batch) = batches.get(place).cloned() else {
                    let census = Census { live, reserved: others(usize::MAX) };
                    if admit(&grant, census, count, now).is_ok() {
                        batches.push(begun(&Grant { maximum_keys: Some(60), ..grant.clone() }, count, 1));
                    }
                    continue;
                };
                let may = batch.may_go_on(&grant, now) || admit(&grant, census, batch.missing(), now).is_ok();
                let batch = &mut batches[place];
                if given_back {
                    batch.reserved_until = now;
                } else if may {
                    let some = count.min(batch.missing());
                    let ids: Vec<Uuid> = (0..some).map(|id| Uuid::from_u128(id.unsigned_abs().into())).collect();
                    batch.add(&ids, now);
                }
                let all: i64 = batches.iter().map(|batch| {
                    let kept = if now < batch.reserved_until { batch.missing() } else { 0 };
                    i64::from(batch.made + kept)
                }).sum();
                prop_assert!(all <= i64::from(maximum), "{all} of {maximum}");
                prop_assert!(batches.iter().all(|batch| (1..=batch.wanted).contains(&batch.made)));
            }
        }
    }
}
