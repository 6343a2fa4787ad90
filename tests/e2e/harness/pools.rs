//! The making of pools and their keys.

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_proto::enrollment::v1::{CourseAssignment, RedemptionOutcome};
use latchkey_proto::keys::v1::{
    CreateKeyPoolRequest, GeneratePoolKeysRequest, GeneratePoolKeysResponse, KeyPool, RevealedCode,
    TrainingKey,
};
use prost_types::Duration;
use tonic::{Response, Status, Streaming};

use super::world::redeem;
use super::{Organization, at, insist, new_id, now};

/// A pool to be made: open since yesterday, for 30 days, with content for 90 days, unless said otherwise.
#[derive(Debug, Clone)]
pub(crate) struct PoolDraft(pub(crate) CreateKeyPoolRequest);

impl PoolDraft {
    pub(crate) fn new() -> Self {
        Self(CreateKeyPoolRequest {
            request_id: new_id(),
            organization_id: String::new(),
            name: "Self-paced, autumn".to_owned(),
            course_id: "sec-201".to_owned(),
            course_name: "Security at Your Pace".to_owned(),
            start_time: at(now() - TimeDelta::days(1)),
            expire_time: at(now() + TimeDelta::days(30)),
            availability: Some(Duration {
                seconds: 90 * 24 * 60 * 60,
                nanos: 0,
            }),
            open_to_descendants: false,
        })
    }

    pub(crate) fn dates(mut self, start: DateTime<Utc>, expiry: DateTime<Utc>) -> Self {
        self.0.start_time = at(start);
        self.0.expire_time = at(expiry);
        self
    }

    pub(crate) fn change(mut self, change: impl FnOnce(&mut CreateKeyPoolRequest)) -> Self {
        change(&mut self.0);
        self
    }

    pub(crate) fn request(mut self, organization_id: &str) -> CreateKeyPoolRequest {
        organization_id.clone_into(&mut self.0.organization_id);
        self.0
    }
}

/// All keys that a generation for a pool tells, and the live ones of its summary.
pub(crate) async fn told(
    answer: Result<Response<Streaming<GeneratePoolKeysResponse>>, Status>,
) -> Result<(Vec<TrainingKey>, i64), Status> {
    let mut stream = answer?.into_inner();
    let mut keys = Vec::new();
    while let Some(progress) = stream.message().await? {
        keys.extend(progress.keys);
        if let Some(summary) = progress.summary {
            return Ok((keys, summary.live_keys));
        }
    }
    Err(Status::unavailable("it broke off before its end"))
}

impl Organization<'_> {
    /// A new pool.
    pub(crate) async fn pool(&self, draft: PoolDraft) -> KeyPool {
        let (admin, request) = (self.admin(), draft.request(&self.id));
        let made = insist(async || admin.key_pools().create_key_pool(request.clone()).await).await;
        made.key_pool.expect("a pool")
    }

    /// A new assignment of the course of a pool to a student, by a new key.
    pub(crate) async fn assign(&self, student_id: &str, pool_id: &str) -> CourseAssignment {
        let code = self.pool_keys(pool_id, 1).await.remove(0).code;
        let answer = redeem(self.stack, student_id, &code).await;
        let answer = answer.expect("assigned").into_inner();
        assert_eq!(answer.outcome(), RedemptionOutcome::Assigned);
        answer.course_assignment.expect("an assignment")
    }

    /// New keys for a pool, with their codes.
    pub(crate) async fn pool_keys(&self, pool_id: &str, count: i32) -> Vec<RevealedCode> {
        let request = GeneratePoolKeysRequest {
            request_id: new_id(),
            pool_id: pool_id.to_owned(),
            count,
            omit_keys: false,
        };
        let answer = self.admin().key_pools().generate_pool_keys(request).await;
        let (keys, _) = told(answer).await.expect("keys");
        self.codes(keys.into_iter().map(|key| key.key_id).collect())
            .await
    }
}
