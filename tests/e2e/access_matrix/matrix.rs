//! The matrix: what each role may do with each method, cell by cell.

use latchkey_proto::errors::v1::ErrorReason;
use latchkey_service_kit::identity::Role;
use latchkey_service_kit::status::reason_with_name;

/// What one role may do with a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
    /// `*`: everywhere.
    Anything,
    /// `o`: in its own organization and below.
    Organization,
    /// `c`: in classes that name it as an instructor; `s`: for itself, a student.
    Own,
    /// `-`: not at all.
    No,
}

/// How a method answers a caller beyond whose reach its target lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beyond {
    /// As if it were not there.
    Missing(ErrorReason),
    /// `(empty)`: with nothing, as lists do.
    Empty,
    /// `(never)`: whoever may call the method reaches everything.
    Never,
}

/// A method and what each role may do with it, in the order of [`Role::ALL`].
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) path: &'static str,
    pub(super) cells: Vec<Cell>,
    pub(super) beyond: Beyond,
}

/// The columns: operator, platform service, administrator, operations manager, instructor, student, enrollment service;
/// then the answer beyond one's reach.
const MATRIX: &str = "
/latchkey.enrollment.v1.OrganizationService/CreateOrganization    * - - - - - -   (never)
/latchkey.enrollment.v1.OrganizationService/GetOrganization       * - o o - - -   ORGANIZATION_NOT_FOUND
/latchkey.enrollment.v1.OrganizationService/ListOrganizations     * - o o - - -   (empty)
/latchkey.enrollment.v1.OrganizationService/UpdateOrganization    * - o o - - -   ORGANIZATION_NOT_FOUND
/latchkey.enrollment.v1.OrganizationService/SetSelfRegistration   * - - - - - -   (never)

/latchkey.enrollment.v1.ClassService/CreateClass                  - - o o - - -   ORGANIZATION_NOT_FOUND
/latchkey.enrollment.v1.ClassService/GetClass                     * * o o c s -   CLASS_NOT_FOUND
/latchkey.enrollment.v1.ClassService/ListClasses                  * * o o c s -   (empty)
/latchkey.enrollment.v1.ClassService/UpdateClass                  - - o o - - -   CLASS_NOT_FOUND
/latchkey.enrollment.v1.ClassService/CancelClass                  - - o o - - -   CLASS_NOT_FOUND

/latchkey.enrollment.v1.StudentService/CreateStudent              - * o o - - -   ORGANIZATION_NOT_FOUND
/latchkey.enrollment.v1.StudentService/GetStudent                 * * o o c s -   STUDENT_NOT_FOUND
/latchkey.enrollment.v1.StudentService/BatchGetStudents           * * o o c s -   (empty)
/latchkey.enrollment.v1.StudentService/ListStudents               * * o o c s -   (empty)
/latchkey.enrollment.v1.StudentService/UpdateStudent              - * o o - - -   STUDENT_NOT_FOUND
/latchkey.enrollment.v1.StudentService/DeactivateStudent          - * o o - - -   STUDENT_NOT_FOUND
/latchkey.enrollment.v1.StudentService/ActivateStudent            - * o o - - -   STUDENT_NOT_FOUND
/latchkey.enrollment.v1.StudentService/EraseStudent               - * o o - - -   STUDENT_NOT_FOUND
/latchkey.enrollment.v1.StudentService/Authenticate               - * o o - - -   CREDENTIALS_INVALID

/latchkey.enrollment.v1.RedemptionService/CheckKey                - * o o - s -   STUDENT_NOT_FOUND
/latchkey.enrollment.v1.RedemptionService/RedeemKey               - * o o - s -   STUDENT_NOT_FOUND
/latchkey.enrollment.v1.RedemptionService/RegisterWithKey         - * o o - - -   ORGANIZATION_NOT_FOUND
/latchkey.enrollment.v1.RedemptionService/GetRedemption           * - o o - - -   REDEMPTION_NOT_FOUND
/latchkey.enrollment.v1.RedemptionService/ListRedemptions         * - o o - - -   (empty)

