//! What breaks the invariants of subscription profiles and their keys.

use super::{Case, case};

pub(super) const PROFILES: [Case; 4] = [
    case(
        "enrollment.assignments",
        "an assignment by a subscription key has its profile, of the same organization",
        Some(84),
        "UPDATE enrollment.assignments SET profile_id = pg_temp.id(99) WHERE assignment_id = pg_temp.id(84)",
    ),
    case(
        "enrollment.profiles",
        "no copy of a profile is newer than it, and it is available to its owner and organizations below it only",
        Some(81),
        "UPDATE enrollment.profiles SET copied_version = 2 WHERE profile_id = pg_temp.id(81)",
    ),
    case(
        "enrollment.profiles",
        "no copy of a profile is newer than it, and it is available to its owner and organizations below it only",
        Some(81),
        "UPDATE enrollment.profiles SET available_to = ARRAY[pg_temp.id(99)] WHERE profile_id = pg_temp.id(81)",
    ),
    case(
        "enrollment.audit_events",
        "each change of a subscription profile has exactly one event",
        Some(81),
        "DELETE FROM enrollment.audit_events WHERE event_id = pg_temp.id(241)",
    ),
];

pub(super) const SUBSCRIPTION_KEYS: [Case; 4] = [
    case(
        "keys.subscription_keys",
        "each subscription key has its terms, and no other key has any",
        Some(83),
        "DELETE FROM keys.subscription_keys WHERE key_id = pg_temp.id(83)",
    ),
    case(
        "keys.subscription_keys",
        "each subscription key has its terms, and no other key has any",
        Some(31),
        "INSERT INTO keys.subscription_keys (key_id, organization_id) VALUES (pg_temp.id(31), pg_temp.id(1))",
    ),
    case(
        "keys.audit_events",
        "each change of the terms of a subscription key has exactly one audit event",
        Some(82),
        "DELETE FROM keys.audit_events WHERE event_id = pg_temp.id(355)",
    ),
    case(
        "keys.training_keys",
        "a key belongs to the organization of what it opens, and so do its codes, its terms, its uses and the requests about it",
        Some(82),
        "UPDATE keys.subscription_keys SET organization_id = pg_temp.id(2) WHERE key_id = pg_temp.id(82)",
    ),
];
