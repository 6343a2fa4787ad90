//! One of everything that methods act on, and a good request for every method of the contract.

mod changes;
mod of_billing;
mod of_courses;
mod of_keys;
mod of_notifications;

use latchkey_proto::audit::v1 as audit;
use latchkey_proto::enrollment::v1 as enrollment;
use latchkey_proto::enrollment::v1::{
    CompletionStatus, Credential, Enrollment, EnrollmentStatus, NotificationPlan, Password,
    Student, TrainingClass,
};
use latchkey_proto::keys::v1::RevealedCode;
use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor};

use super::subscriptions::uses;
use super::world::telling::plan_settings;
use super::world::{mask, own_code, redemption};
use super::{ClassDraft, Organization, PoolDraft, Stack, new_id};

/// The password of every scene's student.
pub(crate) const PASSWORD: &str = "correct horse battery staple";
/// A code of no key that could be one: own codes look like this.
pub(crate) const NO_KEYS_CODE: &str = "opens-nothing-here";

/// An organization with one below it; a class with its event key on; a student who is in, by that key; two enrollment keys;
/// a pool, by a key of which the student has its course; and a subscription profile with a key for three students.
pub(crate) struct Scene<'s> {
    pub(crate) organization: Organization<'s>,
    /// The one below it.
    pub(crate) child_id: String,
    pub(crate) class: TrainingClass,
    /// The text of the event key.
    pub(crate) event_code: String,
    /// A key that nobody touches.
    pub(crate) key: RevealedCode,
    /// A key that may be revoked.
    pub(crate) spare: RevealedCode,
    pub(crate) student: Student,
    pub(crate) enrollment: Enrollment,
    /// A notification plan of the organization, whose notifications are off.
    pub(crate) plan: NotificationPlan,
    pub(crate) pool_id: String,
    pub(crate) assignment_id: String,
    pub(crate) profile_id: String,
    pub(crate) subscription_key_id: String,
}

impl<'s> Scene<'s> {
    /// A new scene in a new root organization, whose class has this instructor.
    pub(crate) async fn new(stack: &'s Stack, instructor: &str) -> Self {
        Self::within(Organization::new(stack).await, instructor).await
    }

    /// A new scene in `organization`.
    pub(crate) async fn within(organization: Organization<'s>, instructor: &str) -> Self {
        organization.let_register(true).await;
        let child_id = organization.child().await.id;
        let event_code = format!("scene-{}", new_id().replace('-', ""));
        let draft = ClassDraft::new().maximum(1000).change(|request| {
            request.instructors = vec![instructor.to_owned()];
            request.event_key = Some(own_code(&event_code));
        });
        let class = organization.class(draft).await;
        let codes = organization.generate(&class.class_id, 2).await;
        let [key, spare] = codes.try_into().expect("two codes");
        let pool_id = organization.pool(PoolDraft::new()).await.pool_id;
        let stack = organization.stack;
        let mut request = organization.student_request(&format!("{}@example.com", new_id()));
        let password = Some(Password {
            text: PASSWORD.to_owned(),
        });
        request.credential = Some(Credential {
            password,
            ..Credential::default()
        });
        let made = stack
            .platform()
            .students()
            .create_student(request)
            .await
            .expect("a student");
        let student = made.into_inner().student.expect("a student");
        let request = redemption(&new_id(), &student.student_id, &event_code);
        let redeemed = stack
            .platform()
            .redemptions()
            .redeem_key(request)
            .await
            .expect("redeemed");
        let enrollment = redeemed.into_inner().enrollment.expect("an enrollment");
        let plan = organization.plan(plan_settings()).await;
        let assignment = organization.assign(&student.student_id, &pool_id).await;
        let assignment_id = assignment.assignment_id;
        let profile_id = organization.profile().await.profile_id;
        let subscription_keys = organization.subscription_keys(&profile_id, 1, uses(3));
        let subscription_key_id = subscription_keys.await.remove(0).key_id;
        Self {
            organization,
            child_id,
            class,
            event_code,
            key,
            spare,
            student,
            enrollment,
            plan,
            pool_id,
            assignment_id,
            profile_id,
            subscription_key_id,
        }
    }

