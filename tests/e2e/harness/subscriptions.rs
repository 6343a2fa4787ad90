//! The making of subscription profiles and their keys.

use chrono::TimeDelta;
use latchkey_proto::enrollment::v1::{
    Course, CreateSubscriptionProfileRequest, RedemptionOutcome, SubscriptionAssignment,
    SubscriptionProfile,
};
use latchkey_proto::keys::v1::{
    GenerateSubscriptionKeysRequest, GenerateSubscriptionKeysResponse, RevealedCode,
    SubscriptionKeyTerms, TrainingKey,
};
use prost_types::Duration;
use tonic::{Response, Status, Streaming};

use super::world::redeem;
use super::{Organization, insist, new_id};

/// For how long the courses of a profile stay open, unless said otherwise.
pub(crate) const LASTS: TimeDelta = TimeDelta::days(365);

/// A profile to be made: two courses for a year, available to its owner and all below, enabled.
pub(crate) fn profile_request(organization_id: &str) -> CreateSubscriptionProfileRequest {
    CreateSubscriptionProfileRequest {
        request_id: new_id(),
        organization_id: organization_id.to_owned(),
        name: "Everything about Networks".to_owned(),
        courses: vec![course("Networks"), course("Firewalls")],
        duration: Some(Duration {
            seconds: LASTS.num_seconds(),
            nanos: 0,
        }),
        available_organization_ids: Vec::new(),
        disabled: false,
    }
}

/// A course that no other profile has.
pub(crate) fn course(name: &str) -> Course {
    Course {
        course_id: new_id(),
        course_name: name.to_owned(),
    }
}

/// Terms with so many uses and nothing else.
pub(crate) fn uses(max_uses: i32) -> SubscriptionKeyTerms {
    SubscriptionKeyTerms {
        max_uses: Some(max_uses),
        ..SubscriptionKeyTerms::default()
    }
}

/// All keys that a generation for a profile tells, and the live ones of its summary.
pub(crate) async fn told(
    answer: Result<Response<Streaming<GenerateSubscriptionKeysResponse>>, Status>,
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
    /// A new profile.
    pub(crate) async fn profile(&self) -> SubscriptionProfile {
        self.profile_of(profile_request(&self.id)).await
    }

    /// A new profile as asked for.
    pub(crate) async fn profile_of(
        &self,
        request: CreateSubscriptionProfileRequest,
    ) -> SubscriptionProfile {
        let admin = self.admin();
        let made = insist(async || {
            admin
                .profiles()
                .create_subscription_profile(request.clone())
                .await
        })
        .await;
        made.profile.expect("a profile")
    }

    /// New keys of a profile with these terms, and their codes.
    pub(crate) async fn subscription_keys(
        &self,
        profile_id: &str,
        count: i32,
        terms: SubscriptionKeyTerms,
    ) -> Vec<RevealedCode> {
        let request = GenerateSubscriptionKeysRequest {
            request_id: new_id(),
            profile_id: profile_id.to_owned(),
            count,
            terms: Some(terms),
            omit_keys: false,
        };
        let mut keys = self.admin().subscription_keys();
        let (made, _) = told(keys.generate_subscription_keys(request).await)
            .await
            .expect("keys");
        self.codes(made.into_iter().map(|key| key.key_id).collect())
            .await
    }

    /// The code of a key.
    pub(crate) async fn code_of(&self, key_id: &str) -> String {
        self.codes(vec![key_id.to_owned()]).await.remove(0).code
    }

    /// A new assignment of the courses of a profile to a student, by a new key.
    pub(crate) async fn subscribe(
        &self,
        student_id: &str,
        profile_id: &str,
    ) -> SubscriptionAssignment {
        let code = self
            .subscription_keys(profile_id, 1, uses(1))
            .await
            .remove(0);
        let answer = redeem(self.stack, student_id, &code.code).await;
        let answer = answer.expect("assigned").into_inner();
        assert_eq!(answer.outcome(), RedemptionOutcome::Assigned);
        answer.subscription_assignment.expect("an assignment")
    }
}
