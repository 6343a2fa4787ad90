//! `OrganizationService`.

use std::sync::Arc;

use chrono::TimeDelta;
use latchkey_proto::enrollment::v1 as proto;
use latchkey_proto::enrollment::v1::organization_service_server::OrganizationService;
use latchkey_service_kit::etag;
use latchkey_service_kit::paging::PageRequest;
use latchkey_service_kit::status::ApiError;
use latchkey_service_kit::validation::Violations;
use prost_types::Duration;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::classes::{read, write};
use super::{call, messages};
use crate::app::Services;
use crate::app::organizations::create_organization::{NewOrganization, create_organization};
use crate::app::organizations::read_organizations::{get_organization, list_organizations};
use crate::app::organizations::update_organization::{
    Lateness, OrganizationChange, update_organization,
};
use crate::domain::organization::{ClassDefaults, Organization};

/// The fields of an organization that an update can change.
const FIELDS: &[&str] = &[
    "display_name",
    "wait_list_promotion_enabled",
    "late_cancellation_window",
    "class_defaults",
];

/// The service.
#[derive(Debug, Clone)]
pub struct Organizations {
    services: Arc<Services>,
}

impl Organizations {
    /// The service, working with `services`.
    pub fn new(services: Arc<Services>) -> Self {
        Self { services }
    }
}

#[tonic::async_trait]
impl OrganizationService for Organizations {
    async fn create_organization(
        &self,
        request: Request<proto::CreateOrganizationRequest>,
    ) -> Result<Response<proto::CreateOrganizationResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let wish = NewOrganization {
            request_id: violations.own_id("request_id", &message.request_id),
            parent_id: violations.optional_uuid("parent_id", &message.parent_id),
            display_name: messages::name(&mut violations, "display_name", &message.display_name),
        };
        violations.finish()?;
        let made = create_organization(&self.services, &call, wish).await?;
        Ok(Response::new(proto::CreateOrganizationResponse {
            organization: Some(organization(made)),
        }))
    }

    async fn get_organization(
        &self,
        request: Request<proto::GetOrganizationRequest>,
    ) -> Result<Response<proto::GetOrganizationResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let id = violations.uuid("organization_id", &message.organization_id);
        violations.finish()?;
        let found = get_organization(&self.services, &call, id).await?;
        Ok(Response::new(proto::GetOrganizationResponse {
            organization: Some(organization(found)),
        }))
    }

    async fn list_organizations(
        &self,
        request: Request<proto::ListOrganizationsRequest>,
    ) -> Result<Response<proto::ListOrganizationsResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let parent = violations.optional_uuid("parent_id", &message.parent_id);
        let parent_text = messages::optional_id(parent);
        let query = ["ListOrganizations", parent_text.as_str()];
        let page = PageRequest::read(
            message.page_size,
            &message.page_token,
            &query,
            &mut violations,
        );
        violations.finish()?;
        let found = list_organizations(&self.services, &call, parent, &page)
            .await?
            .map(organization);
        Ok(Response::new(proto::ListOrganizationsResponse {
            organizations: found.items,
            next_page_token: found.next_page_token,
        }))
    }

    async fn update_organization(
        &self,
        request: Request<proto::UpdateOrganizationRequest>,
    ) -> Result<Response<proto::UpdateOrganizationResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let (id, change) = change(&message)?;
        let etag = messages::optional_text(&message.etag);
        let changed = update_organization(&self.services, &call, id, change, etag).await?;
        Ok(Response::new(proto::UpdateOrganizationResponse {
            organization: Some(organization(changed)),
        }))
    }

    async fn set_self_registration(
        &self,
        request: Request<proto::SetSelfRegistrationRequest>,
    ) -> Result<Response<proto::SetSelfRegistrationResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let id = violations.uuid("organization_id", &message.organization_id);
        violations.finish()?;
        let change = OrganizationChange {
            self_registration: Some(message.enabled),
            ..OrganizationChange::default()
        };
        let changed = update_organization(&self.services, &call, id, change, None).await?;
        Ok(Response::new(proto::SetSelfRegistrationResponse {
            organization: Some(organization(changed)),
        }))
    }
}

fn change(
    message: &proto::UpdateOrganizationRequest,
) -> Result<(Uuid, OrganizationChange), ApiError> {
    let mut violations = Violations::of(message);
    let id = violations.uuid("organization_id", &message.organization_id);
    let mask = messages::mask(&mut violations, message.update_mask.as_ref(), FIELDS);
    let v = &mut violations;
    let late = whole_seconds(v, message.late_cancellation_window.as_ref());
    let change = OrganizationChange {
        display_name: mask
            .has("display_name")
            .then(|| messages::name(v, "display_name", &message.display_name)),
        promotes_waiting: mask
            .has("wait_list_promotion_enabled")
            .then_some(message.wait_list_promotion_enabled),
        late_cancellation: mask
            .has("late_cancellation_window")
            .then_some(late.map_or(Lateness::Never, Lateness::Within)),
        class_defaults: mask
            .has("class_defaults")
            .then(|| class_defaults(v, message.class_defaults.unwrap_or_default())),
        ..OrganizationChange::default()
    };
    violations.finish()?;
    Ok((id, change))
}

fn whole_seconds(violations: &mut Violations, span: Option<&Duration>) -> Option<TimeDelta> {
    const FIELD: &str = "late_cancellation_window";
    let span = violations.optional_duration(FIELD, span)?;
    if span.subsec_nanos() != 0 && !violations.has(FIELD) {
        violations.add(FIELD, "must be whole seconds");
    }
    Some(span)
}

fn class_defaults(violations: &mut Violations, message: proto::ClassDefaults) -> ClassDefaults {
    const MINIMUM: &str = "class_defaults.minimum_students";
    let (minimum, maximum) = (message.minimum_students, message.maximum_students);
    let fits = minimum
        .zip(maximum)
        .is_none_or(|(least, most)| least <= most);
    if !fits && !violations.has(MINIMUM) {
        violations.add(MINIMUM, "must not be above the maximum students");
    }
    ClassDefaults {
        maximum_students: maximum,
        minimum_students: minimum,
        status: read::status(message.status),
        event_key: message.event_key_enabled,
        post_class_days: message.post_class_days,
        notifications: message.notifications_enabled,
    }
}

fn organization(organization: Organization) -> proto::Organization {
    let settings = organization.settings;
    let defaults = settings.class_defaults;
    proto::Organization {
        organization_id: organization.id.to_string(),
        parent_id: messages::optional_id(organization.parent_id),
        etag: etag::format(organization.id, organization.version),
        display_name: organization.display_name,
        self_registration_enabled: organization.self_registration,
        create_time: Some(messages::stamp(organization.created_at)),
        wait_list_promotion_enabled: settings.promotes_waiting,
        late_cancellation_window: settings.late_cancellation.map(|window| Duration {
            seconds: window.num_seconds(),
            nanos: 0,
        }),
        class_defaults: Some(proto::ClassDefaults {
            maximum_students: defaults.maximum_students,
            minimum_students: defaults.minimum_students,
            status: defaults
                .status
                .map_or(0, |status| write::status(status).into()),
            event_key_enabled: defaults.event_key,
            post_class_days: defaults.post_class_days,
            notifications_enabled: defaults.notifications,
        }),
    }
}
