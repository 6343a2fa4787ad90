//! Who calls a method, and a request of it that changes something and may be repeated.

use chrono::TimeDelta;
use latchkey_proto::enrollment::v1::{
    BatchEnrollStudentsRequest, CancelEnrollmentRequest, ChangeEnrollmentStatusRequest,
    CompletionStatus, EnrollmentStatus, MoveEnrollmentRequest, RecordLaunchRequest,
    SetCompletionRequest, SetSelfRegistrationRequest, UpdateClassRequest,
    UpdateOrganizationRequest, UpdateSubscriptionProfileRequest,
};
use latchkey_proto::keys::v1::{
    SubscriptionKeyTerms, UpdateKeyPoolRequest, UpdateSubscriptionKeyRequest,
};
use latchkey_service_kit::identity::Role;
use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor};

use super::super::Caller;
use super::super::subscriptions::uses;
use super::super::world::{come_in, mask, redemption};
use super::super::{ClassDraft, at, new_id, now};
use super::Scene;
use crate::registration::registration;

impl Scene<'_> {
    /// Someone who may call the method.
    pub(crate) fn caller(&self, method: &MethodDescriptor) -> Caller {
        let stack = self.organization.stack;
        let organization = Some(self.organization.id.as_str());
        let service = method.parent_service();
        match service.name() {
            "RedemptionService"
                if ["GetRedemption", "ListRedemptions"].contains(&method.name()) =>
            {
                stack.operator()
            }
            "AssignmentService" if method.name() == "RecordLaunch" => stack.platform(),
            "OrganizationService" => stack.operator(),
            "KeyUsageService" => stack.enrollment_service(),
            "RedemptionService" => stack.platform(),
            _ => stack.caller(Role::OperationsManager, "mona-manager", organization),
        }
    }

    /// A new student who is in by the event key: the enrollment.
    async fn somebody_in(&self) -> String {
        let student = self.organization.student().await.student_id;
        let enrollment = come_in(self.organization.stack, &student, &self.event_code).await;
        enrollment.enrollment_id
    }

    /// A request that changes something, and of which keys is told where that is so for any request of the method.
    pub(crate) async fn change(&self, method: &MethodDescriptor) -> DynamicMessage {
        let organization = &self.organization;
        let class_id = self.class.class_id.clone();
        let bytes = match method.name() {
            "RedeemKey" => {
                let student = organization.student().await.student_id;
                redemption(&new_id(), &student, &self.event_code).encode_to_vec()
            }
            // Of the kinds of keys, one that assigns courses, too.
            "RegisterWithKey" => {
                let keys = organization.subscription_keys(&self.profile_id, 1, uses(2));
                registration(&organization.id, &keys.await.remove(0).code).encode_to_vec()
            }
            "ChangeEnrollmentStatus" => ChangeEnrollmentStatusRequest {
                enrollment_id: self.somebody_in().await,
                status: EnrollmentStatus::Audit.into(),
                ..ChangeEnrollmentStatusRequest::default()
            }
            .encode_to_vec(),
            "BatchEnrollStudents" => BatchEnrollStudentsRequest {
                request_id: new_id(),
                class_id,
                student_ids: organization.students(3).await,
                ..BatchEnrollStudentsRequest::default()
            }
            .encode_to_vec(),
            "MoveEnrollment" => MoveEnrollmentRequest {
                enrollment_id: self.somebody_in().await,
                class_id: organization.class(ClassDraft::new()).await.class_id,
                ..MoveEnrollmentRequest::default()
            }
            .encode_to_vec(),
            "SetCompletion" => SetCompletionRequest {
                enrollment_id: self.somebody_in().await,
                completion: CompletionStatus::Attending.into(),
                etag: String::new(),
            }
            .encode_to_vec(),
            "CancelEnrollment" => CancelEnrollmentRequest {
                enrollment_id: self.somebody_in().await,
                ..CancelEnrollmentRequest::default()
            }
            .encode_to_vec(),
            "RecordLaunch" => {
                let student = organization.student().await.student_id;
                let assignment = organization.assign(&student, &self.pool_id).await;
                RecordLaunchRequest {
                    assignment_id: assignment.assignment_id,
                }
                .encode_to_vec()
            }
            _ => match self.change_of_settings(method.name()).await {
                Some(bytes) => bytes,
                None => return self.request(method, true).await,
            },
        };
        DynamicMessage::decode(method.input(), bytes.as_slice()).expect("a request of the method")
    }

    async fn change_of_settings(&self, method: &str) -> Option<Vec<u8>> {
        let organization = &self.organization;
        Some(match method {
            "UpdateKeyPool" => UpdateKeyPoolRequest {
                pool_id: self.pool_id.clone(),
                update_mask: mask(&["name"]),
                name: new_id(),
                ..UpdateKeyPoolRequest::default()
            }
            .encode_to_vec(),
            "UpdateSubscriptionKey" => UpdateSubscriptionKeyRequest {
                key_id: self.subscription_key_id.clone(),
                update_mask: mask(&["expire_time"]),
                terms: Some(SubscriptionKeyTerms {
                    expire_time: at(now() + TimeDelta::days(30)),
                    ..SubscriptionKeyTerms::default()
                }),
                ..UpdateSubscriptionKeyRequest::default()
            }
            .encode_to_vec(),
            "UpdateSubscriptionProfile" => UpdateSubscriptionProfileRequest {
                profile_id: self.profile_id.clone(),
                update_mask: mask(&["name"]),
                name: new_id(),
                ..UpdateSubscriptionProfileRequest::default()
            }
            .encode_to_vec(),
            "UpdateClass" => UpdateClassRequest {
                class_id: self.class.class_id.clone(),
                update_mask: mask(&["name"]),
                name: new_id(),
                ..UpdateClassRequest::default()
            }
            .encode_to_vec(),
            "UpdateOrganization" => UpdateOrganizationRequest {
                organization_id: organization.id.clone(),
                update_mask: mask(&["display_name"]),
                display_name: new_id(),
                ..UpdateOrganizationRequest::default()
            }
            .encode_to_vec(),
            "SetSelfRegistration" => SetSelfRegistrationRequest {
                organization_id: organization.child().await.id,
                enabled: true,
            }
            .encode_to_vec(),
            _ => return None,
        })
    }
}