/latchkey.enrollment.v1.EnrollmentService/EnrollStudent           - - o o - - -   CLASS_NOT_FOUND
/latchkey.enrollment.v1.EnrollmentService/BatchEnrollStudents     - - o o - - -   CLASS_NOT_FOUND
/latchkey.enrollment.v1.EnrollmentService/MoveEnrollment          - - o o - - -   ENROLLMENT_NOT_FOUND
/latchkey.enrollment.v1.EnrollmentService/ChangeEnrollmentStatus  - - o o - - -   ENROLLMENT_NOT_FOUND
/latchkey.enrollment.v1.EnrollmentService/CancelEnrollment        - - o o - s -   ENROLLMENT_NOT_FOUND
/latchkey.enrollment.v1.EnrollmentService/SetCompletion           - - o o - - -   ENROLLMENT_NOT_FOUND
/latchkey.enrollment.v1.EnrollmentService/GetEnrollment           * * o o c s -   ENROLLMENT_NOT_FOUND
/latchkey.enrollment.v1.EnrollmentService/ListEnrollments         * * o o c s -   CLASS_NOT_FOUND
/latchkey.enrollment.v1.EnrollmentService/GetRoster               * * o o c s -   CLASS_NOT_FOUND
/latchkey.enrollment.v1.EnrollmentService/GetAccess               * * o o c s -   STUDENT_NOT_FOUND

/latchkey.enrollment.v1.NotificationService/RenderInvitation         - - o o c - -   CLASS_NOT_FOUND
/latchkey.enrollment.v1.NotificationService/CreateNotificationPlan   - - o o - - -   ORGANIZATION_NOT_FOUND
/latchkey.enrollment.v1.NotificationService/GetNotificationPlan      - - o o - - -   NOTIFICATION_PLAN_NOT_FOUND
/latchkey.enrollment.v1.NotificationService/ListNotificationPlans    - - o o - - -   (empty)
/latchkey.enrollment.v1.NotificationService/ReplaceNotificationPlan  - - o o - - -   NOTIFICATION_PLAN_NOT_FOUND
/latchkey.enrollment.v1.NotificationService/DeleteNotificationPlan   - - o o - - -   NOTIFICATION_PLAN_NOT_FOUND
/latchkey.enrollment.v1.NotificationService/PreviewNotificationPlan  - - o o - - -   ORGANIZATION_NOT_FOUND
/latchkey.enrollment.v1.NotificationService/GetNotificationSettings  - - o o - - -   ORGANIZATION_NOT_FOUND
/latchkey.enrollment.v1.NotificationService/SetNotificationSettings  - - o o - - -   ORGANIZATION_NOT_FOUND
/latchkey.enrollment.v1.NotificationService/SetClassNotifications    - - o o - - -   CLASS_NOT_FOUND

/latchkey.enrollment.v1.BillingService/ListBillingLines           * - o o - - -   ORGANIZATION_NOT_FOUND
/latchkey.enrollment.v1.BillingService/ExportBillingLines         * - o o - - -   ORGANIZATION_NOT_FOUND
/latchkey.enrollment.v1.BillingService/ClosePeriod                - - - o - - -   ORGANIZATION_NOT_FOUND
/latchkey.enrollment.v1.BillingService/ListBillingPeriods         * - o o - - -   ORGANIZATION_NOT_FOUND

/latchkey.enrollment.v1.SubscriptionProfileService/CreateSubscriptionProfile  - - o o - - -   ORGANIZATION_NOT_FOUND
/latchkey.enrollment.v1.SubscriptionProfileService/GetSubscriptionProfile     - - o o - - -   SUBSCRIPTION_PROFILE_NOT_FOUND
/latchkey.enrollment.v1.SubscriptionProfileService/ListSubscriptionProfiles   - - o o - - -   (empty)
/latchkey.enrollment.v1.SubscriptionProfileService/UpdateSubscriptionProfile  - - o o - - -   SUBSCRIPTION_PROFILE_NOT_FOUND

/latchkey.enrollment.v1.AssignmentService/GetAssignment           * * o o - s -   ASSIGNMENT_NOT_FOUND
/latchkey.enrollment.v1.AssignmentService/ListAssignments         * * o o - s -   STUDENT_NOT_FOUND
/latchkey.enrollment.v1.AssignmentService/CancelAssignment        - - o o - s -   ASSIGNMENT_NOT_FOUND
/latchkey.enrollment.v1.AssignmentService/RecordLaunch            - * - - - - -   (never)
/latchkey.enrollment.v1.NotificationService/ListNotifications        * - o o - - -   (empty)
/latchkey.enrollment.v1.NotificationService/GetNotificationOptOut    - * o o - s -   STUDENT_NOT_FOUND
/latchkey.enrollment.v1.NotificationService/SetNotificationOptOut    - * o o - s -   STUDENT_NOT_FOUND

