//! The making of what tests need: organizations, classes, students, keys.

pub(crate) mod crowds;
pub(crate) mod telling;

use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt;
use latchkey::generation::whole;
use latchkey_proto::enrollment::v1::{
    CancelClassRequest, CancelEnrollmentRequest, CheckKeyRequest, CheckKeyResponse,
    ClosePeriodRequest, ClosePeriodResponse, CreateClassRequest, CreateOrganizationRequest,
    CreateStudentRequest, Enrollment, EnrollmentStatus, GetClassRequest, GetRosterRequest,
    GetRosterResponse, RedeemKeyRequest, RedeemKeyResponse, RedemptionOutcome, RosterEntry,
    SetSelfRegistrationRequest, Student, TrainingClass, UpdateClassRequest,
};
use latchkey_proto::keys::v1::{
    EventKeyChange, EventKeyGenerated, EventKeyOff, EventKeyOwnCode, GenerateTrainingKeysRequest,
    RevealEventKeyRequest, RevealTrainingKeysRequest, RevealedCode, RevokeTrainingKeysRequest,
    SetEventKeyRequest, SetEventKeyResponse,
};
use latchkey_service_kit::identity::Role;
use prost_types::{Duration, FieldMask};
use tonic::{Response, Status};

use super::{Caller, Stack, at, insist, new_id, now};

/// An organization and those who act in it.
#[derive(Clone)]
pub(crate) struct Organization<'s> {
    pub(crate) stack: &'s Stack,
    pub(crate) id: String,
}

impl<'s> Organization<'s> {
    /// A new root organization, self-registration off.
    pub(crate) async fn new(stack: &'s Stack) -> Self {
        Self::below(stack, "").await
    }

    /// A new organization below this one.
    pub(crate) async fn child(&self) -> Self {
        Self::below(self.stack, &self.id).await
    }

    async fn below(stack: &'s Stack, parent_id: &str) -> Self {
        let request = CreateOrganizationRequest {
            request_id: new_id(),
            parent_id: parent_id.to_owned(),
            display_name: "Academy".to_owned(),
        };
        let made = stack
            .operator()
            .organizations()
            .create_organization(request)
            .await
            .expect("an organization");
        Self {
            stack,
            id: made
                .into_inner()
                .organization
                .expect("an organization")
                .organization_id,
        }
    }

    /// Turns self-registration on or off.
    pub(crate) async fn let_register(&self, enabled: bool) {
        let request = SetSelfRegistrationRequest {
            organization_id: self.id.clone(),
            enabled,
        };
        self.stack
            .operator()
            .organizations()
            .set_self_registration(request)
            .await
            .expect("switched");
    }

    pub(crate) fn admin(&self) -> Caller {
        self.stack
            .caller(Role::Administrator, "ada-admin", Some(&self.id))
    }

    pub(crate) fn manager(&self) -> Caller {
        self.stack
            .caller(Role::OperationsManager, "mona-manager", Some(&self.id))
    }

    pub(crate) fn instructor(&self, subject: &str) -> Caller {
        self.stack.caller(Role::Instructor, subject, Some(&self.id))
    }

    /// A new class.
    pub(crate) async fn class(&self, draft: ClassDraft) -> TrainingClass {
        let (admin, request) = (self.admin(), draft.request(&self.id));
        let made = insist(async || admin.classes().create_class(request.clone()).await).await;
        made.training_class.expect("a class")
    }

    /// A new class with its event key turned on; returns its code too.
    pub(crate) async fn event_class(&self, draft: ClassDraft) -> (TrainingClass, String) {
        let class = self.class(draft.with_event_key()).await;
        let code = self.event_code(&class.class_id).await;
        (class, code)
    }

    /// The present code of a class's event key.
    pub(crate) async fn event_code(&self, class_id: &str) -> String {
        let request = RevealEventKeyRequest {
            class_id: class_id.to_owned(),
        };
        let keys = self.admin().training_keys();
        let revealed = insist(async || keys.clone().reveal_event_key(request.clone()).await).await;
        revealed.code.expect("a code").code
    }

