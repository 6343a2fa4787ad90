//! Good requests for the methods of the keys service.

use chrono::TimeDelta;
use latchkey_proto::audit::v1 as audit;
use latchkey_proto::keys::v1 as keys;
use prost::Message;

use super::Scene;
use crate::harness::subscriptions::{profile_request, uses};
use crate::harness::world::{mask, own_code};
use crate::harness::{PoolDraft, at, new_id, now};

impl Scene<'_> {
    pub(super) fn of_training_keys(&self, method: &str) -> Vec<u8> {
        let class_id = self.class.class_id.clone();
        let key_id = self.key.key_id.clone();
        match method {
            "GenerateTrainingKeys" => keys::GenerateTrainingKeysRequest {
                request_id: new_id(),
                class_id,
                count: 1,
                omit_keys: false,
            }
            .encode_to_vec(),
            "ListTrainingKeys" => keys::ListTrainingKeysRequest {
                organization_id: self.organization.id.clone(),
                ..keys::ListTrainingKeysRequest::default()
            }
            .encode_to_vec(),
            "GetTrainingKey" => keys::GetTrainingKeyRequest { key_id }.encode_to_vec(),
            "RevealTrainingKeys" => keys::RevealTrainingKeysRequest {
                key_ids: vec![key_id],
                purpose: String::new(),
            }
            .encode_to_vec(),
            "ExportTrainingKeys" => keys::ExportTrainingKeysRequest {
                class_id,
                format: keys::ExportFormat::Csv.into(),
                reason: "hand-out".to_owned(),
                ..keys::ExportTrainingKeysRequest::default()
            }
            .encode_to_vec(),
            "LookUpTrainingKey" => keys::LookUpTrainingKeyRequest {
                code: self.key.code.clone(),
            }
            .encode_to_vec(),
            "RevokeTrainingKeys" => {
                let key_ids = vec![self.spare.key_id.clone()];
                keys::RevokeTrainingKeysRequest {
                    key_ids,
                    reason: String::new(),
                }
                .encode_to_vec()
            }
            "SetEventKey" => keys::SetEventKeyRequest {
                request_id: new_id(),
                class_id,
                change: Some(own_code(&self.event_code)),
                etag: String::new(),
            }
            .encode_to_vec(),
            "GetEventKey" => keys::GetEventKeyRequest { class_id }.encode_to_vec(),
            "RevealEventKey" => keys::RevealEventKeyRequest { class_id }.encode_to_vec(),
            other => panic!("no scene knows {other}"),
        }
    }

    pub(super) fn of_key_pools(&self, method: &str) -> Vec<u8> {
        let pool_id = self.pool_id.clone();
        match method {
            "CreateKeyPool" => PoolDraft::new()
                .request(&self.organization.id)
                .encode_to_vec(),
            "GetKeyPool" => keys::GetKeyPoolRequest { pool_id }.encode_to_vec(),
            "ListKeyPools" => keys::ListKeyPoolsRequest {
                organization_id: self.organization.id.clone(),
                ..keys::ListKeyPoolsRequest::default()
            }
            .encode_to_vec(),
            "UpdateKeyPool" => {
                let draft = PoolDraft::new().request(&self.organization.id);
                keys::UpdateKeyPoolRequest {
                    pool_id,
                    update_mask: mask(&["name"]),
                    etag: String::new(),
                    name: draft.name,
                    course_id: draft.course_id,
                    course_name: draft.course_name,
                    start_time: draft.start_time,
                    expire_time: draft.expire_time,
                    availability: draft.availability,
                    open_to_descendants: draft.open_to_descendants,
                }
                .encode_to_vec()
            }
            "AddOwnPoolKeys" => keys::AddOwnPoolKeysRequest {
                request_id: new_id(),
                pool_id,
                codes: vec![format!("own-{}", new_id())],
                only_good: false,
            }
            .encode_to_vec(),
            "GeneratePoolKeys" => keys::GeneratePoolKeysRequest {
                request_id: new_id(),
                pool_id,
                count: 1,
                omit_keys: false,
            }
            .encode_to_vec(),
            other => panic!("no scene knows {other}"),
        }
    }

    pub(super) fn of_subscription_keys(&self, method: &str) -> Vec<u8> {
        let profile_id = self.profile_id.clone();
        let terms = Some(keys::SubscriptionKeyTerms {
            expire_time: at(now() + TimeDelta::days(30)),
            content_expire_time: at(now() + TimeDelta::days(60)),
            ..uses(3)
        });
        match method {
            "GenerateSubscriptionKeys" => keys::GenerateSubscriptionKeysRequest {
                request_id: new_id(),
                profile_id,
                count: 1,
                terms,
                omit_keys: false,
            }
            .encode_to_vec(),
            "AddOwnSubscriptionKeys" => keys::AddOwnSubscriptionKeysRequest {
                request_id: new_id(),
                profile_id,
                codes: vec![format!("own-{}", new_id())],
                only_good: false,
                terms,
            }
            .encode_to_vec(),
            "UpdateSubscriptionKey" => keys::UpdateSubscriptionKeyRequest {
                key_id: self.subscription_key_id.clone(),
                update_mask: mask(&["max_uses"]),
                etag: String::new(),
                terms,
            }
            .encode_to_vec(),
            other => panic!("no scene knows {other}"),
        }
    }

    pub(super) fn of_key_usage(&self, method: &str) -> Vec<u8> {
        let class_id = self.class.class_id.clone();
        match method {
            "ResolveCodes" => keys::ResolveCodesRequest {
                codes: vec![self.event_code.clone()],
            }
            .encode_to_vec(),
            "MarkKeys" => keys::MarkKeysRequest {
                marks: vec![self.mark()],
            }
            .encode_to_vec(),
            "ReleaseKeys" => {
                let redemption_id = new_id();
                let mark = keys::Mark {
                    redemption_id,
                    key_id: self.spare.key_id.clone(),
                    ..self.mark()
                };
                let releases = vec![keys::Release {
                    mark: Some(mark),
                    release_time: at(now()),
                }];
                keys::ReleaseKeysRequest { releases }.encode_to_vec()
            }
            "ListMarks" => keys::ListMarksRequest {
                class_id,
                ..keys::ListMarksRequest::default()
            }
            .encode_to_vec(),
            "CountKeys" => keys::CountKeysRequest {
                class_ids: vec![class_id],
            }
            .encode_to_vec(),
            "PutOrganizations" => {
                let organization_id = self.organization.id.clone();
                let copy = keys::OrganizationCopy {
                    organization_id,
                    ancestor_ids: Vec::new(),
                    version: 1,
                };
                keys::PutOrganizationsRequest {
                    organizations: vec![copy],
                }
                .encode_to_vec()
            }
            "PutGrants" => keys::PutGrantsRequest {
                grants: vec![self.grant()],
            }
            .encode_to_vec(),
            "PutProfiles" => keys::PutProfilesRequest {
                profiles: vec![self.profile()],
            }
            .encode_to_vec(),
            "PutEventKey" => keys::PutEventKeyRequest {
                request_id: new_id(),
                class_id,
                change: Some(own_code(&self.event_code)),
                actor: Some(actor("ada-admin")),
                peer: String::new(),
            }
            .encode_to_vec(),
            "RetireGrants" => keys::RetireGrantsRequest {
                class_ids: Vec::new(),
            }
            .encode_to_vec(),
            "RevealCode" => self.reveal_code().encode_to_vec(),
            other => panic!("no scene knows {other}"),
        }
    }

    fn reveal_code(&self) -> keys::RevealCodeRequest {
        keys::RevealCodeRequest {
            class_id: self.class.class_id.clone(),
            key_id: String::new(),
            recipient: format!("student/{}", self.student.student_id),
            purpose: "invitation".to_owned(),
            actor: Some(actor("mona-manager")),
            ..keys::RevealCodeRequest::default()
        }
    }

    /// The mark of the student's use of the event key.
    fn mark(&self) -> keys::Mark {
        let origin = self.enrollment.origin.clone().unwrap_or_default();
        keys::Mark {
            redemption_id: self.enrollment.enrollment_id.clone(),
            key_id: origin.key_id,
            student_id: self.student.student_id.clone(),
            generation: origin.generation,
            redeem_time: self.enrollment.enroll_time,
            release_time: None,
        }
    }

    /// A copy of the profile, by its version not newer than any that was pushed.
    fn profile(&self) -> keys::ProfileCopy {
        keys::ProfileCopy {
            profile_id: self.profile_id.clone(),
            organization_id: self.organization.id.clone(),
            name: profile_request(&self.organization.id).name,
            version: 1,
        }
    }

    /// A copy of the class, by its version not newer than any that was pushed.
    fn grant(&self) -> keys::Grant {
        keys::Grant {
            class_id: self.class.class_id.clone(),
            organization_id: self.organization.id.clone(),
            name: self.class.name.clone(),
            instructors: self.class.instructors.clone(),
            start_time: self.class.start_time,
            end_time: self.class.end_time,
            event_key_until: self.class.end_time,
            time_zone: self.class.time_zone.clone(),
            status: keys::GrantStatus::Open.into(),
            maximum_keys: self.class.maximum_students,
            maximum_is_default: false,
            version: 1,
        }
    }
}

fn actor(subject: &str) -> audit::Actor {
    audit::Actor {
        subject: subject.to_owned(),
        ..audit::Actor::default()
    }
}
