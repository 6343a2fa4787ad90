//! Who may call what: one table for all methods of this service.

use latchkey_service_kit::access::{AccessTable, Reach, Row};
use latchkey_service_kit::identity::Role;

/// Those who run the installation only.
const OPERATORS: &[(Role, Reach)] = &[(Role::Operator, Reach::Anything)];

/// Operations managers of the organization.
const MANAGERS: &[(Role, Reach)] = &[(Role::OperationsManager, Reach::Organization)];

/// Staff of the organization.
const STAFF: &[(Role, Reach)] = &[
    (Role::Administrator, Reach::Organization),
    (Role::OperationsManager, Reach::Organization),
];

/// Staff, and those who run the installation.
const STAFF_AND_OPERATORS: &[(Role, Reach)] = &[
    (Role::Operator, Reach::Anything),
    (Role::Administrator, Reach::Organization),
    (Role::OperationsManager, Reach::Organization),
];

/// Staff, and the platform on behalf of its students.
const STAFF_AND_PLATFORM: &[(Role, Reach)] = &[
    (Role::PlatformService, Reach::Anything),
    (Role::Administrator, Reach::Organization),
    (Role::OperationsManager, Reach::Organization),
];

/// Staff, the platform, and students for themselves.
const STAFF_PLATFORM_AND_SELF: &[(Role, Reach)] = &[
    (Role::PlatformService, Reach::Anything),
    (Role::Administrator, Reach::Organization),
    (Role::OperationsManager, Reach::Organization),
    (Role::Student, Reach::Myself),
];

/// Staff, and students for themselves.
const STAFF_AND_SELF: &[(Role, Reach)] = &[
    (Role::Administrator, Reach::Organization),
    (Role::OperationsManager, Reach::Organization),
    (Role::Student, Reach::Myself),
];

/// Staff, and the instructors of the class.
const STAFF_AND_INSTRUCTORS: &[(Role, Reach)] = &[
    (Role::Administrator, Reach::Organization),
    (Role::OperationsManager, Reach::Organization),
    (Role::Instructor, Reach::OwnClasses),
];

/// Everyone, each within reach; students the classes they are enrolled in.
const READ_CLASSES: &[(Role, Reach)] = &[
    (Role::Operator, Reach::Anything),
    (Role::PlatformService, Reach::Anything),
    (Role::Administrator, Reach::Organization),
    (Role::OperationsManager, Reach::Organization),
    (Role::Instructor, Reach::OwnClasses),
    (Role::Student, Reach::EnrolledClasses),
];

/// Everyone, each within reach; students themselves only.
const READ_STUDENTS: &[(Role, Reach)] = &[
    (Role::Operator, Reach::Anything),
    (Role::PlatformService, Reach::Anything),
    (Role::Administrator, Reach::Organization),
    (Role::OperationsManager, Reach::Organization),
    (Role::Instructor, Reach::OwnClasses),
    (Role::Student, Reach::Myself),
];

/// Everyone but instructors, who teach classes; each within reach.
const READ_ASSIGNMENTS: &[(Role, Reach)] = &[
    (Role::Operator, Reach::Anything),
    (Role::PlatformService, Reach::Anything),
    (Role::Administrator, Reach::Organization),
    (Role::OperationsManager, Reach::Organization),
    (Role::Student, Reach::Myself),
];

/// The platform, which knows what students do.
const PLATFORM: &[(Role, Reach)] = &[(Role::PlatformService, Reach::Anything)];

