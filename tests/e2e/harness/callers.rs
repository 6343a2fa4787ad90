//! Typed clients of both services, for one caller.

use std::sync::Arc;

use latchkey_proto::audit::v1::audit_service_client::AuditServiceClient;
use latchkey_proto::enrollment::v1::assignment_service_client::AssignmentServiceClient;
use latchkey_proto::enrollment::v1::billing_service_client::BillingServiceClient;
use latchkey_proto::enrollment::v1::class_service_client::ClassServiceClient;
use latchkey_proto::enrollment::v1::enrollment_service_client::EnrollmentServiceClient;
use latchkey_proto::enrollment::v1::notification_service_client::NotificationServiceClient;
use latchkey_proto::enrollment::v1::organization_service_client::OrganizationServiceClient;
use latchkey_proto::enrollment::v1::redemption_service_client::RedemptionServiceClient;
use latchkey_proto::enrollment::v1::student_service_client::StudentServiceClient;
use latchkey_proto::enrollment::v1::subscription_profile_service_client::SubscriptionProfileServiceClient;
use latchkey_proto::keys::v1::key_pool_service_client::KeyPoolServiceClient;
use latchkey_proto::keys::v1::key_usage_service_client::KeyUsageServiceClient;
use latchkey_proto::keys::v1::subscription_key_service_client::SubscriptionKeyServiceClient;
use latchkey_proto::keys::v1::training_key_service_client::TrainingKeyServiceClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

/// Connections to every process of a stack.
#[derive(Debug)]
pub(crate) struct Channels {
    pub(crate) keys: Vec<Channel>,
    pub(crate) enrollment: Vec<Channel>,
}

/// Puts a caller's token on each call.
#[derive(Debug, Clone)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// A connection that carries a caller's token.
pub(crate) type Authorized = InterceptedService<Channel, Bearer>;

/// Someone who calls the services.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    channels: Arc<Channels>,
    bearer: Bearer,
    replica: usize,
}

impl Caller {
    pub(crate) fn new(channels: Arc<Channels>, token: Option<&str>) -> Self {
        let value = token.map(|token| {
            format!("Bearer {token}")
                .parse()
                .expect("a token that fits a header")
        });
        Self {
            channels,
            bearer: Bearer(value),
            replica: 0,
        }
    }

    /// The same caller, calling the processes with this number.
    pub(crate) fn on(&self, replica: usize) -> Self {
        Self {
            replica,
            ..self.clone()
        }
    }

    pub(crate) fn to_keys(&self) -> Authorized {
        InterceptedService::new(
            self.channels.keys[self.replica].clone(),
            self.bearer.clone(),
        )
    }

    pub(crate) fn to_enrollment(&self) -> Authorized {
        InterceptedService::new(
            self.channels.enrollment[self.replica].clone(),
            self.bearer.clone(),
        )
    }

    /// A way to a service in the test's own process.
    pub(crate) fn through<S>(&self, service: S) -> InterceptedService<S, Bearer> {
        InterceptedService::new(service, self.bearer.clone())
    }

    pub(crate) fn organizations(&self) -> OrganizationServiceClient<Authorized> {
        OrganizationServiceClient::new(self.to_enrollment())
    }

    pub(crate) fn classes(&self) -> ClassServiceClient<Authorized> {
        ClassServiceClient::new(self.to_enrollment())
    }

    pub(crate) fn students(&self) -> StudentServiceClient<Authorized> {
        StudentServiceClient::new(self.to_enrollment())
    }

    pub(crate) fn redemptions(&self) -> RedemptionServiceClient<Authorized> {
        RedemptionServiceClient::new(self.to_enrollment())
    }

    pub(crate) fn enrollments(&self) -> EnrollmentServiceClient<Authorized> {
        EnrollmentServiceClient::new(self.to_enrollment())
    }

    pub(crate) fn notifications(&self) -> NotificationServiceClient<Authorized> {
        NotificationServiceClient::new(self.to_enrollment())
    }

    pub(crate) fn billing(&self) -> BillingServiceClient<Authorized> {
        BillingServiceClient::new(self.to_enrollment())
    }

    pub(crate) fn assignments(&self) -> AssignmentServiceClient<Authorized> {
        AssignmentServiceClient::new(self.to_enrollment())
    }

    pub(crate) fn profiles(&self) -> SubscriptionProfileServiceClient<Authorized> {
        SubscriptionProfileServiceClient::new(self.to_enrollment())
    }

    pub(crate) fn subscription_keys(&self) -> SubscriptionKeyServiceClient<Authorized> {
        SubscriptionKeyServiceClient::new(self.to_keys())
    }

    pub(crate) fn training_keys(&self) -> TrainingKeyServiceClient<Authorized> {
        TrainingKeyServiceClient::new(self.to_keys())
    }

    pub(crate) fn key_pools(&self) -> KeyPoolServiceClient<Authorized> {
        KeyPoolServiceClient::new(self.to_keys())
    }

    pub(crate) fn key_usage(&self) -> KeyUsageServiceClient<Authorized> {
        KeyUsageServiceClient::new(self.to_keys())
    }

    pub(crate) fn keys_audit(&self) -> AuditServiceClient<Authorized> {
        AuditServiceClient::new(self.to_keys())
    }

    pub(crate) fn enrollment_audit(&self) -> AuditServiceClient<Authorized> {
        AuditServiceClient::new(self.to_enrollment())
    }
}
