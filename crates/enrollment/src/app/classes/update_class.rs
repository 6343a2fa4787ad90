//! Changing a class.

use latchkey_service_kit::database::begin;
use latchkey_service_kit::telemetry::Chain;
use uuid::Uuid;

use super::read_classes::placed_class;
use crate::app::delivery::push;
use crate::app::etags::check_etag;
use crate::app::reached::lock_class;
use crate::app::{Call, Error, FieldProblem, Services};
use crate::clients::keys::KeysError;
use crate::domain::audit::{Action, Deed};
use crate::domain::class::settings::{Change, difference, faults};
use crate::domain::class::{Class, ClassStatus};
use crate::domain::key::KeyCount;
use crate::domain::refusal::Refusal;
use crate::domain::warning::Warning;
use crate::store;

/// A class after a change.
#[derive(Debug, Clone)]
pub struct ChangedClass {
    /// The class.
    pub class: Class,
    /// What to know.
    pub warnings: Vec<Warning>,
}

/// Changes a class. `etag`, if given, must be of its present version. Moving its dates moves the windows of all its keys
/// at once. A change that changes nothing leaves no trace.
///
/// The keys service is asked before the lock is taken and told after it is given back, never in between.
pub async fn update_class(
    services: &Services,
    call: &Call,
    id: Uuid,
    change: &Change,
    etag: Option<&str>,
) -> Result<ChangedClass, Error> {
    let seen = placed_class(services, call, id).await?.class;
    // A repetition of a call that lowered it finds it as low already, and must say the same.
    let lowers = change
        .maximum_students
        .is_some_and(|maximum| maximum <= seen.maximum_students);
    // Asked before anything is done: whether the answer can say how many keys are left without a seat.
    let before = if lowers {
        Some(count_keys(services, id).await?)
    } else {
        None
    };
    let class = commit(services, call, id, change, etag).await?;
    if class.version > seen.version {
        push::class(services, &class).await;
    }
    let mut warnings = Vec::new();
    if let Some(before) = before {
        // And again now that no more can be generated; if that fails, the number of a moment ago is the best there is.
        let count = count_keys(services, id).await.unwrap_or_else(|error| {
            tracing::warn!(class.id = %id, error = %Chain(&error), "the keys of the class were not counted again");
            before
        });
        warnings.extend(keys_exceed_seats(&class, &count));
    }
    Ok(ChangedClass { class, warnings })
}

/// The local transaction: the class as it is after it.
async fn commit(
    services: &Services,
    call: &Call,
    id: Uuid,
    change: &Change,
    etag: Option<&str>,
) -> Result<Class, Error> {
    let mut transaction = begin(&services.pool).await?;
    let class = lock_class(&mut transaction, call, id).await?.class;
    check_etag(etag, "class", id, class.version)?;
    if class.status == ClassStatus::Cancelled {
        return Err(Refusal::ClassCancelled { class_id: id }.into());
    }
    let mut changed = change.apply(&class);
    if changed == class {
        transaction.commit_confirmed().await?;
        return Ok(class);
    }
    check(&changed)?;
    changed.version += 1;
    store::classes::update(&mut transaction, &changed).await?;
    let deed = Deed {
        action: Action::UpdateClass,
        organization_id: class.organization_id,
        resource_id: id,
        student_id: None,
        details: difference(&class, &changed),
    };
    let deeds = [(services.ids.new_id(), deed)];
    store::audit::insert(&mut transaction, call.author(), &deeds).await?;
    transaction.commit().await?;
    Ok(changed)
}

/// Whether a class may be as a change wants it.
fn check(changed: &Class) -> Result<(), Error> {
    let faults = faults(changed);
    if !faults.is_empty() {
        let problems = faults.into_iter().map(|fault| FieldProblem {
            field: fault.field.to_owned(),
            description: fault.description,
        });
        return Err(Error::Invalid(problems.collect()));
    }
    if changed.maximum_students < changed.seats_taken {
        let refusal = Refusal::MaximumBelowSeatsTaken {
            class_id: changed.id,
            seats_taken: changed.seats_taken,
            maximum_students: changed.maximum_students,
        };
        return Err(refusal.into());
    }
    Ok(())
}

async fn count_keys(services: &Services, id: Uuid) -> Result<KeyCount, Error> {
    let counts = services.keys.count_keys(&[id]).await?;
    let count = counts.into_iter().next();
    count.ok_or_else(|| {
        Error::internal(KeysError::Senseless {
            method: "CountKeys",
            field: "counts",
        })
    })
}

/// The keys that can still be used, as far as keys go, but for which no seat is left.
fn keys_exceed_seats(class: &Class, count: &KeyCount) -> Option<Warning> {
    let without = count.available - i64::from(class.seats_left());
    (without > 0).then_some(Warning::KeysExceedSeats {
        keys_without_seat: without,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::class::tests::class;

    fn available(available: i64) -> KeyCount {
        KeyCount {
            class_id: class().id,
            generated: available + 5,
            redeemed: 5,
            revoked: 0,
            expired: 0,
            available,
        }
    }

    #[test]
    fn keys_without_a_seat_are_counted_against_the_seats_left() {
        let mut class = class();
        class.maximum_students = 20;
        class.seats_taken = 5;
        assert_eq!(keys_exceed_seats(&class, &available(15)), None);
        assert_eq!(
            keys_exceed_seats(&class, &available(25)),
            Some(Warning::KeysExceedSeats {
                keys_without_seat: 10
            })
        );
    }

    #[test]
    fn the_seats_taken_bound_the_maximum() {
        let mut class = class();
        class.seats_taken = 30;
        assert!(check(&class).is_ok());
        class.maximum_students = 29;
        let refusal = check(&class).unwrap_err();
        assert!(
            matches!(
                refusal,
                Error::Refused(Refusal::MaximumBelowSeatsTaken {
                    seats_taken: 30,
                    maximum_students: 29,
                    ..
                })
            ),
            "{refusal}"
        );
    }
}
