//! What breaks each invariant, and where it is found.

mod billing;
mod subscriptions;

use billing::BILLING;
use subscriptions::{PROFILES, SUBSCRIPTION_KEYS};

/// Something that is broken on purpose.
pub(crate) struct Case {
    /// The invariant that it breaks, in the words of the finding.
    pub(crate) invariant: &'static str,
    /// The table that the finding names.
    pub(crate) table: &'static str,
    /// The number of the id that the finding begins with; none if it names something else.
    pub(crate) id: Option<u32>,
    /// What breaks it, in the database of the fixture.
    pub(crate) sql: &'static str,
}

const fn case(
    table: &'static str,
    invariant: &'static str,
    id: Option<u32>,
    sql: &'static str,
) -> Case {
    Case {
        invariant,
        table,
        id,
        sql,
    }
}

/// What each service finds in its own schema.
pub(crate) const OWN: [&[Case]; 9] = [
    &CODES,
    &KEYS,
    &POOLS,
    &PROFILES,
    &SUBSCRIPTION_KEYS,
    &ROWS,
    &COURSES,
    &BILLING,
    &TRAIL,
];

const CODES: [Case; 6] = [
    case(
        "keys.codes",
        "a key has one code of each generation up to its own",
        Some(34),
        "DELETE FROM keys.codes WHERE key_id = pg_temp.id(34) AND generation = 1",
    ),
    case(
        "keys.codes",
        "two keys never have the same code at once",
        Some(31),
        "DROP INDEX keys.codes_unretired_hash;
         UPDATE keys.codes SET hash = (SELECT hash FROM keys.codes WHERE key_id = pg_temp.id(31))
         WHERE key_id = pg_temp.id(32)",
    ),
    case(
        "keys.codes",
        "a replaced code has an end, the present code of a key that is not revoked has none and is not retired",
        Some(34),
        "UPDATE keys.codes SET valid_until = NULL WHERE key_id = pg_temp.id(34)",
    ),
    case(
        "keys.codes",
        "a replaced code has an end, the present code of a key that is not revoked has none and is not retired",
        Some(31),
        "UPDATE keys.codes SET retired_at = issued_at WHERE key_id = pg_temp.id(31)",
    ),
    case(
        "keys.codes",
        "every code of an event key that is off has ended and is retired",
        Some(34),
        "UPDATE keys.training_keys SET revoked_at = now(), revoked_by = 'ada' WHERE key_id = pg_temp.id(34)",
    ),
    case(
        "keys.key_state",
        "the database and the service agree about where a key stands",
        None,
        "CREATE OR REPLACE FUNCTION keys.key_state(kind text, uses bigint, revoked_at timestamptz, grant_status text,
             ends_at timestamptz, event_key_until timestamptz, max_uses integer, expires_at timestamptz,
             content_expires_at timestamptz, at_time timestamptz)
         RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'available' $$",
    ),
];

const POOLS: [Case; 3] = [
    case(
        "keys.training_keys",
        "a key is of a kind that opens its class, pool or profile",
        Some(72),
        "UPDATE keys.training_keys SET kind = 'enrollment' WHERE key_id = pg_temp.id(72)",
    ),
    case(
        "keys.grants",
        "each grant of a pool has its pool, and no other grant has one",
        Some(71),
        "DELETE FROM keys.pools WHERE pool_id = pg_temp.id(71)",
    ),
    case(
        "keys.audit_events",
        "each change of a pool has exactly one audit event",
        Some(71),
        "DELETE FROM keys.audit_events WHERE event_id = pg_temp.id(353)",
    ),
];