    /// The same scene, nothing of which exists.
    pub(crate) fn nowhere(&self) -> Self {
        let mut class = self.class.clone();
        class.class_id = new_id();
        let mut key = self.key.clone();
        key.key_id = new_id();
        NO_KEYS_CODE.clone_into(&mut key.code);
        let mut student = self.student.clone();
        student.student_id = new_id();
        student.email = format!("{}@example.com", new_id());
        let mut enrollment = self.enrollment.clone();
        enrollment.enrollment_id = new_id();
        let mut plan = self.plan.clone();
        plan.plan_id = new_id();
        Self {
            organization: Organization {
                stack: self.organization.stack,
                id: new_id(),
            },
            child_id: new_id(),
            class,
            event_code: NO_KEYS_CODE.to_owned(),
            spare: key.clone(),
            key,
            student,
            enrollment,
            plan,
            pool_id: new_id(),
            assignment_id: new_id(),
            profile_id: new_id(),
            subscription_key_id: new_id(),
        }
    }

    /// A good request for `method` that changes nothing other requests of the scene stand on. With `fresh`, what a
    /// call ends for good (a class, an enrollment, an account) is made for this request; without, the call must not
    /// succeed.
    pub(crate) async fn request(&self, method: &MethodDescriptor, fresh: bool) -> DynamicMessage {
        let bytes = match method.parent_service().name() {
            "OrganizationService" => self.of_organizations(method.name()),
            "ClassService" => self.of_classes(method.name(), fresh).await,
            "StudentService" => self.of_students(method.name(), fresh).await,
            "RedemptionService" => self.of_redemptions(method.name()),
            "EnrollmentService" => self.of_enrollments(method.name(), fresh).await,
            "NotificationService" => self.of_notifications(method.name(), fresh).await,
            "BillingService" => self.of_billing(method.name()),
            "SubscriptionProfileService" => self.of_profiles(method.name()),
            "AssignmentService" => self.of_assignments(method.name(), fresh).await,
            "TrainingKeyService" => self.of_training_keys(method.name()),
            "KeyPoolService" => self.of_key_pools(method.name()),
            "SubscriptionKeyService" => self.of_subscription_keys(method.name()),
            "KeyUsageService" => self.of_key_usage(method.name()),
            "AuditService" => {
                let organization_id = self.organization.id.clone();
                audit::ListAuditEventsRequest {
                    organization_id,
                    ..audit::ListAuditEventsRequest::default()
                }
                .encode_to_vec()
            }
            other => panic!("no scene knows {other}"),
        };
        DynamicMessage::decode(method.input(), bytes.as_slice()).expect("a request of the method")
    }

    fn of_organizations(&self, method: &str) -> Vec<u8> {
        let organization_id = self.organization.id.clone();
        match method {
            "CreateOrganization" => enrollment::CreateOrganizationRequest {
                request_id: new_id(),
                parent_id: organization_id,
                display_name: "Branch".to_owned(),
            }
            .encode_to_vec(),
            "GetOrganization" => {
                enrollment::GetOrganizationRequest { organization_id }.encode_to_vec()
            }
            "ListOrganizations" => enrollment::ListOrganizationsRequest {
                parent_id: organization_id,
                ..enrollment::ListOrganizationsRequest::default()
            }
            .encode_to_vec(),
            "UpdateOrganization" => enrollment::UpdateOrganizationRequest {
                organization_id,
                display_name: "Academy".to_owned(),
                update_mask: mask(&["display_name"]),
                ..enrollment::UpdateOrganizationRequest::default()
            }
            .encode_to_vec(),
            "SetSelfRegistration" => enrollment::SetSelfRegistrationRequest {
                organization_id,
                enabled: true,
            }
            .encode_to_vec(),
            other => panic!("no scene knows {other}"),
        }
    }