/latchkey.keys.v1.TrainingKeyService/GenerateTrainingKeys         - - o o - - -   CLASS_NOT_FOUND
/latchkey.keys.v1.TrainingKeyService/ListTrainingKeys             - - o o - - -   (empty)
/latchkey.keys.v1.TrainingKeyService/GetTrainingKey               - - o o - - -   KEY_NOT_FOUND
/latchkey.keys.v1.TrainingKeyService/RevealTrainingKeys           - - - o - - -   KEY_NOT_FOUND
/latchkey.keys.v1.TrainingKeyService/ExportTrainingKeys           - - - o - - -   CLASS_NOT_FOUND
/latchkey.keys.v1.TrainingKeyService/LookUpTrainingKey            - - - o - - -   KEY_NOT_FOUND
/latchkey.keys.v1.TrainingKeyService/RevokeTrainingKeys           - - - o - - -   KEY_NOT_FOUND
/latchkey.keys.v1.TrainingKeyService/SetEventKey                  - - o o - - -   CLASS_NOT_FOUND
/latchkey.keys.v1.TrainingKeyService/GetEventKey                  - - o o c - -   CLASS_NOT_FOUND
/latchkey.keys.v1.TrainingKeyService/RevealEventKey               - - o o c - -   CLASS_NOT_FOUND

/latchkey.keys.v1.KeyPoolService/CreateKeyPool                    - - o o - - -   ORGANIZATION_NOT_FOUND
/latchkey.keys.v1.KeyPoolService/GetKeyPool                       - - o o - - -   KEY_POOL_NOT_FOUND
/latchkey.keys.v1.KeyPoolService/ListKeyPools                     - - o o - - -   (empty)
/latchkey.keys.v1.KeyPoolService/UpdateKeyPool                    - - o o - - -   KEY_POOL_NOT_FOUND
/latchkey.keys.v1.KeyPoolService/GeneratePoolKeys                 - - o o - - -   KEY_POOL_NOT_FOUND
/latchkey.keys.v1.KeyPoolService/AddOwnPoolKeys                   - - o o - - -   KEY_POOL_NOT_FOUND

/latchkey.keys.v1.SubscriptionKeyService/GenerateSubscriptionKeys - - o o - - -   SUBSCRIPTION_PROFILE_NOT_FOUND
/latchkey.keys.v1.SubscriptionKeyService/AddOwnSubscriptionKeys   - - o o - - -   SUBSCRIPTION_PROFILE_NOT_FOUND
/latchkey.keys.v1.SubscriptionKeyService/UpdateSubscriptionKey    - - o o - - -   KEY_NOT_FOUND

/latchkey.keys.v1.KeyUsageService/ResolveCodes                    - - - - - - *   (never)
/latchkey.keys.v1.KeyUsageService/MarkKeys                        - - - - - - *   (never)
/latchkey.keys.v1.KeyUsageService/ReleaseKeys                     - - - - - - *   (never)
/latchkey.keys.v1.KeyUsageService/ListMarks                       - - - - - - *   (never)
/latchkey.keys.v1.KeyUsageService/CountKeys                       - - - - - - *   (never)
/latchkey.keys.v1.KeyUsageService/PutOrganizations                - - - - - - *   (never)
/latchkey.keys.v1.KeyUsageService/PutGrants                       - - - - - - *   (never)
/latchkey.keys.v1.KeyUsageService/PutProfiles                     - - - - - - *   (never)
/latchkey.keys.v1.KeyUsageService/PutEventKey                     - - - - - - *   (never)
/latchkey.keys.v1.KeyUsageService/RetireGrants                    - - - - - - *   (never)
/latchkey.keys.v1.KeyUsageService/RevealCode                      - - - - - - *   (never)

/latchkey.audit.v1.AuditService/ListAuditEvents                   * - o o - - -   (empty)
";

/// The rows.
pub(super) fn rows() -> Vec<Row> {
    let lines = MATRIX.lines().filter(|line| !line.is_empty());
    lines.map(read).collect()
}

fn read(line: &'static str) -> Row {
    let mut words = line.split_whitespace();
    let path = words.next().expect("a method");
    let cells: Vec<Cell> = words.by_ref().take(Role::ALL.len()).map(cell).collect();
    assert_eq!(cells.len(), Role::ALL.len(), "{line}");
    let beyond = match words.next().expect("an answer") {
        "(empty)" => Beyond::Empty,
        "(never)" => Beyond::Never,
        reason => Beyond::Missing(reason_with_name(reason).expect(reason)),
    };
    assert_eq!(words.next(), None, "{line}");
    Row {
        path,
        cells,
        beyond,
    }
}

fn cell(letter: &str) -> Cell {
    match letter {
        "*" => Cell::Anything,
        "o" => Cell::Organization,
        "c" | "s" => Cell::Own,
        "-" => Cell::No,
        other => panic!("`{other}` is no cell"),
    }
}