/// The table. A method that is not in it cannot be called.
pub const TABLE: &[Row] = &[
    row(
        "/latchkey.enrollment.v1.OrganizationService/CreateOrganization",
        OPERATORS,
    ),
    row(
        "/latchkey.enrollment.v1.OrganizationService/GetOrganization",
        STAFF_AND_OPERATORS,
    ),
    row(
        "/latchkey.enrollment.v1.OrganizationService/ListOrganizations",
        STAFF_AND_OPERATORS,
    ),
    row(
        "/latchkey.enrollment.v1.OrganizationService/UpdateOrganization",
        STAFF_AND_OPERATORS,
    ),
    row(
        "/latchkey.enrollment.v1.OrganizationService/SetSelfRegistration",
        OPERATORS,
    ),
    row("/latchkey.enrollment.v1.ClassService/CreateClass", STAFF),
    row(
        "/latchkey.enrollment.v1.ClassService/GetClass",
        READ_CLASSES,
    ),
    row(
        "/latchkey.enrollment.v1.ClassService/ListClasses",
        READ_CLASSES,
    ),
    row("/latchkey.enrollment.v1.ClassService/UpdateClass", STAFF),
    row("/latchkey.enrollment.v1.ClassService/CancelClass", STAFF),
    row(
        "/latchkey.enrollment.v1.StudentService/CreateStudent",
        STAFF_AND_PLATFORM,
    ),
    row(
        "/latchkey.enrollment.v1.StudentService/GetStudent",
        READ_STUDENTS,
    ),
    row(
        "/latchkey.enrollment.v1.StudentService/BatchGetStudents",
        READ_STUDENTS,
    ),
    row(
        "/latchkey.enrollment.v1.StudentService/ListStudents",
        READ_STUDENTS,
    ),
    row(
        "/latchkey.enrollment.v1.StudentService/UpdateStudent",
        STAFF_AND_PLATFORM,
    ),
    row(
        "/latchkey.enrollment.v1.StudentService/DeactivateStudent",
        STAFF_AND_PLATFORM,
    ),
    row(
        "/latchkey.enrollment.v1.StudentService/ActivateStudent",
        STAFF_AND_PLATFORM,
    ),
    row(
        "/latchkey.enrollment.v1.StudentService/EraseStudent",
        STAFF_AND_PLATFORM,
    ),
    row(
        "/latchkey.enrollment.v1.StudentService/Authenticate",
        STAFF_AND_PLATFORM,
    ),
    row(
        "/latchkey.enrollment.v1.EnrollmentService/EnrollStudent",
        STAFF,
    ),
    row(
        "/latchkey.enrollment.v1.EnrollmentService/BatchEnrollStudents",
        STAFF,
    ),
    row(
        "/latchkey.enrollment.v1.EnrollmentService/MoveEnrollment",
        STAFF,
    ),
    row(
        "/latchkey.enrollment.v1.EnrollmentService/ChangeEnrollmentStatus",
        STAFF,
    ),
    row(
        "/latchkey.enrollment.v1.EnrollmentService/CancelEnrollment",
        STAFF_AND_SELF,
    ),
    row(
        "/latchkey.enrollment.v1.EnrollmentService/SetCompletion",
        STAFF,
    ),
    row(
        "/latchkey.enrollment.v1.EnrollmentService/GetEnrollment",
        READ_STUDENTS,
    ),
    row(
        "/latchkey.enrollment.v1.EnrollmentService/ListEnrollments",
        READ_STUDENTS,
    ),
    row(
        "/latchkey.enrollment.v1.EnrollmentService/GetRoster",
        READ_STUDENTS,
    ),
    row(
        "/latchkey.enrollment.v1.EnrollmentService/GetAccess",
        READ_STUDENTS,
    ),
    row(
        "/latchkey.enrollment.v1.SubscriptionProfileService/CreateSubscriptionProfile",
        STAFF,
    ),
    row(
        "/latchkey.enrollment.v1.SubscriptionProfileService/GetSubscriptionProfile",
        STAFF,
    ),
    row(
        "/latchkey.enrollment.v1.SubscriptionProfileService/ListSubscriptionProfiles",
        STAFF,
    ),
    row(
        "/latchkey.enrollment.v1.SubscriptionProfileService/UpdateSubscriptionProfile",
        STAFF,
    ),
    row(
        "/latchkey.enrollment.v1.AssignmentService/GetAssignment",
        READ_ASSIGNMENTS,
    ),
    row(
        "/latchkey.enrollment.v1.AssignmentService/ListAssignments",
        READ_ASSIGNMENTS,
    ),
    row(
        "/latchkey.enrollment.v1.AssignmentService/CancelAssignment",
        STAFF_AND_SELF,
    ),
    row(
        "/latchkey.enrollment.v1.AssignmentService/RecordLaunch",
        PLATFORM,
    ),
    row(
        "/latchkey.enrollment.v1.RedemptionService/CheckKey",
        STAFF_PLATFORM_AND_SELF,
    ),
    row(
        "/latchkey.enrollment.v1.RedemptionService/RedeemKey",
        STAFF_PLATFORM_AND_SELF,
    ),
    row(
        "/latchkey.enrollment.v1.RedemptionService/RegisterWithKey",
        STAFF_AND_PLATFORM,
    ),
    row(
        "/latchkey.enrollment.v1.RedemptionService/GetRedemption",
        STAFF_AND_OPERATORS,
    ),
    row(
        "/latchkey.enrollment.v1.RedemptionService/ListRedemptions",
        STAFF_AND_OPERATORS,
    ),
    // An enrollment key needs an operations manager: its use case sees to that.
    row(
        "/latchkey.enrollment.v1.NotificationService/RenderInvitation",
        STAFF_AND_INSTRUCTORS,
    ),
    row(
        "/latchkey.enrollment.v1.BillingService/ListBillingLines",
        STAFF_AND_OPERATORS,
    ),
    row(
        "/latchkey.enrollment.v1.BillingService/ExportBillingLines",
        STAFF_AND_OPERATORS,
    ),
    row(
        "/latchkey.enrollment.v1.BillingService/ClosePeriod",
        MANAGERS,
    ),
    row(
        "/latchkey.enrollment.v1.BillingService/ListBillingPeriods",
        STAFF_AND_OPERATORS,
    ),
    row(
        "/latchkey.enrollment.v1.NotificationService/CreateNotificationPlan",
        STAFF,
    ),
    row(
        "/latchkey.enrollment.v1.NotificationService/GetNotificationPlan",
        STAFF,
    ),
    row(
        "/latchkey.enrollment.v1.NotificationService/ListNotificationPlans",
        STAFF,
    ),
    row(
        "/latchkey.enrollment.v1.NotificationService/ReplaceNotificationPlan",
        STAFF,
    ),
    row(
        "/latchkey.enrollment.v1.NotificationService/DeleteNotificationPlan",
        STAFF,
    ),
    row(
        "/latchkey.enrollment.v1.NotificationService/PreviewNotificationPlan",
        STAFF,
    ),
    row(
        "/latchkey.enrollment.v1.NotificationService/GetNotificationSettings",
        STAFF,
    ),
    row(
        "/latchkey.enrollment.v1.NotificationService/SetNotificationSettings",
        STAFF,
    ),
    row(
        "/latchkey.enrollment.v1.NotificationService/SetClassNotifications",
        STAFF,
    ),
    row(
        "/latchkey.enrollment.v1.NotificationService/ListNotifications",
        STAFF_AND_OPERATORS,
    ),
    row(
        "/latchkey.enrollment.v1.NotificationService/GetNotificationOptOut",
        STAFF_PLATFORM_AND_SELF,
    ),
    row(
        "/latchkey.enrollment.v1.NotificationService/SetNotificationOptOut",
        STAFF_PLATFORM_AND_SELF,
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