    /// A new class with enrollment keys; returns their codes too.
    pub(crate) async fn keyed_class(
        &self,
        draft: ClassDraft,
        keys: i32,
    ) -> (TrainingClass, Vec<RevealedCode>) {
        let class = self.class(draft).await;
        let codes = self.generate(&class.class_id, keys).await;
        (class, codes)
    }

    /// New enrollment keys for a class, with their codes.
    pub(crate) async fn generate(&self, class_id: &str, count: i32) -> Vec<RevealedCode> {
        let request = GenerateTrainingKeysRequest {
            request_id: new_id(),
            class_id: class_id.to_owned(),
            count,
            omit_keys: false,
        };
        let keys = self.admin().training_keys();
        let made = insist(async || {
            whole(keys.clone().generate_training_keys(request.clone()).await).await
        })
        .await;
        self.codes(made.keys.into_iter().map(|key| key.key_id).collect())
            .await
    }

    /// The codes of keys.
    pub(crate) async fn codes(&self, key_ids: Vec<String>) -> Vec<RevealedCode> {
        let request = RevealTrainingKeysRequest {
            key_ids,
            purpose: "hand-out".to_owned(),
        };
        let keys = self.manager().training_keys();
        let revealed =
            insist(async || keys.clone().reveal_training_keys(request.clone()).await).await;
        revealed.codes
    }

    /// A new student with an account that the platform signs in.
    pub(crate) async fn student(&self) -> Student {
        let request = self.student_request(&format!("{}@example.com", new_id()));
        let platform = self.stack.platform();
        let made = insist(async || platform.students().create_student(request.clone()).await).await;
        made.student.expect("a student")
    }

    pub(crate) fn student_request(&self, email: &str) -> CreateStudentRequest {
        CreateStudentRequest {
            request_id: new_id(),
            organization_id: self.id.clone(),
            email: email.to_owned(),
            given_name: "Sam".to_owned(),
            family_name: "Student".to_owned(),
            credential: None,
        }
    }

    /// Several new students; their ids.
    pub(crate) async fn students(&self, count: usize) -> Vec<String> {
        // A few at a time: this is no test of how many accounts can be made at once.
        futures::stream::iter(0..count)
            .map(|_| async { self.student().await.student_id })
            .buffered(8)
            .collect()
            .await
    }

    /// The class as it is now.
    pub(crate) async fn get_class(&self, class_id: &str) -> TrainingClass {
        let request = GetClassRequest {
            class_id: class_id.to_owned(),
        };
        let got = self
            .admin()
            .classes()
            .get_class(request)
            .await
            .expect("the class");
        got.into_inner().training_class.expect("a class")
    }

    /// Changes the fields of a class that `paths` names.
    pub(crate) async fn update_class(
        &self,
        class_id: &str,
        paths: &[&str],
        change: UpdateClassRequest,
    ) -> TrainingClass {
        let request = UpdateClassRequest {
            class_id: class_id.to_owned(),
            update_mask: mask(paths),
            ..change
        };
        let updated = self
            .admin()
            .classes()
            .update_class(request)
            .await
            .expect("updated");
        updated.into_inner().training_class.expect("a class")
    }

    pub(crate) async fn roster(&self, class_id: &str) -> GetRosterResponse {
        let read = self.try_roster(class_id).await.expect("the roster");
        read.into_inner()
    }

    pub(crate) async fn try_roster(
        &self,
        class_id: &str,
    ) -> Result<Response<GetRosterResponse>, Status> {
        let request = GetRosterRequest {
            class_id: class_id.to_owned(),
        };
        self.admin().enrollments().get_roster(request).await
    }