    async fn of_classes(&self, method: &str, fresh: bool) -> Vec<u8> {
        let class_id = self.class.class_id.clone();
        match method {
            "CreateClass" => ClassDraft::new()
                .with_event_key()
                .request(&self.organization.id)
                .encode_to_vec(),
            "GetClass" => enrollment::GetClassRequest { class_id }.encode_to_vec(),
            "ListClasses" => enrollment::ListClassesRequest {
                organization_id: self.organization.id.clone(),
                ..enrollment::ListClassesRequest::default()
            }
            .encode_to_vec(),
            "UpdateClass" => self.unchanged_class().encode_to_vec(),
            "CancelClass" => {
                let class_id = if fresh {
                    self.other_class().await
                } else {
                    class_id
                };
                enrollment::CancelClassRequest {
                    class_id,
                    ..enrollment::CancelClassRequest::default()
                }
                .encode_to_vec()
            }
            other => panic!("no scene knows {other}"),
        }
    }

    async fn of_students(&self, method: &str, fresh: bool) -> Vec<u8> {
        let student_id = self.student.student_id.clone();
        let organization_id = self.organization.id.clone();
        match method {
            "CreateStudent" => self
                .organization
                .student_request(&format!("{}@example.com", new_id()))
                .encode_to_vec(),
            "GetStudent" => enrollment::GetStudentRequest { student_id }.encode_to_vec(),
            "BatchGetStudents" => enrollment::BatchGetStudentsRequest {
                student_ids: vec![student_id],
            }
            .encode_to_vec(),
            "ListStudents" => enrollment::ListStudentsRequest {
                organization_id,
                ..enrollment::ListStudentsRequest::default()
            }
            .encode_to_vec(),
            "UpdateStudent" => enrollment::UpdateStudentRequest {
                student_id,
                update_mask: mask(&["email", "given_name", "family_name"]),
                etag: String::new(),
                email: self.student.email.clone(),
                given_name: self.student.given_name.clone(),
                family_name: self.student.family_name.clone(),
            }
            .encode_to_vec(),
            "DeactivateStudent" => {
                let student_id = if fresh {
                    self.organization.student().await.student_id
                } else {
                    student_id
                };
                enrollment::DeactivateStudentRequest { student_id }.encode_to_vec()
            }
            "EraseStudent" => {
                let student_id = if fresh {
                    self.organization.student().await.student_id
                } else {
                    student_id
                };
                enrollment::EraseStudentRequest {
                    student_id,
                    reason: "asked to".to_owned(),
                    etag: String::new(),
                }
                .encode_to_vec()
            }
            "ActivateStudent" => enrollment::ActivateStudentRequest { student_id }.encode_to_vec(),
            "Authenticate" => enrollment::AuthenticateRequest {
                organization_id,
                email: self.student.email.clone(),
                password: PASSWORD.to_owned(),
            }
            .encode_to_vec(),
            other => panic!("no scene knows {other}"),
        }
    }

    fn of_redemptions(&self, method: &str) -> Vec<u8> {
        let organization_id = self.organization.id.clone();
        match method {
            "CheckKey" => enrollment::CheckKeyRequest {
                code: self.event_code.clone(),
                student_id: self.student.student_id.clone(),
                organization_id: String::new(),
            }
            .encode_to_vec(),
            "RedeemKey" => {
                redemption(&new_id(), &self.student.student_id, &self.event_code).encode_to_vec()
            }
            "RegisterWithKey" => {
                let external_identity = Some(enrollment::ExternalIdentity {
                    issuer: "https://login.example.com".to_owned(),
                    subject: new_id(),
                });
                enrollment::RegisterWithKeyRequest {
                    redemption_id: new_id(),
                    code: self.event_code.clone(),
                    organization_id,
                    email: format!("{}@example.com", new_id()),
                    given_name: "Nora".to_owned(),
                    family_name: "New".to_owned(),
                    credential: Some(Credential {
                        external_identity,
                        ..Credential::default()
                    }),
                }
                .encode_to_vec()
            }
            "GetRedemption" => {
                let redemption_id = self.enrollment.enrollment_id.clone();
                enrollment::GetRedemptionRequest { redemption_id }.encode_to_vec()
            }
            "ListRedemptions" => enrollment::ListRedemptionsRequest {
                organization_id,
                ..enrollment::ListRedemptionsRequest::default()
            }
            .encode_to_vec(),
            other => panic!("no scene knows {other}"),
        }
    }

