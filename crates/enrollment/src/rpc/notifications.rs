//! `NotificationService`.

use std::sync::Arc;

use latchkey_proto::enrollment::v1 as proto;
use latchkey_proto::enrollment::v1::notification_service_server::NotificationService;
use latchkey_service_kit::validation::Violations;
use secrecy::ExposeSecret;
use tonic::{Request, Response, Status};

use super::{call, errors, messages};
use crate::app::Services;
use crate::app::render_invitation::{InvitationWish, render_invitation};

/// The service.
#[derive(Debug, Clone)]
pub struct Notifications {
    services: Arc<Services>,
}

impl Notifications {
    /// The service, working with `services`.
    pub fn new(services: Arc<Services>) -> Self {
        Self { services }
    }
}

#[tonic::async_trait]
impl NotificationService for Notifications {
    async fn render_invitation(
        &self,
        request: Request<proto::RenderInvitationRequest>,
    ) -> Result<Response<proto::RenderInvitationResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let wish = InvitationWish {
            class_id: violations.uuid("class_id", &message.class_id),
            key_id: violations.optional_uuid("key_id", &message.key_id),
            student_id: violations.optional_uuid("student_id", &message.student_id),
        };
        violations.finish()?;
        let written = render_invitation(&self.services, &call, wish)
            .await
            .map_err(errors::status)?;
        Ok(Response::new(proto::RenderInvitationResponse {
            subject: written.subject,
            text: written.text.expose_secret().to_owned(),
            code: written.code.expose_secret().to_owned(),
            redeemable_until: Some(messages::stamp(written.redeemable_until)),
        }))
    }
}
