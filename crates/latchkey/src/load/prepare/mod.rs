//! Makes organizations, classes, keys and students in a deployment, through its API.

mod parties;
mod shares;

use std::cell::Cell;
use std::ops::RangeInclusive;

use anyhow::{Context, bail, ensure};
use futures::stream::{self, StreamExt, TryStreamExt};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use uuid::Uuid;

use self::parties::Parties;
pub use self::shares::Skew;
use super::mix::Action;
use super::supply::{Class, KeyNumber, Organization, Supply, Ticket};
use super::target::Target;

/// The most students of a class here: so many are on a roster that is read at once, as the contract has it.
pub const MOST_OF_A_CLASS: usize = 10_000;

/// How many calls are made at once: enough to fill batches, few enough to be refused by nobody.
const AT_ONCE: usize = 32;

/// How many students try codes that do not exist, where such codes are tried.
const GUESSERS: usize = 100;

/// How many students of each organization try keys that are spent, where such keys are tried.
const SPARES: usize = 8;

/// How many students may want each seat of an event key.
const CROWD: RangeInclusive<f64> = 1.0..=100.0;

/// What to make.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// How many organizations.
    pub organizations: usize,
    /// How many classes, over all organizations.
    pub classes: usize,
    /// How many enrollment keys, each with a student of its own, over all classes.
    pub enrollment_keys: usize,
    /// How many seats for students with an event key, over all classes. With none, event keys stay off.
    pub event_seats: usize,
    /// How many want each of these seats, 1 to 100: with 1.5, a third of them are told that the class is full.
    pub crowd: f64,
    /// How many registrations. They have enrollment keys of their own; seats of event keys where there are only these, and
    /// nobody is going to try keys that are spent.
    pub registrations: usize,
    /// How keys and seats are spread over classes, and classes over organizations.
    pub skew: Skew,
    /// Whether wrong codes are going to be tried: not where an organization is given, whose students they would shut out.
    pub guessers: bool,
    /// Whether spent keys are going to be tried.
    pub spares: bool,
    /// The same seed gives the same order.
    pub seed: u64,
    /// Use this organization, instead of making some.
    pub organization: Option<Uuid>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            organizations: 1,
            classes: 1,
            enrollment_keys: 0,
            event_seats: 0,
            crowd: 1.0,
            registrations: 0,
            skew: Skew::Uniform,
            guessers: false,
            spares: false,
            seed: 0,
            organization: None,
        }
    }
}

/// How far the making of one kind of thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is made: "classes".
    pub what: &'static str,
    /// How many there are.
    pub done: usize,
    /// How many there will be.
    pub all: usize,
}

/// What one class gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Lot {
    organization: usize,
    /// Enrollment keys of students.
    keys: usize,
    /// Enrollment keys of those who register.
    newcomers: usize,
    /// Seats for students with an event key, and those who register with it.
    seats: usize,
    /// Students who want them.
    wanting: usize,
    /// Registrations with the event key.
    event_newcomers: usize,
}

impl Lot {
    fn maximum(&self) -> usize {
        (self.keys + self.newcomers + self.seats + self.event_newcomers).max(1)
    }

    fn has_event_key(&self) -> bool {
        self.wanting + self.event_newcomers > 0
    }
}

/// Makes what is `wanted`, and says how far it is as often as something was made.
///
/// # Errors
/// When a call fails, a class would have more seats than a class can have, or wrong codes would be tried in an organization
/// that was there before.
pub async fn prepare(
    target: &Target,
    wanted: &Wanted,
    progress: &dyn Fn(Progress),
) -> anyhow::Result<Supply> {
    let lots = lots(wanted)?;
    let parties = Parties::meet(target).await?;
    let own = wanted.organization;
    let organizations = own.map_or(wanted.organizations, |_| 1);
    let ids = made(
        "organizations",
        organizations,
        progress,
        async |_| match own {
            Some(given) => Ok(given),
            None => parties.organization().await,
        },
    )
    .await?;
    if wanted.registrations > 0 {
        for id in &ids {
            parties.let_register(*id).await?;
        }
    }
    let organizations = students(&parties, wanted, &lots, &ids, progress).await?;
    let classes = made("classes", lots.len(), progress, async |number: usize| {
        let lot = &lots[number];
        let id = ids[lot.organization];
        let class = parties.class(id, lot.maximum(), lot.has_event_key());
        Ok(Class {
            organization: lot.organization,
            ..class.await?
        })
    })
    .await?;
    let classes = keys(&parties, classes, &lots, &ids, progress).await?;
    let guessers = if wanted.guessers {
        // An organization of their own: their guesses shut out nobody else.
        let id = parties.organization().await?;
        made("students who guess", GUESSERS, progress, async |_| {
            parties.student(id).await
        })
        .await?
    } else {
        Vec::new()
    };
    let supply = Supply {
        organizations,
        classes,
        guessers,
        is_own: true,
        ..Supply::default()
    };
    let (keyed, event, newcomers) = tickets(&lots, wanted);
    Ok(supply.with_tickets(keyed, event, newcomers))
}