    async fn of_enrollments(&self, method: &str, fresh: bool) -> Vec<u8> {
        let class_id = self.class.class_id.clone();
        let student_id = self.student.student_id.clone();
        let enrollment_id = self.enrollment.enrollment_id.clone();
        match method {
            "EnrollStudent" => enrollment::EnrollStudentRequest {
                request_id: new_id(),
                class_id,
                student_id,
                ..enrollment::EnrollStudentRequest::default()
            }
            .encode_to_vec(),
            "BatchEnrollStudents" => enrollment::BatchEnrollStudentsRequest {
                request_id: new_id(),
                class_id,
                student_ids: vec![student_id],
                ..enrollment::BatchEnrollStudentsRequest::default()
            }
            .encode_to_vec(),
            "MoveEnrollment" => enrollment::MoveEnrollmentRequest {
                enrollment_id,
                class_id,
                ..enrollment::MoveEnrollmentRequest::default()
            }
            .encode_to_vec(),
            "ChangeEnrollmentStatus" => enrollment::ChangeEnrollmentStatusRequest {
                enrollment_id,
                status: EnrollmentStatus::Enrolled.into(),
                ..enrollment::ChangeEnrollmentStatusRequest::default()
            }
            .encode_to_vec(),
            "CancelEnrollment" => {
                let enrollment_id = if fresh {
                    self.other_enrollment().await
                } else {
                    enrollment_id
                };
                enrollment::CancelEnrollmentRequest {
                    enrollment_id,
                    ..enrollment::CancelEnrollmentRequest::default()
                }
                .encode_to_vec()
            }
            "SetCompletion" => enrollment::SetCompletionRequest {
                enrollment_id,
                completion: CompletionStatus::Unknown.into(),
                etag: String::new(),
            }
            .encode_to_vec(),
            "GetEnrollment" => enrollment::GetEnrollmentRequest { enrollment_id }.encode_to_vec(),
            "ListEnrollments" => enrollment::ListEnrollmentsRequest {
                class_id,
                ..enrollment::ListEnrollmentsRequest::default()
            }
            .encode_to_vec(),
            "GetRoster" => enrollment::GetRosterRequest { class_id }.encode_to_vec(),
            "GetAccess" => enrollment::GetAccessRequest {
                student_id,
                class_id,
                course_id: String::new(),
            }
            .encode_to_vec(),
            other => panic!("no scene knows {other}"),
        }
    }

    /// Sets every field of the class to what it is.
    fn unchanged_class(&self) -> enrollment::UpdateClassRequest {
        let fields = [
            "course_id",
            "course_name",
            "name",
            "instructors",
            "start_time",
            "end_time",
            "time_zone",
            "minimum_students",
            "maximum_students",
            "post_class_days",
            "status",
            "event_key_window",
        ];
        let class = self.class.clone();
        enrollment::UpdateClassRequest {
            class_id: class.class_id,
            update_mask: mask(&fields),
            etag: String::new(),
            course_id: class.course_id,
            course_name: class.course_name,
            name: class.name,
            instructors: class.instructors,
            start_time: class.start_time,
            end_time: class.end_time,
            time_zone: class.time_zone,
            minimum_students: class.minimum_students,
            maximum_students: class.maximum_students,
            post_class_days: class.post_class_days,
            status: class.status,
            event_key_window: class.event_key_window,
        }
    }

    /// Another class, by its id.
    async fn other_class(&self) -> String {
        self.organization.class(ClassDraft::new()).await.class_id
    }

    /// Another enrollment of the student, by its id.
    async fn other_enrollment(&self) -> String {
        let request = enrollment::EnrollStudentRequest {
            request_id: new_id(),
            class_id: self.other_class().await,
            student_id: self.student.student_id.clone(),
            ..enrollment::EnrollStudentRequest::default()
        };
        let answer = self
            .organization
            .admin()
            .enrollments()
            .enroll_student(request)
            .await
            .expect("enrolled");
        answer
            .into_inner()
            .enrollment
            .expect("an enrollment")
            .enrollment_id
    }
}