const KEYS: [Case; 9] = [
    case(
        "keys.training_keys",
        "keys generated = redeemed + revoked + expired + available",
        Some(11),
        "CREATE OR REPLACE FUNCTION keys.key_state(kind text, uses bigint, revoked_at timestamptz, grant_status text,
             ends_at timestamptz, event_key_until timestamptz, max_uses integer, expires_at timestamptz,
             content_expires_at timestamptz, at_time timestamptz)
         RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'lost' $$",
    ),
    case(
        "keys.training_keys",
        "a class has one event key at most",
        Some(11),
        "DROP INDEX keys.training_keys_event;
         UPDATE keys.training_keys SET kind = 'event' WHERE key_id = pg_temp.id(31)",
    ),
    case(
        "keys.training_keys",
        "a key belongs to the organization of what it opens, and so do its codes, its terms, its uses and the requests about it",
        Some(31),
        "UPDATE keys.training_keys SET organization_id = pg_temp.id(2) WHERE key_id = pg_temp.id(31)",
    ),
    case(
        "keys.marks",
        "a use is of a key that exists and of a code that it has had",
        Some(41),
        "UPDATE keys.marks SET generation = 7 WHERE redemption_id = pg_temp.id(41)",
    ),
    case(
        "keys.batches",
        "a generation has as many keys as it says, for what it says and up to its last one, and one request",
        Some(133),
        "UPDATE keys.batches SET made = 2 WHERE batch_id = pg_temp.id(133)",
    ),
    case(
        "keys.requests",
        "a request is about a class, pool or profile that exists",
        Some(131),
        "UPDATE keys.requests SET grant_id = pg_temp.id(99) WHERE request_id = pg_temp.id(131)",
    ),
    case(
        "keys.audit_events",
        "each generation of keys has exactly one audit event",
        Some(11),
        "DELETE FROM keys.audit_events WHERE event_id = pg_temp.id(302)",
    ),
    case(
        "keys.audit_events",
        "each revocation has exactly one audit event",
        Some(33),
        "DELETE FROM keys.audit_events WHERE event_id = pg_temp.id(303)",
    ),
    case(
        "keys.audit_events",
        "each change of an event key has exactly one audit event",
        Some(34),
        "DELETE FROM keys.audit_events WHERE event_id = pg_temp.id(305)",
    ),
];

const ROWS: [Case; 22] = [
    case(
        "enrollment.organizations",
        "the ancestors of an organization are its parent and the ancestors of that",
        Some(2),
        "UPDATE enrollment.organizations SET ancestor_ids = '{}' WHERE organization_id = pg_temp.id(2)",
    ),
    case(
        "enrollment.organizations",
        "no version is copied to keys before it exists",
        Some(1),
        "UPDATE enrollment.organizations SET copied_version = 3 WHERE organization_id = pg_temp.id(1)",
    ),
    case(
        "enrollment.classes",
        "no version is copied to keys before it exists",
        Some(11),
        "UPDATE enrollment.classes SET copied_version = 3 WHERE class_id = pg_temp.id(11)",
    ),
    case(
        "enrollment.students",
        "a student belongs to an organization that exists",
        Some(21),
        "UPDATE enrollment.students SET organization_id = pg_temp.id(99) WHERE student_id = pg_temp.id(21)",
    ),
    case(
        "enrollment.students",
        "an e-mail address is unique in an organization, an external identity everywhere",
        Some(21),
        "ALTER TABLE enrollment.students DROP CONSTRAINT students_email;
         UPDATE enrollment.students SET email_folded = '21@example.com' WHERE student_id = pg_temp.id(23)",
    ),
    case(
        "enrollment.students",
        "an e-mail address is unique in an organization, an external identity everywhere",
        Some(21),
        "ALTER TABLE enrollment.students DROP CONSTRAINT students_identity;
         UPDATE enrollment.students SET subject = '21' WHERE student_id = pg_temp.id(22)",
    ),
    case(
        "enrollment.students",
        "an erased account keeps nothing personal",
        Some(24),
        "ALTER TABLE enrollment.students DROP CONSTRAINT students_erased_keep_nothing;
         UPDATE enrollment.students SET email = NULL, email_folded = NULL, erased_at = clock_timestamp()
         WHERE student_id = pg_temp.id(24)",
    ),
    case(
        "enrollment.classes",
        "the seats taken are the students enrolled, never more than the maximum, and none once cancelled",
        Some(11),
        "UPDATE enrollment.classes SET seats_taken = 3 WHERE class_id = pg_temp.id(11)",
    ),
    case(
        "enrollment.classes",
        "the seats taken are the students enrolled, never more than the maximum, and none once cancelled",
        Some(11),
        "ALTER TABLE enrollment.classes DROP CONSTRAINT seats_never_exceed_maximum;
         UPDATE enrollment.classes SET maximum_students = 3 WHERE class_id = pg_temp.id(11)",
    ),
    case(
        "enrollment.enrollments",
        "an enrollment is of a class that exists, of its organization, and of a student of that or one below",
        Some(42),
        "UPDATE enrollment.students SET organization_id = pg_temp.id(99) WHERE student_id = pg_temp.id(22)",
    ),
    case(
        "enrollment.enrollments",
        "a student is in a class once",
        Some(41),
        "DROP INDEX enrollment.enrollments_live;
         UPDATE enrollment.enrollments SET student_id = pg_temp.id(21) WHERE enrollment_id = pg_temp.id(42)",
    ),
    case(
        "enrollment.enrollments",
        "nobody has a live enrollment in a cancelled class",
        Some(52),
        "UPDATE enrollment.enrollments SET class_id = pg_temp.id(12) WHERE enrollment_id = pg_temp.id(52)",
    ),
    case(
        "enrollment.enrollments",
        "only who was removed or denied by staff is blocked",
        Some(41),
        "UPDATE enrollment.enrollments SET blocked = true WHERE enrollment_id = pg_temp.id(41)",
    ),
    case(
        "enrollment.enrollments",
        "an enrollment key is held by one enrollment at most",
        Some(41),
        "DROP INDEX enrollment.enrollments_key_slot;
         UPDATE enrollment.enrollments SET key_id = pg_temp.id(31), key_kind = 'enrollment', slot = 0, generation = 1
         WHERE enrollment_id = pg_temp.id(45)",
    ),
    case(
        "enrollment.enrollments",
        "who came by a key and is in holds it, unless it was given up, in slot 0 if it is an enrollment key",
        Some(41),
        "UPDATE enrollment.enrollments SET slot = 1 WHERE enrollment_id = pg_temp.id(41)",
    ),
    case(
        "enrollment.enrollments",
        "a student is in a class once",
        Some(41),
        "DROP INDEX enrollment.enrollments_live;
         UPDATE enrollment.enrollments SET student_id = pg_temp.id(21) WHERE enrollment_id = pg_temp.id(52)",
    ),
    case(
        "enrollment.redemptions",
        "a redemption that was not refused has its enrollment: its own, or the one by which the student was in already",
        Some(41),
        "DELETE FROM enrollment.enrollments WHERE enrollment_id = pg_temp.id(41)",
    ),
    case(
        "enrollment.redemptions",
        "a redemption that was not refused has its enrollment: its own, or the one by which the student was in already",
        Some(47),
        "UPDATE enrollment.redemptions SET enrollment_id = pg_temp.id(42) WHERE redemption_id = pg_temp.id(47)",
    ),
    case(
        "enrollment.enrollments",
        "every enrollment has its origin: the redemption with its id, or the direct request with its id",
        Some(41),
        "DELETE FROM enrollment.redemptions WHERE redemption_id = pg_temp.id(41)",
    ),
    case(
        "enrollment.enrollments",
        "every enrollment has its origin: the redemption with its id, or the direct request with its id",
        Some(44),
        "DELETE FROM enrollment.requests",
    ),
    case(
        "enrollment.redemptions",
        "a recorded refusal is of the reason that stands beside it",
        Some(48),
        "UPDATE enrollment.redemptions SET reason = 'CLASS_FULL' WHERE redemption_id = pg_temp.id(48)",
    ),
    case(
        "enrollment.deliveries",
        "there is one place up to which keys was told",
        None,
        "DELETE FROM enrollment.deliveries",
    ),
];