/// Makes `count` things, several at once; they come in the order of their numbers.
async fn made<T>(
    what: &'static str,
    count: usize,
    progress: &dyn Fn(Progress),
    make: impl AsyncFn(usize) -> anyhow::Result<T>,
) -> anyhow::Result<Vec<T>> {
    let done = Cell::new(0);
    let all = stream::iter(0..count).map(|number| {
        let (done, make) = (&done, &make);
        async move {
            let thing = make(number).await?;
            done.set(done.get() + 1);
            progress(Progress {
                what,
                done: done.get(),
                all: count,
            });
            anyhow::Ok(thing)
        }
    });
    let all = all.buffered(AT_ONCE).try_collect().await;
    all.with_context(|| format!("cannot make the {what}"))
}

/// The students of each organization: as many as its largest class needs, because one student may be in many classes.
async fn students(
    parties: &Parties<'_>,
    wanted: &Wanted,
    lots: &[Lot],
    ids: &[Uuid],
    progress: &dyn Fn(Progress),
) -> anyhow::Result<Vec<Organization>> {
    let spares = if wanted.spares { SPARES } else { 0 };
    let needed = |organization: usize| {
        let lots = lots.iter().filter(|lot| lot.organization == organization);
        lots.map(|lot| lot.keys + lot.wanting).max().unwrap_or(0)
    };
    // Which organization each student is of.
    let places: Vec<usize> = (0..ids.len())
        .flat_map(|organization| std::iter::repeat_n(organization, needed(organization) + spares))
        .collect();
    let students = made("students", places.len(), progress, async |number: usize| {
        parties.student(ids[places[number]]).await
    })
    .await?;
    let mut organizations: Vec<Organization> = ids
        .iter()
        .map(|id| Organization {
            id: Some(*id),
            ..Organization::default()
        })
        .collect();
    for (organization, student) in places.into_iter().zip(students) {
        let organization = &mut organizations[organization];
        if organization.spares.len() < spares {
            organization.spares.push(student);
        } else {
            organization.students.push(student);
        }
    }
    Ok(organizations)
}

/// Gives each class its enrollment keys.
async fn keys(
    parties: &Parties<'_>,
    mut classes: Vec<Class>,
    lots: &[Lot],
    ids: &[Uuid],
    progress: &dyn Fn(Progress),
) -> anyhow::Result<Vec<Class>> {
    // Which class each batch is of, and how many are in it.
    let mut batches = Vec::new();
    for (number, lot) in lots.iter().enumerate() {
        let mut left = lot.keys + lot.newcomers;
        while left > 0 {
            let batch = left.min(parties::KEYS_AT_ONCE);
            batches.push((number, batch));
            left -= batch;
        }
    }
    let of_classes = &classes;
    let made = made(
        "batches of keys",
        batches.len(),
        progress,
        async |at: usize| {
            let (number, count) = batches[at];
            let class = of_classes[number].id;
            parties
                .keys(ids[lots[number].organization], class, count)
                .await
        },
    )
    .await?;
    for ((number, _), keys) in batches.into_iter().zip(made) {
        classes[number].keys.extend(keys);
    }
    Ok(classes)
}

/// What each class gets.
fn lots(wanted: &Wanted) -> anyhow::Result<Vec<Lot>> {
    ensure!(wanted.classes > 0, "at least one class is needed");
    ensure!(
        wanted.organizations > 0,
        "at least one organization is needed"
    );
    ensure!(
        !wanted.guessers || wanted.organization.is_none(),
        "{}",
        Action::WRONG_SHUTS_OUT
    );
    ensure!(
        CROWD.contains(&wanted.crowd),
        "a crowd is between {} and {} students for each seat",
        CROWD.start(),
        CROWD.end()
    );
    let by_event = wanted.enrollment_keys == 0 && wanted.event_seats > 0 && !wanted.spares;
    let (newcomers, event_newcomers) = if by_event {
        (0, wanted.registrations)
    } else {
        (wanted.registrations, 0)
    };
    let share = |count| wanted.skew.shares(count, wanted.classes);
    let keys = share(wanted.enrollment_keys);
    let newcomers = share(newcomers);
    let seats = share(wanted.event_seats);
    let event_newcomers = share(event_newcomers);
    let organizations = wanted.organization.map_or(wanted.organizations, |_| 1);
    let places = wanted.skew.places(wanted.classes, organizations);
    let lots: Vec<Lot> = (0..wanted.classes)
        .map(|number| Lot {
            organization: places[number],
            keys: keys[number],
            newcomers: newcomers[number],
            seats: seats[number],
            wanting: shares::times(seats[number], wanted.crowd),
            event_newcomers: event_newcomers[number],
        })
        .collect();
    if let Some(lot) = lots.iter().find(|lot| lot.maximum() > MOST_OF_A_CLASS) {
        bail!(
            "one class would have {} seats, and a roster tells of {MOST_OF_A_CLASS} at most: ask for more classes, fewer keys or seats, or less skew",
            lot.maximum()
        );
    }
    Ok(lots)
}

