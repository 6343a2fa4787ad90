//! Those who make things: an operator, and the administrators and managers of organizations.

use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use latchkey_proto::enrollment::v1::class_service_client::ClassServiceClient;
use latchkey_proto::enrollment::v1::organization_service_client::OrganizationServiceClient;
use latchkey_proto::enrollment::v1::student_service_client::StudentServiceClient;
use latchkey_proto::enrollment::v1::{
    CreateClassRequest, CreateOrganizationRequest, CreateStudentRequest, SetSelfRegistrationRequest,
};
use latchkey_proto::keys::v1::training_key_service_client::TrainingKeyServiceClient;
use latchkey_proto::keys::v1::{
    EventKeyChange, EventKeyGenerated, GenerateTrainingKeysRequest, RevealEventKeyRequest,
    RevealTrainingKeysRequest,
};
use latchkey_service_kit::clock::{Clock, SystemClock};
use latchkey_service_kit::identity::Role;
use latchkey_service_kit::status::{name, reason_of, retry_after_of};
use prost_types::Timestamp;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};
use uuid::Uuid;

use super::super::supply::{Class, Key, new_id};
use super::super::target::Target;
use crate::stack::sample::authorized;

/// The most keys that are generated or revealed by one call, as the contract has it.
pub(super) const KEYS_AT_ONCE: usize = 1_000;

/// How far ahead classes begin, and how long they last: far enough that no window closes while they are used.
const BEGINS_IN: TimeDelta = TimeDelta::days(7);
const LASTS: TimeDelta = TimeDelta::days(5);

/// How often a call is made that is asked to come back, or whose outcome is not known, and how long to wait before the next
/// time unless the answer says it.
const TRIES: u32 = 8;
const PAUSE: Duration = Duration::from_millis(200);

/// What the audit trail says of the codes that are revealed.
const PURPOSE: &str = "for a load test";

/// Channels to both services, and the tokens to use them with.
pub(super) struct Parties<'t> {
    target: &'t Target,
    enrollment: Channel,
    keys: Channel,
}

impl<'t> Parties<'t> {
    /// Connects to both services.
    pub(super) async fn meet(target: &'t Target) -> anyhow::Result<Self> {
        Ok(Self {
            target,
            enrollment: target.enrollment_channel().await?,
            keys: target.keys_channel().await?,
        })
    }

    /// A token of `role`.
    fn token(&self, role: Role, organization: Option<Uuid>) -> anyhow::Result<String> {
        self.target.tokens.of(role, organization)
    }

    /// A new organization.
    pub(super) async fn organization(&self) -> anyhow::Result<Uuid> {
        let token = self.token(Role::Operator, None)?;
        let request = CreateOrganizationRequest {
            request_id: new_id().to_string(),
            parent_id: String::new(),
            display_name: "Load Academy".to_owned(),
        };
        let made = patiently(async || {
            let request = authorized(request.clone(), &token)?;
            let mut client = OrganizationServiceClient::new(self.enrollment.clone());
            Ok(client.create_organization(request).await)
        })
        .await?;
        let organization = made.organization.context("no organization")?;
        Ok(organization.organization_id.parse()?)
    }

    /// Lets students of an organization register themselves.
    pub(super) async fn let_register(&self, organization: Uuid) -> anyhow::Result<()> {
        let token = self.token(Role::Operator, None)?;
        let request = SetSelfRegistrationRequest {
            organization_id: organization.to_string(),
            enabled: true,
        };
        patiently(async || {
            let request = authorized(request.clone(), &token)?;
            let mut client = OrganizationServiceClient::new(self.enrollment.clone());
            Ok(client.set_self_registration(request).await)
        })
        .await?;
        Ok(())
    }

    /// A new student of an organization.
    pub(super) async fn student(&self, organization: Uuid) -> anyhow::Result<Uuid> {
        let token = self.token(Role::PlatformService, None)?;
        let id = new_id();
        let request = CreateStudentRequest {
            request_id: id.to_string(),
            organization_id: organization.to_string(),
            email: format!("load-{}@example.com", id.simple()),
            given_name: "Lou".to_owned(),
            family_name: "Load".to_owned(),
            credential: None,
        };
        let made = patiently(async || {
            let request = authorized(request.clone(), &token)?;
            let mut client = StudentServiceClient::new(self.enrollment.clone());
            Ok(client.create_student(request).await)
        })
        .await?;
        let student = made.student.context("no student")?;
        Ok(student.student_id.parse()?)
    }