const COURSES: [Case; 5] = [
    case(
        "enrollment.assignments",
        "every assignment is of a student that exists, and the redemption with its id made it",
        Some(74),
        "UPDATE enrollment.redemptions SET generation = 2 WHERE redemption_id = pg_temp.id(74)",
    ),
    case(
        "enrollment.assignments",
        "each use of a key is held by one assignment at most, and by none that is cancelled",
        Some(74),
        "DROP INDEX enrollment.assignments_key_slot;
         UPDATE enrollment.assignments SET status = 'assigned', holds_key = true, cancelled_at = NULL, cancelled_by = NULL,
             key_id = pg_temp.id(72) WHERE assignment_id = pg_temp.id(75)",
    ),
    case(
        "enrollment.redemptions",
        "a redemption that was not refused has its assignment: its own, or the one by which the student had used the key already",
        Some(76),
        "UPDATE enrollment.redemptions SET assignment_id = pg_temp.id(75) WHERE redemption_id = pg_temp.id(76)",
    ),
    case(
        "enrollment.audit_events",
        "each cancellation and each first launch of an assignment has exactly one event",
        Some(74),
        "DELETE FROM enrollment.audit_events WHERE event_id = pg_temp.id(222)",
    ),
    case(
        "enrollment.audit_events",
        "each cancellation and each first launch of an assignment has exactly one event",
        Some(75),
        "DELETE FROM enrollment.audit_events WHERE event_id = pg_temp.id(223)",
    ),
];

