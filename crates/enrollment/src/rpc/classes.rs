//! `ClassService`.

pub(super) mod read;
pub(super) mod write;

use std::sync::Arc;

use latchkey_proto::enrollment::v1 as proto;
use latchkey_proto::enrollment::v1::class_service_server::ClassService;
use latchkey_service_kit::validation::Violations;
use tonic::{Request, Response, Status};

use super::{call, messages};
use crate::app::Services;
use crate::app::classes::cancel_class::cancel_class;
use crate::app::classes::create_class::create_class;
use crate::app::classes::read_classes::{get_class, list_classes};
use crate::app::classes::update_class::update_class;

/// The service.
#[derive(Debug, Clone)]
pub struct Classes {
    services: Arc<Services>,
}

impl Classes {
    /// The service, working with `services`.
    pub fn new(services: Arc<Services>) -> Self {
        Self { services }
    }
}

#[tonic::async_trait]
impl ClassService for Classes {
    async fn create_class(
        &self,
        request: Request<proto::CreateClassRequest>,
    ) -> Result<Response<proto::CreateClassResponse>, Status> {
        let call = call::of(&request)?;
        let wish = read::new_class(request.into_inner())?;
        let made = create_class(&self.services, &call, wish).await?;
        Ok(Response::new(proto::CreateClassResponse {
            training_class: Some(write::class(made.class)),
            event_key: made.event_key.map(write::event_key),
            warnings: made.warnings.iter().map(messages::warning).collect(),
        }))
    }

    async fn get_class(
        &self,
        request: Request<proto::GetClassRequest>,
    ) -> Result<Response<proto::GetClassResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let id = violations.uuid("class_id", &message.class_id);
        violations.finish()?;
        let found = get_class(&self.services, &call, id).await?;
        Ok(Response::new(proto::GetClassResponse {
            training_class: Some(write::class(found)),
        }))
    }

    async fn list_classes(
        &self,
        request: Request<proto::ListClassesRequest>,
    ) -> Result<Response<proto::ListClassesResponse>, Status> {
        let call = call::of(&request)?;
        let list = read::list(&request.into_inner())?;
        let found = list_classes(&self.services, &call, &list.filter, &list.page)
            .await?
            .map(write::class);
        Ok(Response::new(proto::ListClassesResponse {
            classes: found.items,
            next_page_token: found.next_page_token,
        }))
    }

    async fn update_class(
        &self,
        request: Request<proto::UpdateClassRequest>,
    ) -> Result<Response<proto::UpdateClassResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let (id, change) = read::change(&message)?;
        let etag = messages::optional_text(&message.etag);
        let changed = update_class(&self.services, &call, id, &change, etag).await?;
        Ok(Response::new(proto::UpdateClassResponse {
            training_class: Some(write::class(changed.class)),
            warnings: changed.warnings.iter().map(messages::warning).collect(),
        }))
    }

    async fn cancel_class(
        &self,
        request: Request<proto::CancelClassRequest>,
    ) -> Result<Response<proto::CancelClassResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let id = violations.uuid("class_id", &message.class_id);
        let reason = violations.line("reason", &message.reason);
        violations.finish()?;
        let etag = messages::optional_text(&message.etag);
        let cancelled = cancel_class(&self.services, &call, id, etag, reason).await?;
        Ok(Response::new(proto::CancelClassResponse {
            training_class: Some(write::class(cancelled.class)),
            cancelled_enrollments: i32::try_from(cancelled.cancelled_enrollments)
                .unwrap_or(i32::MAX),
        }))
    }
}
