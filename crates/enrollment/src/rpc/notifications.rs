//! `NotificationService`.

mod read;
mod write;

use std::sync::Arc;

use latchkey_proto::enrollment::v1 as proto;
use latchkey_proto::enrollment::v1::notification_service_server::NotificationService;
use latchkey_service_kit::etag;
use latchkey_service_kit::paging::PageRequest;
use latchkey_service_kit::validation::Violations;
use secrecy::ExposeSecret;
use tonic::{Request, Response, Status};

use super::{call, messages};
use crate::app::Services;
use crate::app::notifications::change_notification_plan::{
    delete_notification_plan, replace_notification_plan,
};
use crate::app::notifications::create_notification_plan::{NewPlan, create_notification_plan};
use crate::app::notifications::opt_out::{get_opt_out, set_opt_out};
use crate::app::notifications::read_letters::list_letters;
use crate::app::notifications::read_notification_plans::{
    get_notification_plan, list_notification_plans, preview_notification_plan,
};
use crate::app::notifications::render_invitation::render_invitation;
use crate::app::notifications::set_notification_settings::{
    get_notification_settings, set_class_notifications, set_notification_settings,
};

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
        let wish = read::invitation(&request.into_inner())?;
        let written = render_invitation(&self.services, &call, wish).await?;
        Ok(Response::new(proto::RenderInvitationResponse {
            subject: written.subject,
            text: written.text.expose_secret().to_owned(),
            code: written.code.expose_secret().to_owned(),
            redeemable_until: written.redeemable_until.map(messages::stamp),
        }))
    }

    async fn create_notification_plan(
        &self,
        request: Request<proto::CreateNotificationPlanRequest>,
    ) -> Result<Response<proto::CreateNotificationPlanResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let wish = NewPlan {
            request_id: violations.own_id("request_id", &message.request_id),
            organization_id: violations.uuid("organization_id", &message.organization_id),
            settings: read::plan_settings(message.settings, &mut violations),
        };
        violations.finish()?;
        let made = create_notification_plan(&self.services, &call, wish).await?;
        Ok(Response::new(proto::CreateNotificationPlanResponse {
            plan: Some(write::plan(made)),
        }))
    }

    async fn get_notification_plan(
        &self,
        request: Request<proto::GetNotificationPlanRequest>,
    ) -> Result<Response<proto::GetNotificationPlanResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let id = violations.uuid("plan_id", &message.plan_id);
        violations.finish()?;
        let found = get_notification_plan(&self.services, &call, id).await?;
        Ok(Response::new(proto::GetNotificationPlanResponse {
            plan: Some(write::plan(found)),
        }))
    }

    async fn list_notification_plans(
        &self,
        request: Request<proto::ListNotificationPlansRequest>,
    ) -> Result<Response<proto::ListNotificationPlansResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let owner = violations.optional_uuid("organization_id", &message.organization_id);
        let owner_text = messages::optional_id(owner);
        let query = ["ListNotificationPlans", owner_text.as_str()];
        let page = PageRequest::read(
            message.page_size,
            &message.page_token,
            &query,
            &mut violations,
        );
        violations.finish()?;
        let found = list_notification_plans(&self.services, &call, owner, &page)
            .await?
            .map(write::plan);
        Ok(Response::new(proto::ListNotificationPlansResponse {
            plans: found.items,
            next_page_token: found.next_page_token,
        }))
    }

    async fn replace_notification_plan(
        &self,
        request: Request<proto::ReplaceNotificationPlanRequest>,
    ) -> Result<Response<proto::ReplaceNotificationPlanResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let id = violations.uuid("plan_id", &message.plan_id);
        let settings = read::plan_settings(message.settings, &mut violations);
        violations.finish()?;
        let etag = messages::optional_text(&message.etag);
        let changed = replace_notification_plan(&self.services, &call, id, settings, etag).await?;
        Ok(Response::new(proto::ReplaceNotificationPlanResponse {
            plan: Some(write::plan(changed)),
        }))
    }

    async fn delete_notification_plan(
        &self,
        request: Request<proto::DeleteNotificationPlanRequest>,
    ) -> Result<Response<proto::DeleteNotificationPlanResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let id = violations.uuid("plan_id", &message.plan_id);
        violations.finish()?;
        let etag = messages::optional_text(&message.etag);
        delete_notification_plan(&self.services, &call, id, etag).await?;
        Ok(Response::new(proto::DeleteNotificationPlanResponse {}))
    }

    async fn preview_notification_plan(
        &self,
        request: Request<proto::PreviewNotificationPlanRequest>,
    ) -> Result<Response<proto::PreviewNotificationPlanResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let owner = violations.uuid("organization_id", &message.organization_id);
        let class = violations.optional_uuid("class_id", &message.class_id);
        let settings = read::plan_settings(message.settings, &mut violations);
        violations.check(
            "class_id",
            class.is_none() || !settings.trigger.is_about_assignments(),
            "must be empty, because the plan is about assignments",
        );
        violations.finish()?;
        let written =
            preview_notification_plan(&self.services, &call, owner, class, &settings).await?;
        Ok(Response::new(proto::PreviewNotificationPlanResponse {
            subject: written.subject,
            text: written.text,
            html: written.html,
        }))
    }

    async fn get_notification_settings(
        &self,
        request: Request<proto::GetNotificationSettingsRequest>,
    ) -> Result<Response<proto::GetNotificationSettingsResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let id = violations.uuid("organization_id", &message.organization_id);
        violations.finish()?;
        let found = get_notification_settings(&self.services, &call, id).await?;
        Ok(Response::new(proto::GetNotificationSettingsResponse {
            etag: etag::format(id, found.version),
            settings: Some(write::notification_settings(found)),
        }))
    }

    async fn set_notification_settings(
        &self,
        request: Request<proto::SetNotificationSettingsRequest>,
    ) -> Result<Response<proto::SetNotificationSettingsResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let id = violations.uuid("organization_id", &message.organization_id);
        let wanted = read::notification_settings(message.settings, &mut violations);
        violations.finish()?;
        let seen = messages::optional_text(&message.etag);
        let set = set_notification_settings(&self.services, &call, id, wanted, seen).await?;
        Ok(Response::new(proto::SetNotificationSettingsResponse {
            etag: etag::format(id, set.version),
            settings: Some(write::notification_settings(set)),
        }))
    }

    async fn set_class_notifications(
        &self,
        request: Request<proto::SetClassNotificationsRequest>,
    ) -> Result<Response<proto::SetClassNotificationsResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let id = violations.uuid("class_id", &message.class_id);
        violations.finish()?;
        let enabled = set_class_notifications(&self.services, &call, id, message.enabled).await?;
        Ok(Response::new(proto::SetClassNotificationsResponse {
            enabled,
        }))
    }

    async fn list_notifications(
        &self,
        request: Request<proto::ListNotificationsRequest>,
    ) -> Result<Response<proto::ListNotificationsResponse>, Status> {
        let call = call::of(&request)?;
        let list = read::list(&request.into_inner())?;
        let found = list_letters(&self.services, &call, &list.filter, &list.page)
            .await?
            .map(write::letter);
        Ok(Response::new(proto::ListNotificationsResponse {
            notifications: found.items,
            next_page_token: found.next_page_token,
        }))
    }

    async fn get_notification_opt_out(
        &self,
        request: Request<proto::GetNotificationOptOutRequest>,
    ) -> Result<Response<proto::GetNotificationOptOutResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let id = violations.uuid("student_id", &message.student_id);
        violations.finish()?;
        let opted_out = get_opt_out(&self.services, &call, id).await?;
        Ok(Response::new(proto::GetNotificationOptOutResponse {
            opted_out,
        }))
    }

    async fn set_notification_opt_out(
        &self,
        request: Request<proto::SetNotificationOptOutRequest>,
    ) -> Result<Response<proto::SetNotificationOptOutResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let id = violations.uuid("student_id", &message.student_id);
        violations.finish()?;
        set_opt_out(&self.services, &call, id, message.opted_out).await?;
        Ok(Response::new(proto::SetNotificationOptOutResponse {}))
    }
}