const TRAIL: [Case; 8] = [
    case(
        "enrollment.audit_events",
        "each change of a notification plan or of notification settings has exactly one event",
        Some(1),
        "INSERT INTO enrollment.notification_settings (organization_id, settings, version) VALUES (pg_temp.id(1), '{}', 1)",
    ),
    case(
        "enrollment.audit_events",
        "each change of an organization has exactly one event",
        Some(1),
        "DELETE FROM enrollment.audit_events WHERE event_id = pg_temp.id(202)",
    ),
    case(
        "enrollment.audit_events",
        "each change of a class has exactly one event",
        Some(12),
        "DELETE FROM enrollment.audit_events WHERE event_id = pg_temp.id(207)",
    ),
    case(
        "enrollment.audit_events",
        "each account has exactly one origin, an event or a registration, and each change of it exactly one event",
        Some(21),
        "DELETE FROM enrollment.audit_events WHERE event_id = pg_temp.id(208)",
    ),
    case(
        "enrollment.audit_events",
        "each account has exactly one origin, an event or a registration, and each change of it exactly one event",
        Some(25),
        "UPDATE enrollment.students SET request_id = pg_temp.id(99) WHERE student_id = pg_temp.id(25)",
    ),
    case(
        "enrollment.audit_events",
        "each direct enrollment and each change of an enrollment has exactly one event",
        Some(43),
        "DELETE FROM enrollment.audit_events WHERE event_id = pg_temp.id(213)",
    ),
    case(
        "enrollment.audit_events",
        "each direct enrollment and each change of an enrollment has exactly one event",
        Some(51),
        "DELETE FROM enrollment.audit_events WHERE event_id = pg_temp.id(217)",
    ),
    case(
        "enrollment.audit_events",
        "each direct enrollment and each change of an enrollment has exactly one event",
        Some(44),
        "INSERT INTO enrollment.audit_events SELECT (jsonb_populate_record(e, jsonb_build_object('event_id', pg_temp.id(299)))).*
         FROM enrollment.audit_events e WHERE event_id = pg_temp.id(212)",
    ),
];

/// What only the comparison of both sides shows.
pub(crate) const COMPARED: [Case; 11] = [
    case(
        "keys.organizations",
        "keys has a true copy of every organization",
        Some(2),
        "DELETE FROM keys.organizations WHERE organization_id = pg_temp.id(2)",
    ),
    case(
        "keys.organizations",
        "keys has a true copy of every organization",
        Some(99),
        "INSERT INTO keys.organizations (organization_id, ancestor_ids, version) VALUES (pg_temp.id(99), '{}', 1)",
    ),
    case(
        "keys.organizations",
        "keys has a true copy of every organization",
        Some(2),
        "UPDATE keys.organizations SET ancestor_ids = '{}' WHERE organization_id = pg_temp.id(2)",
    ),
    case(
        "keys.grants",
        "keys has a true copy of every class",
        Some(12),
        "DELETE FROM keys.grants WHERE grant_id = pg_temp.id(12)",
    ),
    case(
        "keys.grants",
        "keys has a true copy of every class",
        Some(13),
        "UPDATE keys.grants SET status = 'open', version = 1 WHERE grant_id = pg_temp.id(13)",
    ),
    case(
        "keys.grants",
        "keys has a true copy of every class",
        Some(11),
        "UPDATE keys.grants SET instructors = '{iris}' WHERE grant_id = pg_temp.id(11)",
    ),
    case(
        "keys.grants",
        "keys has a true copy of every subscription profile",
        Some(81),
        "UPDATE keys.grants SET name = 'Another' WHERE grant_id = pg_temp.id(81)",
    ),
    case(
        "keys.grants",
        "keys has a true copy of every subscription profile",
        Some(99),
        "INSERT INTO keys.grants (grant_id, kind, organization_id, name, instructors, time_zone, status, maximum_is_default, version)
         VALUES (pg_temp.id(99), 'profile', pg_temp.id(1), 'Stray', '{}', 'UTC', 'open', false, 1)",
    ),
    case(
        "keys.marks",
        "the marks in keys are the live uses in enrollment",
        Some(41),
        "DELETE FROM keys.marks WHERE redemption_id = pg_temp.id(41)",
    ),
    case(
        "keys.marks",
        "the marks in keys are the live uses in enrollment",
        Some(43),
        "UPDATE keys.marks SET released_at = NULL WHERE redemption_id = pg_temp.id(43)",
    ),
    case(
        "keys.marks",
        "the marks in keys are the live uses in enrollment",
        Some(42),
        "UPDATE keys.marks SET student_id = pg_temp.id(23) WHERE redemption_id = pg_temp.id(42)",
    ),
];

/// Something that keys was never told.
pub(crate) const OWED: Case = case(
    "enrollment.deliveries",
    "what keys is owed is delivered",
    None,
    "UPDATE enrollment.enrollments SET changed_xid = pg_current_xact_id() WHERE enrollment_id = pg_temp.id(41)",
);
