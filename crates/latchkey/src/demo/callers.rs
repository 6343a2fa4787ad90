//! Typed clients of both services, for one caller.

use std::time::Duration;

use anyhow::Context;
use chrono::TimeDelta;
use latchkey_proto::enrollment::v1::assignment_service_client::AssignmentServiceClient;
use latchkey_proto::enrollment::v1::class_service_client::ClassServiceClient;
use latchkey_proto::enrollment::v1::enrollment_service_client::EnrollmentServiceClient;
use latchkey_proto::enrollment::v1::notification_service_client::NotificationServiceClient;
use latchkey_proto::enrollment::v1::organization_service_client::OrganizationServiceClient;
use latchkey_proto::enrollment::v1::redemption_service_client::RedemptionServiceClient;
use latchkey_proto::enrollment::v1::student_service_client::StudentServiceClient;
use latchkey_proto::enrollment::v1::subscription_profile_service_client::SubscriptionProfileServiceClient;
use latchkey_proto::keys::v1::key_pool_service_client::KeyPoolServiceClient;
use latchkey_proto::keys::v1::subscription_key_service_client::SubscriptionKeyServiceClient;
use latchkey_proto::keys::v1::training_key_service_client::TrainingKeyServiceClient;
use latchkey_service_kit::identity::Role;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};
use uuid::Uuid;

use crate::stack::tokens::TokenRequest;
use crate::stack::{Service, Stack};

/// How long a call may take: far more than any call of the demo needs, also on a busy machine.
const CALL_WITHIN: Duration = Duration::from_secs(20);
/// How long a token holds: longer than the demo runs.
const TOKEN_LIFETIME: TimeDelta = TimeDelta::hours(1);

/// Connections to both services of a stack.
pub(super) struct Lobby<'s> {
    stack: &'s Stack,
    keys: Channel,
    enrollment: Channel,
}

/// Someone who calls the services.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    keys: Channel,
    enrollment: Channel,
    bearer: Bearer,
}

/// Puts a caller's token on each call.
#[derive(Debug, Clone)]
pub(super) struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request
            .metadata_mut()
            .insert("authorization", self.0.clone());
        Ok(request)
    }
}

type Authorized = InterceptedService<Channel, Bearer>;

impl<'s> Lobby<'s> {
    /// Opens connections to both services.
    pub(super) fn open(stack: &'s Stack) -> anyhow::Result<Self> {
        Ok(Self {
            stack,
            keys: stack.channel(Service::Keys, CALL_WITHIN)?,
            enrollment: stack.channel(Service::Enrollment, CALL_WITHIN)?,
        })
    }

    /// A caller with one role; `subject` is who it is, `organization` where it belongs.
    pub(super) fn caller(
        &self,
        role: Role,
        subject: &str,
        organization: Option<Uuid>,
    ) -> anyhow::Result<Caller> {
        let token = self.stack.token(&TokenRequest {
            roles: vec![role],
            organization,
            subject: subject.to_owned(),
            lifetime: TOKEN_LIFETIME,
        })?;
        let value = format!("Bearer {token}").parse();
        Ok(Caller {
            keys: self.keys.clone(),
            enrollment: self.enrollment.clone(),
            bearer: Bearer(value.context("the token cannot stand in a header")?),
        })
    }
}

impl Caller {
    fn to_keys(&self) -> Authorized {
        InterceptedService::new(self.keys.clone(), self.bearer.clone())
    }

    fn to_enrollment(&self) -> Authorized {
        InterceptedService::new(self.enrollment.clone(), self.bearer.clone())
    }

    pub(super) fn organizations(&self) -> OrganizationServiceClient<Authorized> {
        OrganizationServiceClient::new(self.to_enrollment())
    }

    pub(super) fn classes(&self) -> ClassServiceClient<Authorized> {
        ClassServiceClient::new(self.to_enrollment())
    }

    pub(super) fn students(&self) -> StudentServiceClient<Authorized> {
        StudentServiceClient::new(self.to_enrollment())
    }

    pub(super) fn redemptions(&self) -> RedemptionServiceClient<Authorized> {
        RedemptionServiceClient::new(self.to_enrollment())
    }

    pub(super) fn enrollments(&self) -> EnrollmentServiceClient<Authorized> {
        EnrollmentServiceClient::new(self.to_enrollment())
    }

    pub(super) fn assignments(&self) -> AssignmentServiceClient<Authorized> {
        AssignmentServiceClient::new(self.to_enrollment())
    }

    pub(super) fn notifications(&self) -> NotificationServiceClient<Authorized> {
        NotificationServiceClient::new(self.to_enrollment())
    }

    pub(super) fn key_pools(&self) -> KeyPoolServiceClient<Authorized> {
        KeyPoolServiceClient::new(self.to_keys())
    }

    pub(super) fn profiles(&self) -> SubscriptionProfileServiceClient<Authorized> {
        SubscriptionProfileServiceClient::new(self.to_enrollment())
    }

    pub(super) fn subscription_keys(&self) -> SubscriptionKeyServiceClient<Authorized> {
        SubscriptionKeyServiceClient::new(self.to_keys())
    }

    pub(super) fn training_keys(&self) -> TrainingKeyServiceClient<Authorized> {
        TrainingKeyServiceClient::new(self.to_keys())
    }
}