    /// A new class with `maximum` seats, without enrollment keys; its organization's number is not set.
    pub(super) async fn class(
        &self,
        organization: Uuid,
        maximum: usize,
        with_event_key: bool,
    ) -> anyhow::Result<Class> {
        let token = self.token(Role::Administrator, Some(organization))?;
        let begins = (SystemClock.now() + BEGINS_IN).duration_trunc(TimeDelta::hours(1))?;
        let request = CreateClassRequest {
            request_id: new_id().to_string(),
            organization_id: organization.to_string(),
            course_id: "load".to_owned(),
            course_name: "Load".to_owned(),
            name: "A class under load".to_owned(),
            start_time: Some(timestamp(begins)),
            end_time: Some(timestamp(begins + LASTS)),
            time_zone: "UTC".to_owned(),
            maximum_students: Some(i32::try_from(maximum)?),
            event_key: with_event_key.then(|| EventKeyChange {
                generated: Some(EventKeyGenerated { grace: None }),
                ..EventKeyChange::default()
            }),
            ..CreateClassRequest::default()
        };
        let made = patiently(async || {
            let request = authorized(request.clone(), &token)?;
            let mut client = ClassServiceClient::new(self.enrollment.clone());
            Ok(client.create_class(request).await)
        })
        .await?;
        let class_id = made.training_class.context("no class")?.class_id;
        let event_key = match made.event_key.filter(|_| with_event_key) {
            None => None,
            Some(key) => Some(Key {
                id: Some(key.key_id.parse()?),
                code: self.event_code(&class_id, &token).await?,
            }),
        };
        Ok(Class {
            id: class_id.parse()?,
            event_key,
            ..Class::default()
        })
    }

    async fn event_code(&self, class_id: &str, token: &str) -> anyhow::Result<String> {
        let request = RevealEventKeyRequest {
            class_id: class_id.to_owned(),
        };
        let revealed = patiently(async || {
            let request = authorized(request.clone(), token)?;
            let mut client = TrainingKeyServiceClient::new(self.keys.clone());
            Ok(client.reveal_event_key(request).await)
        })
        .await?;
        Ok(revealed.code.context("no code")?.code)
    }

    /// `count` new enrollment keys of a class, at most [`KEYS_AT_ONCE`].
    pub(super) async fn keys(
        &self,
        organization: Uuid,
        class: Uuid,
        count: usize,
    ) -> anyhow::Result<Vec<Key>> {
        let token = self.token(Role::OperationsManager, Some(organization))?;
        let request = GenerateTrainingKeysRequest {
            request_id: new_id().to_string(),
            class_id: class.to_string(),
            count: i32::try_from(count)?,
        };
        let made = patiently(async || {
            let request = authorized(request.clone(), &token)?;
            let mut client = TrainingKeyServiceClient::new(self.keys.clone());
            Ok(client.generate_training_keys(request).await)
        })
        .await?;
        let request = RevealTrainingKeysRequest {
            key_ids: made.keys.into_iter().map(|key| key.key_id).collect(),
            purpose: PURPOSE.to_owned(),
        };
        let revealed = patiently(async || {
            let request = authorized(request.clone(), &token)?;
            let mut client = TrainingKeyServiceClient::new(self.keys.clone());
            Ok(client.reveal_training_keys(request).await)
        })
        .await?;
        ensure!(revealed.codes.len() == count, "not every key was revealed");
        let key = |revealed: latchkey_proto::keys::v1::RevealedCode| {
            Ok(Key {
                id: Some(revealed.key_id.parse()?),
                code: revealed.code,
            })
        };
        revealed.codes.into_iter().map(key).collect()
    }
}

fn timestamp(time: DateTime<Utc>) -> Timestamp {
    Timestamp {
        seconds: time.timestamp(),
        nanos: 0,
    }
}

/// Calls until there is a definite answer, a bounded number of times. Each call carries the same request id, so that
/// nothing is made twice.
async fn patiently<T>(
    call: impl AsyncFn() -> anyhow::Result<Result<Response<T>, Status>>,
) -> anyhow::Result<T> {
    let mut tries = 1;
    loop {
        let status = match call().await? {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) => status,
        };
        if tries == TRIES || !may_be_repeated(&status) {
            let reason = reason_of(&status).map_or("", name);
            return Err(anyhow!(
                "{reason} {:?}: {}",
                status.code(),
                status.message()
            ));
        }
        tries += 1;
        tokio::time::sleep(retry_after_of(&status).unwrap_or(PAUSE)).await;
    }
}

/// Whether the contract says to call again with the same id.
fn may_be_repeated(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unknown
            | Code::Aborted
            | Code::ResourceExhausted
    )
}
