//! Organizations: they own everything, and form a tree.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::class::ClassStatus;

/// The most organizations above one another, so that a row's list of ancestors, which is copied and searched, stays
/// short.
pub const MAXIMUM_LEVELS: usize = 32;

/// What an organization lays down for its classes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whether a seat that a student gives up goes to the earliest who waits for one.
    pub promotes_waiting: bool,
    /// How long before a class begins giving up a seat is late, in whole seconds; `None`: it never is.
    pub late_cancellation: Option<TimeDelta>,
    /// What a new class has.
    pub class_defaults: ClassDefaults,
}

/// What a new class of an organization has where the request that creates it is silent. What is `None` here too is as it is
/// for everybody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClassDefaults {
    /// Its maximum students.
    pub maximum_students: Option<i32>,
    /// Its minimum students; of a class with a lower maximum: that.
    pub minimum_students: Option<i32>,
    /// Its status; not cancelled.
    pub status: Option<ClassStatus>,
    /// Whether its event key is turned on, with a generated code.
    pub event_key: bool,
    /// Its days of lab access after it.
    pub post_class_days: Option<i32>,
    /// Whether its notifications are on; `None`: that is left to the organization.
    pub notifications: Option<bool>,
}

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its id.
    pub id: Uuid,
    /// The organization above it.
    pub parent_id: Option<Uuid>,
    /// All organizations above it, nearest first.
    pub ancestor_ids: Vec<Uuid>,
    /// Its name.
    pub display_name: String,
    /// Whether students may register themselves with a key.
    pub self_registration: bool,
    /// What it lays down for its classes.
    pub settings: Settings,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// Grows with every change.
    pub version: i64,
}

impl Organization {
    /// The ancestors of an organization right below this one, nearest first; `None` if that would be one level too
    /// many.
    pub fn ancestors_of_child(&self) -> Option<Vec<Uuid>> {
        // The child itself and its ancestors: this one, and those above.
        let levels = self.ancestor_ids.len() + 2;
        (levels <= MAXIMUM_LEVELS).then(|| {
            std::iter::once(self.id)
                .chain(self.ancestor_ids.iter().copied())
                .collect()
        })
    }
}

/// Whether the organization `id`, which stands below `ancestors`, is `other` or below it.
pub fn is_or_is_below(id: Uuid, ancestors: &[Uuid], other: Uuid) -> bool {
    id == other || ancestors.contains(&other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn organization(levels_above: u128) -> Organization {
        Organization {
            id: Uuid::from_u128(1_000),
            parent_id: (levels_above > 0).then(|| Uuid::from_u128(1)),
            ancestor_ids: (1..=levels_above).map(Uuid::from_u128).collect(),
            display_name: "Acme".into(),
            self_registration: false,
            settings: Settings::default(),
            created_at: DateTime::default(),
            version: 1,
        }
    }

    #[test]
    fn a_child_has_its_parent_first_among_its_ancestors() {
        assert_eq!(
            organization(0).ancestors_of_child(),
            Some(vec![Uuid::from_u128(1_000)])
        );
        let ids = [1_000, 1, 2].map(Uuid::from_u128);
        assert_eq!(
            organization(2).ancestors_of_child().as_deref(),
            Some(&ids[..])
        );
    }

    #[test]
    fn the_tree_has_thirty_two_levels() {
        assert_eq!(
            organization(30)
                .ancestors_of_child()
                .map(|ancestors| ancestors.len()),
            Some(31)
        );
        assert_eq!(organization(31).ancestors_of_child(), None);
    }
}