    /// Cancels a class.
    pub(crate) async fn cancel_class(&self, class_id: &str) {
        let class_id = class_id.to_owned();
        let request = CancelClassRequest {
            class_id,
            ..CancelClassRequest::default()
        };
        let mut classes = self.admin().classes();
        classes.cancel_class(request).await.expect("cancelled");
    }

    /// Cancels an enrollment, as staff.
    pub(crate) async fn cancel(&self, enrollment_id: &str, reason: &str) {
        let request = CancelEnrollmentRequest {
            enrollment_id: enrollment_id.to_owned(),
            reason: reason.to_owned(),
            ..CancelEnrollmentRequest::default()
        };
        let mut enrollments = self.admin().enrollments();
        let answer = enrollments.cancel_enrollment(request).await;
        answer.expect("cancelled");
    }

    /// Closes what the organization and those below it are billed for, up to an instant.
    pub(crate) async fn close_period(&self, until: DateTime<Utc>) -> ClosePeriodResponse {
        let request = ClosePeriodRequest {
            request_id: new_id(),
            organization_id: self.id.clone(),
            end_time: at(until),
        };
        let billing = self.manager().billing();
        insist(async || billing.clone().close_period(request.clone()).await).await
    }

    /// Revokes enrollment keys.
    pub(crate) async fn revoke(&self, key_ids: &[&str]) {
        let request = RevokeTrainingKeysRequest {
            key_ids: key_ids.iter().map(ToString::to_string).collect(),
            reason: "lost".to_owned(),
        };
        let mut keys = self.manager().training_keys();
        keys.revoke_training_keys(request).await.expect("revoked");
    }

    /// Sets a class's event key.
    pub(crate) async fn set_event_key(
        &self,
        class_id: &str,
        change: EventKeyChange,
    ) -> SetEventKeyResponse {
        let request = SetEventKeyRequest {
            request_id: new_id(),
            class_id: class_id.to_owned(),
            change: Some(change),
            etag: String::new(),
        };
        self.admin()
            .training_keys()
            .set_event_key(request)
            .await
            .expect("the event key is set")
            .into_inner()
    }
}

/// A field mask.
#[expect(clippy::unnecessary_wraps, reason = "message fields are optional")]
pub(crate) fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask {
        paths: paths.iter().map(ToString::to_string).collect(),
    })
}

/// Turn it on with a generated code; the present one goes at once.
pub(crate) fn generated() -> EventKeyChange {
    EventKeyChange {
        generated: Some(EventKeyGenerated { grace: None }),
        ..EventKeyChange::default()
    }
}

/// Turn it on with a generated code; the present one goes after some seconds.
pub(crate) fn generated_with_grace(seconds: i64) -> EventKeyChange {
    let grace = Some(Duration { seconds, nanos: 0 });
    EventKeyChange {
        generated: Some(EventKeyGenerated { grace }),
        ..EventKeyChange::default()
    }
}

/// Turn it on with one's own text.
pub(crate) fn own_code(text: &str) -> EventKeyChange {
    let own_code = EventKeyOwnCode {
        text: text.to_owned(),
        grace: None,
    };
    EventKeyChange {
        own_code: Some(own_code),
        ..EventKeyChange::default()
    }
}

/// Turn it off.
pub(crate) fn off() -> EventKeyChange {
    EventKeyChange {
        off: Some(EventKeyOff {}),
        ..EventKeyChange::default()
    }
}

/// A class to be made: tomorrow, for a day, in Berlin, for 30 students, unless said otherwise.
#[derive(Debug, Clone)]
pub(crate) struct ClassDraft(pub(crate) CreateClassRequest);

impl ClassDraft {
    pub(crate) fn new() -> Self {
        Self(CreateClassRequest {
            request_id: new_id(),
            organization_id: String::new(),
            course_id: "sec-101".to_owned(),
            course_name: "Security Essentials".to_owned(),
            name: "Security Essentials, autumn".to_owned(),
            instructors: vec!["ines-instructor".to_owned()],
            start_time: at(now() + TimeDelta::days(1)),
            end_time: at(now() + TimeDelta::days(2)),
            time_zone: "Europe/Berlin".to_owned(),
            minimum_students: Some(1),
            maximum_students: Some(30),
            ..CreateClassRequest::default()
        })
    }