/// Who redeems what, in which order.
fn tickets(lots: &[Lot], wanted: &Wanted) -> (Vec<Ticket>, Vec<Ticket>, Vec<Ticket>) {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let (mut keyed, mut event, mut newcomers) = (Vec::new(), Vec::new(), Vec::new());
    for (class, lot) in lots.iter().enumerate() {
        let ticket = |key, student| Ticket {
            class: number(class),
            key,
            student: number(student),
        };
        let own = |key: usize| KeyNumber::Enrollment(number(key));
        keyed.extend((0..lot.keys).map(|key| ticket(own(key), key)));
        let students = lot.keys..lot.keys + lot.wanting;
        event.extend(students.map(|student| ticket(KeyNumber::Event, student)));
        let keys = lot.keys..lot.keys + lot.newcomers;
        newcomers.extend(keys.map(|key| ticket(own(key), 0)));
        let by_event = (0..lot.event_newcomers).map(|_| ticket(KeyNumber::Event, 0));
        newcomers.extend(by_event);
    }
    if !wanted.skew.is_in_order() {
        let mut random = StdRng::seed_from_u64(wanted.seed);
        keyed.shuffle(&mut random);
        event.shuffle(&mut random);
        newcomers.shuffle(&mut random);
    }
    (keyed, event, newcomers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_holds_two_tickets_of_a_class_and_no_key_is_on_two() {
        let wanted = Wanted {
            organizations: 2,
            classes: 5,
            enrollment_keys: 103,
            event_seats: 52,
            crowd: 1.5,
            registrations: 21,
            skew: Skew::Zipf(1.0),
            seed: 7,
            ..Wanted::default()
        };
        let lots = lots(&wanted).expect("lots");
        let (keyed, event, newcomers) = tickets(&lots, &wanted);
        assert_eq!((keyed.len(), newcomers.len()), (103, 21));
        assert!((78..=83).contains(&event.len()), "{}", event.len());
        let mut students: Vec<(u32, u32)> = keyed
            .iter()
            .chain(&event)
            .map(|ticket| (ticket.class, ticket.student))
            .collect();
        students.sort_unstable();
        students.dedup();
        assert_eq!(students.len(), keyed.len() + event.len());
        let mut keys: Vec<(u32, KeyNumber)> = keyed
            .iter()
            .chain(&newcomers)
            .map(|ticket| (ticket.class, ticket.key))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), keyed.len() + newcomers.len());
        assert_eq!(tickets(&lots, &wanted).0, keyed, "the same seed");
        let other = Wanted { seed: 8, ..wanted };
        assert_ne!(tickets(&lots, &other).0, keyed, "another seed");
    }

    #[test]
    fn classes_in_order_are_filled_one_after_the_other() {
        let wanted = Wanted {
            classes: 3,
            event_seats: 6,
            registrations: 3,
            skew: Skew::OneAfterTheOther,
            ..Wanted::default()
        };
        let lots = lots(&wanted).expect("lots");
        let (keyed, event, newcomers) = tickets(&lots, &wanted);
        assert!(keyed.is_empty());
        let classes: Vec<u32> = event.iter().map(|ticket| ticket.class).collect();
        assert_eq!(classes, [0, 0, 1, 1, 2, 2]);
        // Where there are no enrollment keys, one registers with the event key.
        assert!(
            newcomers
                .iter()
                .all(|ticket| ticket.key == KeyNumber::Event)
        );
        assert_eq!(newcomers.len(), 3);
        // But there would be no key that is spent.
        let spent = Wanted {
            spares: true,
            ..wanted
        };
        let lots = super::lots(&spent).expect("lots");
        let (_, _, newcomers) = tickets(&lots, &spent);
        assert!(
            newcomers
                .iter()
                .all(|ticket| ticket.key != KeyNumber::Event)
        );
    }

    #[test]
    fn a_class_that_cannot_be_so_large_is_told_before_anything_is_made() {
        let wanted = Wanted {
            enrollment_keys: MOST_OF_A_CLASS,
            event_seats: 1,
            ..Wanted::default()
        };
        let error = lots(&wanted).expect_err("too large").to_string();
        assert!(error.contains("10001 seats"), "{error}");
        let none = Wanted {
            classes: 0,
            ..Wanted::default()
        };
        lots(&none).expect_err("no class");
        for crowd in [0.5, 1e300, f64::NAN] {
            let wanted = Wanted {
                event_seats: 1,
                crowd,
                ..Wanted::default()
            };
            let error = lots(&wanted).expect_err("no crowd").to_string();
            assert!(error.contains("between 1 and 100"), "{error}");
        }
    }

    #[test]
    fn nobody_guesses_in_an_organization_that_was_there_before() {
        let wanted = Wanted {
            guessers: true,
            ..Wanted::default()
        };
        lots(&wanted).expect("an organization is made for them");
        let given = Wanted {
            organization: Some(Uuid::from_u128(1)),
            ..wanted
        };
        let error = lots(&given).expect_err("refused").to_string();
        assert!(
            error.contains("shut out the organization's own students"),
            "{error}"
        );
    }
}
