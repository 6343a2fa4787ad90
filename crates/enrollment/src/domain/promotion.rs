//! Giving a seat that came free to somebody who waits for it.

use chrono::{DateTime, Utc};

use super::class::{Class, ClassStatus};

/// Whether a seat of `class` that came free is given at `now` to the earliest who waits: while there is one, and until the
/// class ends. Who waits may be let in while the class is tentative, like by staff.
pub fn is_open(class: &Class, now: DateTime<Utc>) -> bool {
    class.seats_left() > 0 && class.status != ClassStatus::Cancelled && now < class.ends_at
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::domain::class::tests::class;

    #[test]
    fn into_a_free_seat_of_a_class_that_takes_place_until_it_ends() {
        let mut class = class();
        let end = class.ends_at;
        let last = end - TimeDelta::microseconds(1);
        assert!(is_open(&class, last));
        assert!(!is_open(&class, end));
        class.seats_taken = class.maximum_students;
        assert!(!is_open(&class, last));
        class.seats_taken -= 1;
        class.status = ClassStatus::Tentative;
        assert!(is_open(&class, last));
        class.status = ClassStatus::Cancelled;
        assert!(!is_open(&class, last));
    }
}