    pub(crate) fn maximum(mut self, maximum: i32) -> Self {
        self.0.maximum_students = Some(maximum);
        self
    }

    pub(crate) fn dates(mut self, start: DateTime<Utc>, end: DateTime<Utc>) -> Self {
        self.0.start_time = at(start);
        self.0.end_time = at(end);
        self
    }

    /// Began an hour ago and ends in an hour.
    pub(crate) fn running(self) -> Self {
        self.dates(now() - TimeDelta::hours(1), now() + TimeDelta::hours(1))
    }

    /// Ended an hour ago.
    pub(crate) fn ended(self) -> Self {
        self.dates(now() - TimeDelta::hours(3), now() - TimeDelta::hours(1))
    }

    pub(crate) fn with_event_key(mut self) -> Self {
        self.0.event_key = Some(generated());
        self
    }

    pub(crate) fn change(mut self, change: impl FnOnce(&mut CreateClassRequest)) -> Self {
        change(&mut self.0);
        self
    }

    pub(crate) fn request(mut self, organization_id: &str) -> CreateClassRequest {
        organization_id.clone_into(&mut self.0.organization_id);
        self.0
    }
}

/// Redeems a code for a student under a redemption id, as the platform.
pub(crate) async fn redeem_as(
    stack: &Stack,
    redemption_id: &str,
    student_id: &str,
    code: &str,
) -> Result<Response<RedeemKeyResponse>, Status> {
    stack
        .platform()
        .redemptions()
        .redeem_key(redemption(redemption_id, student_id, code))
        .await
}

/// Redeems a code for a student under a new redemption id, as the platform.
pub(crate) async fn redeem(
    stack: &Stack,
    student_id: &str,
    code: &str,
) -> Result<Response<RedeemKeyResponse>, Status> {
    redeem_as(stack, &new_id(), student_id, code).await
}

/// Asks what a code would open for a student, as the platform.
pub(crate) async fn check(
    stack: &Stack,
    student_id: &str,
    code: &str,
) -> Result<Response<CheckKeyResponse>, Status> {
    check_by(&stack.platform(), student_id, code).await
}

/// Asks what a code would open for a student.
pub(crate) async fn check_by(
    caller: &Caller,
    student_id: &str,
    code: &str,
) -> Result<Response<CheckKeyResponse>, Status> {
    let request = CheckKeyRequest {
        code: code.to_owned(),
        student_id: student_id.to_owned(),
        organization_id: String::new(),
    };
    caller.redemptions().check_key(request).await
}

pub(crate) fn redemption(redemption_id: &str, student_id: &str, code: &str) -> RedeemKeyRequest {
    RedeemKeyRequest {
        redemption_id: redemption_id.to_owned(),
        code: code.to_owned(),
        student_id: student_id.to_owned(),
        ..RedeemKeyRequest::default()
    }
}

/// Redeems a code for a student who comes in by it.
pub(crate) async fn come_in(stack: &Stack, student_id: &str, code: &str) -> Enrollment {
    let answer = redeem(stack, student_id, code).await.expect("in");
    let answer = answer.into_inner();
    assert_eq!(answer.outcome(), RedemptionOutcome::Enrolled);
    answer.enrollment.expect("an enrollment")
}

/// The students of a roster who are in.
pub(crate) fn enrolled(roster: &GetRosterResponse) -> Vec<String> {
    let is_in = |entry: &&RosterEntry| {
        entry.enrollment.as_ref().expect("an enrollment").status() == EnrollmentStatus::Enrolled
    };
    let student = |entry: &RosterEntry| {
        entry
            .student
            .as_ref()
            .expect("a student")
            .student_id
            .clone()
    };
    roster.entries.iter().filter(is_in).map(student).collect()
}
