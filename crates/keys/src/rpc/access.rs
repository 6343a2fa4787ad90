//! Who may call what: one table for all methods of this service.

use latchkey_service_kit::access::{AccessTable, Reach, Row};
use latchkey_service_kit::identity::Role;

/// Staff of the organization.
const STAFF: &[(Role, Reach)] = &[
    (Role::Administrator, Reach::Organization),
    (Role::OperationsManager, Reach::Organization),
];

/// Those of the staff who may handle the codes of keys, event keys apart.
const OPERATIONS_MANAGERS: &[(Role, Reach)] = &[(Role::OperationsManager, Reach::Organization)];

/// Staff, and the instructors of the class.
const STAFF_AND_INSTRUCTORS: &[(Role, Reach)] = &[
    (Role::Administrator, Reach::Organization),
    (Role::OperationsManager, Reach::Organization),
    (Role::Instructor, Reach::OwnClasses),
];

/// Staff, and those who run the installation.
const STAFF_AND_OPERATORS: &[(Role, Reach)] = &[
    (Role::Operator, Reach::Anything),
    (Role::Administrator, Reach::Organization),
    (Role::OperationsManager, Reach::Organization),
];

/// The enrollment service itself.
const ENROLLMENT_SERVICE: &[(Role, Reach)] = &[(Role::EnrollmentService, Reach::Anything)];

/// The table. A method that is not in it cannot be called.
pub const TABLE: &[Row] = &[
    row(
        "/latchkey.keys.v1.TrainingKeyService/GenerateTrainingKeys",
        STAFF,
    ),
    row(
        "/latchkey.keys.v1.TrainingKeyService/ListTrainingKeys",
        STAFF,
    ),
    row("/latchkey.keys.v1.TrainingKeyService/GetTrainingKey", STAFF),
    row(
        "/latchkey.keys.v1.TrainingKeyService/RevealTrainingKeys",
        OPERATIONS_MANAGERS,
    ),
    row(
        "/latchkey.keys.v1.TrainingKeyService/ExportTrainingKeys",
        OPERATIONS_MANAGERS,
    ),
    row(
        "/latchkey.keys.v1.TrainingKeyService/LookUpTrainingKey",
        OPERATIONS_MANAGERS,
    ),
    row(
        "/latchkey.keys.v1.TrainingKeyService/RevokeTrainingKeys",
        OPERATIONS_MANAGERS,
    ),
    row("/latchkey.keys.v1.TrainingKeyService/SetEventKey", STAFF),
    row(
        "/latchkey.keys.v1.TrainingKeyService/GetEventKey",
        STAFF_AND_INSTRUCTORS,
    ),
    row(
        "/latchkey.keys.v1.TrainingKeyService/RevealEventKey",
        STAFF_AND_INSTRUCTORS,
    ),
    row("/latchkey.keys.v1.KeyPoolService/CreateKeyPool", STAFF),
    row("/latchkey.keys.v1.KeyPoolService/GetKeyPool", STAFF),
    row("/latchkey.keys.v1.KeyPoolService/ListKeyPools", STAFF),
    row("/latchkey.keys.v1.KeyPoolService/UpdateKeyPool", STAFF),
    row("/latchkey.keys.v1.KeyPoolService/GeneratePoolKeys", STAFF),
    row("/latchkey.keys.v1.KeyPoolService/AddOwnPoolKeys", STAFF),
    row(
        "/latchkey.keys.v1.SubscriptionKeyService/GenerateSubscriptionKeys",
        STAFF,
    ),
    row(
        "/latchkey.keys.v1.SubscriptionKeyService/AddOwnSubscriptionKeys",
        STAFF,
    ),
    row(
        "/latchkey.keys.v1.SubscriptionKeyService/UpdateSubscriptionKey",
        STAFF,
    ),
    row(
        "/latchkey.keys.v1.KeyUsageService/ResolveCodes",
        ENROLLMENT_SERVICE,
    ),
    row(
        "/latchkey.keys.v1.KeyUsageService/MarkKeys",
        ENROLLMENT_SERVICE,
    ),
    row(
        "/latchkey.keys.v1.KeyUsageService/ReleaseKeys",
        ENROLLMENT_SERVICE,
    ),
    row(
        "/latchkey.keys.v1.KeyUsageService/ListMarks",
        ENROLLMENT_SERVICE,
    ),
    row(
        "/latchkey.keys.v1.KeyUsageService/CountKeys",
        ENROLLMENT_SERVICE,
    ),
    row(
        "/latchkey.keys.v1.KeyUsageService/PutOrganizations",
        ENROLLMENT_SERVICE,
    ),
    row(
        "/latchkey.keys.v1.KeyUsageService/PutGrants",
        ENROLLMENT_SERVICE,
    ),
    row(
        "/latchkey.keys.v1.KeyUsageService/PutProfiles",
        ENROLLMENT_SERVICE,
    ),
    row(
        "/latchkey.keys.v1.KeyUsageService/PutEventKey",
        ENROLLMENT_SERVICE,
    ),
    row(
        "/latchkey.keys.v1.KeyUsageService/RetireGrants",
        ENROLLMENT_SERVICE,
    ),
    row(
        "/latchkey.keys.v1.KeyUsageService/RevealCode",
        ENROLLMENT_SERVICE,
    ),
    row(
        "/latchkey.audit.v1.AuditService/ListAuditEvents",
        STAFF_AND_OPERATORS,
    ),
];

const fn row(method: &'static str, grants: &'static [(Role, Reach)]) -> Row {
    Row { method, grants }
}

/// The table, ready to be asked.
pub fn table() -> AccessTable {
    AccessTable::new(TABLE)
}
